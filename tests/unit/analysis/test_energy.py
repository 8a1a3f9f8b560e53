from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from harness.analysis.energy import (
    Energy,
    Memory,
    cost_of,
    energy_of,
    idle_watts_of,
    is_idle_known,
    joules_between,
    memory_of,
)
from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from harness.records.plan import Plan
from harness.records.price import Price
from harness.telemetry.coverage import Window
from tests.unit.samples import a_launch, a_plan

BEGUN = 1000.0
Column = Sequence["float | None"]


def sampled(
    series: Mapping[str, Column],
    *,
    passes: Sequence[tuple[float, float]] = ((1003.0, 1005.0), (1005.0, 1009.0)),
    device: str = "cuda",
    begin: float = BEGUN - 2.5,
    step: float = 0.5,
    unavailable: Mapping[str, str] | None = None,
) -> Launch:
    """A launch of 30 s of audio that was started at 1000 s, with warm passes (begin, end), sampled from `begin` on."""
    journal = [{"event": "begin", "at": BEGUN + 0.25, "stage": "launch"}]
    journal += [
        {"event": "pass", "stage": "warm", "index": index, "at": end, "seconds": end - start}
        for index, (start, end) in enumerate(passes)
    ]
    count = max((len(column) for column in series.values()), default=0)
    telemetry = Telemetry(
        hertz=1 / step,
        times=tuple(begin + step * number for number in range(count)),
        series={name: tuple(column) for name, column in series.items()},
        unavailable=dict(unavailable or {}),
    )
    launch = a_launch(a_plan(device=device), journal=journal)
    return msgspec.structs.replace(launch, start_seconds=0.25, telemetry=telemetry)


def of_time(value: object, *, seconds: float = 12.0, begin: float = BEGUN - 2.5) -> tuple[float, ...]:
    """A column at 2 Hz: a function of the time, or a constant."""
    times = (begin + 0.5 * number for number in range(int(seconds / 0.5) + 1))
    return tuple(float(value(at)) if callable(value) else float(value) for at in times)  # type: ignore[arg-type]


def found(launch: Launch, *campaign: Launch) -> Energy:
    energy = energy_of(launch, campaign)
    assert isinstance(energy, Energy), energy
    return energy


def idle_then_80_watts(at: float) -> float:
    return 20.0 if at <= BEGUN else 80.0


def test_a_constant_power_is_its_product_with_the_time() -> None:
    energy = found(sampled({"socket_power_watts": of_time(50)}))
    assert (energy.joules, energy.seconds, energy.watts) == (300.0, 6.0, 50.0)
    assert (energy.passes, energy.amount, energy.meter) == (2, 60.0, "socket_power_watts")
    assert energy.samples == 5 + 9


def test_a_power_that_rises_evenly_is_integrated_exactly_also_between_samples() -> None:
    points = [(float(second), 10.0 * second) for second in range(11)]
    # The integral of 10 t from 1.25 to 8.75.
    assert joules_between(points, "socket_power_watts", Window(1.25, 8.75)) == pytest.approx(5 * (8.75**2 - 1.25**2))


def test_a_reading_that_failed_is_bridged_and_not_taken_for_zero() -> None:
    column: list[float | None] = list(of_time(50))
    column[14] = column[15] = None
    assert found(sampled({"socket_power_watts": column})).joules == pytest.approx(300.0)


def test_an_energy_counter_is_read_at_the_borders_of_each_pass() -> None:
    launch = sampled({"cpu_package_joules": of_time(lambda at: 15 * (at - 900))}, device="cpu")
    energy = found(launch)
    assert (energy.joules, energy.meter) == (pytest.approx(90.0), "cpu_package_joules")


def test_the_idle_host_is_subtracted_and_an_hour_of_audio_is_what_is_left() -> None:
    launch = sampled({"socket_power_watts": of_time(idle_then_80_watts)})
    energy = found(launch, launch)
    assert (energy.idle_watts, energy.joules, energy.net_joules) == (20.0, 480.0, 360.0)
    assert energy.joules_of(3600) == 360.0 * 3600 / 60


