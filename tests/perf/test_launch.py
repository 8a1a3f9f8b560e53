"""What the harness adds to a container's run: side by side with the same line typed by hand."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell
from harness.engines.container import ContainerEngine
from harness.engines.discovery import find_engine
from harness.errors import EngineError
from harness.images.build import recipe_of
from harness.inputs.launch_inputs import Inputs
from harness.launch.plan import Origin, Prepared, make_folders, prepare_launch
from harness.launch.run import execute, forget
from harness.machine.host import describe_host
from harness.records.launch import new_id
from harness.records.plan import Settings
from harness.records.store import Store

ROUNDS = 15
LONG_SECONDS = 10


@pytest.fixture(scope="module", params=["podman", "docker"])
def engine(request: pytest.FixtureRequest) -> Iterator[ContainerEngine]:
    """An engine that is here and has the image `cpu`."""
    try:
        opened = ContainerEngine(find_engine(str(request.param)))
    except EngineError as error:
        pytest.skip(str(error))
    if opened.find_built(recipe_of(load_catalog().images["cpu"])) is None:
        opened.close()
        pytest.skip(f"{request.param} has no image `cpu`: strixbench build cpu --engine {request.param}")
    yield opened
    opened.close()


def prepare(engine: ContainerEngine, tmp_path: Path, code: str) -> Prepared:
    """A launch of the image `cpu` with a few words of Python in the guest's place."""
    catalog = load_catalog()
    image = catalog.images["cpu"]
    recording = tmp_path / "audio.wav"
    recording.touch()
    (tmp_path / "models").mkdir(exist_ok=True)
    prepared = prepare_launch(
        Cell(image, catalog.variants["cpu"], catalog.pipelines["embedded"].profile, "none-0s"),
        engine.find_built(recipe_of(image)),
        engine.record,
        origin=Origin("perf", "", describe_host()),
        inputs=Inputs(name="none-0s", amount=1.0, sha256="0", files={"audio": recording, "models": tmp_path / "models"}),
        settings=Settings(),
        family="cpu",
        launch_id=new_id(),
    )
    return msgspec.structs.replace(prepared, run=msgspec.structs.replace(prepared.run, argv=("python3", "-c", code)))


@pytest.mark.engines  # once, so that a change of the harness cannot break it unseen
@pytest.mark.benchmark(group="one launch of an empty container (target: 50 ms beyond the same line by hand)")
def test_launch(
    benchmark: Any, engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    store = Store(f"sqlite:///{tmp_path / 'perf.db'}")
    by_hand: list[float] = []
    through: list[float] = []

    def setup() -> tuple[tuple[Prepared], dict[str, Any]]:
        typed = prepare(engine, tmp_path, "pass")
        make_folders(typed)
        begun = time.perf_counter()
        subprocess.run(engine.command(typed.run), check=True, timeout=60)
        by_hand.append(time.perf_counter() - begun)
        return (prepare(engine, tmp_path, "pass"),), {}

    def run(prepared: Prepared) -> None:
        begun = time.perf_counter()
        launch = execute(prepared, engine)
        store.add(launch)
        forget(launch.id)
        through.append(time.perf_counter() - begun)
        assert launch.exit.code == 0

    benchmark.pedantic(run, setup=setup, rounds=ROUNDS)
    differences = sorted(a - b for a, b in zip(through, by_hand, strict=True))
    with capsys.disabled():
        print(
            f"\n{engine.record.name}: launch {statistics.median(through) * 1000:.0f} ms, by hand "
            f"{statistics.median(by_hand) * 1000:.0f} ms; difference of pairs: median {statistics.median(differences) * 1000:.0f} ms "
            f"({differences[0] * 1000:.0f} to {differences[-1] * 1000:.0f}), n = {len(differences)}"
        )


@pytest.mark.benchmark(group="processor time of a long launch (target: 1% of a core beyond the same line by hand)")
def test_processor_share(
    benchmark: Any, engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    prepared = prepare(engine, tmp_path, f"import time; time.sleep({LONG_SECONDS})")
    service = next(
        (each for each in psutil.Process().children() if each.cmdline()[:3] == ["podman", "system", "service"]), None
    )
    before = time.process_time(), _processor_seconds(service)
    benchmark.pedantic(execute, args=(prepared, engine), rounds=1)
    harness, served = time.process_time() - before[0], _processor_seconds(service) - before[1]
    its_service = f", Podman service {served * 1000:.0f} ms ({served / LONG_SECONDS:.2%})" if service else ""
    with capsys.disabled():
        print(
            f"\n{engine.record.name}, a launch of {LONG_SECONDS} s: harness {harness * 1000:.0f} ms of processor time "
            f"({harness / LONG_SECONDS:.2%} of a core){its_service}, n = 1"
        )


def _processor_seconds(process: psutil.Process | None) -> float:
    """User and system time of a process; 0 where there is none of ours."""
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)
