"""An output against the CPU run's: each planted fault is caught and says by how much; another name for a speaker is no fault.

Outputs are made up here, and so is every number in them.
"""

from __future__ import annotations

import array
import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.analysis.agreement_rows import agreement_rows
from harness.analysis.rows import rows_of, workloads_of
from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell
from harness.catalog.select import with_fixes
from harness.engines.base import Run
from harness.inputs.launch_inputs import recording_inputs
from harness.launch.plan import Origin, prepare_launch
from harness.records.launch import Launch
from harness.records.outcome import Agreement, ExitRecord
from harness.records.plan import EngineRecord, Settings
from harness.verdict.agreement import (
    CpuReference,
    as_reference,
    compared,
    find_reference,
    needs_reference,
    reference_cell,
)
from harness.workloads.diarization import DiarizationWorkload
from harness.workloads.diarization.agreement import agree, chunk_of
from reports.markdown.render import render_benchmarks
from reports.status import status_text
from reports.values import format_cosine
from tests.unit.campaigns import Bench
from tests.unit.samples import (
    HOST,
    WORKLOAD,
    FakeEngine,
    a_failed_launch,
    a_launch,
    a_plan,
    an_audio,
    guest_of,
    passing_journal,
    some_models,
    write_journal,
)

CATALOG = load_catalog()
NUMBERS = WORKLOAD.numbers
EMBEDDING = tuple(math.sin(number) for number in range(192))
SEGMENTATION = tuple(-10.0 * abs(math.cos(number)) for number in range(128))
TURNS = ((0.0, 10.0, "SPEAKER_00"), (10.0, 18.0, "SPEAKER_01"), (18.0, 20.0, "SPEAKER_02"))


def an_rttm(turns: Sequence[tuple[float, float, str]]) -> str:
    return "".join(f"SPEAKER x 1 {start:.3f} {end - start:.3f} <NA> <NA> {who} <NA> <NA>\n" for start, end, who in turns)


def values(floats: Sequence[float], **changes: Any) -> dict[str, Any]:
    sampled = base64.b64encode(array.array("f", floats).tobytes()).decode()
    odd = sum(not math.isfinite(value) for value in floats)
    return {"values": len(floats), "not_finite": odd, "spread": None if odd else 0.0, "sampled": sampled, **changes}


def a_chunk(**changes: Any) -> dict[str, Any]:
    made = {"input_sha256": "a" * 64, "start_seconds": 10.0, "batches": [1, 1]}
    return {**made, "segmentation": values(SEGMENTATION), "embedding": values(EMBEDDING), **changes}


def an_output(*, turns: Sequence[tuple[float, float, str]] = TURNS, **changes: Any) -> dict[str, Any]:
    """What `verify` journals about an output that agrees with itself."""
    return {"rttm": an_rttm(turns), "chunk": a_chunk(), **changes}


def launched(
    number: int = 1, *, gpu: bool = True, pipeline: str = "embedded", plan: dict[str, Any] | None = None, **output: Any
) -> Launch:
    """A launch of a made-up GPU image, or its CPU run."""
    workload = msgspec.structs.replace(WORKLOAD, profile=pipeline)
    fields: dict[str, Any] = {"family": "rocm", "variant": "native" if gpu else "cpu", "device": "cuda" if gpu else "cpu"}
    fields |= {"purpose": "result" if gpu else "reference", "image": "rocm-made-up", **(plan or {})}
    journal = passing_journal(hip="7.2", **{**an_output(), **output})
    return a_launch(a_plan(number, workload=workload, **fields), journal=journal)


REFERENCE = launched(9, gpu=False)


def reasons(**output: Any) -> str:
    return "; ".join(agree(launched(**output), REFERENCE).reasons)


def test_the_same_output_agrees_and_says_by_how_much() -> None:
    found = agree(launched(), REFERENCE)
    assert found == Agreement(
        reference=REFERENCE.id,
        der=0.0,
        speakers=3,
        reference_speakers=3,
        cosine=1.0,
        difference=0.0,
        relative_difference=0.0,
        sampled=128,
    )
    assert found.is_right


