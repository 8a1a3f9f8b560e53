"""Questions that nobody has answered yet, and what a host and its store say to them."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.catalog.load import shipped_catalog
from harness.doctor.answers import ANSWERS, Known, Unknown, answer, read_unknowns
from harness.doctor.throttle import Counters, read_throttle_counters
from harness.errors import CatalogError
from harness.records.host import CardRecord, ComputeNodeRecord
from harness.records.launch import Launch
from harness.records.outcome import CacheRecord, Verdict
from tests.unit.samples import HOST, a_launch, a_plan, passing_journal

UNKNOWNS = {unknown.id: unknown for unknown in read_unknowns(shipped_catalog())}

OURS = frozenset((*shipped_catalog().images, *shipped_catalog().variants))

NOTHING = Known(host=HOST, ours=OURS)


def launch_of(image: str, number: int = 1, *, told: dict[str, Any] | None = None, **plan: Any) -> Launch:
    """A launch on a GPU that passed, whose imports told more than others'."""
    journal = [
        {**event, **told} if told and (event.get("event"), event.get("stage")) == ("end", "import") else event
        for event in passing_journal()
    ]
    passed = Verdict(status="pass", stage="verify")  # the journal is of a CPU's torch
    return a_launch(a_plan(number, image=image, family="rocm", variant="native", **plan), journal=journal, verdict=passed)


def answered(id: str, *launches: Launch) -> str:  # noqa: A002 - the question's
    return answer(UNKNOWNS[id], Known(host=HOST, launches=launches, ours=OURS))


def test_every_question_says_why_with_a_command_and_a_source() -> None:
    assert len(UNKNOWNS) > 9
    for unknown in UNKNOWNS.values():
        assert unknown.question.endswith("?"), unknown
        assert all((unknown.why, unknown.command, unknown.source)), unknown
        assert not re.search(r"\{[a-z0-9-]+\.", unknown.command), unknown
    assert set(ANSWERS) <= set(UNKNOWNS)


def test_an_image_of_a_question_is_a_row_of_the_catalog() -> None:
    images = shipped_catalog().images
    assert {unknown.image for unknown in UNKNOWNS.values()} - {""} <= set(images)
    base = images["rocm72"].base
    assert base is not None
    assert base in UNKNOWNS["rocm72-python"].command


def test_a_question_about_a_row_that_is_gone_is_an_error() -> None:
    catalog = shipped_catalog()
    without = msgspec.structs.replace(catalog, images={"cpu": catalog.images["cpu"]})
    with pytest.raises(CatalogError, match=r"asks for \{rocm72\.base\}"):
        read_unknowns(without)


@pytest.mark.parametrize("unknown", UNKNOWNS.values(), ids=list(UNKNOWNS))
def test_a_host_that_knows_nothing_answers_nothing(unknown: Unknown) -> None:
    assert answer(unknown, NOTHING) == ""


def test_counters_that_grow_at_idle_are_named() -> None:
    counters = Counters({"throttle_spl": 5.0, "throttle_fppt": 7.0}, {"throttle_spl": 9.0, "throttle_fppt": 7.0}, 3.01)
    told = answer(UNKNOWNS["throttle-counters-at-idle"], Known(host=HOST, counters=(counters,)))
    assert told == "in 3 s, whatever the box did meanwhile, throttle_spl grew by 4 (throttle_spl=9 throttle_fppt=7)"
    still = Counters(counters.first, counters.first, 3.0)
    assert "none grew" in answer(UNKNOWNS["throttle-counters-at-idle"], Known(host=HOST, counters=(still,)))


def test_counters_are_read_from_a_strix_halo_and_from_no_other_card(tmp_path: Path) -> None:
    begun = bytearray(struct.pack("<HBB", 264, 3, 0) + bytes(260))
    struct.pack_into("<I", begun, 232, 41)
    for name, data in {"card0": bytes(begun), "card1": struct.pack("<HBB", 120, 1, 3) + bytes(116)}.items():
        path = tmp_path / f"sys/class/drm/{name}/device/gpu_metrics"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (counters,) = read_throttle_counters(tmp_path, between_seconds=0)
    assert (counters.first["throttle_spl"], counters.last["throttle_spl"]) == (41.0, 41.0)
    assert read_throttle_counters(tmp_path / "nowhere") == ()


def test_the_save_area_is_the_kernels_word() -> None:
    node = ComputeNodeRecord(target="gfx1151", simd_count=80, cwsr_bytes=19185664, ctl_stack_bytes=16384)
    host = msgspec.structs.replace(HOST, compute_nodes=(node,))
    told = answer(UNKNOWNS["context-save-area"], Known(host=host))
    assert told == "gfx1151: 80 SIMDs, cwsr_size 19185664, ctl_stack_size 16384"


@pytest.mark.parametrize("word", ["0x00000088", "0x10000088"])  # its version is the low 12 bits
def test_launches_with_the_firmware_in_question_are_counted(word: str) -> None:
    card = CardRecord(device="0x1586", firmware=("rlc=0x11530506", f"mes={word}"))
    host = msgspec.structs.replace(HOST, cards=(card,))
    faulted = msgspec.structs.replace(launch_of("rocm72", 2, host=host), kernel_log="[gfxhub] page fault (src_id:0)")
    told = answered("mes-0x88", launch_of("rocm72", host=host), faulted, launch_of("rocm72", 3))
    assert told == "2 of 2 launches passed with it; 1 with a page fault in the kernel's log"


def test_a_cold_pass_counts_where_the_cache_was_empty_and_the_device_a_gpu() -> None:
    kept = msgspec.structs.replace(launch_of("rocm72", 2, caches="keep"), caches=CacheRecord(mode="keep", files_before=9))
    on_cpu = launch_of("rocm72", 3, caches="empty", device="cpu")
    empty = launch_of("rocm72", caches="empty")
    assert answered("cold-pass", kept, on_cpu) == ""
    (seconds,) = empty.pass_seconds("cold")
    assert answered("cold-pass", empty, kept, on_cpu) == f"rocm72/native: {seconds:.1f} to {seconds:.1f} s in 1 launch"


def test_what_an_image_holds_is_told_by_its_last_launch() -> None:
    torch = {"version": "2.7.1+rocm7.2.0.git262e50d5", "architectures": ["gfx1100", "gfx1151"]}
    told = {"python": "3.12.3", "torch": torch, "packages": ["numba==0.63", "numpy==1.26.4"]}
    assert answered("rocm72-python", launch_of("rocm72", told=told)) == "the built image runs Python 3.12.3"
    assert answered("rocm72-python", launch_of("rocm62", told=told)) == ""
    assert answered("rocm72-amd-architectures", launch_of("rocm72-amd", told=told)).endswith("has kernels for gfx1100 gfx1151")
    assert answered("rocm64-amd-numpy", launch_of("rocm64-amd", told=told)).endswith("is imported beside numpy==1.26.4")
    assert "2.7.1+rocm7.2.0" in answered("therock-nightly", launch_of("therock", told=told))
    hostile: dict[str, Any] = {"python": None, "torch": "x", "packages": 7}
    for id in ANSWERS:  # noqa: A001
        assert (
            answered(id, *(launch_of(image, told=hostile) for image in ("rocm72", "rocm72-amd", "rocm64-amd", "therock"))) == ""
        )
