"""Known answers on made-up series: which meter moves by what was allocated."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from harness.launch.exchange import read_events
from harness.records.host import HostRecord
from harness.records.outcome import Telemetry, Verdict
from harness.workloads.calibrate import (
    HIDDEN,
    Movement,
    calibration_of,
    judge_movements,
    latest_calibrations,
    subject,
)
from harness.workloads.calibrated_meters import METERS, VRAM_AND_GTT
from tests.unit.calibrations import (
    GIB,
    SIZES,
    a_calibration_launch,
    calibrated,
    finding,
    largest_error,
    made_up_results,
    made_up_series,
    windows,
)
from tests.unit.samples import a_failed_launch, a_launch, a_plan, write_journal

RIGHT, ELSE, STAYS, UNAVAILABLE = (
    "moves by what is allocated",
    "moves by something else",
    "does not move",
    "unavailable",
)


def moved(launch: Any, name: str) -> list[float | None]:
    return [each.moved_bytes for each in finding(launch, name).movements]


def test_a_level_that_rises_by_what_is_held_is_right_whatever_it_started_from() -> None:
    launch = a_calibration_launch(guest={"vm_rss_bytes": lambda held: 475_959_296 + held})
    assert finding(launch, "vm_rss_bytes").judgement == RIGHT
    assert moved(launch, "vm_rss_bytes") == list(SIZES)
    assert calibrated(launch).sizes_bytes == SIZES
    assert calibrated(launch).follows("vm_rss_bytes")


@pytest.mark.parametrize(
    "name", ["tree_resident_bytes", "fdinfo_gpu_bytes", "kfd_vram_bytes", "gtt_used_bytes", "cgroup_memory_bytes"]
)
def test_a_sampled_level_is_judged_like_the_guest_s(name: str) -> None:
    launch = a_calibration_launch(sampled={name: lambda held: 1e9 + 1.04 * held})
    assert finding(launch, name).judgement == RIGHT
    assert largest_error(finding(launch, name)) == pytest.approx(0.04)
    assert finding(launch, name).source == "made up"


@pytest.mark.parametrize(("factor", "judgement"), [(1.0499, RIGHT), (0.9501, RIGHT), (1.0501, ELSE), (0.9499, ELSE)])
def test_not_quite_five_percent_off_is_right_and_a_little_more_is_not(factor: float, judgement: str) -> None:
    launch = a_calibration_launch(sampled={"vram_used_bytes": lambda held: round(factor * held)})
    assert finding(launch, "vram_used_bytes").judgement == judgement


def test_one_size_out_of_three_that_is_off_is_enough_to_be_something_else() -> None:
    launch = a_calibration_launch(sampled={"gtt_used_bytes": lambda held: min(held, GIB)})
    assert finding(launch, "gtt_used_bytes").judgement == ELSE
    assert largest_error(finding(launch, "gtt_used_bytes")) == -0.5


def test_what_falls_by_what_is_held_is_right_and_what_rises_in_its_place_is_not() -> None:
    falls = a_calibration_launch(
        sampled={"mem_available_bytes": lambda held: 100 * GIB - held},
        guest={"device_free_bytes": lambda held: 120 * GIB - held},
    )
    for name in ("mem_available_bytes", "device_free_bytes"):
        assert finding(falls, name).judgement == RIGHT
        assert moved(falls, name) == list(SIZES)
    assert (
        finding(a_calibration_launch(sampled={"mem_available_bytes": lambda held: held}), "mem_available_bytes").judgement
        == ELSE
    )


# Traps of other harnesses


def test_a_total_that_is_taken_for_use_does_not_move() -> None:
    """For an AMD GPU optimum-benchmark's `max_global_vram` is all the VRAM that there is."""
    launch = a_calibration_launch(sampled={"vram_used_bytes": lambda held: 64.0 * GIB})
    assert finding(launch, "vram_used_bytes").judgement == STAYS
    assert moved(launch, "vram_used_bytes") == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("hertz", [1.0, 2.0, 10.0, 50.0])
