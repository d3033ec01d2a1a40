"""The section of the README about the service, line by line in a shell, with curl."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.paths import REPO
from tests.serving.batches import write_random

BIN = Path(sys.executable).parent
SERVED = "koc serve --home .koc/demo"
PORT = "8000"


def commands() -> list[str]:
    """The indented blocks of the section, in order."""
    section = (REPO / "README.md").read_text().split("## The service\n")[1].split("\n## ")[0]
    blocks: list[list[str]] = [[]]
    for line in section.splitlines():
        if line.startswith("    "):
            blocks[-1].append(line.removeprefix("    "))
        elif line and blocks[-1]:
            blocks.append([])
    return ["\n".join(block) for block in blocks if block]


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("python3") is None, reason="needs curl")
def test_the_lines_make_a_list_and_end_with_its_results(tmp_path: Path) -> None:
    serve, campaign = commands()
    assert serve.startswith(SERVED)
    write_random(tmp_path / ".koc/demo/scores", users=300)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [str(BIN / "koc"), *SERVED.split()[1:], "--port", port]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/readyz")
            asked = campaign.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}")
            # An unset variable or a failed line ends the shell; curl itself does not tell of statuses.
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", asked.replace("curl -s", "curl -s --fail-with-body -w '\\n'")],
                cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
        finally:
            server.terminate()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    second, contacted, happened, results = (json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{"))
    made = json.loads((tmp_path / "list.json").read_text())
    first = json.loads((tmp_path / "page.json").read_text())
    assert made["rows"] == 100
    assert (len(first["rows"]), len(second["rows"])) == (20, 20)
    assert not {row["user_id"] for row in first["rows"]} & {row["user_id"] for row in second["rows"]}
    assert (tmp_path / "list.xlsx").read_bytes().startswith(b"PK")
    assert (contacted["accepted"], happened["accepted"]) == (1, 1)
    assert results["arms"]["contact"]["did"]["converted"] == 1
    assert results["arms"]["contact"]["amount"] == 12_900
    assert results["arms"]["holdout"]["people"] == made["arms"]["holdout"] > 0
    assert results["cost"] == 500
    assert results["differences"]["converted"]["low"] < results["differences"]["converted"]["high"]


def _wait(url: str, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            assert httpx.get(url, timeout=30).status_code == 200
        except httpx.ConnectError:
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.1)
        else:
            return
