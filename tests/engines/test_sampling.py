"""The sampler finds a real container's processes and cgroup from the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalog.load import load_catalog
from harness.engines.base import BuiltImage, Mount, Run
from harness.engines.container import ContainerEngine
from harness.launch.guest_view import container_user
from harness.telemetry.samples import read_lines, read_telemetry
from harness.telemetry.start import sampling
from harness.tools import OWNER_LABEL, owner
from tests.commands import wait_until

HELD_BYTES = 100_000_000
HOLD = f"head -c {HELD_BYTES} /dev/zero | tail -n 1 | sleep 4"
"""`tail` keeps a line without end in its memory, for as long as nobody reads it."""


@pytest.fixture
def image(engine: ContainerEngine, request: pytest.FixtureRequest) -> BuiltImage:
    """Any image with a shell: the base of `cpu` where the engine has it."""
    base = load_catalog().images["cpu"].base
    found: BuiltImage | None = engine.find_reference(base) if base else None
    return found or request.getfixturevalue("cpu_image")


def test_a_container_s_memory_is_seen_by_its_processes_and_by_its_cgroup(
    engine: ContainerEngine, image: BuiltImage, tmp_path: Path
) -> None:
    exchange, into = tmp_path / "20261121T204530-1f0a" / "exchange", tmp_path / "telemetry.jsonl"
    exchange.mkdir(parents=True)
    exchange.chmod(0o777)
    run = Run(
        name=f"strixbench-test-sampling-{engine.record.name}",
        image=image.id,
        argv=("sh", "-c", HOLD),
        environment={},
        mounts=(Mount(str(exchange), "/exchange", writable=True),),
        working_directory="/",
        exchange=exchange,
        user=container_user(engine.record),
        labels={OWNER_LABEL: owner()},
    )
    with sampling(run.exchange, into=into, gpu=None, is_nvidia=False, quiet_seconds=0.0):
        # Its process starts beside us: a sample from before the container is there once it is written.
        wait_until(lambda: len(read_lines(into)) > 1, what="a first sample", seconds=30)
        ended = engine.run(run, timeout_seconds=60)
    assert ended.code == 0, ended
    found = read_telemetry(into)
    assert found is not None
    # The processes' own pages beside, a few MB for each shell.
    meters = ["tree_resident_bytes", "cgroup_memory_bytes"]
    if engine.record.rootless and "cgroup_memory_bytes" in found.unavailable:
        # With cgroups of version 1 a user's container has none of its own.
        assert "no cgroup of its own" in found.unavailable[meters.pop()]
    for meter in meters:
        values = [value for value in found.series[meter] if value is not None]
        assert 1.0 < max(values) / HELD_BYTES < 1.5, (meter, values)
    assert found.series["tree_resident_bytes"][0] is None, "nothing ran at the first sample"
