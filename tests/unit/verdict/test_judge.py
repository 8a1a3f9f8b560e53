from __future__ import annotations

import signal
from typing import Any, get_args

import pytest

from benchmarks.wire import STAGES
from harness.records.journal import Journal, read
from harness.records.outcome import CacheRecord, Cause, ExitRecord, Verdict
from harness.verdict.judge import reached_stage, with_kept_cache
from harness.workloads.diarization import WORKLOAD
from harness.workloads.failed import MOST_SUMMARY_CHARACTERS
from tests.unit.samples import Event, a_link, failing_journal, journal_until, judged, passing_journal

WELL = ExitRecord(started=True, code=0)
FAILED = ExitRecord(started=True, code=1)


def judged_exception(kind: str, message: str = "", *, stage: str = "warm", **more: Any) -> Verdict:
    return judged(failing_journal(stage, a_link(kind, message)), FAILED, **more)


def test_a_guest_that_came_to_its_end_with_the_right_output_passes() -> None:
    assert judged(passing_journal(der=0.05), highest_der=0.08) == Verdict(status="pass", stage="verify")


def test_a_probe_passes_at_the_stage_that_it_was_asked_for() -> None:
    assert judged(passing_journal(last_stage="device"), last_stage="device") == Verdict(status="pass", stage="device")


def test_an_end_without_a_last_word_is_no_pass() -> None:
    journal = tuple(event for event in passing_journal() if event["event"] != "done")
    verdict = judged(journal)
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "verify", "error")


def test_a_last_word_before_the_last_stage_is_no_pass() -> None:
    verdict = judged(passing_journal(last_stage="device"))
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "device", "error")


def test_an_exit_status_other_than_0_is_no_pass() -> None:
    verdict = judged(passing_journal(), ExitRecord(started=True, code=3))
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert "exit 3" in verdict.summary


def test_a_crash_at_the_very_end_is_no_pass() -> None:
    verdict = judged(passing_journal(), ExitRecord(started=True, code=128 + signal.SIGSEGV))
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "verify", "crash")


def test_a_der_above_what_is_right_is_wrong_output() -> None:
    verdict = judged(passing_journal(der=0.0801), highest_der=0.08)
    assert (verdict.status, verdict.stage, verdict.cause) == ("wrong output", "verify", None)
    assert "DER 8.0% against the reference; what computes right stays under 8.0%" in verdict.summary


def test_a_der_at_the_limit_is_right() -> None:
    assert judged(passing_journal(der=0.08), highest_der=0.08).status == "pass"


def test_an_unknown_der_is_wrong_where_a_right_one_is_known() -> None:
    verdict = judged(passing_journal(der=None), highest_der=0.08)
    assert verdict.status == "wrong output"
    assert "DER unknown" in verdict.summary
    assert judged(passing_journal(der=None)).status == "pass"


def test_a_turn_that_is_not_finite_is_wrong_output() -> None:
    assert judged(passing_journal(finite=False)).status == "wrong output"
    assert judged(passing_journal(finite=None)).status == "wrong output"
    assert judged(passing_journal(finite="true")).status == "wrong output"
    assert "a network put out values that are not finite" in judged(passing_journal(finite=False)).summary
    assert "no finite start or end" in judged(passing_journal(finite=False, speech_seconds=None)).summary


def test_passes_that_do_not_agree_are_wrong_output() -> None:
    verdict = judged(passing_journal(distinct_outputs=2))
    assert verdict.status == "wrong output"
    assert "2 different outputs" in verdict.summary


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_stage_that_raised_is_the_stage_of_the_verdict(stage: str) -> None:
    verdict = judged_exception("ValueError", "no", stage=stage)
    assert (verdict.status, verdict.stage, verdict.summary) == ("fail", stage, "ValueError: no")


def test_the_root_of_the_chain_says_why() -> None:
    journal = failing_journal("import", a_link("ImportError", "outer"), a_link("SyntaxError", "root"))
    assert judged(journal, FAILED).summary == "SyntaxError: root"


