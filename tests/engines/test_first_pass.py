"""A container that spins in its first pass is ended, and what it compiled is there for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engines.base import BuiltImage
from harness.engines.container import ContainerEngine
from harness.launch.run import execute
from tests.engines.test_container import names, run_of
from tests.first_pass import a_spinning_launch, check_continued, check_ended_and_kept


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / "cache"))


def test_a_container_that_spins_in_its_first_pass_is_ended_and_its_cache_goes_on_in_the_next(
    engine: ContainerEngine, cpu_image: BuiltImage, tmp_path: Path
) -> None:
    first = a_spinning_launch(engine.record, run_of(engine, cpu_image, tmp_path), python="python3", inside=True)
    check_ended_and_kept(execute(first, engine))
    assert not names(engine, first.run)
    second = a_spinning_launch(engine.record, run_of(engine, cpu_image, tmp_path), python="python3", inside=True, keep=True)
    check_continued(execute(second, engine))
    assert not names(engine, second.run)
