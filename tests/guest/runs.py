"""A run of the guest that several tests look at."""

from __future__ import annotations

import msgspec
import pytest

from .stubs import Ended, run_guest


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A run without any mischief; many tests look at it, none changes it."""
    return run_guest(tmp_path_factory.mktemp("whole"))


def skeleton(ended: Ended) -> list[str]:
    """The journal without its imports: ``event stage``."""
    return [f"{e['event']} {e.get('stage', '')}".strip() for e in ended.journal if e["event"] != "import"]


def storable(ended: Ended) -> bytes:
    """The journal and the verdict as the store writes them."""
    return msgspec.json.encode((ended.journal, ended.verdict()))
