"""Made-up hosts, and what `doctor` finds about them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.doctor import examine
from harness.doctor.facts import DeviceNode, HostFacts, User
from harness.doctor.finding import Finding
from tests.unit.fixture_hosts import (
    DOCKER,
    FEDORA,
    NO_GPU,
    NVIDIA,
    UBUNTU,
    a_tree,
    facts_of,
)

BAD_FIRMWARE = {"amd-gpu-firmware": "20251125-1.fc43", "linux-firmware": "20251125-1.fc43"}


CLOSED = DeviceNode(path="/dev/kfd", openable=False, group=105, mode=0o660)


@pytest.fixture
def fedora(tmp_path: Path) -> HostFacts:
    return facts_of(a_tree(tmp_path / "fedora", FEDORA), packages=BAD_FIRMWARE)


@pytest.fixture
def ubuntu(tmp_path: Path) -> HostFacts:
    return facts_of(a_tree(tmp_path / "ubuntu", UBUNTU), user=User(1000, "alice", (1000, 44, 992)))


@pytest.fixture
def nvidia(tmp_path: Path) -> HostFacts:
    return facts_of(a_tree(tmp_path / "nvidia", NVIDIA), engines=(DOCKER,), user=User(1000, "alice", (1000, 44)))


@pytest.fixture
def plain(tmp_path: Path) -> HostFacts:
    return facts_of(a_tree(tmp_path / "host", NO_GPU))


def changed(facts: HostFacts, **fields: object) -> HostFacts:
    return msgspec.structs.replace(facts, **fields)


def of(facts: HostFacts, check: str) -> list[Finding]:
    return [finding for finding in examine(facts) if finding.check == check]


def the(facts: HostFacts, check: str) -> Finding:
    found = of(facts, check)
    assert len(found) == 1, found
    return found[0]


def statuses(facts: HostFacts, check: str) -> list[str]:
    return [finding.status for finding in of(facts, check)]