def test_samples_are_not_summed_however_many_there_are(hertz: float) -> None:
    """optimum-benchmark sums samples: 100 MB that nobody changes, seen fifty times, become 5,000 MB."""
    series = made_up_series({"fdinfo_gpu_bytes": lambda held: 100e6 + held}, hertz=hertz)
    launch = msgspec.structs.replace(a_calibration_launch(), telemetry=series)
    assert moved(launch, "fdinfo_gpu_bytes") == list(SIZES)


def test_a_percentage_that_was_not_divided_moves_by_something_else() -> None:
    """torchbench's `cpu_peak_mem` is percent times total."""
    launch = a_calibration_launch(sampled={"tree_resident_bytes": lambda held: 100.0 * held})
    assert finding(launch, "tree_resident_bytes").judgement == ELSE
    assert largest_error(finding(launch, "tree_resident_bytes")) == 99.0


def test_a_cgroup_to_which_the_gpu_s_memory_is_not_charged_does_not_move() -> None:
    noise = iter(range(0, 10**9, 4096))
    launch = a_calibration_launch(sampled={"cgroup_memory_bytes": lambda held: 5e8 + next(noise)})
    assert finding(launch, "cgroup_memory_bytes").judgement == STAYS


def test_memory_that_shows_in_vram_or_gtt_by_its_size_shows_in_their_sum() -> None:
    launch = a_calibration_launch(
        sampled={
            "vram_used_bytes": lambda held: 1e6 + min(held, GIB // 2),
            "gtt_used_bytes": lambda held: 2e6 + max(0, held - GIB // 2),
        }
    )
    found = {name: finding(launch, name).judgement for name in ("vram_used_bytes", "gtt_used_bytes", VRAM_AND_GTT)}
    assert found == {"vram_used_bytes": ELSE, "gtt_used_bytes": ELSE, VRAM_AND_GTT: RIGHT}


def test_the_sum_of_vram_and_gtt_needs_both() -> None:
    launch = a_calibration_launch(sampled={"gtt_used_bytes": lambda held: held})
    assert finding(launch, VRAM_AND_GTT).judgement == UNAVAILABLE
    assert finding(launch, VRAM_AND_GTT).why == "it needs both VRAM and GTT"


def two_gpus(held: int) -> dict[str, float]:
    """The second one is used; others hold a GiB of the first."""
    return {
        "vram_used_bytes_0": 1.0 * GIB,
        "gtt_used_bytes_0": 5e6,
        "vram_used_bytes_1": held / 2,
        "gtt_used_bytes_1": held / 2,
    }


def test_the_sum_over_two_gpus_is_judged_and_it_says_so() -> None:
    sampled = {name: (lambda held, name=name: two_gpus(held)[name]) for name in two_gpus(0)}
    launch = a_calibration_launch(sampled=sampled)
    assert moved(launch, VRAM_AND_GTT) == list(SIZES)
    both, vram = finding(launch, VRAM_AND_GTT), finding(launch, "vram_used_bytes")
    assert (both.judgement, both.label) == (RIGHT, "VRAM + GTT used, sum of 2 GPUs")
    assert (vram.judgement, vram.label, vram.source) == (ELSE, "VRAM used, sum of 2 GPUs", "made up + made up")
    assert finding(launch, "fdinfo_gpu_bytes").label == "fdinfo"


def test_two_gpus_of_which_one_has_no_gtt_have_no_sum_of_both() -> None:
    launch = a_calibration_launch(sampled=dict.fromkeys(("vram_used_bytes_0", "gtt_used_bytes_0", "vram_used_bytes_1"), float))
    assert finding(launch, VRAM_AND_GTT).why == "it needs both VRAM and GTT"


def test_two_gpus_without_a_reading_tell_the_reason_of_the_first() -> None:
    series = made_up_series({}, unavailable={"gtt_used_bytes_0": "refused", "gtt_used_bytes_1": "hangs"})
    launch = msgspec.structs.replace(a_calibration_launch(), telemetry=series)
    assert finding(launch, "gtt_used_bytes").why == "refused"


# Peaks


def peaks(*, level_at_rest: int, peak_at_rest: int, follows: bool = True, sizes: tuple[int, ...] = SIZES) -> Any:
    """A launch whose VmHWM was higher before than VmRSS is at rest."""
    events, highest = made_up_results(sizes=sizes), peak_at_rest
    for event, (_, _, held) in zip(events, windows(sizes), strict=True):
        highest = max(highest, level_at_rest + held) if follows else highest
        event["meters"] = {"vm_rss_bytes": level_at_rest + held, "vm_hwm_bytes": highest}
    return a_calibration_launch(results=events, sizes=sizes)


def test_a_peak_rises_above_the_level_before_by_what_is_held() -> None:
    launch = peaks(level_at_rest=475_000_000, peak_at_rest=492_000_000)
    assert finding(launch, "vm_hwm_bytes").judgement == RIGHT
    assert moved(launch, "vm_hwm_bytes") == list(SIZES)


def test_a_peak_is_not_blamed_for_a_size_that_an_earlier_peak_hides() -> None:
    launch = peaks(level_at_rest=500_000_000, peak_at_rest=500_000_000 + GIB)
    assert [each.why for each in finding(launch, "vm_hwm_bytes").movements] == [HIDDEN, HIDDEN, ""]
    assert finding(launch, "vm_hwm_bytes").judgement == RIGHT
    assert moved(launch, "vm_hwm_bytes") == [None, None, 2 * GIB]


def test_a_peak_that_hides_every_size_is_unavailable() -> None:
    launch = peaks(level_at_rest=500_000_000, peak_at_rest=500_000_000 + 4 * GIB)
    assert finding(launch, "vm_hwm_bytes").judgement == UNAVAILABLE
    assert finding(launch, "vm_hwm_bytes").why == f"0.5 GiB: {HIDDEN}"


def test_a_peak_that_stays_though_it_should_rise_does_not_move_and_its_distance_to_the_level_is_no_movement() -> None:
    launch = peaks(level_at_rest=500_000_000, peak_at_rest=800_000_000, follows=False)
    assert finding(launch, "vm_hwm_bytes").judgement == STAYS
    assert moved(launch, "vm_hwm_bytes") == [0.0, 0.0, 0.0]


def test_a_peak_without_its_level_is_unavailable() -> None:
    launch = a_calibration_launch(guest={"cgroup_peak_bytes": lambda held: held})
    assert finding(launch, "cgroup_peak_bytes").judgement == UNAVAILABLE
    assert finding(launch, "cgroup_peak_bytes").why == "0.5 GiB: cgroup current was not read"


# What is not there


def test_without_telemetry_the_host_s_meters_say_so_and_the_guest_s_are_judged() -> None:
    launch = a_calibration_launch(guest={"vm_rss_bytes": lambda held: held})
    assert finding(launch, "fdinfo_gpu_bytes").why == "nothing was sampled on the host"
    assert finding(launch, "vm_rss_bytes").judgement == RIGHT
    assert {each.meter.name for each in calibrated(launch).findings} == {meter.name for meter in METERS}


def test_a_meter_that_the_sampler_could_not_read_says_why() -> None:
    series = made_up_series({}, unavailable={"kfd_vram_bytes": "/sys/class/kfd: no such folder"})
    launch = msgspec.structs.replace(a_calibration_launch(), telemetry=series)
    assert finding(launch, "kfd_vram_bytes").why == "/sys/class/kfd: no such folder"
    assert finding(launch, "fdinfo_gpu_bytes").why == "not sampled"


def test_a_meter_that_the_guest_could_not_read_says_why() -> None:
    launch = a_calibration_launch(results=made_up_results(unavailable={"cgroup_peak_bytes": "no such file"}))
    assert finding(launch, "cgroup_peak_bytes").why == "no such file"
    assert finding(launch, "vm_rss_bytes").why == "the guest does not read it"


def test_readings_that_failed_are_left_out_and_too_few_are_no_level() -> None:
    count = iter(range(10_000))
    every_other = a_calibration_launch(sampled={"gtt_used_bytes": lambda held: held if next(count) % 2 else None})
    assert finding(every_other, "gtt_used_bytes").judgement == RIGHT
    slow = msgspec.structs.replace(a_calibration_launch(), telemetry=made_up_series({"gtt_used_bytes": float}, hertz=0.4))
    assert finding(slow, "gtt_used_bytes").judgement == UNAVAILABLE
    assert "1 sample in 3.0 s, 2 are needed" in finding(slow, "gtt_used_bytes").why


@pytest.mark.parametrize("name", ["fdinfo_gpu_bytes", "kfd_vram_bytes"])
def test_what_other_launches_read_every_two_seconds_is_judged_since_a_calibration_s_sampler_is_thorough(name: str) -> None:
    series = made_up_series({name: float}, first=1.5)
    launch = msgspec.structs.replace(a_calibration_launch(), telemetry=series)
    assert finding(launch, name).judgement == RIGHT
    slow = msgspec.structs.replace(launch, telemetry=made_up_series({name: float}, first=1.5, is_thorough=False))
    assert finding(slow, name).judgement == UNAVAILABLE
    assert "1 sample in 3.0 s, 2 are needed" in finding(slow, name).why


def test_a_sample_outside_of_the_times_in_which_nothing_changes_is_not_looked_at() -> None:
    """Outside those times the made-up series show half of the largest size."""
    series = made_up_series({"gtt_used_bytes": float}, hertz=20.0)
    assert GIB in series.series["gtt_used_bytes"]
    launch = msgspec.structs.replace(a_calibration_launch(sizes=SIZES), telemetry=series)
    assert moved(launch, "gtt_used_bytes") == list(SIZES)


def test_a_process_of_the_host_has_no_engine_s_stats_and_a_container_has() -> None:
    assert finding(a_calibration_launch(engine="local"), "stats_usage_bytes").why == "a process of this host has no engine"
    launch = a_calibration_launch(stats={"stats_usage_bytes": lambda held: 7e8 + held})
    assert finding(launch, "stats_usage_bytes").judgement == RIGHT
    assert finding(launch, "stats_shown_bytes").judgement == UNAVAILABLE


def test_only_a_calibration_that_came_to_its_end_is_one() -> None:
    assert calibration_of(a_launch()) is None
    assert calibration_of(a_failed_launch(a_plan(task="calibrate", last_stage="device"), stage="device")) is None


# Hostile journals


HOSTILE: list[list[Any]] = [
    [],
    [{}],
    [{"phase": "held", "begin": 1.0, "end": 2.0, "meters": {}, "allocated_bytes": GIB}],
    [{"phase": "baseline", "begin": 2.0, "end": 1.0, "meters": {}}],
    [{"phase": "baseline", "begin": "now", "end": None, "meters": []}],
    [{"phase": ["held"], "begin": 1.0, "end": 2.0, "meters": {}}],
    *(
        [
            {"phase": "baseline", "begin": 1.0, "end": 2.0, "meters": {"vm_rss_bytes": 1}, "sources": 7, "unavailable": ["x"]},
            {"phase": "held", "begin": 3.0, "end": 4.0, "meters": {"vm_rss_bytes": 1}, "allocated_bytes": allocated},
        ]
        for allocated in (0, -1, True, "1", 1.5, math.nan, math.inf, None, [GIB])
    ),
    [
        {"phase": "baseline", "begin": 3.0, "end": 9.0, "meters": {"vm_rss_bytes": 1}},
        {"phase": "held", "begin": 4.0, "end": 5.0, "meters": {"vm_rss_bytes": GIB + 1}, "allocated_bytes": GIB},
    ],
]


@pytest.mark.parametrize("results", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_journal_calibrates_nothing_and_raises_nothing(results: list[Any]) -> None:
    launch = a_calibration_launch(results=[{"event": "result", **each} for each in results], sampled={"gtt_used_bytes": float})
    launch = msgspec.structs.replace(launch, verdict=Verdict(status="pass", stage="calibrate"))  # as a judge of before gave it
    assert calibrated(launch).sizes_bytes == ()
    assert {each.judgement for each in calibrated(launch).findings} == {UNAVAILABLE}
    assert latest_calibrations([launch]) == {}


@pytest.mark.parametrize("value", ["1", None, True, [1], {"a": 1}, math.nan, math.inf, 10**400])
def test_a_meter_that_is_no_number_is_unavailable(value: Any, tmp_path: Any) -> None:
    results = made_up_results({"vm_rss_bytes": lambda held: value})
    write_journal(tmp_path, results)
    launch = a_calibration_launch(results=list(read_events(tmp_path)))
    assert finding(launch, "vm_rss_bytes").judgement == UNAVAILABLE


def test_a_journal_of_endless_sizes_is_cut() -> None:
    launch = a_calibration_launch(results=made_up_results({"vm_rss_bytes": float}, sizes=(GIB,) * 500))
    assert len(calibrated(launch).sizes_bytes) == 20


def test_series_of_unequal_lengths_are_read_as_far_as_they_go() -> None:
    series = made_up_series({"gtt_used_bytes": float})
    cut = msgspec.structs.replace(series, series={"gtt_used_bytes": series.series["gtt_used_bytes"][:5]})
    launch = msgspec.structs.replace(a_calibration_launch(), telemetry=cut)
    assert finding(launch, "gtt_used_bytes").judgement == UNAVAILABLE
    empty = msgspec.structs.replace(launch, telemetry=Telemetry(hertz=2.0, series={"gtt_used_bytes": ()}))
    assert finding(empty, "gtt_used_bytes").judgement == UNAVAILABLE


# Judging and choosing


def a_movement(asked: int, by: float | None, why: str = "") -> Movement:
    return Movement(asked_bytes=asked, moved_bytes=by, why=why)


def test_nothing_seen_is_unavailable_and_not_right() -> None:
    assert judge_movements([]) == UNAVAILABLE
    assert judge_movements([a_movement(GIB, None, "not read")]) == UNAVAILABLE


def test_a_gap_makes_a_meter_unavailable_however_right_the_rest_is() -> None:
    assert judge_movements([a_movement(GIB, GIB), a_movement(2 * GIB, None, "1 samples")]) == UNAVAILABLE


def test_the_latest_calibration_of_a_subject_speaks() -> None:
    old = a_calibration_launch(1, guest={"vm_rss_bytes": lambda held: 0})
    new = a_calibration_launch(2, guest={"vm_rss_bytes": float})
    (found,) = latest_calibrations([new, old]).values()
    assert found.launch == new


@pytest.mark.parametrize(
    "other",
    [
        {"engine": "docker"},
        {"image": "cuda"},
        {"variant": "gfx1100"},
        {"gpu": "0000:c5:00.0"},
        {"device": "cuda"},
        {"host": HostRecord(kernel="6.19.0", gpus=("0x1002:0x1586", "gfx1151"))},
    ],
)
def test_what_was_seen_on_one_stack_says_nothing_about_another(other: dict[str, Any]) -> None:
    launches = [
        a_calibration_launch(1, guest={"vm_rss_bytes": float}),
        a_calibration_launch(2, guest={"vm_rss_bytes": float}, **other),
    ]
    assert len(latest_calibrations(launches)) == 2


@pytest.mark.parametrize("name", ["native+segmentation-batch=64", "native+miopen-off", "native+miopen-off+sdma=off"])
def test_a_calibration_speaks_for_a_variant_with_knobs_and_fixes_too(name: str) -> None:
    assert subject(a_launch(a_plan(2, variant=name))) == subject(a_launch(a_plan(1, variant="native")))


def test_a_calibration_survives_the_store() -> None:
    launch = a_calibration_launch(sampled={"gtt_used_bytes": float}, stats={"stats_usage_bytes": float})
    read = msgspec.json.decode(msgspec.json.encode(launch), type=type(launch))
    assert calibration_of(read) == calibration_of(launch)
