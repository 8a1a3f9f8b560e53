"""Probes with their steps, and fixes."""

from __future__ import annotations

import json

from benchmarks.wire import REQUEST, STEPS
from harness.analysis.rows import rows_of
from harness.catalog.select import foreign_image
from harness.engines.base import Run
from harness.inputs.launch_inputs import row_inputs
from harness.records.outcome import ExitRecord
from harness.records.plan import Settings
from tests.unit.campaigns import (
    CATALOG,
    Bench,
    outcome,
)
from tests.unit.samples import (
    FakeEngine,
    fails_at_import,
    guest_of,
    probing_journal,
    write_journal,
)

PROBE = Settings(options={"steps": STEPS, "step_timeout_seconds": 7.0})


SEGFAULT = {"outcome": "crashed", "signal": "SIGSEGV"}


FIXES = tuple(variant for variant in CATALOG.variants.values() if variant.mends)


def probing_guest(run: Run) -> ExitRecord:
    """A guest whose LSTM dies without a knob, as it asks for in its request."""
    knobs = json.loads((run.exchange / REQUEST).read_text())["knobs"]
    write_journal(run.exchange, probing_journal({} if knobs else {"lstm": SEGFAULT}))
    return ExitRecord(started=True, code=0)


def test_a_probe_asks_for_its_steps_and_keeps_that_in_the_record(bench: Bench) -> None:
    engine = FakeEngine(guest_of(probing_journal()))
    (launch,) = bench.run(engine, settings=PROBE, workload="probe").launches
    assert outcome(launch) == ("pass", "probe", None)
    assert (launch.plan.steps, launch.plan.fixes) == (STEPS, ())


def test_a_fix_is_in_the_cell_the_request_and_the_record(bench: Bench) -> None:
    (launch,) = bench.run(FakeEngine(probing_guest), settings=PROBE, workload="probe", fixes=FIXES).launches
    assert launch.plan.cell == "cpu/cpu+lstm-dropout-0+miopen-off+weights-only-off/embedded/sample-30s"
    assert launch.plan.fixes == ("lstm-dropout-0", "miopen-off", "weights-only-off")
    assert launch.plan.environment == {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    assert launch.verdict.status == "pass"


def test_each_fix_that_may_mend_a_failed_step_is_tried_on_its_own(bench: Bench) -> None:
    launches = bench.run(FakeEngine(probing_guest), settings=PROBE, workload="probe", fixes_to_try=FIXES).launches
    assert [(launch.plan.variant, launch.verdict.status) for launch in launches] == [
        ("cpu", "fail"),
        ("cpu+lstm-dropout-0", "pass"),
        ("cpu+miopen-off", "pass"),
    ]


def test_where_nothing_failed_no_fix_is_tried(bench: Bench) -> None:
    assert (
        len(bench.run(FakeEngine(guest_of(probing_journal())), settings=PROBE, workload="probe", fixes_to_try=FIXES).launches)
        == 1
    )


def test_where_no_fix_bears_on_what_failed_none_is_tried(bench: Bench) -> None:
    assert len(bench.run(FakeEngine(fails_at_import), settings=PROBE, workload="probe", fixes_to_try=FIXES).launches) == 1


def test_a_fix_that_is_set_already_is_not_tried_again(bench: Bench) -> None:
    engine = FakeEngine(guest_of(probing_journal({"lstm": SEGFAULT})))
    launches = bench.run(engine, settings=PROBE, workload="probe", fixes=FIXES[:1], fixes_to_try=FIXES).launches
    assert [launch.plan.variant for launch in launches] == ["cpu+lstm-dropout-0", "cpu+lstm-dropout-0+miopen-off"]


def test_a_probe_for_the_family_runs_no_step(bench: Bench) -> None:
    asked: list[list[str]] = []

    def guest(run: Run) -> ExitRecord:
        request = json.loads((run.exchange / REQUEST).read_text())
        asked.append(request["options"]["steps"])
        write_journal(run.exchange, probing_journal(asked=request["options"]["steps"]))
        return ExitRecord(started=True, code=0)

    bench.run(FakeEngine(guest), images=[foreign_image("somebody/image:1", family=None)], settings=PROBE, workload="probe")
    assert asked == [[], list(STEPS)]


def test_an_image_s_family_is_found_by_what_its_workload_needs_and_a_failure_is_that_workload_s(bench: Bench) -> None:
    asked: list[tuple[str, str]] = []

    def guest(run: Run) -> ExitRecord:
        request = json.loads((run.exchange / REQUEST).read_text())
        asked.append((request["workload"], request["last_stage"]))
        return fails_at_import(run)

    row = CATALOG.workloads["vit"]
    images = [foreign_image("somebody/image:1", family=None)]
    campaign = bench.run(FakeEngine(guest), images=images, profile=row.profile, inputs=row_inputs(row, "batch-8"))
    assert asked == [("vit", "import")], "vit needs no pyannote, as a probe does"
    (found,) = rows_of(campaign.launches)
    assert (found.launches[0].plan.workload.name, found.launches[0].verdict.stage) == ("vit", "import")
