"""Real diarization in the local environment, which the first of these tests builds where it is not there."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness import places
from harness.catalog.load import load_catalog
from harness.engines.local import Local, environment_python
from harness.images.build import ensure_built, recipe_of
from harness.images.disk_space import Room
from tests.commands import REPOSITORY, Workplace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.local)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A cache with the user's models, environments and tools, and a lock of its own: a bench that runs on this machine, in
    another checkout or beside these tests, keeps none of them from running."""
    folder = tmp_path_factory.mktemp("cache")
    for path in (*map(places.cache().joinpath, ("environments", "models")), *places.cache().glob("tools-*")):
        path.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path)
    return {"STRIXBENCH_CACHE": str(folder)}


@pytest.fixture(scope="session")
def random_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face cache with the gated pipelines' files and random weights: see `tests.local.hub`. Not to be written to."""
    image = load_catalog().images["local-cpu"]
    ensure_built(image, Local(), say=lambda line: None, room=Room(print))
    folder = tmp_path_factory.mktemp("hub")
    command = (str(environment_python(recipe_of(image))), "-W", "ignore", "-m", "tests.local.hub", str(folder))
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=300, capture_output=True)
    return folder


@pytest.fixture
def workplace(tmp_path: Path, cache: Mapping[str, str]) -> Workplace:
    """Results of this test's own."""
    return Workplace(tmp_path, cache)
