"""What the tests of all folders share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent

SLOW = pytest.StashKey[int]()
"""How many tests are marked as slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: TESTS / "local" not in item.path.parents)
    config.stash[SLOW] = sum(item.get_closest_marker("slow") is not None for item in items)


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker of pytest-xdist its share of the processors, and so whatever it starts: a torch whose threads wait for
    processors that others use takes ten times as long."""
    if worker := getattr(config, "workerinput", None):
        number = int(worker["workerid"].removeprefix("gw"))
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[number :: worker["workercount"]] or os.sched_getaffinity(0))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist, which alone knows the tests, tells their number to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slow"] = session.config.stash.get(SLOW, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[SLOW] = getattr(node, "workeroutput", {}).get("slow", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what `make test` leaves out."""
    if "not slow" in config.option.markexpr and config.stash.get(SLOW, 0):
        terminalreporter.write_line(f"{config.stash[SLOW]} slow tests left out: `make test-all` runs them too")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return TESTS.parent