def test_a_permutation_of_labels_alone_is_not_flagged() -> None:
    names = {"SPEAKER_00": "SPEAKER_02", "SPEAKER_01": "SPEAKER_00", "SPEAKER_02": "SPEAKER_01"}
    found = agree(launched(rttm=an_rttm([(start, end, names[who]) for start, end, who in TURNS])), REFERENCE)
    assert found.is_right
    assert found.der == 0.0


def test_a_label_that_is_swapped_inside_the_hypothesis_is_caught() -> None:
    swapped = [(0.0, 5.0, "SPEAKER_00"), (5.0, 10.0, "SPEAKER_01"), *TURNS[1:]]
    assert reasons(turns=swapped, rttm=an_rttm(swapped)) == "DER 25.0% against the CPU run; at most 1% is allowed"


def test_a_dropped_speaker_is_caught_twice_over() -> None:
    said = reasons(rttm=an_rttm(TURNS[:2]))
    assert "2 speaker(s), the CPU run has 3" in said
    assert "DER 10.0% against the CPU run" in said


def test_a_speaker_too_few_is_caught_where_the_der_hardly_moves() -> None:
    short = (*TURNS[:2], (18.0, 20.0, "SPEAKER_01"), (20.0, 20.01, "SPEAKER_02"))
    reference = launched(9, gpu=False, rttm=an_rttm((*TURNS[:2], (18.0, 20.0, "SPEAKER_01"), (20.0, 20.01, "SPEAKER_02"))))
    found = agree(launched(rttm=an_rttm(short[:3])), reference)
    assert found.der is not None
    assert found.der < 0.01
    assert found.reasons == ("2 speaker(s), the CPU run has 3",)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
@pytest.mark.parametrize("network", ["segmentation", "embedding"])
def test_what_is_not_finite_is_caught(network: str, odd: float) -> None:
    floats = [odd, *(EMBEDDING if network == "embedding" else SEGMENTATION)[1:]]
    found = agree(launched(chunk=a_chunk(**{network: values(floats)}), finite=False), REFERENCE)
    assert found.reasons[0] == "something that is not finite (NaN or infinite) was put out"
    assert f"1 value(s) of the fixed chunk's {network} are not finite" in found.reasons


def test_an_embedding_that_points_elsewhere_is_caught_and_one_of_another_length_of_arrow_is_not() -> None:
    longer = [value * 3 for value in EMBEDDING]
    assert reasons(chunk=a_chunk(embedding=values(longer))) == ""
    turned = [*(-value for value in EMBEDDING[:20]), *EMBEDDING[20:]]
    said = reasons(chunk=a_chunk(embedding=values(turned)))
    assert said.startswith("the fixed chunk's embedding has a cosine of 0.802492 to")
    assert "at least 0.999 is right" in said


def test_a_segmentation_that_is_off_is_caught_by_its_largest_difference() -> None:
    off = [SEGMENTATION[0] + 0.2, *SEGMENTATION[1:]]
    found = agree(launched(chunk=a_chunk(segmentation=values(off))), REFERENCE)
    assert found.difference == pytest.approx(0.2, abs=1e-6)
    assert found.relative_difference == pytest.approx(0.02, abs=1e-6)
    assert found.reasons == (
        "the fixed chunk's segmentation is off by 0.02 times the CPU run's largest value; at most 0.01 is allowed",
    )
    assert reasons(chunk=a_chunk(segmentation=values([SEGMENTATION[0] + 0.05, *SEGMENTATION[1:]]))) == ""


def test_items_of_one_batch_that_differ_among_themselves_are_caught() -> None:
    assert "0.05 times the CPU run's largest value" in reasons(chunk=a_chunk(segmentation=values(SEGMENTATION, spread=0.5)))


def test_with_random_weights_only_the_numbers_are_compared() -> None:
    reference = launched(9, gpu=False, pipeline="synthetic")
    other = launched(pipeline="synthetic", rttm=an_rttm(TURNS[:1]))
    found = agree(other, reference)
    assert found.is_right
    assert (found.der, found.speakers, found.reference_speakers) == (None, None, None)
    assert not agree(launched(pipeline="synthetic", chunk=a_chunk(embedding=values(EMBEDDING[::-1]))), reference).is_right


