"""Which meter a row's memory is told by. All series are made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis.peak_memory import Reading, memory_of, peak_bytes
from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from harness.workloads.calibrate import latest_calibrations
from harness.workloads.calibrated_meters import VRAM_AND_GTT
from reports.values import format_memory
from tests.unit.calibrations import GIB, a_calibration_launch, made_up_results
from tests.unit.samples import a_launch, a_plan, passing_journal

GPU: dict[str, Any] = {"family": "rocm", "image": "rocm72", "variant": "native"}


VM_HWM = {"vm_rss_bytes": float, "vm_hwm_bytes": float}


def a_gpu_launch(
    number: int = 9, *, series: dict[str, tuple[float | None, ...]] | None = None, is_killed: bool = False
) -> Launch:
    """A launch on a GPU with 2 GiB reserved by torch, sampled a second before it and then once in each second. The last values
    stay until the end, where the sampler is not killed."""
    journal = tuple(
        {**event, "peak_reserved_bytes": 2 * GIB} if event["event"] == "end" and event.get("stage") == "warm" else event
        for event in passing_journal(hip="7.2")
    )
    device = next(e["at"] for e in journal if e["event"] == "begin" and e.get("stage") == "device")
    launch = a_launch(a_plan(number, **GPU), journal=journal)
    if series is None:
        return launch
    if not is_killed:
        series = {name: column + column[-1:] * 20 for name, column in series.items()}
    length = max(map(len, series.values()))
    telemetry = Telemetry(hertz=1.0, times=tuple(device - 1.5 + n for n in range(length)), series=series)
    return msgspec.structs.replace(launch, telemetry=telemetry)


def readings(launch: Launch, *calibrations: Launch) -> tuple[Reading, ...]:
    return memory_of([launch], latest_calibrations(calibrations))


def test_without_a_calibration_the_usual_meters_say_that_they_are_not_calibrated() -> None:
    assert format_memory(readings(a_launch())) == "1.50 GiB (VmHWM, not calibrated)"
    assert format_memory(readings(a_gpu_launch())) == (
        "1.50 GiB (VmHWM, not calibrated) + 2.00 GiB (torch peak reserved, not calibrated)"
    )
    assert format_memory(()) == "-"
    assert memory_of([], {}) == ()


def test_a_peak_that_was_seen_to_follow_needs_no_remark() -> None:
    assert format_memory(readings(a_launch(a_plan(9)), a_calibration_launch(1, guest=VM_HWM))) == "1.50 GiB (VmHWM)"


def test_a_peak_that_was_seen_not_to_follow_says_so() -> None:
    wrong = a_calibration_launch(1, guest={"vm_rss_bytes": float, "vm_hwm_bytes": lambda held: 0})
    assert format_memory(readings(a_launch(a_plan(9)), wrong)) == "1.50 GiB (VmHWM, no meter that follows)"


def test_the_calibration_of_another_image_or_engine_does_not_count() -> None:
    others = [a_calibration_launch(1, guest=VM_HWM, engine="docker"), a_calibration_launch(2, guest=VM_HWM, image="cuda")]
    assert format_memory(readings(a_launch(a_plan(9)), *others)) == "1.50 GiB (VmHWM, not calibrated)"


SERIES: dict[str, tuple[float | None, ...]] = {
    "fdinfo_gpu_bytes": (None, 0.0, 3.0 * GIB, 1.0 * GIB),
    "vram_used_bytes": (1.0 * GIB, 1.0 * GIB, 1.5 * GIB, 1.0 * GIB, 1.0 * GIB),
    "gtt_used_bytes": (4.0 * GIB, 4.0 * GIB, 7.0 * GIB, None, 4.0 * GIB),
}


@pytest.mark.parametrize(
    ("follows", "text"),
    [
        (("fdinfo_gpu_bytes", "vram_used_bytes"), "3.00 GiB (fdinfo, every 2 s)"),
        (("vram_used_bytes",), "3.50 GiB (VRAM + GTT used)"),
        ((), "2.00 GiB (torch peak reserved)"),
    ],
)
def test_a_gpu_row_is_told_by_the_first_meter_that_follows(follows: tuple[str, ...], text: str) -> None:
    series = {"fdinfo_gpu_bytes": 0.0, "vram_used_bytes": 0.0, "gtt_used_bytes": 0.0}
    calibration = a_calibration_launch(
        1,
        guest={"torch_reserved_bytes": float, "torch_peak_reserved_bytes": float},
        sampled={name: float if name in follows else (lambda held, base=base: base) for name, base in series.items()},
        results=[*made_up_results({"torch_reserved_bytes": float, "torch_peak_reserved_bytes": float})],
        **GPU,
    )
    calibration = msgspec.structs.replace(calibration, verdict=a_launch().verdict)
    assert format_memory(readings(a_gpu_launch(series=SERIES), calibration)) == text


def a_calibration_of_a_gpu(*follows: str, torch: bool) -> Launch:
    guest = {"torch_reserved_bytes": float, "torch_peak_reserved_bytes": float} if torch else {}
    calibration = a_calibration_launch(
        1, guest=guest, sampled=dict.fromkeys(follows, float), results=[*made_up_results(guest)], **GPU
    )
    return msgspec.structs.replace(calibration, verdict=a_launch().verdict)


def test_a_peak_of_a_sampler_that_was_killed_gives_way_to_one_that_was_kept_all_along_or_is_a_lower_bound() -> None:
    killed = a_gpu_launch(series=SERIES, is_killed=True)
    with_torch = a_calibration_of_a_gpu("fdinfo_gpu_bytes", torch=True)
    assert format_memory(readings(killed, with_torch)) == "2.00 GiB (torch peak reserved)"
    without = a_calibration_of_a_gpu("fdinfo_gpu_bytes", torch=False)
    gap = "the readings stop 9.5 s before the passes do"
    assert format_memory(readings(killed, without)) == f"at least 3.00 GiB (fdinfo, every 2 s: {gap})"
    whole = a_gpu_launch(8, series={"fdinfo_gpu_bytes": (0.0, 2.0 * GIB)})
    (reading,) = memory_of([whole, killed], latest_calibrations([without]))
    assert (reading.peak_bytes, reading.gap) == (2 * GIB, "")


def test_a_row_of_two_gpus_is_told_by_their_sum_and_says_so() -> None:
    names = ("vram_used_bytes_0", "gtt_used_bytes_0", "vram_used_bytes_1", "gtt_used_bytes_1")
    calibration = a_calibration_launch(
        1, sampled={name: float if name == names[3] else (lambda held: 0.0) for name in names}, **GPU
    )
    calibration = msgspec.structs.replace(calibration, verdict=a_launch().verdict)
    series: dict[str, tuple[float | None, ...]] = dict.fromkeys(names, (1.0 * GIB, 1.0 * GIB, 1.5 * GIB))
    text = format_memory(readings(a_gpu_launch(series=series), calibration))
    assert text == "2.00 GiB (VRAM + GTT used, sum of 2 GPUs)"


def test_what_others_hold_before_the_device_is_used_is_no_memory_of_the_launch() -> None:
    assert peak_bytes(a_gpu_launch(series=SERIES), VRAM_AND_GTT) == 7 * GIB // 2


def test_a_rise_without_a_sample_from_before_is_not_known() -> None:
    late: dict[str, tuple[float | None, ...]] = {
        "vram_used_bytes": (None, None, 1.0 * GIB),
        "gtt_used_bytes": (None, None, 7.0 * GIB),
    }
    assert peak_bytes(a_gpu_launch(series=late), VRAM_AND_GTT) is None
    assert peak_bytes(a_gpu_launch(series={"fdinfo_gpu_bytes": (None, None)}), "fdinfo_gpu_bytes") is None
    assert peak_bytes(a_gpu_launch(), "fdinfo_gpu_bytes") is None
