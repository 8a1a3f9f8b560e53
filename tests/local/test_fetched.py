"""From the hub to a launch: fetched from a fake hub, random weights of the true shapes, run offline by real pyannote.audio.

And where the user's token is while that happens: in the command's own environment, and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.inputs.models import GATED
from tests.hub.conftest import COMMITS, Fetcher
from tests.hub_server import FakeHub, FakeRepository, serving

SHORT = ("local-cpu", "--launches", "1", "--passes", "1", "--audio-seconds", "11")


@pytest.fixture
def fetcher(tmp_path: Path, random_hub: Path, cache: Mapping[str, str]) -> Iterator[Fetcher]:
    """A user of a fake hub that serves the random weights."""
    repositories = {}
    for name in (name for names in GATED.values() for name in names):
        (snapshot,) = (random_hub / f"models--{name.replace('/', '--')}" / "snapshots").iterdir()
        files = {str(p.relative_to(snapshot)): p.read_bytes() for p in sorted(snapshot.rglob("*")) if p.is_file()}
        large = tuple(file for file in files if not file.endswith(".yaml"))
        repositories[name] = FakeRepository(commit=COMMITS[name], files=files, large=large, gated="wespeaker" not in name)
    with serving(FakeHub(repositories)) as hub:
        made = Fetcher(tmp_path, hub)
        made.workplace.environment |= cache
        yield made


class Watch:
    """What processes of this test's commands had in sight, looked at over and over."""

    def __init__(self, needle: str) -> None:
        self.needle = needle
        self.commands: set[int] = set()
        """Processes that were seen."""
        self.in_command_lines: set[str] = set()
        self.in_environments: set[str] = set()

    def look(self) -> None:
        for process in psutil.Process().children(recursive=True):
            try:
                words, variables = process.cmdline(), process.environ()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            self.commands.add(process.pid)
            if any(self.needle in word for word in words):
                self.in_command_lines.add(" ".join(words))
            # `strixbench` itself has what the user gave it; what it starts has not.
            if not any("harness.cli" in word for word in words) and any(self.needle in value for value in variables.values()):
                self.in_environments.add(" ".join(words))


@contextmanager
def watching(needle: str) -> Iterator[Watch]:
    """Look at all descendants of this process until the block ends."""
    watch, ended = Watch(needle), threading.Event()

    def look_on() -> None:
        while not ended.wait(0.02):
            watch.look()

    thread = threading.Thread(target=look_on)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join(timeout=30)


def files_with(folder: Path, needle: str) -> list[Path]:
    """Every file below a folder that holds the bytes, or has them in its name."""
    return [
        path for path in folder.rglob("*") if needle in path.name or (path.is_file() and needle.encode() in path.read_bytes())
    ]


def test_the_31_pipeline_is_fetched_and_runs_and_the_token_is_found_nowhere(fetcher: Fetcher) -> None:
    workplace, token = fetcher.workplace, fetcher.token
    assert workplace.environment["HF_TOKEN"] == token
    workplace.environment["OMP_NUM_THREADS"] = "1"
    with watching(token) as watch:
        fetched = fetcher.fetch()
        benched = workplace.bench(*SHORT, "--pipeline", "3.1")
        watch.look()
    assert fetched.code == 0, fetched.stderr
    (launch,) = workplace.stored()
    assert benched.code == 0, (launch.verdict, launch.log_tail)
    assert launch.verdict.stage == "verify"
    assert launch.plan.cell == "local-cpu/cpu/3.1/sample-fitted-11s"
    assert launch.plan.workload.models == tuple(f"{name}@{COMMITS[name]}" for name in GATED["3.1"])
    assert any("PLDA" in note for note in launch.notes), "the stand-in for the PLDA is told"
    assert "PLDA" in workplace.page.read_text()

    assert len(watch.commands) > 2, "the command, the guest's shell and the guest were there to be seen"
    assert watch.in_command_lines == set()
    assert watch.in_environments == set()
    assert any(each.authorization == f"Bearer {token}" for each in fetcher.hub.seen), "it was really used"
    assert files_with(fetcher.folder, token) == []
    assert token not in benched.stdout + benched.stderr


def test_the_community_pipeline_is_fetched_and_while_it_runs_no_token_is_on_disk(fetcher: Fetcher) -> None:
    workplace, token = fetcher.workplace, fetcher.token
    assert fetcher.fetch("community-1").code == 0
    process = workplace.start_bench(*SHORT, "--pipeline", "community-1")
    seen: set[str] = set()
    try:
        while process.poll() is None:
            for folder, _, names in os.walk(workplace.results):  # which a launch changes meanwhile
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        assert token.encode() not in Path(folder, name).read_bytes(), name
                        seen.add(name)
            time.sleep(0.05)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait(timeout=60)
    assert process.returncode == 0, workplace.talk.read_text()
    (launch,) = workplace.stored()
    assert (launch.plan.workload.profile, launch.verdict.status, launch.notes) == ("community-1", "pass", ())
    assert {"plan.json", "journal.jsonl", "request.json"} <= seen
    assert token not in workplace.talk.read_text()


def test_a_build_s_own_programs_get_no_token(fetcher: Fetcher, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.toml"
    overlay.write_text('[images.local-cpu]\ntorch = "0.0.0"\ntorch_index = "http://127.0.0.1:9/"\n')
    environment = fetcher.workplace.environment
    environment |= {"STRIXBENCH_CACHE": str(tmp_path / "cache"), "PIP_NO_INDEX": "1", "PIP_RETRIES": "0"}
    with watching(fetcher.token) as watch:
        done = fetcher.workplace.run("build", "local-cpu", "--catalog", str(overlay))
    assert done.code == 1, "there is no torch 0.0.0"
    assert len(watch.commands) > 1, "pip was there to be seen"
    assert watch.in_command_lines | watch.in_environments == set()
    assert files_with(tmp_path, fetcher.token) == []
    assert fetcher.token not in done.stdout + done.stderr
