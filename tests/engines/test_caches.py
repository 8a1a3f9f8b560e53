"""A folder of compiled kernels in a real container: its user writes there, and its caller can count and remove it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from harness.catalog import kernel_cache_variables
from harness.engines.base import BuiltImage, Mount, Run
from harness.engines.container import ContainerEngine
from harness.launch import cache_folder, kept_caches, kernel_cache
from tests.engines.test_container import exchange, python, run_of  # noqa: F401 - a fixture of that file
from tests.unit.samples import a_plan

PLAN = a_plan(caches="keep", cache_key="cpu-0123456789ab")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / "cache"))


def with_cache(run: Run) -> Run:
    """The run with its cache as a launch mounts it."""
    folder = kept_caches.files_of(PLAN.cache_key)
    cache = Mount(str(folder), cache_folder.CACHES_IN_CONTAINER, writable=True)
    return msgspec.structs.replace(
        run, mounts=(*run.mounts, cache), environment=kernel_cache_variables.environment(cache_folder.CACHES_IN_CONTAINER)
    )


def test_what_a_container_compiled_is_there_for_the_next_one_and_goes_when_its_caller_says(
    engine: ContainerEngine,
    cpu_image: BuiltImage,
    exchange: Path,  # noqa: F811
) -> None:
    folder = kept_caches.files_of(PLAN.cache_key)
    write = "import os; open(os.environ['MIOPEN_CUSTOM_CACHE_DIR'] + '/kernel', 'x').write('0123456789')"
    first = kernel_cache.begin(PLAN, folder)
    assert engine.run(with_cache(run_of(engine, cpu_image, exchange, *python(write))), timeout_seconds=60).code == 0
    first = kernel_cache.finish(PLAN, folder, first, came_through=True)
    assert first is not None
    assert (first.files_before, first.files_after, first.bytes_after) == (0, 1, 10)

    read = "import os; assert open(os.environ['MIOPEN_CUSTOM_CACHE_DIR'] + '/kernel').read() == '0123456789'"
    second = kernel_cache.begin(PLAN, folder)
    assert engine.run(with_cache(run_of(engine, cpu_image, exchange, *python(read))), timeout_seconds=60).code == 0
    assert second is not None
    assert (second.files_before, second.seen_before) == (1, True)
    kept_caches.clear(kept_caches.kept())
    assert not folder.exists()


def test_a_hostile_container_leaves_nothing_that_leads_out_or_cannot_be_removed(
    engine: ContainerEngine,
    cpu_image: BuiltImage,
    exchange: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    folder = kept_caches.files_of(PLAN.cache_key)
    (tmp_path / "precious").write_text("kept")
    hostile = (
        f"import os; os.chdir('/caches'); os.rmdir('comgr'); os.symlink({str(tmp_path)!r}, 'comgr'); os.symlink('/', 'root')\n"
        "os.makedirs('a/b'); open('a/b/file', 'w').close(); os.chmod('a/b', 0); os.chmod('a', 0); os.mkfifo('pipe')\n"
        "open('sparse', 'wb').truncate(1 << 29)"
    )
    record = kernel_cache.begin(PLAN, folder)
    ended = engine.run(with_cache(run_of(engine, cpu_image, exchange, *python(hostile))), timeout_seconds=60)
    assert ended.code == 0, (exchange / "log").read_text()
    record = kernel_cache.finish(PLAN, folder, record, came_through=True)
    assert record is not None
    assert (record.bytes_after or 0) <= cache_folder.LEAST_BLOCK_BYTES
    kept_caches.clear(kept_caches.kept())
    assert sorted(os.listdir(tmp_path)) == ["cache", "exchange", "precious"]
    assert not folder.parent.exists()
