"""The ladder's rungs as a guest journals them, and what the host makes of them. Every number is made up."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from harness.errors import UsageError
from harness.records.fields import Fields
from harness.records.journal import read
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.workloads.ladder import (
    BATCHES,
    first_wrong,
    judge_ladder,
    ladders_of,
    parse_batches,
    parse_models,
    rule_met,
    rungs_of,
)
from reports.markdown.render import render_benchmarks
from reports.terminal.tasks import print_ladders
from tests.unit.command_line import Strixbench
from tests.unit.samples import a_launch, a_link, a_plan, judged, passing_journal

Event = dict[str, Any]


def rung(batch: int, outcome: str = "ok", *, model: str = "segmentation", **fields: Any) -> list[Event]:
    """The two events of a rung; ``unfinished`` has only the first."""
    begun = {"event": "result", "model": model, "batch": batch, "outcome": "trying"}
    off = {"finite": True, "max_difference": 5.0, "relative_difference": 0.3, "cosine": 0.9, "wrong_items": batch}
    near = {"finite": True, "max_difference": 1e-6, "relative_difference": 1e-7, "cosine": 1.0, "wrong_items": 0}
    numbers = {"ok": near, "wrong": off, "failed": {"chain": [a_link("builtins.RuntimeError", "no room")]}}.get(outcome, {})
    frames = 589 if model == "segmentation" else None
    ended = {**begun, "outcome": outcome, "seconds": 1.0, "frames": frames, **numbers, **fields}
    return [begun] if outcome == "unfinished" else [begun, ended]


def climb(outcomes: Sequence[str], batches: Sequence[int] = BATCHES) -> list[Event]:
    return [event for batch, outcome in zip(batches, outcomes, strict=True) for event in rung(batch, outcome)]


def told(events: Sequence[Event]) -> tuple[Fields, ...]:
    """The results of a journal of these events."""
    return read(events).results


ALL_RIGHT = ["ok"] * len(BATCHES)
LOST_BIAS = [*["ok"] * 5, "wrong", "wrong"]
ASKED = {"models": ["segmentation"], "batches": list(BATCHES)}


def test_a_ladder_that_is_right_all_the_way_passes() -> None:
    verdict = judge_ladder(told(climb(ALL_RIGHT)), ASKED)
    assert (verdict.status, verdict.stage) == ("pass", "ladder")


def test_the_lost_bias_is_named_with_its_rule_and_its_sources() -> None:
    verdict = judge_ladder(told(climb(LOST_BIAS)), ASKED)
    assert (verdict.status, verdict.cause) == ("wrong output", None)
    assert verdict.summary == (
        "segmentation is wrong from batch 112 on; 111 is right: 112 of 112 items off, by up to 5 (0.3 of the CPU's largest value, "
        "at most 0.001 is right), cosine 0.900000. 589 frames x 112 = 65,968 rows, over 65,535: MIOpen before ROCm 10 leaves out "
        "the LSTM's bias there (pytorch#177834, rocm-libraries#10551). Keep segmentation batches at 111 or less"
    )


def test_a_first_wrong_batch_far_above_the_limit_says_what_was_not_tried() -> None:
    rungs = rungs_of(told(climb(["ok", "ok", "wrong"], [1, 64, 128])))
    (wrong,) = (each for each in rungs if each.outcome == "wrong")
    assert "; 111 would be the last right one, and was not tried" in rule_met(rungs, wrong)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["ok", "ok", "wrong", *["ok"] * 4], "not the rule of 65,535 rows: 589 frames x 32 = 18,848 rows, and 112 is right"),
        (["ok", "ok", *["wrong"] * 5], "not the rule of 65,535 rows: 589 frames x 32 = 18,848 rows"),
        ([*["ok"] * 5, "wrong", "ok"], "not the rule of 65,535 rows: 589 frames x 112 = 65,968 rows, and 128 is right"),
    ],
)
def test_what_lies_elsewhere_is_another_fault(outcomes: list[str], said: str) -> None:
    rungs = rungs_of(told(climb(outcomes)))
    wrong = first_wrong(rungs, "segmentation")
    assert wrong is not None
    assert rule_met(rungs, wrong) == said


def test_for_an_embedding_no_rule_is_known() -> None:
    events = [event for batch in (1, 8) for event in rung(batch, "wrong" if batch == 8 else "ok", model="embedding")]
    verdict = judge_ladder(told(events), {"models": ["embedding"], "batches": [1, 8]})
    assert verdict.summary.startswith("embedding is wrong from batch 8 on; 1 is right")
    assert verdict.summary.endswith("no rule is known for it")


def test_a_batch_that_cannot_be_run_is_a_failure_and_the_others_stand() -> None:
    events = climb(["ok", "failed", "ok"], [1, 8, 32])
    verdict = judge_ladder(told(events), {"models": ["segmentation"], "batches": [1, 8, 32]})
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert verdict.summary == "segmentation failed at batch 8: builtins.RuntimeError: no room"
    assert [each.outcome for each in rungs_of(told(events))] == ["ok", "failed", "ok"]


def test_a_batch_too_large_for_the_memory_is_out_of_memory() -> None:
    chain = [a_link("torch.OutOfMemoryError", "HIP out of memory.")]
    verdict = judge_ladder(told(rung(1) + rung(128, "failed", chain=chain)), {"models": ["segmentation"], "batches": [1, 128]})
    assert (verdict.status, verdict.cause) == ("fail", "out of memory")


def test_a_lie_outweighs_a_failure() -> None:
    verdict = judge_ladder(
        told(climb(["ok", "failed", "wrong"], [1, 8, 32])), {"models": ["segmentation"], "batches": [1, 8, 32]}
    )
    assert verdict.status == "wrong output"


@pytest.mark.parametrize(
    "numbers",
    [
        {"finite": False},
        {"relative_difference": None},
        {"relative_difference": 0.002},
        {"relative_difference": -1.0},
        {"cosine": 0.99},
        {"cosine": None},
        {"cosine": "1"},
    ],
    ids=str,
)
def test_what_calls_itself_right_is_held_to_the_same_bounds(numbers: dict[str, Any]) -> None:
    (found,) = rungs_of(told(rung(8, "ok", **numbers)))
    assert found.outcome == "wrong"


@pytest.mark.parametrize("events", [[], climb(["ok"], [1]), climb(["ok", "unfinished"], [1, 8])], ids=len)
def test_a_journal_that_ends_without_a_rung_that_was_asked_for_cannot_be_true(events: list[Event]) -> None:
    verdict = judge_ladder(told(events), {"models": ["segmentation"], "batches": [1, 8]})
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert "the journal cannot be true" in verdict.summary


@pytest.mark.parametrize(
    "odd",
    [
        {"model": "other", "batch": 1},
        {"model": "segmentation", "batch": "1"},
        {"model": "segmentation", "batch": True},
        {"model": "segmentation", "batch": 10**9},
        {"model": ["segmentation"], "batch": 1},
        {},
    ],
    ids=str,
)
def test_what_is_no_rung_is_left_out(odd: Event) -> None:
    assert rungs_of(told([{"event": "result", "outcome": "ok", **odd}])) == ()


@pytest.mark.parametrize("frames", [None, "589", -1, 1e12, [589]])
def test_frames_that_cannot_be_are_unknown(frames: Any) -> None:
    (found,) = rungs_of(told(rung(112, "wrong", frames=frames)))
    assert found.rows is None
    assert rule_met([found], found) == "no rule is known for it"


def a_ladder(events: Sequence[Event], number: int = 1, *, done: bool = True, **plan: Any) -> Launch:
    """A launch of the ladder; without ``done`` its guest died during it."""
    fields: dict[str, Any] = {"last_stage": "device", "task": "ladder", "options": ASKED, **plan}
    journal = [*passing_journal(last_stage="device")[:-1], {"event": "begin", "stage": "ladder"}, *events]
    if done:
        journal += [{"event": "end", "stage": "ladder", "seconds": 9.0}, {"event": "done"}]
    ended = ExitRecord(started=True, code=0 if done else 139)
    return a_launch(a_plan(number, **fields), journal=journal, exit=ended)


def test_the_judge_hears_the_ladder_out() -> None:
    assert a_ladder(climb(ALL_RIGHT)).verdict.status == "pass"
    assert a_ladder(climb(LOST_BIAS)).verdict.status == "wrong output"
    assert a_ladder(climb(ALL_RIGHT[:-1], BATCHES[:-1])).verdict.status == "fail"


def test_a_guest_that_dies_says_on_which_rung() -> None:
    launch = a_ladder(climb(["ok", "unfinished"], [1, 8]), done=False)
    assert (launch.verdict.cause, launch.verdict.summary) == ("crash", "died of SIGSEGV in ladder, segmentation at batch 8")


def test_a_hang_says_on_which_rung() -> None:
    launch = a_ladder(climb(["ok", "unfinished"], [1, 8]), done=False)
    verdict = judged(launch.journal, ExitRecord(started=True, timed_out=True), family="cpu", last_stage="device", task="ladder")
    assert verdict.cause == "timeout"
    assert "segmentation at batch 8" in verdict.summary


def test_the_page_has_the_latest_ladder_of_each_image_and_no_row_of_a_result() -> None:
    old, new = a_ladder(climb(ALL_RIGHT), 1), a_ladder(climb(LOST_BIAS), 2)
    page = render_benchmarks([old, new])
    assert "### Ladder of cpu (podman, cpu, embedded, on cpu)" in page
    assert "| segmentation | 111 | 65,379 | 0 | 1.0e-06 | 1.0e-07 | 1.000000 | right |" in page
    assert "| segmentation | 112 | 65,968 | 112 | 5.0e+00 | 3.0e-01 | 0.900000 | WRONG |" in page
    assert page.count("Launch `") == 1
    assert "Fastest" not in page


def test_what_a_guest_wrote_is_escaped_on_the_page() -> None:
    chain = [a_link("builtins.RuntimeError", "| <script> `x` @everyone")]
    page = render_benchmarks([a_ladder(rung(1, "failed", chain=chain))])
    assert "<script>" not in page
    assert "@everyone" not in page


def test_a_ladder_that_was_interrupted_does_not_take_the_place_of_one_that_ended() -> None:
    old = a_ladder(climb(ALL_RIGHT), 1)
    cut = msgspec.structs.replace(
        a_ladder([], 2, done=False), verdict=msgspec.structs.replace(old.verdict, status="fail", cause="interrupted")
    )
    assert ladders_of([old, cut]) == (old,)


def test_the_terminal_shows_each_rung_and_what_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    print_ladders([a_ladder(climb(LOST_BIAS))])
    text = out.getvalue()
    assert "Ladder of cpu (podman, cpu, embedded, on cpu)" in text
    assert "WRONG" in text
    assert ": segmentation is wrong from batch 112 on" in text


def test_batches_are_read_in_order_and_each_once() -> None:
    assert parse_batches("112, 1,111,1") == (1, 111, 112)
    assert parse_models("embedding,segmentation") == ("segmentation", "embedding")
    assert parse_models(None) == ("segmentation", "embedding")


@pytest.mark.parametrize("text", ["", "0", "-1", "1;2", "1,,2", "4097", "1e3", "9" * 30, "²"])
def test_batches_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number from 1 to 4096"):
        parse_batches(text)


def test_a_network_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'segmentation'"):
        parse_models("segmentatoin")


def test_options_of_the_ladder_without_it_are_refused(strixbench: Strixbench) -> None:
    outcome = strixbench("verify", "local-cpu", "--batches", "1")
    assert outcome.code == 2
    assert "--ladder" in outcome.err


def test_verify_refuses_an_image_that_is_not_known_before_anything_is_fetched(strixbench: Strixbench) -> None:
    outcome = strixbench("verify", "no-such-image")
    assert outcome.code == 2
    assert "no image in the catalog" in outcome.err
