import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.command import koc

KOC = Path(sys.executable).parent / "koc"


def test_beyond_loopback_it_does_not_listen_without_a_key(tmp_path: Path) -> None:
    ran = koc("serve", "--host", "0.0.0.0", "--home", tmp_path, columns=300)
    assert ran.status == 1
    assert "0.0.0.0 can be reached from other machines and there is no valid key" in ran.err
    assert "`koc keys create NAME --scope operate`" in ran.err


def test_a_key_that_has_ended_does_not_open_it_to_others(tmp_path: Path) -> None:
    text = koc("keys", "create", "crm", "--home", tmp_path).out.strip()
    koc("keys", "revoke", text.split("_")[1], "--home", tmp_path)
    assert koc("serve", "--host", "0.0.0.0", "--home", tmp_path).status == 1


def test_a_port_that_is_taken_is_told_before_an_address_is_shown(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = koc("serve", "--port", taken.getsockname()[1], "--home", tmp_path, columns=300)
    assert ran.status == 2
    assert " is taken; stop what listens there" in ran.err
    assert "lists the operations" not in ran.err


def test_it_answers_and_ends_when_asked(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(KOC), "serve", "--port", str(port), "--home", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    answer = httpx.get(f"http://127.0.0.1:{port}/v1/audit")
                    break
                except httpx.ConnectError:
                    assert time.monotonic() < until, "it does not answer"
                    time.sleep(0.1)
            assert answer.json() == {"entries": [], "next": None}
        finally:
            server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=30)
    assert f"http://127.0.0.1:{port}/docs lists the operations" in err
    assert "whoever is on this machine may do everything" in err
    assert '"route":"/v1/audit"' in err