def test_a_launch_without_a_quiet_time_takes_the_campaign_s() -> None:
    first = sampled({"socket_power_watts": of_time(idle_then_80_watts)})
    later = sampled({"socket_power_watts": of_time(80, seconds=10, begin=BEGUN)}, begin=BEGUN)
    assert idle_watts_of([later], ["socket_power_watts"]) is None
    assert found(later).idle_watts is None
    assert found(later).net_joules == found(later).joules
    assert found(later, later, first).idle_watts == 20.0


def test_the_idle_host_is_that_of_the_same_meters() -> None:
    first = sampled({"gpu_power_watts": of_time(9), "cpu_package_joules": of_time(lambda at: 4 * at)}, device="cpu")
    on_gpu = sampled({"gpu_power_watts": of_time(100), "cpu_package_joules": of_time(lambda at: 30 * at)})
    energy = found(on_gpu, first)
    assert (energy.meter, energy.idle_watts) == ("gpu_power_watts + cpu_package_joules", pytest.approx(13.0))
    assert energy.joules == pytest.approx(6 * 130.0)


IDLE_CARD = {"gpu_power_watts": of_time(9)}
IDLE_PROCESSOR = {"cpu_package_joules": of_time(lambda at: 4 * at)}
ON_CPU = a_plan(device="cpu")
ON_NVIDIA = a_plan(image="cuda", family="cuda")
ON_AMD = a_plan(image="rocm", family="rocm")


def launched(plan: Plan, series: Mapping[str, Column]) -> Launch:
    """A launch with samples from 2.5 s before its start, some of which are not of power."""
    return msgspec.structs.replace(sampled({"mem_available_bytes": of_time(5), **series}), plan=plan)


@pytest.mark.parametrize("series", [{}, IDLE_PROCESSOR])
def test_a_launch_on_the_processor_says_nothing_of_an_idle_card_that_it_did_not_ask(series: Mapping[str, Column]) -> None:
    first = launched(ON_CPU, series)
    assert is_idle_known([first], ON_CPU)
    assert not is_idle_known([first], ON_NVIDIA)
    assert is_idle_known([first, launched(ON_NVIDIA, {**series, **IDLE_CARD})], ON_NVIDIA)


def test_a_launch_on_the_processor_that_saw_the_card_says_what_it_takes_idle() -> None:
    assert is_idle_known([launched(ON_CPU, IDLE_CARD)], ON_AMD)
    assert not is_idle_known([launched(ON_CPU, IDLE_CARD)], msgspec.structs.replace(ON_AMD, gpu="0000:c5:00.0"))


def test_a_host_without_a_meter_of_power_is_known_to_have_none_by_its_first_launch() -> None:
    assert not is_idle_known([], ON_CPU)
    for plan in (ON_CPU, ON_AMD, ON_NVIDIA):
        assert is_idle_known([launched(plan, {})], plan)


def test_a_launch_on_the_processor_does_not_pay_for_an_idle_card() -> None:
    launch = sampled({"gpu_power_watts": of_time(9), "cpu_package_joules": of_time(lambda at: 4 * at)}, device="cpu")
    assert found(launch).meter == "cpu_package_joules"


def test_a_gpu_s_own_counter_goes_before_its_power() -> None:
    launch = sampled({"gpu_power_watts": of_time(9), "gpu_joules": of_time(lambda at: 4 * at)})
    assert (found(launch).meter, found(launch).joules) == ("gpu_joules", pytest.approx(24.0))


def test_beside_an_apu_a_card_s_power_is_added_to_the_socket_s_and_the_processor_is_not_counted_twice() -> None:
    series = {
        "socket_power_watts_0": of_time(50),
        "gpu_power_watts_0": of_time(30),
        "gpu_power_watts_1": of_time(200),
        "cpu_package_joules": of_time(lambda at: 15 * (at - 900)),
    }
    energy = found(sampled(series))
    assert (energy.meter, energy.watts) == ("socket_power_watts_0 + gpu_power_watts_1", 250.0)
    assert found(sampled(series, device="cpu")).meter == "socket_power_watts_0"


