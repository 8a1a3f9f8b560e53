"""Real Podman and real Docker.

``STRIXBENCH_TEST_ENGINES`` names the engines to test with (`.ci/run` sets it), and one that is missing is a failure. Where
it names none, both are tested, and one that is missing is a skip. ``STRIXBENCH_CATALOG`` names an overlay whose base image exists
where there is no registry.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.catalog.load import load_catalog
from harness.engines.base import BuiltImage, Recipe
from harness.engines.container import ContainerEngine
from harness.engines.discovery import find_engine
from harness.errors import EngineError
from harness.images.build import recipe_of
from tests.commands import Workplace

ENGINES = ("podman", "docker")
REQUIRED = tuple(filter(None, os.environ.get("STRIXBENCH_TEST_ENGINES", "").split(",")))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark all of this folder, and leave out what is for an engine that was not named, or repeats what depends on none."""
    here = REQUIRED or tuple(filter(is_here, ENGINES)) or ENGINES
    left_out = []
    for item in (item for item in items if Path(__file__).parent in item.path.parents):
        item.add_marker(pytest.mark.engines)
        engine = engine_of(item)
        if engine is None:
            item.add_marker(pytest.mark.once)
        elif (REQUIRED and engine not in REQUIRED) or (item.get_closest_marker("once") and engine != here[0]):
            left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def engine_of(item: pytest.Item) -> str | None:
    """The engine that a test is to run with."""
    return item.callspec.params.get("engine_name") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None


def is_here(name: str) -> bool:
    try:
        find_engine(name)
    except EngineError:
        return False
    return True


@pytest.fixture(scope="session", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """An engine that is here."""
    name = str(request.param)
    try:
        find_engine(name)
    except EngineError as error:
        if name in REQUIRED:
            raise
        pytest.skip(f"{name} is not required here (STRIXBENCH_TEST_ENGINES) and not to be found: {error}")
    return name


@pytest.fixture(scope="session")
def engine(engine_name: str) -> Iterator[ContainerEngine]:
    """A connection of the tests' own."""
    opened = ContainerEngine(find_engine(engine_name))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """What the image `cpu` is made of."""
    return recipe_of(load_catalog().images["cpu"])


@pytest.fixture(scope="session")
def cpu_image(engine: ContainerEngine, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> BuiltImage:
    """The image `cpu`, really built."""
    log = tmp_path_factory.mktemp("build") / "build.log"
    return engine.find_built(recipe) or engine.build(recipe, log=log, say=lambda line: None)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """Results of this test's own."""
    return Workplace(tmp_path)
