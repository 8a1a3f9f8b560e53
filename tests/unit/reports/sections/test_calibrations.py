"""What pages show of calibrations, and which meter a row's memory is told by. All series are made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from harness.workloads.calibrate import latest_calibrations
from harness.workloads.calibrated_meters import VRAM_AND_GTT
from reports.markdown.render import render_benchmarks
from reports.memory import Reading, memory_of, memory_text, peak_bytes
from reports.tables import rows_of
from reports.terminal.launches import print_results
from reports.terminal.tasks import print_calibrations
from tests.unit.calibrations import GIB, a_calibration_launch, made_up_results
from tests.unit.samples import a_failed_launch, a_launch, a_plan, passing_journal

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
    assert memory_text(readings(a_launch())) == "1.50 GiB (VmHWM, not calibrated)"
    assert memory_text(readings(a_gpu_launch())) == (
        "1.50 GiB (VmHWM, not calibrated) + 2.00 GiB (torch peak reserved, not calibrated)"
    )
    assert memory_text(()) == "-"
    assert memory_of([], {}) == ()


def test_a_peak_that_was_seen_to_follow_needs_no_remark() -> None:
    assert memory_text(readings(a_launch(a_plan(9)), a_calibration_launch(1, guest=VM_HWM))) == "1.50 GiB (VmHWM)"


def test_a_peak_that_was_seen_not_to_follow_says_so() -> None:
    wrong = a_calibration_launch(1, guest={"vm_rss_bytes": float, "vm_hwm_bytes": lambda held: 0})
    assert memory_text(readings(a_launch(a_plan(9)), wrong)) == "1.50 GiB (VmHWM, no meter that follows)"


def test_the_calibration_of_another_image_or_engine_does_not_count() -> None:
    others = [a_calibration_launch(1, guest=VM_HWM, engine="docker"), a_calibration_launch(2, guest=VM_HWM, image="cuda")]
    assert memory_text(readings(a_launch(a_plan(9)), *others)) == "1.50 GiB (VmHWM, not calibrated)"


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
    assert memory_text(readings(a_gpu_launch(series=SERIES), calibration)) == text


def a_calibration_of_a_gpu(*follows: str, torch: bool) -> Launch:
    guest = {"torch_reserved_bytes": float, "torch_peak_reserved_bytes": float} if torch else {}
    calibration = a_calibration_launch(
        1, guest=guest, sampled=dict.fromkeys(follows, float), results=[*made_up_results(guest)], **GPU
    )
    return msgspec.structs.replace(calibration, verdict=a_launch().verdict)


def test_a_peak_of_a_sampler_that_was_killed_gives_way_to_one_that_was_kept_all_along_or_is_a_lower_bound() -> None:
    killed = a_gpu_launch(series=SERIES, is_killed=True)
    with_torch = a_calibration_of_a_gpu("fdinfo_gpu_bytes", torch=True)
    assert memory_text(readings(killed, with_torch)) == "2.00 GiB (torch peak reserved)"
    without = a_calibration_of_a_gpu("fdinfo_gpu_bytes", torch=False)
    gap = "the readings stop 9.5 s before the passes do"
    assert memory_text(readings(killed, without)) == f"at least 3.00 GiB (fdinfo, every 2 s: {gap})"
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
    text = memory_text(readings(a_gpu_launch(series=series), calibration))
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


def test_a_row_of_the_page_is_told_by_the_calibrated_meter_and_the_calibration_is_no_row() -> None:
    launches = [a_calibration_launch(1, guest=VM_HWM), a_launch(a_plan(9))]
    (row,) = rows_of(launches)
    assert memory_text(row.memory) == "1.50 GiB (VmHWM)"
    assert "| 1.50 GiB (VmHWM) | PASS |" in render_benchmarks(launches)


def test_the_terminal_knows_calibrations_of_the_store_that_it_does_not_show(capsys: pytest.CaptureFixture[str]) -> None:
    launch = a_launch(a_plan(9))
    print_results([launch])
    assert "1.50 GiB (VmHWM, not calibrated)" in capsys.readouterr().out
    print_results([launch], stored=[a_calibration_launch(1, guest=VM_HWM), a_launch(a_plan(8, image="other"))])
    out = capsys.readouterr().out
    assert "1.50 GiB (VmHWM) |" in out
    assert "other" not in out


def test_the_page_has_a_section_only_where_there_is_a_calibration() -> None:
    assert "Meters of memory" not in render_benchmarks([a_launch()])
    failed = a_failed_launch(a_plan(task="calibrate", last_stage="device"), stage="device")
    assert "Meters of memory" not in render_benchmarks([a_launch(a_plan(9)), failed])
    page = render_benchmarks([a_launch(a_plan(9)), a_calibration_launch(1, guest=VM_HWM)])
    lines = page.split("## Meters of memory")[1].splitlines()
    assert "| Meter | Read by | 0.5 GiB | 1 GiB | 2 GiB | Judged |" in lines
    assert (
        "| VmHWM | the process | 0.500 GiB (+0.0%) | 1.000 GiB (+0.0%) | 2.000 GiB (+0.0%) | moves by what is allocated |"
        in lines
    )
    assert "| fdinfo | the host | - | - | - | unavailable: nothing was sampled on the host |" in lines
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}, "a table that Markdown takes for one"
    assert "" not in lines[lines.index(table[0]) : lines.index(table[-1])]


def test_a_store_of_calibrations_alone_has_the_section_too() -> None:
    assert "## Meters of memory" in render_benchmarks([a_calibration_launch(1, guest=VM_HWM)])


HOSTILE = "<img src=x>|\n# pwned\x1b[31m"


def test_what_a_container_says_of_its_meters_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    launch = a_calibration_launch(results=made_up_results(VM_HWM, unavailable={"cgroup_peak_bytes": HOSTILE}))
    page = render_benchmarks([launch])
    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page
    assert "\n# pwned" not in page
    print_calibrations([launch])
    out = capsys.readouterr().out
    assert "\n# pwned" not in out
    assert "\x1b" not in out


def test_the_terminal_shows_a_calibration_and_why_another_failed(capsys: pytest.CaptureFixture[str]) -> None:
    failed = a_failed_launch(a_plan(2, task="calibrate", last_stage="device"), stage="device")
    print_calibrations([a_calibration_launch(1, guest=VM_HWM), failed])
    out = capsys.readouterr().out
    assert "cpu cpu (podman): memory held on cpu" in out
    assert "0.500 GiB (+0.0%)" in out
    assert "cpu cpu (podman): FAIL in device: error: builtins.ImportError" in out
