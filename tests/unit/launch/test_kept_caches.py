"""The caches that stay. What is in them was put there by hand: no kernel was compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import places
from harness.launch import cache_folder, kept_caches
from harness.records.host import HostRecord
from harness.records.plan import EngineRecord
from tests.unit.launch.test_kernel_cache import KEY, launch
from tests.unit.samples import HOST

PODMAN = EngineRecord(name="podman", version="5.7.0")


def key(**changes: Any) -> str:
    told: dict[str, Any] = {
        "image": "rocm",
        "image_id": "sha256:1",
        "engine": PODMAN,
        "gpus": ("0x1002:0x1586", "gfx1151"),
        "driver": "6.18.4",
        "variables": {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"},
        "knobs": (),
        **changes,
    }
    return kept_caches.key_of(told.pop("image"), told.pop("image_id"), **told)


def test_one_image_gpu_and_driver_have_one_cache_under_a_name_that_a_person_knows() -> None:
    assert key() == key()
    assert key().startswith("rocm-")
    assert key(gpus=("gfx1151", "0x1002:0x1586")) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "sha256:2"},
        {"gpus": ("gfx1100",)},
        {"driver": "6.18.5"},
        {"variables": {}},
        {"knobs": ("miopen-off",)},
        {"engine": EngineRecord(name="docker")},
        {"engine": EngineRecord(name="podman", rootless=True)},
    ],
)
def test_whatever_changes_a_kernel_or_its_owner_is_another_cache(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize("image", ["../../etc", "registry.io/a/b:c", "", "..", "x" * 500])
def test_an_image_s_name_leads_to_no_other_folder(image: str) -> None:
    name = key(image=image)
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) < 80


def test_the_driver_is_the_kernel_and_the_version_of_a_module_of_its_own(tmp_path: Path) -> None:
    host = HostRecord(kernel="6.18.4")
    assert kept_caches.driver_of(host, tmp_path) == "6.18.4"
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    (tmp_path / "sys/module/amdgpu/version").write_text("6.14.14\n")
    assert kept_caches.driver_of(host, tmp_path) == "6.18.4, amdgpu 6.14.14"


def test_kept_caches_are_listed_with_what_they_are_for() -> None:
    assert kept_caches.kept() == ()
    launch(writes=1)
    (kept_caches.kept_folder() / "stray").write_text("no cache")
    (found,) = kept_caches.kept()
    assert (found.key, found.image, found.engine, found.driver) == (KEY, "cpu", "podman", HOST.kernel)
    assert found.size == cache_folder.Size(1, 10)
    assert places.cache() in Path(found.folder).parents


@pytest.mark.parametrize("text", ["", "[]", '{"image": 1}', "{"])
def test_an_unreadable_about_is_no_about(text: str) -> None:
    launch(writes=1)
    (kept_caches.kept_folder() / KEY / kept_caches.ABOUT).write_text(text)
    (found,) = kept_caches.kept()
    assert (found.image, found.size) == ("rocm", cache_folder.Size(1, 10))
    assert not launch().seen_before
