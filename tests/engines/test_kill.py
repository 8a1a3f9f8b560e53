"""SIGKILL of the harness at random moments of a bench, again and again over the same store.

``STRIXBENCH_TEST_KILLS`` says how often (1), ``STRIXBENCH_TEST_SEED`` which moments.
"""

from __future__ import annotations

import os
import random
import subprocess

from benchmarks.wire import read_journal
from harness.engines.base import BuiltImage
from harness.engines.container import ContainerEngine
from tests.commands import Workplace
from tests.engines.test_bench import containers_of

KILLS = int(os.environ.get("STRIXBENCH_TEST_KILLS", "1"))
LATEST_SECONDS = 25.0


def test_no_finished_launch_is_lost_and_no_container_left_at_any_moment(
    workplace: Workplace, engine_name: str, engine: ContainerEngine, cpu_image: BuiltImage
) -> None:
    seed = os.environ.get("STRIXBENCH_TEST_SEED") or str(random.randrange(10**9))
    print(f"STRIXBENCH_TEST_SEED={seed}")  # shown where the test fails
    moments = random.Random(seed)
    finished: set[str] = set()
    for number in range(KILLS):
        moment = moments.uniform(0, LATEST_SECONDS)
        process = workplace.start_bench("cpu", "--engine", engine_name, "--launches", "50", "--passes", "1")
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            pass
        else:
            raise AssertionError(f"the bench ended by itself: {workplace.talk.read_text()}")
        finally:
            process.kill()
            process.wait(timeout=30)
        finished |= finished_launches(workplace)
        done = workplace.bench("cpu", "--engine", engine_name, "--launches", "1", "--passes", "1", "--audio-seconds", "10")
        assert done.code == 0, f"kill {number + 1} after {moment:.2f} s: {done.stderr}"
        assert not containers_of(engine, workplace)
        assert workplace.journals() == []
        stored = {launch.id: launch.verdict for launch in workplace.stored()}
        assert finished <= stored.keys()
        assert {stored[each].status for each in finished} <= {"pass"}
        assert {verdict.cause for verdict in stored.values()} <= {None, "interrupted"}
    print(f"{KILLS} kills, {len(finished)} finished launches, {len(workplace.stored())} stored")


def finished_launches(workplace: Workplace) -> set[str]:
    """Launches in the store that passed, and those whose guest had said that it is done."""
    passed = set()
    if (workplace.results / "strixbench.db").exists():
        passed = {launch.id for launch in workplace.stored() if launch.verdict.status == "pass"}
    told = {
        journal.parent.parent.name
        for journal in workplace.journals()
        if any(event["event"] == "done" for event in read_journal(journal.read_text()))
    }
    return passed | told
