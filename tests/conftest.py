"""What the tests of all folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

IN_TURN = "in turn"
"""The group of the tests that launch `local-cpu`: one bench at a time may run on a machine, and each uses all its processors."""

BESIDE = ("test_broken_stacks.py", "test_error_rate.py", "test_failures.py")
"""Files of tests/local whose tests launch nothing."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hand pytest-xdist the tests of a file together, so that they share their fixtures, and the longest group first."""
    for item in items:
        launches = item.path.parent == TESTS / "local" and item.path.name not in BESIDE
        item.add_marker(pytest.mark.xdist_group(IN_TURN if launches else str(item.path.relative_to(TESTS))))
    items.sort(key=lambda item: TESTS / "local" not in item.path.parents)
    if "slow" in config.option.markexpr:
        left_out = sum(item.get_closest_marker("slow") is not None for item in items)
        config.stash[LEFT_OUT] = left_out


LEFT_OUT = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return TESTS.parent
