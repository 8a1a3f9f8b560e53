"""`strixbench probe local-cpu`: every step computed by real torch and pyannote, each in a process of its own."""

from __future__ import annotations

from benchmarks.wire import STEPS
from tests.commands import Workplace


def test_every_step_computes_what_it_should_and_the_matrix_says_so(workplace: Workplace) -> None:
    done = workplace.run("probe", "local-cpu", "--try-fixes")
    assert done.code == 0, done.stdout + done.stderr
    (launch,) = workplace.stored()
    assert launch.verdict.status == "pass"
    assert tuple(launch.steps) == STEPS
    for name, event in launch.steps.items():
        if name.endswith("-miopen-off"):
            assert (event["outcome"], event["reason"]) == ("skipped", "no MIOpen on a CPU")
            continue
        assert event["outcome"] == "ok", event
        assert event["first_seconds"] > 0
        assert event["best_seconds"] > 0
        assert event["difference"]["max_relative"] <= event["difference"]["tolerance"]
    # float32 against float64: a difference of nothing would mean that nothing was compared.
    assert launch.steps["embedding"]["difference"]["max_absolute"] > 0
    assert "lstm-dropout-0: dropout of 1 LSTM(s) set to 0" in launch.steps["lstm-dropout-0"]["notes"]
    assert "| lstm" in done.stdout
    assert "skipped" in done.stdout
