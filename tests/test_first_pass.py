"""A process that spins in its first pass, ended for real. The same in containers: tests/engines/test_first_pass.py."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.engines.base import Run
from harness.engines.local import Local, clean_environment
from harness.launch.run import execute
from harness.tools import OWNER_LABEL, owner
from tests.first_pass import a_spinning_launch, check_continued, check_ended_and_kept


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / "cache"))


def a_run() -> Run:
    """A process of this Python."""
    return Run(
        name=f"strixbench-test-{time.monotonic_ns()}",
        image="local",
        argv=(sys.executable,),
        environment=clean_environment({}),
        mounts=(),
        working_directory="/",
        exchange=Path("/nowhere"),
        labels={OWNER_LABEL: owner()},
    )


class Held:
    """A fake of a process that the kernel holds: it does not die of SIGKILL, as after a hang of the GPU."""

    pid = 2**31 - 1  # nobody's

    def __init__(self, argv: Sequence[str], **options: object) -> None:
        """Nothing is started."""

    def wait(self, timeout: float) -> int:
        raise subprocess.TimeoutExpired("held", timeout)


def test_a_process_that_was_killed_is_on_record_where_the_kernel_does_not_let_go_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", Held)
    ended = Local().run(a_run(), timeout_seconds=60, give_up=lambda: "gpu fault")
    assert (ended.started, ended.ended_because, ended.code) == (True, "gpu fault", 137)
    assert f"process {Held.pid} was killed and is not gone: " in ended.remark


def test_a_process_that_spins_in_its_first_pass_is_ended_and_what_it_compiled_is_there_for_the_next() -> None:
    engine = Local()
    check_ended_and_kept(execute(a_spinning_launch(engine.record, a_run(), python=sys.executable, inside=False), engine))
    again = a_spinning_launch(engine.record, a_run(), python=sys.executable, inside=False, keep=True)
    check_continued(execute(again, engine))
