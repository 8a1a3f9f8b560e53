from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.analysis.throttling import signs_of_throttling
from tests.unit.analysis.test_energy import BEGUN, of_time, sampled
from tests.unit.samples import a_launch

FAST = {"gfx_clock_hertz": of_time(2.4e9), "gpu_busy_percent": of_time(99)}
NOT_HELD = {"throttle_thm_gfx": of_time(7)}

HEAT = "throttled by heat: thm_gfx"
LOW = "low clock: 0.60 GHz at work, below 1.0 GHz"


def test_a_limiter_whose_counter_moved_in_a_pass_marks_the_launch() -> None:
    launch = sampled(
        {
            **FAST,
            "throttle_thm_gfx": of_time(lambda at: max(0, at - 1004)),
            "throttle_sppt": of_time(lambda at: at),
            "throttle_prochot": of_time(3),
            "throttle_spl": of_time(lambda at: 0 if at < 1001 else 8),
        }
    )
    assert signs_of_throttling(launch) == ("throttled by heat: thm_gfx", "throttled by power: sppt")


def test_a_counter_that_wraps_in_a_pass_has_moved() -> None:
    launch = sampled({**FAST, "throttle_thm_soc": of_time(lambda at: 4294967290 if at < 1004 else 2)})
    assert signs_of_throttling(launch) == ("throttled by heat: thm_soc",)


def test_a_card_that_says_it_is_held_back_now_marks_the_launch_where_it_was_in_a_pass() -> None:
    launch = sampled(
        {
            **FAST,
            "throttling_thermal": of_time(lambda at: at == 1004.0),
            "throttling_power": of_time(lambda at: at < 1002.0),
            "throttling_other_1": of_time(1),
        }
    )
    assert signs_of_throttling(launch) == ("throttled by heat: thermal", "throttled by other limits: other_1")


def test_a_low_clock_at_work_marks_the_launch_and_one_of_an_idle_gpu_does_not() -> None:
    low = {**NOT_HELD, "gfx_clock_hertz": of_time(0.885e9), "gpu_busy_percent": of_time(99)}
    assert signs_of_throttling(sampled(low)) == ("low clock: 0.89 GHz at work, below 1.0 GHz",)
    assert signs_of_throttling(sampled({**low, "gpu_busy_percent": of_time(10)})) == ()
    assert signs_of_throttling(sampled({**low, "gfx_clock_hertz": of_time(2.4e9)})) == ()
    assert signs_of_throttling(sampled(low, device="cpu")) == ()


def test_the_gpu_at_work_is_judged_among_several() -> None:
    series = {**NOT_HELD, "gfx_clock_hertz_0": of_time(0.3e9), "gpu_busy_percent_0": of_time(0)}
    series |= {"gfx_clock_hertz_1": of_time(2.4e9), "gpu_busy_percent_1": of_time(99)}
    assert signs_of_throttling(sampled(series)) == ()


def short_passes(seconds: float, phase: float) -> Sequence[tuple[float, float]]:
    """Four passes in a row, the first some time after a sample."""
    begins = [BEGUN + 5 + phase + number * (seconds + 0.01) for number in range(4)]
    return [(begin, begin + seconds) for begin in begins]


@pytest.mark.parametrize("seconds", [0.3, 0.45, 0.6, 0.86])
@pytest.mark.parametrize("phase", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_a_limiter_at_work_all_along_is_seen_in_passes_of_any_length(seconds: float, phase: float) -> None:
    series = {"throttle_thm_gfx": of_time(lambda at: at), "gfx_clock_hertz": of_time(6e8), "gpu_busy_percent": of_time(99)}
    assert signs_of_throttling(sampled(series, passes=short_passes(seconds, phase))) == (HEAT, LOW)


def test_a_counter_that_stands_still_around_a_short_pass_was_not_at_work() -> None:
    launch = sampled({**FAST, "throttle_thm_gfx": of_time(lambda at: at < 1003)}, passes=short_passes(0.3, 0.1))
    assert signs_of_throttling(launch) == ()


TOO_FEW = "throttling unknown: too few readings in or around the passes"


def test_where_no_reading_could_show_it_throttling_is_unknown() -> None:
    stopped = sampled({**FAST, "throttle_thm_gfx": of_time(7, seconds=8)})  # at 1005.5 s, of passes until 1009 s
    assert signs_of_throttling(stopped) == (TOO_FEW,)
    moved_long_before = (*of_time(7, seconds=1), *[None] * 20, *of_time(8, seconds=1))
    assert signs_of_throttling(sampled({**FAST, "throttle_thm_gfx": moved_long_before})) == (TOO_FEW,)
    a_moment = sampled({**FAST, "throttling_thermal": of_time(0)}, passes=((1002.1, 1002.4), (1002.6, 1002.9)))
    assert signs_of_throttling(a_moment) == (TOO_FEW, "clock unknown: too few readings in the passes")
    assert signs_of_throttling(sampled(FAST)) == ("throttling unknown: no meter of it answered",)


def test_a_clock_of_which_too_little_is_known_is_unknown_and_not_high() -> None:
    few = "clock unknown: too few readings in the passes"
    assert signs_of_throttling(sampled({**NOT_HELD, **FAST}, passes=((1002.9, 1003.2),))) == (few,)
    assert signs_of_throttling(sampled({**NOT_HELD, "gfx_clock_hertz": of_time(6e8)})) == (few,), (
        "nobody knows whether it was busy"
    )
    assert signs_of_throttling(sampled(NOT_HELD)) == ("clock unknown: no meter of it answered",)


def test_a_launch_on_the_processor_misses_no_meter_of_a_gpu() -> None:
    assert signs_of_throttling(sampled({}, device="cpu")) == ()
    assert signs_of_throttling(a_launch()) == ()
