"""Real diarization in the local environment, which the first of these tests builds where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Workplace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.local)


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """Results of this test's own."""
    return Workplace(tmp_path)
