"""What a piece of work takes: seconds, CPU seconds and the peak of memory of the process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.growth import Cost


class Clock:
    """Seconds, CPU seconds and the peak of memory in GB since it was made."""

    def __init__(self) -> None:
        # From here on the peak is counted anew.
        Path("/proc/self/clear_refs").write_text("5")
        self.memory, self.wall, self.cpu = _kilobytes("VmRSS"), time.monotonic(), time.process_time()

    def taken(self) -> dict[str, float]:
        seconds, cpu_seconds = time.monotonic() - self.wall, time.process_time() - self.cpu
        peak_gb = (_kilobytes("VmHWM") - self.memory) / 1024**2
        return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_gb": peak_gb}

    def cost(self, step: str, users: int, floor: str | None = None, floor_cpu_seconds: float | None = None) -> Cost:
        """What ``step`` took since, with the peak of all memory of the process."""
        taken, peak_gb = self.taken(), _kilobytes("VmHWM") / 1024**2
        return Cost(step, users, taken["seconds"], taken["cpu_seconds"], peak_gb, floor, floor_cpu_seconds)


def _kilobytes(name: str) -> int:
    """Of this process; ``ru_maxrss`` would start with the peak of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def seconds_of(call: Callable[[], Any], clock: Callable[[], float] = time.monotonic) -> float:
    begin = clock()
    call()
    return clock() - begin
