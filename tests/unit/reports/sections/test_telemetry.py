from __future__ import annotations

import msgspec
import pytest

from harness.analysis.rows import rows_of
from harness.analysis.telemetry_rows import TelemetryRow, telemetry_rows
from harness.records.launch import Launch
from harness.records.outcome import Telemetry, Verdict
from harness.records.price import NO_PRICE, Price
from reports.markdown.render import render_benchmarks
from tests.unit.samples import a_launch, a_plan, passing_journal

BEGUN = 5000.0
UNAVAILABLE = {"cpu_package_joules": "energy_uj: Permission denied", "kfd_vram_bytes": "no <b>KFD</b>"}


def sampled(number: int, watts: float | None, *, quiet: bool = False, throttled: bool = False) -> Launch:
    """A launch of 30 s of audio: idle at 10 W, two warm passes of 3 s at some power. All numbers are made up."""
    journal = [{**event, "at": BEGUN + 1} for event in passing_journal() if event["event"] != "pass"]
    journal += [
        {"event": "pass", "stage": "warm", "index": each, "at": BEGUN + 5 + 3 * each, "seconds": 3.0} for each in range(2)
    ]
    begin = BEGUN - 2.5 if quiet else BEGUN
    times = tuple(begin + 0.5 * each for each in range(int((BEGUN + 9 - begin) / 0.5)))
    series: dict[str, tuple[float | None, ...]] = {"tree_resident_bytes": tuple(2.0**30 for _ in times)}
    if watts is not None:
        series["socket_power_watts"] = tuple(watts if at > BEGUN else 10.0 for at in times)
    series["throttle_thm_gfx"] = tuple(at - begin if throttled else 7.0 for at in times)
    series |= {"gfx_clock_hertz": (2.4e9,) * len(times), "gpu_busy_percent": (99.0,) * len(times)}
    telemetry = Telemetry(hertz=2.0, times=times, series=series, unavailable=UNAVAILABLE)
    passed = Verdict(status="pass", stage="verify")
    launch = a_launch(a_plan(number, image="rocm", family="rocm"), journal=journal, verdict=passed)
    return msgspec.structs.replace(launch, start_seconds=1.0, telemetry=telemetry)


def the_row(*launches: Launch, price: Price = NO_PRICE) -> TelemetryRow:
    (row,) = telemetry_rows(rows_of(launches), launches, price)
    return row


def test_a_launch_without_samples_has_no_section() -> None:
    launches = [a_launch()]
    assert telemetry_rows(rows_of(launches), launches, NO_PRICE) == ()
    assert "What the host saw" not in render_benchmarks(launches)


def test_every_launch_of_a_campaign_has_the_idle_host_of_its_first() -> None:
    row = the_row(sampled(1, 50.0, quiet=True), sampled(2, 52.0), sampled(3, 54.0))
    assert row.idle_watts == 10.0
    assert row.watts is not None
    assert (row.watts.median, row.watts.n) == (52.0, 3)
    # (52 - 10) W over 6 s for 60 s of audio.
    assert row.joules is not None
    assert row.joules.median == pytest.approx(42 * 6 * 60)
    assert row.meter == "socket_power_watts"
    assert row.samples == 14


def test_a_cost_is_shown_where_a_price_is_told_and_not_stored() -> None:
    launch = sampled(1, 50.0, quiet=True)
    assert the_row(launch).cost is None
    row = the_row(launch, price=Price(per_kwh=0.5, per_hour=3.0))
    # 14,400 J are 0.004 kWh; 3 s for 30 s of audio are a tenth of an hour an hour.
    assert row.cost is not None
    assert row.cost.median == pytest.approx(0.5 * 0.004 + 3.0 * 0.1)
    page = render_benchmarks([launch], Price(per_kwh=0.5, per_hour=3.0))
    assert "twice a second; fdinfo and KFD, which are slow to read, every two seconds." in page
    assert "Cost of an audio hour" in page
    assert "the cost is at 0.5 a kWh and 3 an hour of the machine" in page
    assert "0.30200" in page
    assert "Cost" not in render_benchmarks([launch])


def test_a_mark_says_how_many_launches_have_it() -> None:
    assert the_row(sampled(1, 50.0), sampled(2, 50.0, throttled=True)).marks == ("throttled by heat: thm_gfx (1 of 2)",)
    assert "throttled by heat: thm\\_gfx |" in render_benchmarks([sampled(1, 50.0, throttled=True)])


def test_of_a_gpu_whose_limits_nobody_could_read_the_page_does_not_show_a_dash() -> None:
    launch = sampled(1, 50.0)
    assert launch.telemetry is not None
    series = {"socket_power_watts": launch.telemetry.series["socket_power_watts"]}
    blind = msgspec.structs.replace(launch, telemetry=msgspec.structs.replace(launch.telemetry, series=series))
    unknown = "throttling unknown: no meter of it answered; clock unknown: no meter of it answered |"
    assert unknown in render_benchmarks([blind])
    assert "unknown: " not in render_benchmarks([launch])


def test_what_could_not_be_read_is_named_with_its_reason_and_no_number() -> None:
    page = render_benchmarks([sampled(1, None)])
    assert "| unavailable: energy\\_uj: Permission denied |" in page
    assert "- `cpu_package_joules` (rocm): energy\\_uj: Permission denied" in page
    assert "- `kfd_vram_bytes` (rocm): no &lt;b&gt;KFD&lt;/b&gt;" in page


def test_the_page_names_meter_and_idle_host_and_memory() -> None:
    page = render_benchmarks([sampled(1, 50.0, quiet=True)])
    assert "| 50.0 W | 10.0 W | 14.4 kJ | 1 | `socket_power_watts`, 14 samples or more |" in page
    assert "peak of the processes' RSS 1.00 GiB" in page
    assert "| 50.0 W | not sampled | 18.0 kJ |" in render_benchmarks([sampled(1, 50.0)])


def test_the_energy_of_wrong_output_is_struck_through_and_that_of_a_failure_is_none() -> None:
    launch = sampled(1, 50.0, quiet=True)
    wrong = msgspec.structs.replace(launch, verdict=Verdict(status="wrong output", stage="verify"))
    assert "| ~~14.4 kJ~~ | ~~0.30000~~ |" in render_benchmarks([wrong], Price(per_hour=3.0))
    failed = msgspec.structs.replace(launch, verdict=Verdict(status="fail", stage="verify", cause="error"))
    row = the_row(failed, price=Price(per_hour=3.0))
    assert (row.joules, row.cost, row.why_no_energy) == (None, None, "no launch came to its end")
    assert row.memory


def cut(launch: Launch, count: int) -> Launch:
    """As its sampler leaves it that is killed behind so many samples."""
    assert launch.telemetry is not None
    series = {name: column[:count] for name, column in launch.telemetry.series.items()}
    telemetry = msgspec.structs.replace(launch.telemetry, times=launch.telemetry.times[:count], series=series)
    return msgspec.structs.replace(launch, telemetry=telemetry)


def test_what_a_killed_sampler_left_is_no_power_and_a_lower_bound_of_memory() -> None:
    page = render_benchmarks([cut(sampled(1, 50.0), 12)])
    assert "| unavailable: socket\\_power\\_watts: the readings stop 2.5 s before the passes do |" in page
    assert "peak of the processes' RSS at least 1.00 GiB (the readings stop 2.5 s before the passes do) |" in page


def test_a_peak_of_a_launch_that_was_sampled_to_its_end_goes_before_a_lower_bound() -> None:
    (memory,) = the_row(cut(sampled(1, None), 12), sampled(2, None)).memory
    assert memory.gap == ""
