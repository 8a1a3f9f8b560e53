"""SIGKILL of the harness at random moments of a bench, again and again over the same store: anywhere, and right after a guest's end.

What finished is told by the guest itself: the image of this test appends its launch's id to a ledger in the kept kernel cache, where
the harness removes nothing. A journal that is read after the kill could not tell what the harness had lost.

``STRIXBENCH_TEST_KILLS`` says how often (1), ``STRIXBENCH_TEST_SEED`` which moments. Every step after a guest's end:
tests/test_lost_launches.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.wire import read_journal
from harness.engines.base import BuiltImage, Recipe
from harness.engines.container import ContainerEngine
from harness.launch import kept_caches
from tests.commands import REPOSITORY, Workplace, wait_until
from tests.engines.test_bench import containers_of

KILLS = int(os.environ.get("STRIXBENCH_TEST_KILLS", "1"))
LATEST_SECONDS = 25.0
LATEST_AFTER_AN_END_SECONDS = 0.6
"""In it the container is removed, and its launch judged and stored."""
FIRST_END_SECONDS = 300.0
IMAGE = "ledger"


@pytest.fixture
def overlay(tmp_path: Path, recipe: Recipe) -> Path:
    """A catalog with the image that keeps a ledger."""
    path = tmp_path / "ledger.toml"
    path.write_text(
        f"""[images.{IMAGE}]
family = "cpu"
variants = ["cpu"]
containerfile = "{REPOSITORY}/tests/engines/ledger.Containerfile"
base = "{recipe.tag}"
torch = "2.13.0"
torchaudio = "2.11.0"
lock = "pyannote4.txt"
"""
    )
    return path


@pytest.mark.parametrize("moment", ["anywhere", "after a guest's end"])
def test_no_finished_launch_is_lost_and_no_container_left_at_any_moment(
    workplace: Workplace, engine_name: str, engine: ContainerEngine, cpu_image: BuiltImage, overlay: Path, moment: str
) -> None:
    seed = os.environ.get("STRIXBENCH_TEST_SEED") or str(random.randrange(10**9))
    print(f"STRIXBENCH_TEST_SEED={seed}")  # shown where the test fails
    moments = random.Random(seed)
    kept_caches.clear([cache for cache in kept_caches.kept() if cache.image == IMAGE])
    cell = (IMAGE, "--catalog", str(overlay), "--engine", engine_name, "--caches", "keep", "--passes", "1")
    first = workplace.bench(*cell, "--launches", "1", "--audio-seconds", "10")  # which builds it
    assert first.code == 0, first.stderr
    assert ledger() == [launch.id for launch in workplace.stored()], "the guest keeps the ledger"
    finished: set[str] = set()
    for number in range(KILLS):
        process = workplace.start_bench(*cell, "--launches", "50")
        begun = time.monotonic()
        try:
            if moment == "anywhere":
                wait_for_moment(process, moments.uniform(0, LATEST_SECONDS))
            else:
                before = len(ledger())
                wait_until(lambda: len(ledger()) > before, what="a guest's end", seconds=FIRST_END_SECONDS)  # noqa: B023 - now
                wait_for_moment(process, moments.uniform(0, LATEST_AFTER_AN_END_SECONDS))
            assert process.poll() is None, f"the bench ended by itself: {workplace.talk.read_text()}"
        finally:
            process.kill()
            process.wait(timeout=30)
        killed_seconds = time.monotonic() - begun
        finished |= finished_launches(workplace)
        done = workplace.bench(*cell, "--launches", "1", "--audio-seconds", "10")
        assert done.code == 0, f"kill {number + 1} after {killed_seconds:.2f} s: {done.stderr}"
        assert not containers_of(engine, workplace)
        assert workplace.journals() == []
        stored = {launch.id: launch.verdict for launch in workplace.stored()}
        assert len(stored) == len(workplace.stored())
        assert finished | set(ledger()) <= stored.keys()
        assert {stored[each].status for each in finished | set(ledger())} <= {"pass"}
        assert {verdict.cause for verdict in stored.values()} <= {None, "interrupted"}
    print(f"{KILLS} kills, {len(ledger())} in the ledger, {len(workplace.stored())} stored")


def wait_for_moment(process: subprocess.Popen[str], seconds: float) -> None:
    """Return after so long, or when the bench has ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)


def ledger() -> list[str]:
    """What the guests say that they finished, in the order in which they did."""
    files = [kept_caches.files_of(cache.key) / "ledger" for cache in kept_caches.kept() if cache.image == IMAGE]
    return [line for path in files if path.exists() for line in path.read_text().split()]


def finished_launches(workplace: Workplace) -> set[str]:
    """Launches in the store that passed, and those whose guest had said that it is done."""
    passed = {launch.id for launch in workplace.stored() if launch.verdict.status == "pass"}
    told = {
        journal.parent.parent.name
        for journal in workplace.journals()
        if any(event["event"] == "done" for event in read_journal(journal.read_text()))
    }
    return passed | told