@pytest.mark.parametrize(
    "chunk",
    [
        None,
        "text",
        {},
        a_chunk(input_sha256="b" * 64),
        a_chunk(input_sha256="../../etc"),
        a_chunk(embedding=values(EMBEDDING, sampled="!!!")),
        a_chunk(embedding=values(EMBEDDING, sampled="AAA=")),
        a_chunk(embedding=values(EMBEDDING, sampled="")),
        a_chunk(embedding=values(EMBEDDING, sampled="A" * 5000)),
    ],
    ids=str,
)
def test_a_chunk_that_cannot_be_compared_is_not_right(chunk: Any) -> None:
    assert reasons(chunk=chunk) == "what the networks made of the fixed chunk cannot be compared"


@pytest.mark.parametrize("floats", [EMBEDDING[:100], [0.0] * 192, [1e38] * 192], ids=["shorter", "nothing", "huge"])
def test_embeddings_without_an_angle_between_them_are_not_right(floats: Sequence[float]) -> None:
    assert "cosine of " in reasons(chunk=a_chunk(embedding=values(floats)))


@pytest.mark.parametrize("rttm", [None, 7, "SPEAKER x 1 nan 1 <NA> <NA> a"])
def test_turns_that_cannot_be_read_are_not_right(rttm: Any) -> None:
    assert reasons(rttm=rttm).startswith("the output's turns cannot be compared: ")


def test_what_does_not_agree_has_wrong_output_and_its_speed_is_struck_through_and_never_ranked() -> None:
    wrong = compared(launched(rttm=an_rttm(TURNS[:2])), CpuReference(REFERENCE))
    assert (wrong.verdict.status, wrong.verdict.stage) == ("wrong output", "verify")
    assert wrong.verdict.summary.startswith("not what the CPU of the same image puts out: 2 speaker(s), the CPU run has 3; DER")
    page = render_benchmarks([REFERENCE, wrong])
    assert "~~2.10 s~~ | ~~14.3x~~" in page
    assert "Fastest" not in page
    assert "| rocm-made-up | podman | native | embedded | sample-30s, 30.0 s | " in page
    assert "WRONG OUTPUT (1 of 1): 2 speaker(s), the CPU run has 3" in page


def test_what_agrees_is_ranked_with_its_figures() -> None:
    right = compared(launched(), CpuReference(REFERENCE))
    assert right.verdict.status == "pass"
    (row,) = rows_of([REFERENCE, right])
    assert row.is_ranked
    page = render_benchmarks([REFERENCE, right])
    assert f"| {REFERENCE.id} | 0.0% | 3 of 3 | 1.000000 | 0.0e+00 (0.0e+00 of the largest), 128 values | 1 | agrees |" in page


def test_what_was_not_compared_passes_and_has_no_rank() -> None:
    for launch, why in (
        (launched(), "no comparison was made"),
        (compared(launched(), CpuReference(why_not="the CPU run failed")), "the CPU run failed"),
    ):
        (row,) = rows_of([launch])
        assert (row.status, row.is_ranked, row.why_not_compared) == ("pass", False, why)
        assert status_text(row) == "PASS, not compared with the CPU"
        page = render_benchmarks([launch])
        assert "Fastest" not in page
        assert f"not compared: {why}" in page
        assert f"- **Not compared with the CPU run, so not ranked**: rocm-made-up (podman): {why}" in page


def test_a_cpu_launch_in_which_a_knob_told_the_workload_something_is_no_cpu_run() -> None:
    told = launched(gpu=False, plan={"purpose": "result", "options": {"precision": "float16"}})
    (row,) = rows_of([told])
    assert (row.status, row.is_ranked, row.why_not_compared) == ("pass", False, "no comparison was made")
    (plain,) = rows_of([launched(gpu=False, plan={"purpose": "result"})])
    assert plain.is_ranked


