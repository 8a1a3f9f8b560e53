"""The table before a build of several, and what a dry run says."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from harness.catalog.load import load_catalog
from harness.catalog.rows import Image
from harness.engines.base import Storage
from harness.images.build_needs import GB, Free, need_of
from harness.images.build_plan import Planned, image_lines, plan_lines
from harness.images.disk_space import Place

SIZES = {"base_bytes": 10 * GB, "largest_layer_bytes": 8 * GB, "wheel_bytes": 0, "disk_bytes": 54 * GB}


def an_image(name: str, **changes: Any) -> Image:
    return msgspec.structs.replace(load_catalog().images[name], **changes)


def a_plan(image: Image, *, free_gb: int | None = 1000, is_built: bool = False) -> Planned:
    free = None if free_gb is None else Free("/var/lib/docker", free_gb * GB, 1)
    place = Place(engine="docker", storage=Storage(folder="/var/lib/docker"), store=free, spool=None)
    return Planned(need=need_of(image), place=place, is_built=is_built, base_is_here=False)


def row_of(lines: list[str], image: str) -> list[str]:
    (row,) = (line for line in lines if line.startswith(f"{image} "))
    return re.split(r"  +", row)


BOTH = an_image("rocm72", **SIZES), an_image("rocm72-pyannote3", **SIZES)


def test_a_base_that_two_share_comes_down_and_stays_once() -> None:
    lines = plan_lines([a_plan(image) for image in BOTH])
    assert row_of(lines, "rocm72") == ["rocm72", "docker", "10.2 GB", "63.2 GB", "54.8 GB", "yes"]
    assert row_of(lines, "rocm72-pyannote3") == ["rocm72-pyannote3", "docker", "220 MB", "2.4 GB", "1.6 GB", "yes"]
    assert "in all 10.4 GB to fetch: 28 min at 50 Mbit/s, 14 min at 100, 3 min at 500" in lines
    assert "the builds that fit will keep 56.4 GB" in lines


def test_what_does_not_fit_says_how_much_is_free_and_leaves_room_to_the_others() -> None:
    lines = plan_lines([a_plan(an_image("rocm64-amd", **SIZES), free_gb=60), a_plan(an_image("cpu"), free_gb=60)])
    assert row_of(lines, "rocm64-amd")[-1] == "no: 60.0 GB free"
    assert row_of(lines, "cpu")[-1] == "yes"
    assert any("does not fit is skipped" in line for line in lines)


def test_what_the_first_takes_the_second_has_not() -> None:
    images = an_image("rocm72", **SIZES), an_image("rocm64-amd", **SIZES)
    assert row_of(plan_lines([a_plan(image, free_gb=100) for image in images]), "rocm64-amd")[-1] == "no: 45.2 GB free"


def test_what_is_built_is_counted_and_not_shown() -> None:
    lines = plan_lines([a_plan(BOTH[0], is_built=True), a_plan(an_image("cpu")), a_plan(an_image("cuda"))])
    assert lines[0] == "to build: 2 of 3 images"
    assert not any(line.startswith("rocm72") for line in lines)


def test_an_estimate_is_marked_and_a_known_size_is_not() -> None:
    unknown = an_image("cuda", base_bytes=None, wheel_bytes=None, disk_bytes=None)
    lines = plan_lines([a_plan(BOTH[0]), a_plan(unknown)])
    assert row_of(lines, "cuda")[2].startswith("~")
    assert not row_of(lines, "rocm72")[2].startswith("~")
    assert any(line.startswith("~ estimated") for line in lines)


def test_a_disk_that_cannot_be_looked_at_is_unknown() -> None:
    assert row_of(plan_lines([a_plan(BOTH[0], free_gb=None), a_plan(an_image("cpu"))]), "rocm72")[-1] == "unknown"


def test_the_table_fits_a_terminal() -> None:
    names = [name for name, image in load_catalog().images.items() if image.engine != "local"]
    lines = plan_lines([a_plan(an_image(name), free_gb=50) for name in names])
    assert max(map(len, lines)) <= 80


def test_a_dry_run_tells_base_layer_wheels_disk_and_minutes() -> None:
    text = "\n".join(image_lines(BOTH[0], "auto"))
    assert "docker.io/rocm/pytorch:rocm7.2" in text
    assert "10.0 GB to fetch, 8.0 GB of it in one layer, which Podman cannot resume" in text
    assert "torch comes with the base" in text
    assert "54.0 GB for the finished image with its base" in text
    assert "27 min at 50 Mbit/s" in text
    assert re.search(r"with Podman the build needs [\d.]+ GB, plus up to 10\.0 GB in /var/tmp", text)
    assert "with Docker the build needs 63.2 GB" in text


def test_a_dry_run_marks_every_size_that_nobody_measured() -> None:
    text = "\n".join(image_lines(an_image("rocm64-amd", **dict.fromkeys(SIZES)), "auto"))
    for guessed in ("~10.4 GB to fetch", "~7.9 GB of it in one layer", "in all  ~10.6 GB", "the build needs ~"):
        assert guessed in text
    assert not re.search(r"(?<![~\d.])\d[\d.]* [GM]B", text)


def test_a_dry_run_of_one_engine_tells_of_no_other() -> None:
    text = "\n".join(image_lines(BOTH[0], "docker"))
    assert "with Podman" not in text
    assert "with Docker" in text


def test_a_dry_run_of_an_environment_has_no_base() -> None:
    text = "\n".join(image_lines(an_image("local-cpu"), "auto"))
    assert "  base" not in text
    assert "a virtual environment, local-cpu-" in text


def test_lines_of_a_dry_run_fit_a_terminal() -> None:
    for image in load_catalog().images.values():
        lines = [line for line in image_lines(image, "auto")[1:] if "TORCH_OPTIONS=" not in line and "  log " not in line]
        assert max(map(len, lines)) <= 90