def test_a_card_without_a_counter_has_its_power_beside_one_that_has() -> None:
    series = {"gpu_joules_0": of_time(lambda at: 4 * at), "gpu_power_watts_0": of_time(4), "gpu_power_watts_1": of_time(9)}
    energy = found(sampled(series))
    assert (energy.meter, energy.watts) == ("gpu_joules_0 + gpu_power_watts_1", pytest.approx(13.0))


def test_passes_too_short_for_samples_are_taken_together() -> None:
    passes = tuple((1002 + 0.6 * number, 1002.6 + 0.6 * number) for number in range(5))
    energy = found(sampled({"socket_power_watts": of_time(50)}, passes=passes))
    assert (energy.passes, energy.joules, energy.amount) == (5, pytest.approx(150.0), 150.0)


def test_a_pass_shorter_than_four_samples_has_no_number() -> None:
    said = energy_of(sampled({"socket_power_watts": of_time(50)}, passes=((1002.0, 1003.2),)))
    assert said == "passes of 1.2 s in all hold 3 samples, of 4 that are needed"


def test_where_nothing_says_the_power_the_reason_is_given() -> None:
    denied = {"cpu_package_joules": "energy_uj: Permission denied", "gpu_power_watts": "no card of amdgpu"}
    assert energy_of(sampled({}, device="cpu", unavailable=denied)) == "energy_uj: Permission denied"
    assert energy_of(sampled({}, unavailable=denied)) == "no card of amdgpu"
    assert energy_of(sampled({"socket_power_watts": of_time(5)}, passes=())) == "no warm pass ended"
    assert energy_of(a_launch()) == "nobody sampled"


def test_the_cost_is_that_of_energy_and_of_time_each_at_its_price() -> None:
    launch = sampled({"socket_power_watts": of_time(idle_then_80_watts)})
    energy = found(launch, launch)  # 21,600 J an audio hour: 0.006 kWh
    assert cost_of(energy.joules_of(3600), 360.0, Price(per_kwh=0.5)) == pytest.approx(0.003)
    assert cost_of(energy.joules_of(3600), 360.0, Price(per_hour=2.0)) == pytest.approx(0.2)
    assert cost_of(energy.joules_of(3600), 360.0, Price(per_kwh=0.5, per_hour=2.0)) == pytest.approx(0.203)
    assert cost_of(None, 360.0, Price(per_hour=2.0)) == pytest.approx(0.2)


def test_a_price_of_what_was_not_measured_gives_no_cost() -> None:
    assert cost_of(None, 360.0, Price(per_kwh=0.5, per_hour=2.0)) is None
    assert cost_of(None, None, Price(per_hour=2.0)) is None
    assert cost_of(None, 360.0, Price()) is None


ALL_ALONG: tuple[tuple[float, float], ...] = ((BEGUN - 2.4, BEGUN - 1.6),)
"""A pass that three samples cover."""


def test_memory_is_what_each_meter_saw_by_its_name() -> None:
    launch = sampled(
        {
            "vram_used_bytes": (100.0, 150.0, 120.0),
            "gtt_used_bytes": (10.0, 500.0, 700.0),
            "tree_resident_bytes": (None, 30.0, 25.0),
            "fdinfo_gpu_bytes": (None, 600.0, None),
            "mem_available_bytes": (9000.0, 8000.0, 8500.0),
        },
        passes=ALL_ALONG,
    )
    assert memory_of(launch) == (
        Memory("rise of VRAM + GTT", 710.0),
        Memory("peak of fdinfo", 600.0),
        Memory("peak of the processes' RSS", 30.0),
        Memory("drop of MemAvailable", 1000.0),
    )