def test_rows_not_known_to_be_right_come_after_the_right_ones_and_before_the_wrong() -> None:
    fast, right = launched(1, plan={"image": "fast"}), compared(launched(2, plan={"image": "right"}), CpuReference(REFERENCE))
    wrong = compared(launched(3, rttm="", plan={"image": "wrong"}), CpuReference(REFERENCE))
    (workload,) = workloads_of(rows_of([wrong, fast, right]))
    assert [row.image for row in workload.rows] == ["right", "fast", "wrong"]


def test_cpu_runs_alone_need_no_section() -> None:
    launch = a_launch()
    assert agreement_rows(rows_of([launch])) == ()
    assert "Agreement" not in render_benchmarks([launch])
    told = {each.row.image: each.said for each in agreement_rows(rows_of([launch, launched()]))}
    assert told == {"cpu": "is a CPU run", "rocm-made-up": "not compared: no comparison was made"}


def test_a_gpu_that_fails_needs_no_section_either() -> None:
    failed = a_failed_launch(a_plan(2, family="rocm", image="broken", device="cuda"), stage="cold")
    assert agreement_rows(rows_of([a_launch(), failed])) == ()


def test_the_worst_figure_of_several_launches_is_shown() -> None:
    near = a_chunk(segmentation=values([SEGMENTATION[0] + 0.01, *SEGMENTATION[1:]]))
    launches = [compared(each, CpuReference(REFERENCE)) for each in (launched(1, chunk=near), launched(2))]
    (each,) = agreement_rows(rows_of(launches))
    assert (each.n, each.said) == (2, "agrees")
    assert [(figure.name, figure.values, figure.reference) for figure in each.figures] == [
        ("DER", (0.0,), None),
        ("Speakers", (3.0,), 3),
    ]
    assert each.difference == pytest.approx(0.01, abs=1e-6)


def test_a_cosine_is_never_rounded_up_to_one() -> None:
    assert format_cosine(0.9999999) == "0.999999"
    assert format_cosine(1.0) == format_cosine(1 - 1e-13) == "1.000000"
    assert format_cosine(None) == "-"


def test_a_launch_that_failed_has_nothing_to_compare() -> None:
    failed = a_failed_launch(a_plan(family="rocm"), stage="cold")
    assert compared(failed, CpuReference(REFERENCE)) == failed


def test_a_cpu_run_that_is_not_right_itself_is_nothing_to_compare_with() -> None:
    failed = a_failed_launch(a_plan(variant="cpu"), stage="load")
    assert as_reference(failed).why_not.startswith("the CPU run of the same image failed in load: builtins.ImportError")
    assert as_reference(launched(9, gpu=False, finite=False)).why_not.startswith(
        "the CPU run of the same image has wrong output in verify"
    )
    assert "kept nothing" in as_reference(launched(9, gpu=False, chunk=None)).why_not
    assert as_reference(REFERENCE) == CpuReference(REFERENCE)


