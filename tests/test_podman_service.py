"""A service of our own and a process that stands in for `podman`. The real one is in tests/engines/test_podman_services.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.engines.podman_service import PodmanService
from harness.tools import owner
from tests.commands import REPOSITORY, wait_until
from tests.engines.test_container import DEAD_OWNER

FAKE = """#!{python}
import os, signal, socket, sys, time
with open({noted!r}, "w") as noted:
    noted.write("".join(name + "\\n" for name in os.environ))
{before}
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[-1].removeprefix("unix://"))
listening.listen()
time.sleep(600)
"""
"""A service that heeds no SIGTERM, as Podman's own does not while a request is under way."""

ROOTLESS = """if os.fork():
    time.sleep(600)
"""
"""The process that we started is not the one that serves, and ends at once when it is told to."""

MUTE = "time.sleep(600)\n"
"""It never takes a connection."""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's, whose paths may be too long for a socket: 107 bytes (unix(7))."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def a_fake_podman(folder: Path, monkeypatch: pytest.MonkeyPatch, before: str = "") -> Path:
    """A FAKE `podman`, first on PATH; it notes the names of its variables."""
    program, noted = folder / "podman", folder / "noted"
    program.write_text(FAKE.format(python=sys.executable, noted=str(noted), before=before))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    (folder / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return noted


def servers(folder: Path) -> list[int]:
    """Processes that have to do with a folder, but for those that ended and that nobody reaped."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in process.info["cmdline"] or ())
    ]


def test_a_podman_of_ours_is_no_client_of_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = ("CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINER_SSHKEY", "HF_TOKEN")
    for name in variables:
        monkeypatch.setenv(name, "unix:///tmp/none.sock")
    noted = a_fake_podman(tmp_path, monkeypatch)
    PodmanService().stop()
    assert not set(variables) & set(noted.read_text().splitlines())
    assert "TMPDIR" in noted.read_text().splitlines()


@pytest.mark.parametrize("before", ["", ROOTLESS])
def test_a_service_that_heeds_no_sigterm_is_ended_with_all_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    a_fake_podman(tmp_path, monkeypatch, before)
    service = PodmanService()
    assert servers(tmp_path)
    service.stop()
    assert servers(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    service.stop()  # once more does no harm


def test_an_interruption_while_it_comes_up_leaves_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_fake_podman(tmp_path, monkeypatch, MUTE)
    # A shell's background job ignores SIGINT, and so would what it starts.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from harness.engines.podman_service import PodmanService; PodmanService()"
    )
    with subprocess.Popen((sys.executable, "-c", script), cwd=REPOSITORY, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until((tmp_path / "noted").exists, what="the fake's start")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) != 0
        finally:
            process.kill()
    assert servers(tmp_path) == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("ending", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_harness_that_nobody_let_tidy_up_leaves_no_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    a_fake_podman(tmp_path, monkeypatch)
    script = f"import os, signal; from harness.engines.podman_service import PodmanService; kept = PodmanService(); {ending}"
    subprocess.run((sys.executable, "-c", script), cwd=REPOSITORY, check=False, timeout=60)
    wait_until(lambda: servers(tmp_path) == [], what="the service's end", seconds=30)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_folder_of_a_dead_harness_is_removed_at_the_next_start_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_fake_podman(tmp_path, monkeypatch)
    for name, owned_by in (("dead", DEAD_OWNER), ("living", owner()), ("older", None)):
        folder = tmp_path / "tmp" / f"strixbench-{name}"
        folder.mkdir()
        if owned_by is not None:
            (folder / "owner").write_text(owned_by)
    (tmp_path / "tmp/strixbench-link").symlink_to(tmp_path / "tmp/strixbench-dead")
    PodmanService().stop()
    assert sorted(path.name for path in (tmp_path / "tmp").iterdir()) == [
        "strixbench-link",
        "strixbench-living",
        "strixbench-older",
    ]
