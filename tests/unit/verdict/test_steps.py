"""What becomes of the probe's steps. The journals are made up: nothing was computed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.wire import STEPS
from harness.records.journal import Step, read
from harness.records.outcome import ExitRecord
from harness.verdict.judge import judge
from harness.verdict.steps import judge_step
from tests.unit.probe_steps import FAR, NAN, SEGFAULT, SKIPPED, TIMEOUT
from tests.unit.samples import Event, a_launch, a_link, a_plan, a_probe_launch, journal_until, probing_journal


def test_all_steps_ok_or_skipped_is_a_pass() -> None:
    launch = a_probe_launch(steps={"lstm-miopen-off": SKIPPED})
    assert (launch.verdict.status, launch.verdict.stage) == ("pass", "device")


@pytest.mark.parametrize(
    ("event", "status", "cause", "said"),
    [
        (SEGFAULT, "fail", "crash", "lstm died of SIGSEGV: Fatal Python error: Segmentation fault"),
        ({"outcome": "crashed", "exit_code": 7}, "fail", "crash", "lstm died of exit 7 without saying why: it printed nothing"),
        ({"outcome": "crashed", "signal": "SIGKILL"}, "fail", "out of memory", "lstm was killed (SIGKILL)"),
        (TIMEOUT, "fail", "timeout", "lstm did not end in its time"),
        ({"outcome": "failed", "chain": [a_link("builtins.MemoryError", "")]}, "fail", "out of memory", "MemoryError"),
        ({"outcome": "failed"}, "fail", "error", "an exception that the journal does not name"),
        (
            FAR,
            "wrong output",
            None,
            "wrong numbers in lstm: 3.1e-01 of the largest value away from the CPU's, 1e-03 is allowed",
        ),
        (NAN, "wrong output", None, "wrong numbers in lstm: not finite"),
        ({"outcome": "wrong", "difference": "nonsense"}, "wrong output", None, "not finite"),
    ],
    ids=["segfault", "exit", "killed", "timeout", "memory", "no chain", "far", "nan", "nonsense"],
)
def test_a_step_that_is_not_ok_is_the_verdict(event: Event, status: str, cause: str | None, said: str) -> None:
    verdict = a_probe_launch(steps={"lstm": event}).verdict
    assert (verdict.status, verdict.stage, verdict.cause) == (status, "lstm", cause)
    assert said in verdict.summary


def test_a_failure_speaks_before_wrong_numbers_and_the_first_before_the_later() -> None:
    assert a_probe_launch(steps={"gemm": FAR, "lstm": SEGFAULT, "embedding": TIMEOUT}).verdict.stage == "lstm"
    assert a_probe_launch(steps={"lstm": FAR, "embedding": NAN}).verdict.stage == "lstm"


def test_what_a_step_printed_can_make_its_failure_known() -> None:
    (told,) = read(
        [
            {
                "event": "step",
                "name": "lstm",
                "outcome": "failed",
                "chain": [a_link("builtins.RuntimeError", "x")],
                "tail": "HIP out of memory. Tried",
            }
        ]
    ).of(Step)
    assert judge_step(told).signature == "gpu-out-of-memory"


def test_a_journal_without_a_step_that_was_asked_for_is_no_pass() -> None:
    plan = a_plan(last_stage="device", steps=STEPS)
    verdict = a_launch(plan, journal=probing_journal(asked=STEPS[:-1])).verdict
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", STEPS[-1], "error")


@pytest.mark.parametrize("outcome", [None, "trying", "fine", ["ok"], {}], ids=str)
def test_an_outcome_that_there_is_not_is_no_pass(outcome: Any) -> None:
    journal = probing_journal({"gemm": {"outcome": outcome}})
    assert (
        judge(read(journal), ExitRecord(started=True, code=0), family="cpu", last_stage="device", steps=STEPS).status == "fail"
    )


def test_a_step_that_nobody_asked_for_is_no_stage_that_was_reached() -> None:
    journal = (*journal_until("warm"), {"event": "step", "name": "lstm", "outcome": "trying"})
    verdict = judge(read(journal), ExitRecord(started=True, timed_out=True), family="cpu", last_stage="verify")
    assert verdict.stage == "warm"


@pytest.mark.parametrize(
    "told",
    [
        {"best_seconds": -5.0},
        {"best_seconds": 1e18},
        {"best_seconds": "soon"},
        {"difference": None},
        {"difference": {"max_relative": None, "tolerance": 1e-4}},
        {"difference": {"max_relative": 0.5, "tolerance": 1e-4}},
        {"difference": {"max_relative": 0.0, "tolerance": -1}},
    ],
    ids=str,
)
def test_a_step_whose_figures_cannot_be_is_not_ok(told: dict[str, Any]) -> None:
    launch = a_probe_launch(steps={"gemm": told})
    assert (launch.verdict.status, launch.verdict.stage, launch.verdict.cause) == ("fail", "gemm", "error")
    assert "cannot be true" in launch.verdict.summary