def test_the_cpu_run_has_no_override_and_no_knob_but_what_makes_a_checkpoint_load() -> None:
    fixes = [CATALOG.variants[name] for name in ("miopen-off", "weights-only-off", "lstm-dropout-0")]
    variant = with_fixes(CATALOG.variants["gfx1100"], fixes)
    cell = reference_cell(Cell(CATALOG.images["rocm72"], variant, CATALOG.pipelines["3.1"].profile, "sample-30s"), CATALOG)
    assert cell.id == "rocm72/cpu+weights-only-off/3.1/sample-30s"
    assert cell.variant.environment == {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    assert cell.variant.guest == ()


def test_a_gpu_is_always_compared_and_a_cpu_where_something_was_switched() -> None:
    profile = CATALOG.pipelines["embedded"].profile
    cpu, native, fixed = (
        Cell(CATALOG.images["cpu"], variant, profile, "sample-30s")
        for variant in (
            CATALOG.variants["cpu"],
            CATALOG.variants["native"],
            with_fixes(CATALOG.variants["cpu"], [CATALOG.variants["lstm-dropout-0"]]),
        )
    )
    assert needs_reference("cuda", native, cpu)
    assert not needs_reference("cpu", cpu, cpu)
    assert needs_reference("cpu", fixed, cpu)
    assert needs_reference("cpu", msgspec.structs.replace(cpu, options=(("precision", "float16"),)), cpu)


def test_a_cpu_run_is_found_again_only_where_all_that_matters_is_the_same() -> None:
    wanted = REFERENCE.plan
    assert find_reference([REFERENCE], wanted) == REFERENCE
    others: dict[str, dict[str, Any]] = {
        "image": {"image": msgspec.structs.replace(wanted.image, id="sha256:other")},
        "device": {"device": "cuda"},
        "variant": {"variant": "cpu+weights-only-off"},
        "environment": {"environment": {"OMP_NUM_THREADS": "1"}},
        "audio": {"workload": msgspec.structs.replace(wanted.workload, input_sha256="e" * 64)},
        "pipeline": {"workload": msgspec.structs.replace(wanted.workload, profile="3.1")},
        "models": {"workload": msgspec.structs.replace(wanted.workload, models=("a@b",))},
        "batch": {"workload": msgspec.structs.replace(wanted.workload, numbers={**NUMBERS, "segmentation_batch_size": 64})},
        "embedding batch": {
            "workload": msgspec.structs.replace(wanted.workload, numbers={**NUMBERS, "embedding_batch_size": 64})
        },
        "workload": {"workload": msgspec.structs.replace(wanted.workload, name="ladder")},
        "stage": {"last_stage": "warm"},
        "guest": {"guest_sha256": "another"},
    }
    for name, changes in others.items():
        assert find_reference([REFERENCE], msgspec.structs.replace(wanted, **changes)) is None, name


def test_a_cpu_run_that_failed_or_kept_no_chunk_is_not_found_and_of_several_the_latest_is() -> None:
    wanted = REFERENCE.plan
    assert find_reference([a_failed_launch(wanted)], wanted) is None
    assert find_reference([launched(9, gpu=False, chunk=None)], wanted) is None
    later = launched(10, gpu=False)
    assert find_reference([REFERENCE, later], wanted) == later
    assert find_reference([launched(11, gpu=False, plan={"purpose": "result"})], wanted) is not None


def test_a_chunk_is_read_to_the_bit() -> None:
    chunk = chunk_of(REFERENCE)
    assert chunk is not None
    assert chunk.embedding.floats == tuple(array.array("f", EMBEDDING))


def guest_where_the_gpu(gpu: dict[str, Any]) -> Any:
    """A fake guest: a run with the override puts out something else than one without."""

    def guest(run: Run) -> ExitRecord:
        faulty = "FAULT" in run.environment
        write_journal(run.exchange, passing_journal(**{**an_output(), **(gpu if faulty else {"warm": ()})}))
        return ExitRecord(started=True, code=0)

    return guest


FAULTY = msgspec.structs.replace(CATALOG.variants["native"], name="faulty", environment={"FAULT": "1"})
"""A variant on a CPU image, so that no GPU is pretended: one that sets something is compared there as well."""

PLANTED = msgspec.structs.replace(CATALOG, variants={**CATALOG.variants, "faulty": FAULTY})
IMAGE = msgspec.structs.replace(CATALOG.images["cpu"], variants=("faulty",))


def test_the_cpu_run_is_launched_once_before_the_cell_and_each_launch_is_compared(bench: Bench) -> None:
    engine = FakeEngine(guest_where_the_gpu({}))
    bench.run(engine, images=(IMAGE,), launches=2, catalog=PLANTED)
    reference, first, second = bench.store.launches()
    assert (reference.plan.purpose, reference.plan.variant, reference.plan.device) == ("reference", "cpu", "cpu")
    assert reference.plan.environment == {}
    assert reference.plan.warm_passes == 0
    for launch in (first, second):
        assert launch.agreement is not None
        assert launch.agreement.is_right
        assert launch.agreement.reference == reference.id
        assert launch.verdict.status == "pass"
    assert bench.listener.announced == ["the CPU run of cpu comes first, to compare with (--no-verify: without)"]


def test_the_cpu_run_leaves_a_kept_cache_as_the_cell_finds_it(bench: Bench) -> None:
    bench.run(FakeEngine(guest_where_the_gpu({})), images=(IMAGE,), catalog=PLANTED, settings=Settings(caches="keep"))
    reference, launch = bench.store.launches()
    assert (reference.plan.purpose, reference.plan.caches, reference.plan.cache_key) == ("reference", "empty", "")
    assert launch.plan.caches == "keep"
    assert launch.plan.cache_key


def test_the_cpu_run_of_an_earlier_campaign_is_found_again(bench: Bench) -> None:
    for _ in range(2):
        bench.run(FakeEngine(guest_where_the_gpu({})), images=(IMAGE,), catalog=PLANTED)
    purposes = [launch.plan.purpose for launch in bench.store.launches()]
    assert purposes == ["reference", "result", "result"]


def test_a_fault_that_only_the_cell_has_is_wrong_output(bench: Bench) -> None:
    bench.run(FakeEngine(guest_where_the_gpu({"rttm": an_rttm(TURNS[:2])})), images=(IMAGE,), catalog=PLANTED)
    _, launch = bench.store.launches()
    assert launch.verdict.status == "wrong output"
    assert "2 speaker(s), the CPU run has 3" in launch.verdict.summary


def test_a_cpu_run_that_fails_keeps_the_cell_from_no_launch_and_from_any_rank(bench: Bench) -> None:
    def guest(run: Run) -> ExitRecord:
        return (guest_where_the_gpu({}) if "FAULT" in run.environment else guest_of((), code=139))(run)  # type: ignore[no-any-return]

    bench.run(FakeEngine(guest), images=(IMAGE,), launches=2, catalog=PLANTED)
    reference, *launches = bench.store.launches()
    assert reference.verdict.status == "fail"
    assert len(launches) == 2
    for launch in launches:
        assert launch.agreement is not None
        assert launch.agreement.why_not.startswith("the CPU run of the same image failed in launch")
    (row,) = rows_of(launches)
    assert not row.is_ranked


@pytest.mark.parametrize("settings", [{"verify": False}, {"last_stage": "device"}], ids=str)
def test_without_verify_and_for_a_probe_nothing_else_is_launched(bench: Bench, settings: dict[str, Any]) -> None:
    bench.run(FakeEngine(guest_where_the_gpu({})), images=(IMAGE,), catalog=PLANTED, settings=Settings(**settings))
    assert [launch.plan.purpose for launch in bench.store.launches()] == ["result"]


def test_a_workload_that_compares_no_output_has_no_cpu_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(DiarizationWorkload, "agree")
    bench.run(FakeEngine(guest_where_the_gpu({})), images=(IMAGE,), catalog=PLANTED)
    (launch,) = bench.store.launches()
    assert (launch.plan.purpose, launch.agreement) == ("result", None)


def test_a_plain_cpu_cell_is_itself_the_cpu_run(bench: Bench) -> None:
    bench.run(FakeEngine(guest_where_the_gpu({})))
    (launch,) = bench.store.launches()
    assert (launch.plan.purpose, launch.agreement) == ("result", None)


def test_a_run_for_reference_gets_no_gpu_whatever_the_image_was_built_for(tmp_path: Path) -> None:
    image = CATALOG.images["rocm72"]
    cell = reference_cell(
        Cell(image, CATALOG.variants["gfx1100"], CATALOG.pipelines["embedded"].profile, "sample-30s"), CATALOG
    )
    prepared = prepare_launch(
        cell,
        None,
        EngineRecord(name="podman"),
        origin=Origin("c", "", HOST),
        inputs=recording_inputs(an_audio(tmp_path), some_models(tmp_path)),
        settings=Settings(purpose="reference", warm_passes=0),
        family="rocm",
    )
    assert (prepared.plan.device, prepared.request.device, prepared.plan.image.family) == ("cpu", "cpu", "rocm")
    assert (prepared.run.devices, prepared.run.groups, prepared.run.gpus) == ((), (), None)
    assert not any(name.startswith("HSA_") for name in prepared.run.environment)