def test_an_exception_that_the_journal_does_not_name_is_still_a_failure() -> None:
    verdict = judged(failing_journal("load"), FAILED)
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "load", "error")
    assert verdict.summary


EXCEPTIONS: dict[tuple[str, str], str] = {
    ("builtins.MemoryError", "warm"): "out of memory",
    ("torch.OutOfMemoryError", "warm"): "out of memory",
    ("benchmarks.diarize.ModelsMissing", "load"): "model access",
    ("benchmarks.probe.DeviceUnavailable", "device"): "no device",
    ("benchmarks.diarize.WrongDevice", "load"): "no device",
    ("ImportError", "import"): "import",
    ("SyntaxError", "import"): "import",
    ("ImportError", "load"): "error",
    ("ValueError", "warm"): "error",
}


@pytest.mark.parametrize(
    ("raised", "cause"), EXCEPTIONS.items(), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_an_exception_has_the_cause_of_its_kind_and_stage(raised: tuple[str, str], cause: str) -> None:
    kind, stage = raised
    verdict = judged_exception(kind, "what it says", stage=stage)
    assert (verdict.cause, verdict.stage) == (cause, stage)


def test_a_missing_gpu_ends_the_launch_at_device() -> None:
    kind = "benchmarks.probe.DeviceUnavailable"
    verdict = judged(failing_journal("device", a_link(kind, "sees no GPU"), hip="6.2"), FAILED, family="rocm")
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "device", "no device")


def test_a_known_signature_gives_the_cause_and_its_name() -> None:
    verdict = judged_exception("OSError", "libc10_cuda.so: cannot open shared object file: No such file", stage="import")
    assert (verdict.cause, verdict.signature) == ("import", "torchaudio-other-index")


def test_a_failure_is_not_blamed_on_what_a_package_that_is_not_needed_printed() -> None:
    log = "UserWarning: torchcodec is not installed correctly: OSError: libcudart.so.13: cannot open shared object file\n"
    verdict = judged_exception("ValueError", "a size does not fit", stage="warm", log_tail=log)
    assert (verdict.cause, verdict.signature) == ("error", None)


def test_the_log_tells_apart_what_looks_the_same_in_the_exception() -> None:
    log = "MIOpenDropoutHIP.cpp:10:10: fatal error: 'hiprand/hiprand_xorwow.h' file not found\n"
    with_log = judged_exception("RuntimeError", "miopenStatusUnknownError", stage="cold", log_tail=log)
    without = judged_exception("RuntimeError", "miopenStatusUnknownError", stage="cold")
    assert (with_log.signature, without.signature) == ("miopen-dropout-header", "miopen-failed")


def test_a_torch_that_was_replaced_and_a_kill_without_a_word_are_known_failures() -> None:
    assert judged(passing_journal(torch="2.8.0+x", cuda="12.8"), family="rocm").signature == "torch-replaced"
    assert judged(journal_until("warm"), ExitRecord(started=True, code=137)).signature == "killed-for-memory"


def test_a_native_death_in_an_import_is_known_by_its_exit_code_and_by_what_was_imported() -> None:
    journal = (*journal_until("import"), {"event": "import", "name": "torchcodec", "outcome": "trying"})
    assert judged(journal, ExitRecord(started=True, code=139)).signature == "torchcodec-crash"
    assert judged(journal_until("device"), ExitRecord(started=True, code=139)).signature == "segfault-at-device"


@pytest.mark.parametrize(
    ("family", "hip", "cuda"), [("rocm", None, None), ("rocm", None, "12.8"), ("therock", None, "12.8"), ("cuda", "6.2", None)]
)
def test_another_torch_than_the_family_s_is_a_failure_of_its_own_at_import(
    family: str, hip: str | None, cuda: str | None
) -> None:
    verdict = judged(passing_journal(torch="2.8.0+x", hip=hip, cuda=cuda), family=family)
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "import", "wrong torch")
    assert "2.8.0+x" in verdict.summary


