"""`strixbench verify`: real torch and real models on the CPU, once as they are and once with a planted fault.

See `tests.local.planted`: the faults are fakes, in a variant of their own on a device that is called the CPU.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.workloads.ladder import rungs_of
from tests.commands import Workplace
from tests.local.planted import FAILS_AT_BATCH_8, LSTM_WITHOUT_BIAS, LSTM_WITHOUT_BIAS_ABOVE_65535_ROWS, plant

SEGMENTATION = ("verify", "local-cpu", "--ladder", "--models", "segmentation")


def test_the_ladder_names_112_as_the_first_batch_at_which_an_lstm_without_bias_lies(
    workplace: Workplace, tmp_path: Path
) -> None:
    overlay = plant(tmp_path, LSTM_WITHOUT_BIAS_ABOVE_65535_ROWS)
    done = workplace.run(*SEGMENTATION, "--batches", "1,111,112", "--gfx", "planted", "--catalog", str(overlay))
    assert done.code == 1, done.stderr
    (launch,) = workplace.stored()
    assert {rung.batch: rung.outcome for rung in rungs_of(launch.said.results)} == {1: "ok", 111: "ok", 112: "wrong"}
    assert {rung.frames for rung in rungs_of(launch.said.results)} == {589}
    assert launch.verdict.status == "wrong output"
    assert launch.verdict.summary.startswith("segmentation is wrong from batch 112 on; 111 is right: 112 of 112 items off")
    for word in ("589 frames x 112 = 65,968 rows, over 65,535", "pytorch#177834", "rocm-libraries#10551", "at 111 or less"):
        assert word in launch.verdict.summary
        assert word in done.stdout
    assert "planted fault: this is a test's fake" in launch.log_tail
    assert (launch.plan.device, launch.plan.variant) == ("cpu", "planted")


def test_without_a_fault_both_networks_are_right_at_every_rung(workplace: Workplace) -> None:
    done = workplace.run("verify", "local-cpu", "--ladder", "--batches", "1,5")
    assert done.code == 0, done.stdout + done.stderr
    (launch,) = workplace.stored()
    rungs = rungs_of(launch.said.results)
    assert [(rung.model, rung.batch, rung.outcome) for rung in rungs] == [
        *(("segmentation", batch, "ok") for batch in (1, 5)),
        *(("embedding", batch, "ok") for batch in (1, 5)),
    ]
    # It may be nothing, where a batch changes no order of sums. That a difference is seen, the planted faults show.
    assert all(rung.difference is not None for rung in rungs)
    assert "right at every batch that was tried" in done.stdout


def test_a_rung_that_fails_does_not_end_the_others(workplace: Workplace, tmp_path: Path) -> None:
    overlay = plant(tmp_path, FAILS_AT_BATCH_8)
    options = ("--pipeline", "synthetic", "--batches", "1,8,9", "--gfx", "planted", "--catalog", str(overlay))
    done = workplace.run(*SEGMENTATION, *options)
    assert done.code == 1
    (launch,) = workplace.stored()
    assert {rung.batch: rung.outcome for rung in rungs_of(launch.said.results)} == {1: "ok", 8: "failed", 9: "ok"}
    assert (launch.verdict.status, launch.verdict.cause) == ("fail", "error")
    assert launch.verdict.summary == "segmentation failed at batch 8: RuntimeError: planted: no batch of 8"


def test_a_fault_that_the_cpu_run_of_the_same_image_has_not_is_wrong_output(workplace: Workplace, tmp_path: Path) -> None:
    overlay = plant(tmp_path, LSTM_WITHOUT_BIAS)
    options = ("--launches", "1", "--passes", "1", "--audio-seconds", "11", "--gfx", "planted", "--catalog", str(overlay))
    done = workplace.bench("local-cpu", *options)
    assert done.code == 1, done.stderr
    reference, launch = workplace.stored()
    assert (reference.plan.purpose, reference.plan.variant, reference.verdict.status) == ("reference", "cpu", "pass")
    assert reference.plan.environment == {}
    assert launch.verdict.status == "wrong output", launch.verdict
    assert launch.verdict.summary.startswith("not what the CPU of the same image puts out: ")
    assert "the fixed chunk's segmentation is off by " in launch.verdict.summary
    assert launch.agreement is not None
    assert launch.agreement.reference == reference.id
    assert launch.agreement.cosine == pytest.approx(1.0, abs=1e-6), "the embedding has no LSTM"
    assert "planted fault: this is a test's fake" in launch.log_tail
    page = workplace.page.read_text()
    assert "## Agreement with the CPU run" in page
    assert "~~" in page
    assert "Fastest" not in page
