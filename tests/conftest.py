"""What the tests of all folders share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent

IN_TURN = "in turn"
"""The group of the tests that launch `local-cpu`: each launch uses all processors, and two of them beside each other wait for
each other's threads, ten times as long as one."""

BESIDE = ("test_broken_stacks.py", "test_error_rate.py", "test_failures.py")
"""Files of tests/local whose tests launch nothing."""

SLOW = pytest.StashKey[int]()
"""How many tests are marked as slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest group first."""
    items.sort(key=lambda item: TESTS / "local" not in item.path.parents)
    config.stash[SLOW] = sum(item.get_closest_marker("slow") is not None for item in items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand a worker of pytest-xdist the tests of a file together, so that they share their fixtures, or of a group of files."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        # pytest-xdist 3.8 heeds no `xdist_group` under pytest 9.2: https://github.com/pytest-dev/pytest-xdist/issues/1386
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return IN_TURN if path.startswith("tests/local/") and not path.endswith(BESIDE) else path

    return Scheduling(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist, which alone knows the tests, tells their number to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["slow"] = session.config.stash[SLOW]


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
