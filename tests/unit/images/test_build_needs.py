"""What a build fetches and takes. The factors of the engines were measured: see `harness.images.build_needs`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.catalog.rows import Image
from harness.images.build_needs import GB, Demand, Free, demand_of, fetched_bytes, minutes, need_of, shortages

SIZES = {"base_bytes": 10 * GB, "largest_layer_bytes": 8 * GB, "wheel_bytes": 0, "disk_bytes": 54 * GB}
NO_SIZES = dict.fromkeys(SIZES)


def an_image(name: str = "rocm72", **changes: Any) -> Image:
    return msgspec.structs.replace(load_catalog().images[name], **changes)


def a_wheel_image(**changes: Any) -> Image:
    """On a small base, with 4 GB of wheels that become 15."""
    sizes = {"base_bytes": 0, "largest_layer_bytes": 0, "wheel_bytes": 4 * GB, "disk_bytes": 15 * GB}
    return an_image("rocm62", **sizes | changes)


def test_what_the_catalog_says_of_sizes_is_taken_as_it_is() -> None:
    need = need_of(an_image(**SIZES))
    assert (need.base_bytes, need.largest_layer_bytes, need.wheel_bytes, need.disk_bytes) == (10 * GB, 8 * GB, 0, 54 * GB)
    assert need.estimated == ()


@pytest.mark.parametrize(("name", "least_gb"), [("rocm72", 30), ("rocm72-amd", 20), ("rocm62", 10), ("cuda", 8), ("cpu", 1)])
def test_what_the_catalog_does_not_say_is_estimated_and_named(name: str, least_gb: int) -> None:
    need = need_of(an_image(name, **NO_SIZES))
    layer = set() if need.largest_layer_bytes is None else {"largest_layer_bytes"}
    assert set(need.estimated) == {"base_bytes", "wheel_bytes", "disk_bytes"} | layer
    assert need.disk_bytes > least_gb * GB
    assert need.disk_bytes > need.fetched_bytes


def test_a_virtual_environment_has_no_base() -> None:
    need = need_of(an_image("local-cpu", **NO_SIZES))
    assert (need.base, need.base_bytes, need.stages) == (None, 0, 1)
    assert "base_bytes" not in need.estimated


def test_an_image_whose_base_brings_torch_adds_little_to_it() -> None:
    need = need_of(an_image(**SIZES))
    assert need.added_bytes < GB
    assert need.unpacked_base_bytes > 53 * GB


def test_podman_takes_four_times_what_is_added_and_twice_that_again_in_its_temporary_folder() -> None:
    demand = demand_of(need_of(a_wheel_image()), "podman", base_is_here=False)
    assert (demand.store_bytes, demand.spool_bytes, demand.together_bytes) == (60 * GB, 30 * GB, 90 * GB)
    assert demand.stays_bytes == 30 * GB


def test_docker_takes_three_times_what_is_added() -> None:
    demand = demand_of(need_of(a_wheel_image()), "docker", base_is_here=False)
    assert (demand.store_bytes, demand.spool_bytes) == (45 * GB, 0)
    assert demand.stays_bytes == 30 * GB


def test_podman_spools_the_whole_base_while_it_is_fetched() -> None:
    demand = demand_of(need_of(an_image(**SIZES)), "podman", base_is_here=False)
    assert demand.spool_bytes == 10 * GB
    assert demand.together_bytes >= 63 * GB


def test_a_base_that_is_here_takes_no_more_room() -> None:
    need = need_of(an_image(**SIZES))
    assert demand_of(need, "podman", base_is_here=True).together_bytes < 6 * GB
    assert demand_of(need, "docker", base_is_here=True).stays_bytes < 3 * GB


def test_a_store_that_keeps_compressed_layers_takes_them_too() -> None:
    need = need_of(an_image(**SIZES))
    plain = demand_of(need, "docker", base_is_here=False)
    double = demand_of(need, "docker", base_is_here=False, keeps_compressed=True)
    assert double.stays_bytes - plain.stays_bytes >= 10 * GB


def test_a_seed_has_one_stage_and_stays_once() -> None:
    need = need_of(an_image("seed-rocm62"))
    assert need.stages == 1
    assert demand_of(need, "podman", base_is_here=False).stays_bytes == need.disk_bytes


DEMAND = Demand(phases=((5, 10), (20, 4)), stays_bytes=8)


@pytest.mark.parametrize(
    ("store", "spool", "needed"),
    [
        (Free("/a", 24, 1), Free("/b", 24, 1), []),
        (Free("/a", 23, 1), Free("/b", 23, 1), [24]),
        (Free("/a", 20, 1), Free("/b", 10, 2), []),
        (Free("/a", 19, 1), Free("/b", 9, 2), [20, 10]),
        (Free("/a", 19, 1), None, [20]),
        (None, Free("/b", 9, 2), [10]),
        (None, None, []),
        (Free("/a", 24, None), Free("/b", 24, None), []),
        (Free("/a", 20, None), Free("/b", 10, None), []),
        # Two subvolumes of one btrfs: each a device of its own, and one room.
        (Free("/a", 24, 1, "btrfs /dev/a"), Free("/b", 24, 2, "btrfs /dev/a"), []),
        (Free("/a", 23, 1, "btrfs /dev/a"), Free("/b", 23, 2, "btrfs /dev/a"), [24]),
        (Free("/a", 23, 1, "btrfs /dev/a"), Free("/b", 23, 2, "btrfs /dev/b"), []),
        # Two data sets of one ZFS pool, one of them with a quota.
        (Free("/a", 100, 1, "zfs p"), Free("/b", 10, 2, "zfs p"), []),
        (Free("/a", 100, 1, "zfs p"), Free("/b", 9, 2, "zfs p"), [10]),
        (Free("/a", 23, 1, "zfs p"), Free("/b", 12, 2, "zfs p"), [24]),
        (Free("/a", 19, 1, "zfs p"), Free("/b", 100, 2, "zfs p"), [20]),
    ],
)
def test_two_folders_on_one_disk_share_its_room(store: Free | None, spool: Free | None, needed: list[int]) -> None:
    assert [short.needed_bytes for short in shortages(DEMAND, store, spool)] == needed


def test_a_base_that_two_images_share_is_fetched_once() -> None:
    first, second = need_of(an_image(**SIZES)), need_of(an_image("rocm72-pyannote3", **SIZES))
    assert fetched_bytes([first, second]) == (first.fetched_bytes, second.other_bytes)
    assert fetched_bytes([first], bases_here={str(first.base)}) == (first.other_bytes,)


def test_a_torch_that_two_images_share_is_fetched_once_and_another_s_is_not() -> None:
    needs = [need_of(an_image(name)) for name in ("rocm62", "rocm62-pyannote3", "rocm64")]
    sizes = fetched_bytes(needs)
    assert sizes[1] == needs[1].other_bytes
    assert sizes[2] == needs[2].wheel_bytes + needs[2].other_bytes


def test_a_line_s_minutes() -> None:
    assert minutes(750_000_000, 100) == pytest.approx(1.0)
