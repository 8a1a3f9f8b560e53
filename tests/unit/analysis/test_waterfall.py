"""The waterfall, on journals whose parts are known. All numbers are made up."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from harness.analysis.waterfall import Waterfall, waterfall_of
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from tests.unit.samples import a_launch, a_plan

PASS = {"segmentation": 3.0, "embeddings": 5.0, "clustering": 0.5, "reconstruction": 0.25, "rest": 0.25}
CALM = {name: 2 * seconds for name, seconds in PASS.items()}
"""Processor seconds of two threads at work"""


def events(**changes: Any) -> list[dict[str, Any]]:
    """A journal of 30 s: 0.1 launch, 2 import, 0.4 device, 1.5 load, 9 cold, 2 x 7 warm, 1 verify, 2 between stages."""

    def end(stage: str, seconds: float, **more: Any) -> dict[str, Any]:
        return {"event": "end", "at": 1000.0, "stage": stage, "seconds": seconds, "processor_seconds": 2 * seconds, **more}

    def a_pass(stage: str, seconds: float, parts: dict[str, float]) -> dict[str, Any]:
        spent = {name: 2 * value for name, value in parts.items()}
        return {"event": "pass", "stage": stage, "seconds": seconds, "parts": parts, "processor_parts": spent}

    load = {"decode": 0.5, "models": 0.75, "to device": 0.125}
    warm = {**PASS, "embeddings": 3.0}
    told = [
        {"event": "begin", "at": 1000.0, "stage": "launch"},
        end("launch", 0.1, processor_seconds_before=0.3),
        end("import", 2.0),
        end("device", 0.4),
        end("load", 1.5, parts=load, processor_parts={name: 2 * value for name, value in load.items()}),
        a_pass("cold", 9.0, PASS),
        end("cold", 9.0),
        a_pass("warm", 7.0, warm),
        a_pass("warm", 7.0, warm),
        end("warm", 14.0),
        end("verify", 1.0),
        {"event": "done", "at": 1030.0},
    ]
    return [{**event, **changes.get(f"{event['event']}_{event.get('stage')}", {})} for event in told]


def launch(journal: list[dict[str, Any]] | None = None, *, start: float | None = 2.0, wall: float | None = 40.0) -> Launch:
    made = a_launch(a_plan(), journal=events() if journal is None else journal, exit=ExitRecord(started=True, code=0))
    return msgspec.structs.replace(made, start_seconds=start, wall_seconds=wall)


def fall(**changes: Any) -> Waterfall:
    found = waterfall_of(launch(events(**changes)))
    assert found is not None
    return found


def test_the_parts_sum_to_the_whole_and_come_in_the_order_of_time() -> None:
    found = fall()
    assert found.flaw is None
    assert found.share == pytest.approx(1.0)
    assert sum(part.seconds for part in found.parts) == pytest.approx(40.0)
    assert [(part.stage, part.name, round(part.seconds, 6)) for part in found.parts] == [
        ("container start", "", 2.0),
        ("launch", "", 0.1),
        ("import", "", 2.0),
        ("device", "", 0.4),
        ("load", "decode", 0.5),
        ("load", "models", 0.75),
        ("load", "to device", 0.125),
        ("load", "rest", 0.125),
        ("cold", "segmentation", 3.0),
        ("cold", "embeddings", 5.0),
        ("cold", "clustering", 0.5),
        ("cold", "reconstruction", 0.25),
        ("cold", "rest", 0.25),
        ("warm", "segmentation", 6.0),
        ("warm", "embeddings", 6.0),
        ("warm", "clustering", 1.0),
        ("warm", "reconstruction", 0.5),
        ("warm", "rest", 0.5),
        ("verify", "", 1.0),
        ("between stages", "", 2.0),
        ("teardown", "", 8.0),
    ]


def test_processor_seconds_stand_beside_the_wall_s_and_are_unknown_outside_of_the_guest() -> None:
    found = fall()
    assert found.processor_seconds("container start") == 0.3
    assert found.processor_seconds("cold", "embeddings") == 10.0
    assert found.processor_seconds("cold") == pytest.approx(18.0)
    assert found.processor_seconds("teardown") is None
    assert found.processor_seconds("no such stage") is None


def test_a_part_s_share_is_of_the_whole_launch() -> None:
    (part,) = [part for part in fall().parts if (part.stage, part.name) == ("cold", "embeddings")]
    assert part.share == 5 / 40


def test_clustering_of_a_guest_that_did_not_time_reconstruction_is_called_both() -> None:
    old = {name: value for name, value in PASS.items() if name != "reconstruction"}
    found = fall(pass_cold={"parts": old})
    assert found.seconds("cold", "clustering and reconstruction") == 0.5
    assert found.seconds("cold", "clustering") == 0.0
    assert found.seconds("cold", "rest") == pytest.approx(0.5)
    assert found.share == pytest.approx(1.0)


def test_without_parts_a_stage_is_one_part_and_without_processor_seconds_they_are_unknown() -> None:
    found = fall(end_load={"parts": None, "processor_seconds": None}, pass_cold={"processor_parts": {"segmentation": 1.0}})
    assert [(part.name, part.processor_seconds) for part in found.parts if part.stage == "load"] == [("", None)]
    assert {part.processor_seconds for part in found.parts if part.stage == "cold"} == {None}
    assert found.share == pytest.approx(1.0)


def test_names_that_are_none_of_ours_are_one_part() -> None:
    found = fall(end_load={"parts": {"decode": 0.5, "<script>": 0.25, "| x |": 0.25}})
    assert {part.name for part in found.parts if part.stage == "load"} == {"decode", "other parts", "rest"}
    assert found.seconds("load", "other parts") == 0.5


def test_a_failed_stage_has_its_time() -> None:
    journal = [event for event in events() if event.get("stage") not in ("warm", "verify")]
    journal.insert(-1, {"event": "failed", "stage": "warm", "seconds": 4.0, "chain": []})
    found = waterfall_of(launch(journal))
    assert found is not None
    assert found.seconds("warm") == 4.0
    assert found.seconds("between stages") == pytest.approx(13.0)
    assert found.share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"end_import": {"seconds": -1.0}}, "stage import took less than no time"),
        ({"end_import": {"seconds": math.nan}}, "stage import took no number of s"),
        ({"end_import": {"seconds": None}}, "stage import took no number of s"),
        ({"end_import": {"seconds": "2"}}, "stage import took no number of s"),
        ({"end_import": {"seconds": 1e300}}, "stage import took longer than the 40.00 s that it ran"),
        ({"end_import": {"seconds": 29.0}}, "what is left for between stages"),
        ({"pass_cold": {"parts": {"segmentation": -3.0}}}, "segmentation in cold took less than no time"),
        ({"pass_cold": {"parts": {"segmentation": math.inf}}}, "segmentation in cold took no number of s"),
        ({"pass_cold": {"parts": {"segmentation": 10.0}}}, "what is left for rest in cold is -1.00 s"),
        ({"end_launch": {"stage": "import"}}, "a stage ended twice"),
        ({"done_None": {"at": None}}, "does not say when"),
        ({"done_None": {"at": 900.0}}, "its last line is from before its first"),
        ({"done_None": {"at": 9000.0}}, "its lines are further apart than the 40.00 s that it ran"),
        ({"done_None": {"at": 1039.0}}, "what is left for teardown is -1.00 s"),
        ({"begin_launch": {"at": 1e18}}, "its last line is from before its first"),
        ({"done_None": {"at": -(2.0**62)}}, "its last line is from before its first"),
        ({"pass_cold": {"parts": dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 40.0)}}, "rest in cold is far less than nothing"),
    ],
)
def test_a_journal_that_cannot_be_true_gives_a_flaw_and_no_part(changes: dict[str, Any], flaw: str) -> None:
    found = fall(**changes)
    assert found.flaw is not None
    assert flaw in found.flaw
    assert found.parts == ()
    assert found.share == 0
    assert len(found.flaw) < 200, "no number that a container chose is quoted"


@pytest.mark.parametrize("start", [-(2.0**62), -1.0, 41.0, 2.0**62])
def test_a_first_line_from_outside_of_the_launch_is_a_flaw(start: float) -> None:
    found = waterfall_of(launch(start=start))
    assert found is not None
    assert (found.flaw, found.parts) == ("its first line is not of the 40.00 s that it ran", ())


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "many", None, {}])
def test_processor_seconds_that_are_none_are_unknown_and_no_flaw(value: Any) -> None:
    found = fall(end_import={"processor_seconds": value}, pass_cold={"processor_parts": {"segmentation": value}})
    assert found.processor_seconds("import") is None
    assert found.processor_seconds("cold") is None
    assert found.share == pytest.approx(1.0)


def test_parts_that_are_no_mapping_are_none() -> None:
    found = fall(pass_cold={"parts": [1, 2]}, end_load={"parts": "decode"})
    assert [part.name for part in found.parts if part.stage in ("load", "cold")] == ["", ""]


def test_clocks_may_differ_by_a_little() -> None:
    found = fall(done_None={"at": 1027.9})
    assert found.seconds("between stages") == 0.0
    assert found.flaw is None
    assert found.share == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    "odd",
    [
        launch(start=None),
        launch(wall=None),
        launch(wall=0.0),
        launch([]),
        launch([event for event in events() if event["event"] != "done"]),
    ],
)
def test_without_a_whole_there_is_nothing_to_divide(odd: Launch) -> None:
    assert waterfall_of(odd) is None


def test_only_the_parts_of_the_workload_itself_have_names() -> None:
    later = msgspec.structs.replace(a_plan().workload, name="later")
    made = launch()
    found = waterfall_of(msgspec.structs.replace(made, plan=msgspec.structs.replace(made.plan, workload=later)))
    assert found is not None
    assert {part.name for part in found.parts} <= {"", "rest", "other parts"}