@pytest.mark.parametrize(("family", "hip", "cuda"), [("rocm", "6.2", None), ("cuda", None, "12.8"), ("cpu", None, None)])
def test_the_family_s_own_torch_is_right(family: str, hip: str | None, cuda: str | None) -> None:
    assert judged(passing_journal(hip=hip, cuda=cuda), family=family).status == "pass"


def test_a_wrong_torch_explains_the_exception_that_came_of_it() -> None:
    kind = "benchmarks.probe.DeviceUnavailable"
    verdict = judged(failing_journal("device", a_link(kind, "sees no GPU"), cuda="12.8"), FAILED, family="rocm")
    assert (verdict.stage, verdict.cause) == ("import", "wrong torch")


def test_an_image_of_unknown_family_has_no_wrong_torch() -> None:
    assert judged(passing_journal(cuda="12.8"), family=None).status == "pass"


def test_what_the_engine_refused_to_start_is_the_engine_s_failure() -> None:
    verdict = judged((), ExitRecord(started=False, message="podman refused to create the container: no space"))
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "launch", "engine")
    assert verdict.summary == "podman refused to create the container: no space"
    assert judged((), ExitRecord(started=False)).summary


def test_a_launch_whose_time_was_up_names_the_stage_that_it_hung_in() -> None:
    verdict = judged(journal_until("load"), ExitRecord(started=True, code=137, timed_out=True))
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "load", "timeout")


@pytest.mark.parametrize(
    ("ended", "cause", "said"),
    [
        ("time", "timeout", "still in cold when the time was up; killed"),
        (
            "first pass",
            "timeout",
            "its first pass did not end within 3,600 s: still in cold, where kernels are compiled; killed",
        ),
        (
            "gpu fault",
            "gpu fault",
            "after a fault of the GPU cold stood still for 60 s; killed. The kernel: amdgpu 0000:c5:00.0: amdgpu: "
            "MES failed to respond to msg=REMOVE_QUEUE",
        ),
    ],
)
def test_a_launch_that_was_ended_says_why(ended: Any, cause: str, said: str) -> None:
    kernel = (
        "amdgpu 0000:c5:00.0: amdgpu: Freeing queue vital buffer 0x7f2e70800000, queue evicted\n"
        "amdgpu 0000:c5:00.0: amdgpu: MES failed to respond to msg=REMOVE_QUEUE"
    )
    exit_ = ExitRecord(started=True, code=137, timed_out=ended != "gpu fault", run_seconds=3600.2, ended_because=ended)
    verdict = judged(journal_until("cold", hip="7.2.26015"), exit_, family="rocm", kernel_log=kernel)
    assert (verdict.stage, verdict.cause, verdict.summary) == ("cold", cause, said)
    assert verdict.signature == "kernel-mes-unresponsive"


def test_a_fault_whose_lines_are_gone_is_still_one() -> None:
    verdict = judged(
        journal_until("cold", hip="7.2.26015"), ExitRecord(started=True, code=137, ended_because="gpu fault"), family="rocm"
    )
    assert (verdict.cause, verdict.signature) == ("gpu fault", None)


@pytest.mark.parametrize(
    ("ended", "record", "is_said"),
    [
        ("first pass", CacheRecord(mode="keep", files_after=2), True),
        ("first pass", CacheRecord(mode="empty", files_after=2, kept_as="key"), True),
        ("first pass", CacheRecord(mode="empty", files_after=2), False),
        ("first pass", CacheRecord(mode="keep", files_after=0), False),
        ("first pass", None, False),
        ("time", CacheRecord(mode="keep", files_after=2), False),
    ],
)
def test_that_kernels_are_kept_is_said_where_they_are(ended: Any, record: CacheRecord | None, is_said: bool) -> None:
    verdict = Verdict(status="fail", stage="cold", cause="timeout", summary="killed")
    told = with_kept_cache(verdict, ExitRecord(started=True, ended_because=ended), record)
    assert ("run again with --caches keep" in told.summary) is is_said


