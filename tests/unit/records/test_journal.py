from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from benchmarks.wire import STAGES
from harness.records.fields import Fields
from harness.records.journal import Begin, Difference, Done, End, Event, Failed, Import, Journal, Note, Pass, Result, Step, read
from harness.records.launch import Launch
from tests.unit.odd_values import ODD
from tests.unit.samples import a_launch, a_link, failing_journal, passing_journal

KINDS = ("begin", "end", "failed", "import", "pass", "step", "result", "note", "done")
NAMES = sorted({name for kind in (End, Failed, Import, Pass, Step, Result, Note, Done) for name in kind.__struct_fields__})
"""Every name that an event has a type for"""


def told(event: str, **fields: Any) -> Event:
    """The one event of a journal of one line."""
    (found,) = read([{"event": event, "at": 5, **fields}]).events
    return found


def test_each_event_has_its_type() -> None:
    link = a_link("OSError", "root")
    assert told("begin", stage="load") == Begin(at=5.0, stage="load")
    end = {"stage": "load", "seconds": 2, "processor_seconds": 3, "parts": {"decode": 1}, "processor_parts": {}, "models": "x"}
    assert told("end", **end) == End(
        at=5.0, stage="load", seconds=2.0, processor_seconds=3.0, parts=Fields({"decode": 1}), found=Fields({"models": "x"})
    )
    failed = told("failed", stage="load", seconds=2, chain=[link])
    assert isinstance(failed, Failed)
    assert (failed.stage, failed.seconds, failed.chain[0].message) == ("load", 2.0, "root")
    assert told("import", name="torch", needed=True, outcome="ok", version="2.9") == Import(
        at=5.0, name="torch", needed=True, outcome="ok", version="2.9"
    )
    assert told("pass", stage="warm", index=1, seconds=2, processor_seconds=3, parts={"decode": 1}) == Pass(
        at=5.0, stage="warm", index=1, seconds=2.0, processor_seconds=3.0, parts=Fields({"decode": 1})
    )
    assert told("result", index=3, outcome="ok") == Result(at=5.0, found=Fields({"index": 3, "outcome": "ok"}))
    assert told("note", text="a hazard") == Note(at=5.0, text="a hazard")
    assert told("done", peak_resident_bytes=7) == Done(at=5.0, peak_resident_bytes=7)


def test_a_step_says_what_it_computed_or_how_it_died() -> None:
    difference = {"max_absolute": 1e-3, "max_relative": None, "tolerance": 1e-2}
    ok = told("step", name="gemm", outcome="ok", first_seconds=2, best_seconds=1, shape=[2, 2], difference=difference)
    assert isinstance(ok, Step)
    assert (ok.name, ok.outcome, ok.first_seconds, ok.best_seconds) == ("gemm", "ok", 2.0, 1.0)
    assert ok.difference == Difference(max_absolute=1e-3, tolerance=1e-2)
    assert ok.found.numbers("shape") == (2.0, 2.0)
    died = told("step", name="lstm", outcome="crashed", exit_code=139, signal="SIGSEGV", tail="the end", notes=["a", 1])
    assert isinstance(died, Step)
    assert (died.exit_code, died.signal, died.tail, died.notes, died.difference) == (139, "SIGSEGV", "the end", ("a",), None)


def test_an_event_that_nobody_knows_is_left_out() -> None:
    odd: list[Any] = [{"event": "later"}, {"event": None}, {"event": ["begin"]}, {}, 3, None, "begin", {"event": "done"}]
    assert read(odd).events == (Done(),)


@pytest.mark.parametrize("value", ODD)
def test_whatever_stands_in_a_journal_is_typed_and_nothing_raises(value: str) -> None:
    events = [{"event": kind, **dict.fromkeys(NAMES, ODD[value])} for kind in KINDS]
    journal = read(events)
    assert len(journal.events) == len(KINDS)
    for event in journal.events:
        assert msgspec.convert(_typed_fields(event), type(event)) is not None, "each field is of its declared type"
    assert all(isinstance(view, tuple | dict) for view in (journal.imports, journal.steps, journal.results, journal.notes))
    assert [journal.is_done, journal.ends("warm"), len(journal.begun)] == [True, None, 1]


