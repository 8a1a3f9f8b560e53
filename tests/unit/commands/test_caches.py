"""`caches` and `--caches`."""

from __future__ import annotations

import json
from pathlib import Path

from harness.launch import kept_caches, kernel_cache
from harness.records.plan import Plan
from tests.unit.command_line import Strixbench, options_of
from tests.unit.samples import a_plan


def a_kept_cache(key: str, *, image: str = "rocm") -> Plan:
    """A cache with one file of ten bytes, put there by hand."""
    plan = a_plan(image=image, caches="keep", cache_key=key)
    folder = kept_caches.files_of(key)
    record = kernel_cache.begin(plan, folder)
    (folder / "comgr" / "kernel").write_bytes(b"0123456789")
    kernel_cache.finish(plan, folder, record, came_through=True)
    return plan


def test_kept_caches_are_shown_and_removed_by_image_or_by_name(strixbench: Strixbench) -> None:
    a_kept_cache("rocm-000000000000")
    a_kept_cache("rocm-111111111111")
    a_kept_cache("cuda-222222222222", image="cuda")
    shown = strixbench("caches")
    assert shown.code == 0
    assert "| rocm-000000000000 | podman | 6.18.4 | 1     |" in shown.out
    assert [each["key"] for each in json.loads(strixbench("caches", "--json", "cuda").out)] == ["cuda-222222222222"]
    assert strixbench("caches", "--clear", "rocm-0*").code == 0
    assert sorted(each.key for each in kept_caches.kept()) == ["cuda-222222222222", "rocm-111111111111"]
    assert strixbench("caches", "--clear", "rocm").code == 0
    assert [each.image for each in kept_caches.kept()] == ["cuda"]
    assert strixbench("caches", "--clear").code == 0
    assert kept_caches.kept() == ()


def test_a_name_that_matches_no_cache_is_wrong_usage_and_removes_nothing(strixbench: Strixbench) -> None:
    a_kept_cache("rocm-000000000000")
    done = strixbench("caches", "--clear", "cpu")
    assert done.code == 2
    assert "no kept cache matches cpu" in done.err
    assert len(kept_caches.kept()) == 1


def test_without_any_there_is_nothing_to_show(strixbench: Strixbench) -> None:
    done = strixbench("caches")
    assert (done.code, done.out) == (0, "")
    assert "0 kept in" in done.err


def test_a_dry_run_mounts_an_own_cache_or_the_kept_one(strixbench: Strixbench, podman: Path, recording: Path) -> None:
    lines = {}
    for mode in ("empty", "keep"):
        done = strixbench("bench", "cpu", "--engine", "podman", "--audio", recording, "--dry-run", "--caches", mode)
        assert done.code == 0, done.err
        options = options_of(done.out)
        assert "MIOPEN_CUSTOM_CACHE_DIR=/caches/miopen-kernels" in options["--env"]
        (lines[mode],) = [mount for mount in options["--mount"] if ",target=/caches" in mount]
        source = Path(lines[mode].split("source=")[1].split(",")[0])
        assert (source / "comgr").is_dir()
        assert (kept_caches.kept_folder() in source.parents) == (mode == "keep")
    assert all(not line.endswith("readonly") for line in lines.values())


def test_another_mode_is_wrong_usage(strixbench: Strixbench) -> None:
    assert strixbench("bench", "--caches", "warm").code == 2