def test_a_sample_in_which_one_of_two_meters_failed_is_no_sum() -> None:
    series = {"vram_used_bytes": (100.0, None, 120.0), "gtt_used_bytes": (10.0, 500.0, 20.0)}
    assert memory_of(sampled(series, passes=ALL_ALONG)) == (Memory("rise of VRAM + GTT", 30.0),)


def test_a_peak_whose_readings_stop_before_the_passes_do_may_be_more_and_says_so() -> None:
    stopped = sampled({"tree_resident_bytes": of_time(30, seconds=8)})  # at 1005.5 s, of passes until 1009 s
    (memory,) = memory_of(stopped)
    assert memory == Memory("peak of the processes' RSS", 30.0, "the readings stop 3.5 s before the passes do")
    (whole,) = memory_of(sampled({"tree_resident_bytes": of_time(30)}))
    assert whole.gap == ""


def test_a_launch_without_a_pass_has_its_peak_up_to_its_last_word() -> None:
    (memory,) = memory_of(sampled({"tree_resident_bytes": of_time(30, seconds=8)}, passes=()))
    assert memory.gap == ""
    (memory,) = memory_of(sampled({"tree_resident_bytes": (30.0, 30.0)}, passes=()))
    assert memory.gap == "the readings stop 2.2 s before the passes do"


@pytest.mark.parametrize(
    ("meter", "value"),
    [("socket_power_watts", 100.0), ("gpu_power_watts", 100.0), ("gpu_joules", lambda at: 100 * (at - 900))],
)
def test_a_pass_that_the_readings_do_not_cover_has_no_energy(meter: str, value: object) -> None:
    """A sampler that is killed 2.5 s into a pass of 8 s took more than enough samples inside it."""
    passes = ((1001.0, 1009.0),)
    whole = found(sampled({meter: of_time(value)}, passes=passes))
    assert whole.watts == pytest.approx(100.0)
    killed = sampled({meter: of_time(value, seconds=6)}, passes=passes)
    assert energy_of(killed) == f"{meter}: the readings stop 5.5 s before the passes do"
    late = sampled({meter: (*[None] * 10, *of_time(value)[10:])}, passes=passes)
    assert energy_of(late) == f"{meter}: the readings begin 1.5 s after the passes do"


def test_a_power_that_was_not_read_for_a_while_is_not_made_up_and_a_counter_needs_its_borders_alone() -> None:
    passes = ((1001.0, 1009.0),)

    def with_gap(values: tuple[float, ...], first: int, last: int) -> Column:
        return [None if first <= number <= last else value for number, value in enumerate(values)]

    counter = of_time(lambda at: 100 * (at - 900))
    said = energy_of(sampled({"gpu_power_watts": with_gap(of_time(100), 12, 16)}, passes=passes))
    assert said == "gpu_power_watts: for 3.0 s around the passes there is no reading"
    assert found(sampled({"gpu_joules": with_gap(counter, 12, 16)}, passes=passes)).joules == pytest.approx(800.0)
    said = energy_of(sampled({"gpu_joules": with_gap(counter, 5, 12)}, passes=passes))
    assert said == "gpu_joules: for 4.5 s around the passes there is no reading"


def test_a_long_launch_that_is_sampled_less_often_is_covered_by_what_it_has() -> None:
    passes = ((1000.0, 1100.0),)
    launch = sampled({"socket_power_watts": [50.0] * 15}, passes=passes, begin=990.0, step=8.0)
    launch = msgspec.structs.replace(launch, telemetry=msgspec.structs.replace(launch.telemetry, hertz=2.0))
    assert found(launch).watts == 50.0


def test_a_gpu_with_vram_alone_and_a_launch_without_samples_have_what_they_have() -> None:
    (memory,) = memory_of(sampled({"vram_used_bytes": (100.0, 350.0)}, passes=ALL_ALONG))
    assert memory == Memory("rise of VRAM", 250.0)
    assert memory_of(a_launch()) == ()