def _typed_fields(event: Event) -> dict[str, Any]:
    """An event's own fields, without those values that may hold anything."""
    named = {name: getattr(event, name) for name in event.__struct_fields__}
    return msgspec.to_builtins({name: value for name, value in named.items() if not isinstance(value, Fields)})


def test_a_text_that_is_none_is_empty() -> None:
    assert told("begin", stage={"a": 1}) == Begin(at=5.0, stage="")
    assert told("note", text=None) == Note(at=5.0, text="")


def test_the_first_end_and_the_last_word_on_an_import_or_a_step_count() -> None:
    journal = read(
        [
            {"event": "end", "stage": "load", "seconds": 1},
            {"event": "end", "stage": "load", "seconds": 2},
            {"event": "import", "name": "torch", "outcome": "trying"},
            {"event": "import", "name": "torch", "outcome": "ok"},
            {"event": "step", "name": "gemm", "outcome": "trying"},
            {"event": "step", "name": "gemm", "outcome": "ok"},
        ]
    )
    end = journal.ends("load")
    assert end is not None
    assert end.seconds == 1.0
    assert {name: each.outcome for name, each in journal.imports.items()} == {"torch": "ok"}
    assert {name: each.outcome for name, each in journal.steps.items()} == {"gemm": "ok"}


def test_what_a_stage_found_is_empty_where_it_did_not_end() -> None:
    journal = read(passing_journal())
    assert journal.found("verify").text("rttm")
    assert [name for name in STAGES if journal.ends(name) is None] == []
    assert read(failing_journal("cold")).found("cold") == Fields()
    assert read([]).found("verify") == Fields()


def test_passes_are_those_of_their_stage_in_order() -> None:
    journal = read(passing_journal(warm=(2.0, 2.5), cold=3.5))
    assert [each.seconds for each in journal.passes("warm")] == [2.0, 2.5]
    assert [each.seconds for each in journal.passes("cold")] == [3.5]


def test_a_failure_is_the_first_one_and_a_launch_that_passed_has_none() -> None:
    failure = read(failing_journal("load", a_link("OSError", "root"))).failure
    assert failure is not None
    assert (failure.stage, failure.chain[-1].type) == ("load", "OSError")
    assert read(passing_journal()).failure is None


def test_the_times_of_a_journal_are_its_first_and_its_latest() -> None:
    lines: list[dict[str, Any]] = [{"event": "note", "at": at} for at in (2.0, 7.0, "x", 3.0)]
    assert (read(lines).first_at, read(lines).last_at) == (2.0, 7.0)
    assert (read(lines[2:]).first_at, read(lines[2:]).last_at) == (None, 3.0)
    assert (read([]).first_at, read([]).last_at) == (None, None)


def test_a_journal_is_not_done_until_it_says_so() -> None:
    assert read(passing_journal()).is_done
    assert not read(passing_journal()[:-1]).is_done


def test_the_typed_journal_of_a_launch_is_made_once() -> None:
    launch = a_launch()
    assert launch.said is launch.said
    assert launch.said == read(launch.journal)


def test_the_typed_journal_is_no_part_of_the_record() -> None:
    record = msgspec.json.encode(a_launch())
    asked, other = (msgspec.json.decode(record, type=Launch) for _ in range(2))
    assert asked.said.is_done
    assert asked == other
    assert msgspec.json.encode(asked) == record
    assert "said" not in msgspec.to_builtins(asked)


def test_a_launch_with_another_journal_says_something_else() -> None:
    launch = a_launch()
    assert launch.said.is_done
    changed = msgspec.structs.replace(launch, journal=())
    assert (changed.said, launch.said.is_done) == (Journal(), True)
    assert copy.copy(launch).said == launch.said


def test_a_typed_journal_cannot_be_put_in_the_place_of_a_launch_s() -> None:
    with pytest.raises(AttributeError):
        a_launch().said = Journal()  # type: ignore[misc]