def test_the_kernel_s_word_on_memory_is_believed() -> None:
    verdict = judged(journal_until("warm"), ExitRecord(started=True, code=1, out_of_memory=True))
    assert (verdict.stage, verdict.cause) == ("warm", "out of memory")


def test_a_kill_that_nobody_owns_up_to_counts_as_memory() -> None:
    verdict = judged(journal_until("warm"), ExitRecord(started=True, code=137))
    assert (verdict.stage, verdict.cause) == ("warm", "out of memory")
    assert "most likely" in verdict.summary


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE])
def test_a_native_death_is_a_crash_that_names_its_signal_and_stage(number: signal.Signals) -> None:
    verdict = judged(journal_until("cold"), ExitRecord(started=True, code=128 + number))
    assert (verdict.stage, verdict.cause) == ("cold", "crash")
    assert number.name in verdict.summary


def test_a_native_death_during_an_import_names_the_package() -> None:
    journal = (*journal_until("import"), {"event": "import", "name": "torchcodec", "outcome": "trying"})
    verdict = judged(journal, ExitRecord(started=True, code=139))
    assert (verdict.stage, verdict.cause) == ("import", "crash")
    assert "importing torchcodec" in verdict.summary


def test_an_abort_after_a_gpu_page_fault_is_a_gpu_fault() -> None:
    log = "Memory access fault by GPU node-1 (Agent handle: 0x55) on address 0x7f. Reason: Page not present\n"
    verdict = judged(journal_until("cold"), ExitRecord(started=True, code=134), log_tail=log)
    assert (verdict.cause, verdict.signature) == ("gpu fault", "gpu-page-fault")


@pytest.mark.parametrize("code", [126, 127])
def test_an_image_that_has_no_such_python_is_the_engine_s_failure(code: int) -> None:
    verdict = judged((), ExitRecord(started=True, code=code), log_tail="sh: 1: exec: python3: not found\n")
    assert (verdict.stage, verdict.cause) == ("launch", "engine")
    assert "python3: not found" in verdict.summary


def test_exit_127_of_a_guest_that_ran_is_an_error_of_that_guest() -> None:
    verdict = judged(journal_until("load"), ExitRecord(started=True, code=127))
    assert (verdict.stage, verdict.cause) == ("load", "error")


def test_a_request_that_the_guest_cannot_read_fails_at_launch_with_what_it_said() -> None:
    log = "strixbench guest: request.json is not of protocol 1\n"
    verdict = judged((), ExitRecord(started=True, code=2), log_tail=log)
    assert (verdict.stage, verdict.cause, verdict.summary) == ("launch", "error", log.strip())


@pytest.mark.parametrize("code", [1, 255, None])
def test_an_end_without_a_reason_says_so(code: int | None) -> None:
    verdict = judged(journal_until("load"), ExitRecord(started=True, code=code))
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "load", "error")
    assert "without saying why" in verdict.summary


def test_a_launch_that_was_cut_off_is_interrupted() -> None:
    verdict = judged(journal_until("warm"), ExitRecord(started=True, interrupted=True))
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "warm", "interrupted")


def test_a_launch_that_had_finished_when_its_harness_died_passes() -> None:
    assert judged(passing_journal(), ExitRecord(started=True, interrupted=True)).status == "pass"


def test_a_summary_is_one_line_of_bearable_length() -> None:
    summary = judged_exception("ValueError", "line\n" * 1000).summary
    assert "\n" not in summary
    assert len(summary) == MOST_SUMMARY_CHARACTERS
    assert summary.endswith("...")


def test_the_stage_of_an_empty_journal_is_launch() -> None:
    assert reached_stage(Journal(), WORKLOAD) == "launch"


