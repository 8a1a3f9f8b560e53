from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.launch.plan import TELEMETRY, launches_folder
from harness.launch.run import conclude
from harness.records.fields import Fields
from harness.records.outcome import ExitRecord, Telemetry
from harness.telemetry.samples import read_telemetry, why_short
from tests.unit.samples import a_plan

FILE = """{"hertz": 2.0}
{"at": 10.0, "values": {"vram_used_bytes": 5.0}, "sources": {"vram_used_bytes": "/sys/a"}, "unavailable": {"tree_resident_bytes": "none", "gpu_power_watts": "no card"}, "cost_seconds": 0.05}
{"at": 10.5, "values": {"vram_used_bytes": 6.0, "tree_resident_bytes": 7.0}, "sources": {"tree_resident_bytes": "/proc"}, "cost_seconds": 0.06}
{"at": 11.0, "values": {"tree_resident_bytes": 8.0}, "cost_seconds": 0.07}
"""


def a_file(folder: Path, text: str) -> Path:
    path = folder / TELEMETRY
    path.write_text(text)
    return path


def test_samples_become_a_column_a_meter_with_none_where_a_reading_failed(tmp_path: Path) -> None:
    assert read_telemetry(a_file(tmp_path, FILE)) == Telemetry(
        hertz=2.0,
        times=(10.0, 10.5, 11.0),
        series={"tree_resident_bytes": (None, 7.0, 8.0), "vram_used_bytes": (5.0, 6.0, None)},
        sources={"tree_resident_bytes": "/proc", "vram_used_bytes": "/sys/a"},
        unavailable={"gpu_power_watts": "no card"},
        cost_seconds=0.07,
    )


def test_a_line_that_is_cut_short_or_of_another_kind_costs_itself(tmp_path: Path) -> None:
    garbled = FILE + '[1]\n"text"\n\x00\xff\n{"at": "now", "values": {}}\n{"at": 12.0, "values": [1]}\n{"at": 13.0, "val'
    found = read_telemetry(a_file(tmp_path, garbled))
    assert found == read_telemetry(a_file(tmp_path, FILE))


def test_what_is_no_finite_number_is_a_reading_that_failed(tmp_path: Path) -> None:
    path = a_file(
        tmp_path, '{"hertz": 2.0}\n{"at": 1.0, "values": {"a_bytes": 1.0, "b_bytes": NaN, "c_bytes": "9", "d_bytes": true}}\n'
    )
    found = read_telemetry(path)
    assert found is not None
    assert found.series == {"a_bytes": (1.0,)}


def test_a_sampler_that_never_came_to_its_first_line_has_told_nothing(tmp_path: Path) -> None:
    assert read_telemetry(tmp_path / "nothing") is None
    assert read_telemetry(a_file(tmp_path, "")) is None


def test_a_launch_keeps_what_was_sampled_also_when_its_harness_was_killed() -> None:
    plan = a_plan()
    folder = launches_folder() / plan.id
    folder.mkdir(parents=True)
    a_file(folder, FILE)
    launch = conclude(plan, ExitRecord(started=True, interrupted=True))
    assert launch.telemetry is not None
    assert launch.telemetry.times == (10.0, 10.5, 11.0)


def lines_until(last: float, *, step: float = 0.5, **told: Any) -> list[dict[str, Any]]:
    """What a sampler wrote that began at 10 s."""
    times = [10.0 + step * number for number in range(int((last - 10.0) / step) + 1)]
    return [{"hertz": 2.0}, *({"at": at, "values": {}} for at in times), *([told] if told else [])]


@pytest.mark.parametrize(
    ("lines", "status", "why"),
    [
        (lines_until(30.0), None, ""),
        (lines_until(29.0), None, ""),
        (lines_until(26.0, step=8.0), None, ""),  # of a long launch
        (lines_until(20.0), -9, "it was killed by signal 9, its last sample 10.4 s before the launch's end"),
        (lines_until(30.0), 0, "it ended by itself, its last sample 0.4 s before the launch's end"),
        (lines_until(20.0), None, "it hung, its last sample 10.4 s before the launch's end"),
        ([{"hertz": 2.0}], 0, "it ended by itself, before its first sample"),
        ([{"hertz": 2.0}], None, "it hung, before its first sample"),
        (
            lines_until(20.0, unavailable={"sampler": "it failed: OSError"}),
            0,
            "it failed: OSError, its last sample 10.4 s before the launch's end",
        ),
    ],
)
def test_samples_that_do_not_reach_to_the_launch_s_end_are_said_to_and_why(
    lines: list[dict[str, Any]], status: int | None, why: str
) -> None:
    assert why_short([*map(Fields, lines)], hertz=2.0, begun=9.5, ended=30.4, status=status) == why


def test_a_launch_that_is_over_before_the_first_sample_misses_none() -> None:
    assert why_short([Fields({"hertz": 2.0})], hertz=2.0, begun=10.0, ended=10.2, status=None) == ""
