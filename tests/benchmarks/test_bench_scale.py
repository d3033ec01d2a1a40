"""Every step of the product at several sizes, beside its floor: one JSON, and a plot of cost against size.

``KOC_BENCH_SIZES`` says which (default ``10000,100000``; add ``1000000`` where nobody else needs the machine),
``KOC_BENCH_MEMORY`` the limit of the engine (default ``3GB``), and ``KOC_BENCH_OUT`` a folder for the JSON, the plot and the
markets, which a later run takes as they are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from tests.benchmarks.growth import Cost, exponents, report
from tests.paths import REPO

MEASURABLE = 0.5
"""CPU seconds below which fixed costs, such as compiling expressions, hide how a step grows."""


@pytest.mark.benchmark
def test_cost_by_size(tmp_path: Path) -> None:
    folder = Path(os.environ.get("KOC_BENCH_OUT", tmp_path))
    memory = os.environ.get("KOC_BENCH_MEMORY", "3GB")
    costs: list[Cost] = []
    for users in map(int, os.environ.get("KOC_BENCH_SIZES", "10000,100000").split(",")):
        for cost in costs_at(users, folder, memory):
            times = f"{cost.times_floor:5.1f} times {cost.floor}" if cost.times_floor else ""
            took = f"{cost.seconds:8.2f} s, CPU {cost.cpu_seconds:8.3f} s, {cost.peak_gb:5.2f} GB"
            print(f"{users:>9,} {cost.step:25} {took} {times}", flush=True)
            costs.append(cost)
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "memory": memory}
    written = folder / "scale.json"
    written.write_text(json.dumps(report(costs, machine), indent=1))
    plot(costs, folder / "scale.png")
    for step, power in exponents(costs).items():
        print(f"{step:25} grows with the power {power:.2f}" if power is not None else f"{step:25} one size")
    print(f"{written} and {folder / 'scale.png'}")
    assert {cost.step for cost in costs} >= {"validate", "ledger", "batch scoring", "list of 1,000"}


def costs_at(users: int, folder: Path, memory: str) -> Iterator[Cost]:
    """Each part in a process of its own, so that its peak memory is not that of others."""
    market = folder / f"market-{users}"
    if not (market / "dataset.toml").exists():
        simulate_market(MarketSettings(users=users), market)
    yield from _costs("data", market, users, memory)
    scored = _lines("tests.benchmarks.test_bench_score", str(users))[-1]
    yield Cost(
        "batch scoring",
        users,
        scored["seconds"],
        scored["cpu_seconds"],
        scored["peak_gb"],
        "LightGBM's own prediction",
        scored["trees_cpu"],
    )
    yield from _costs("serving", folder / f"serving-{users}", users, memory)


def _costs(part: str, folder: Path, users: int, memory: str) -> Iterator[Cost]:
    folder.mkdir(exist_ok=True)
    for line in _lines("tests.benchmarks.scale", part, str(folder), str(users), memory):
        yield Cost(**line)


def _lines(module: str, *arguments: str) -> list[dict[str, float]]:
    """The lines of JSON that a program prints."""
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def plot(costs: Sequence[Cost], path: Path) -> None:
    """CPU seconds against users, both logarithmic, one line a step, beside lines of the powers 1 and 1.1."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    powers = exponents(costs)
    for number, (step, power) in enumerate(powers.items()):
        of = sorted((cost.users, cost.cpu_seconds) for cost in costs if cost.step == step)
        said = step if power is None else f"{step} ({power:.2f})"
        axes.plot(*zip(*of, strict=True), marker="osD^v"[number % 5], color=f"C{number % 10}", label=said)
    sizes = sorted({cost.users for cost in costs})
    low = min(cost.cpu_seconds for cost in costs if cost.users == sizes[0])
    axes.plot(sizes, [low * size / sizes[0] for size in sizes], color="#5b6570", ls=":", label="as fast as users")
    axes.set(xscale="log", yscale="log", xlabel="users", ylabel="CPU seconds", title="Cost against size (power of growth)")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(path)