@pytest.mark.parametrize("stage", [None, 3, [], {}, "nonsense"], ids=repr)
def test_a_stage_that_is_none_is_not_reached(stage: object) -> None:
    assert reached_stage(read([{"event": "begin", "stage": "load"}, {"event": "begin", "stage": stage}]), WORKLOAD) == "load"


def test_every_cause_but_the_build_s_is_one_that_a_judge_can_give() -> None:
    dead = journal_until("warm")
    given = {
        judged((), ExitRecord(started=False)).cause,
        judged_exception("ImportError", stage="import").cause,
        judged(passing_journal(), family="rocm").cause,
        judged_exception("DeviceUnavailable", stage="device").cause,
        judged_exception("ModelsMissing", stage="load").cause,
        judged_exception("MemoryError").cause,
        judged_exception("RuntimeError", "HIP error: invalid device function").cause,
        judged(dead, ExitRecord(started=True, code=139)).cause,
        judged(dead, ExitRecord(started=True, code=132)).cause,
        judged(dead, ExitRecord(started=True, timed_out=True)).cause,
        judged(dead, ExitRecord(started=True, interrupted=True)).cause,
        judged_exception("ValueError").cause,
    }
    assert given == set(get_args(Cause)) - {"build"}


def _told(journal: tuple[Event, ...], **known: Any) -> Verdict:
    return judged(journal, ExitRecord(started=True, code=0, **known), warm_passes=3)


def _with_passes(*seconds: float) -> tuple[Event, ...]:
    values = iter(seconds)
    return tuple({**e, "seconds": next(values)} if e["event"] == "pass" else e for e in passing_journal())


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        (_with_passes(3.0, 2.0, 0.0, 2.0), "took no time"),
        (_with_passes(3.0, 2.0, -5.0, 2.0), "took no time"),
        (_with_passes(3.0, 1e-9, 1e-9, 1e-9), "took no time"),
        (passing_journal(warm=(2.0,)), "1 cold and 1 warm passes; 1 and 3 were asked for"),
        (passing_journal(warm=()), "1 cold and 0 warm passes"),
        (passing_journal(speakers=-7), "below zero"),
        (tuple(e for e in passing_journal() if e.get("stage") != "device"), "without the stage device"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_journal_that_cannot_be_true_is_no_pass(journal: tuple[Event, ...], said: str) -> None:
    verdict = _told(journal)
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert said in verdict.summary


def test_passes_that_took_longer_than_the_container_ran_are_no_pass() -> None:
    assert "longer than the 4.0 s that it ran" in _told(passing_journal(), run_seconds=4.0).summary
    assert _told(passing_journal(), run_seconds=60.0).status == "pass"


def of_calibration(*last: dict[str, Any]) -> list[dict[str, Any]]:
    return [*passing_journal(last_stage="device")[:-1], {"event": "begin", "stage": "calibrate"}, *last]


DONE = {"event": "done"}


def test_a_task_that_ends_passes_as_a_stage_of_its_own() -> None:
    results = [{"event": "result", "phase": phase, "allocated_bytes": 1 << 30} for phase in ("baseline", "held", "freed")]
    journal = of_calibration(*results, {"event": "end", "stage": "calibrate", "seconds": 1.0}, DONE)
    assert judged(journal, last_stage="device", task="calibrate") == Verdict(status="pass", stage="calibrate")


@pytest.mark.parametrize("journal", [of_calibration(), of_calibration(DONE), passing_journal(last_stage="device")])
def test_a_task_that_does_not_end_is_no_pass(journal: list[dict[str, Any]]) -> None:
    assert judged(journal, last_stage="device", task="calibrate").status == "fail"


def test_an_exception_of_a_task_is_told_with_the_task_as_its_stage() -> None:
    failed = {"event": "failed", "stage": "calibrate", "seconds": 1.0, "chain": [{"type": "builtins.MemoryError"}]}
    verdict = judged(of_calibration(failed, DONE), ExitRecord(started=True, code=1), last_stage="device", task="calibrate")
    assert (verdict.stage, verdict.cause) == ("calibrate", "out of memory")
