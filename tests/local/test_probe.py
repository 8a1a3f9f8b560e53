"""`strixbench probe local-cpu`: every step computed by real torch and pyannote, each in a process of its own."""

from __future__ import annotations

from benchmarks.wire import STEPS
from tests.commands import Workplace


def test_every_step_computes_what_it_should_and_the_matrix_says_so(workplace: Workplace) -> None:
    done = workplace.run("probe", "local-cpu", "--try-fixes")
    assert done.code == 0, done.stdout + done.stderr
    (launch,) = workplace.stored()
    assert launch.verdict.status == "pass"
    steps = launch.said.steps
    assert tuple(steps) == STEPS
    for name, step in steps.items():
        if name.endswith("-miopen-off"):
            assert (step.outcome, step.found.text("reason")) == ("skipped", "no MIOpen on a CPU")
            continue
        assert step.outcome == "ok", step
        assert (step.first_seconds or 0.0) > 0
        assert (step.best_seconds or 0.0) > 0
        assert step.difference is not None
        assert step.difference.max_relative is not None
        assert step.difference.max_relative <= (step.difference.tolerance or 0.0)
    # float32 against float64: a difference of nothing would mean that nothing was compared.
    compared = steps["embedding"].difference
    assert compared is not None
    assert (compared.max_absolute or 0.0) > 0
    assert "lstm-dropout-0: dropout of 1 LSTM(s) set to 0" in steps["lstm-dropout-0"].notes
    assert "| lstm" in done.stdout
    assert "skipped" in done.stdout
