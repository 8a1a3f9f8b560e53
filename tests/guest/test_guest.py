"""The guest as a real process against stub packages: each way to come to an end, and what the host makes of it.

The packages are stubs (see `tests.guest.stubs`): no number here is a measurement.
"""

from __future__ import annotations

import ast
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.wire import STAGES
from benchmarks.workloads.diarization.diarize import read_waveform
from harness import places
from harness.engines.base import Run
from harness.engines.local import Local, clean_environment
from harness.launch.exchange import read_log_tail
from harness.records.outcome import Cause
from tests.guest.runs import skeleton

from .stubs import TURNS, Ended, Stubs, exchange_of, make_request, run_guest

KILLED, ABORTED, SEGFAULTED = (128 + number for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV))


DEATHS = {
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", SEGFAULTED, "crash", "died of SIGSEGV"),
    "abort": ("os.abort()", ABORTED, "crash", "died of SIGABRT"),
    "sys-exit-0": ("sys.exit(0)", 0, "error", "ended with exit 0"),
    "os-exit-0": ("os._exit(0)", 0, "error", "ended with exit 0"),
    "base-exception": ("raise type('Gone', (BaseException,), {})('no ordinary error')", 1, "error", "ended with exit 1"),
    "sigkill": ("os.kill(os.getpid(), signal.SIGKILL)", KILLED, "out of memory", "exit 137"),
}


"""Name -> what a package does, the exit status, the cause, what the summary says."""


STAGE_OF_MOMENT = {
    "import torch": "import",
    "import lightning": "import",  # needed by nobody here, and deadly all the same
    "multiply": "device",
    "load": "load",
    "pass 0": "cold",
    "pass 2": "warm",
    "write": "verify",
}


PLACES_TO_DIE = [
    *((death, moment) for death in DEATHS for moment in ("import torch", "import lightning", "pass 0")),
    *(("os-exit-0", moment) for moment in STAGE_OF_MOMENT if moment not in ("import torch", "import lightning", "pass 0")),
]


def test_a_whole_run_passes_and_its_events_are_in_order(whole: Ended) -> None:
    assert whole.exit.code == 0, whole.log
    assert whole.verdict().status == "pass"
    assert whole.verdict().stage == "verify"
    assert skeleton(whole) == [
        *("begin launch", "end launch", "begin import", "end import", "begin device", "end device", "begin load", "end load"),
        *("begin cold", "pass cold", "end cold", "begin warm", "pass warm", "pass warm", "end warm"),
        *("begin verify", "end verify", "done"),
    ]
    times = [event["at"] for event in whole.journal]
    assert times == sorted(times)


def test_a_whole_run_says_what_it_ran_and_what_came_out(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, request=make_request(tmp_path, threads=1))
    assert ended.end("launch")["launch"] == "stub-launch"
    assert ended.end("import")["torch"] == {
        "version": "0.0.0+stub",
        "hip": None,
        "cuda": None,
        "architectures": [],
        "blas": None,
    }
    assert "pyannote.audio==4.0.0+stub" in ended.end("import")["packages"]
    assert ended.end("load")["audio_seconds"] == 2.0
    assert ended.end("load")["threads"] == 1
    output = ended.end("verify")
    assert (output["speakers"], output["speech_seconds"], output["distinct_outputs"]) == (2, 2.0, 1)
    assert output["rttm"].splitlines()[0] == "SPEAKER audio 1 0.000 1.000 <NA> <NA> STUB_00 <NA> <NA>"
    assert not {"der", "reference"} & output.keys(), "the guest sees no reference"


@pytest.mark.parametrize("last_stage", STAGES)
def test_the_guest_stops_after_the_stage_that_was_asked_for(tmp_path: Path, last_stage: str) -> None:
    ended = run_guest(tmp_path, request=make_request(tmp_path, last_stage=last_stage))
    begun = [event["stage"] for event in ended.events("begin")]
    assert begun == list(STAGES[: STAGES.index(last_stage) + 1])
    assert ended.verdict().status == "pass"


def test_before_the_imports_the_guest_has_loaded_the_standard_library_alone(tmp_path: Path) -> None:
    loaded = "(EXCHANGE / 'modules').write_text(' '.join(sys.modules))"
    run_guest(tmp_path, Stubs(misbehave={"import torch": loaded}), make_request(tmp_path, last_stage="import"))
    names = {name.partition(".")[0] for name in (exchange_of(tmp_path) / "modules").read_text().split()}
    assert "benchmarks" in names
    assert names - sys.stdlib_module_names == {"benchmarks", "__main__", "torch", "stub_settings"}


def test_the_guest_is_written_in_python_3_10() -> None:
    sources = sorted(places.GUEST.rglob("*.py"))
    assert any(path.parent.name == "diarization" for path in sources)
    for path in sources:
        ast.parse(path.read_text(), filename=str(path), feature_version=(3, 10))


def test_what_libraries_print_goes_to_the_log_and_not_into_the_journal(tmp_path: Path) -> None:
    shout = """print('{"event": "done"}'); sys.stderr.write('a warning\\n')"""
    ended = run_guest(tmp_path, Stubs(misbehave={"load": shout}))
    assert ended.log.splitlines() == ['{"event": "done"}', "a warning"]
    assert len(ended.events("done")) == 1


@pytest.mark.parametrize(
    ("pipeline", "version"),
    [("embedded", "3.0.0+stub"), ("3.1", "3.0.0+stub"), ("3.1", "4.0.0+stub"), ("community-1", "4.0.0+stub")],
)
def test_a_pipeline_runs_under_each_pyannote_that_has_it(tmp_path: Path, pipeline: str, version: str) -> None:
    ended = run_guest(tmp_path, Stubs(pyannote_audio=version), make_request(tmp_path, options={"pipeline": pipeline}))
    assert ended.verdict().status == "pass", ended.journal[-2:]
    assert ended.end("load")["pyannote"] == version


def test_the_stand_in_for_community_1s_plda_is_noted(tmp_path: Path) -> None:
    (note,) = run_guest(tmp_path, request=make_request(tmp_path, options={"pipeline": "3.1"})).events("note")
    assert "PLDA" in note["text"]


CHAIN_OF_THREE = """
try:
    try:
        raise OSError("libamdhip64.so.0: no such library")
    except OSError as error:
        raise RuntimeError("the loader gave up") from error
except RuntimeError as error:
    raise ImportError("torch cannot be imported") from error
"""


def test_a_needed_import_that_raises_keeps_its_two_causes_outermost_first(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"import torch": CHAIN_OF_THREE}))
    assert [(link["type"], link["message"]) for link in ended.chain()] == [
        ("ImportError", "torch cannot be imported"),
        ("RuntimeError", "the loader gave up"),
        ("OSError", "libamdhip64.so.0: no such library"),
    ]
    assert ended.exit.code == 1
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "import", "import")
    assert verdict.summary == "OSError: libamdhip64.so.0: no such library"


def test_after_a_needed_import_failed_the_others_are_still_tried(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"import torch": CHAIN_OF_THREE}))
    outcomes = {event["name"]: event["outcome"] for event in ended.events("import")}
    assert outcomes["torch"] == "failed"
    assert outcomes["lightning"] == outcomes["pyannote.audio"] == outcomes["pyannote.audio.Pipeline"] == "ok"
    assert skeleton(ended)[-2:] == ["failed import", "done"]


def test_an_unneeded_import_that_raises_is_noted_and_the_run_goes_on(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"import torchaudio": "raise OSError('libc10_stub.so: not there')"}))
    assert ended.verdict().status == "pass"
    (event,) = ended.events("import", name="torchaudio", outcome="failed")
    assert event["chain"][-1]["message"] == "libc10_stub.so: not there"


@pytest.mark.parametrize("module", ["torch", "pyannote.audio"])
def test_a_needed_package_that_is_absent_ends_the_launch_at_import(tmp_path: Path, module: str) -> None:
    ended = run_guest(tmp_path, Stubs(absent=[module]))
    assert ended.events("import", name=module, outcome="absent")
    verdict = ended.verdict()
    assert (verdict.stage, verdict.cause) == ("import", "import")
    assert verdict.summary == f"ModuleNotFoundError: No module named '{module}'"


@pytest.mark.parametrize(("death", "moment"), PLACES_TO_DIE)
def test_a_death_without_a_word_is_a_failure_of_its_stage(tmp_path: Path, death: str, moment: str) -> None:
    code, status, cause, words = DEATHS[death]
    ended = run_guest(tmp_path, Stubs(misbehave={moment: code}))
    stage = STAGE_OF_MOMENT[moment]
    assert ended.exit.code == status
    assert skeleton(ended)[-1] != "done"
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", stage, cause)
    assert words in verdict.summary
    assert stage in verdict.summary


@pytest.mark.parametrize("module", ["torch", "lightning", "pyannote.audio"])
def test_the_verdict_names_the_package_whose_import_killed_the_guest(tmp_path: Path, module: str) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={f"import {module}": DEATHS["segfault"][0]}))
    assert ended.verdict().summary == f"died of SIGSEGV in import, importing {module}"


def test_a_crash_leaves_its_python_frames_in_the_log(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"pass 0": "os.abort()"}))
    assert "Fatal Python error: Aborted" in ended.log
    assert "benchmarks/workloads/diarization/diarize.py" in ended.log


def test_a_crash_loses_only_the_pass_in_which_it_happened(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"pass 2": "os.kill(os.getpid(), signal.SIGKILL)"}))
    assert [(event["stage"], event["index"]) for event in ended.events("pass")] == [("cold", 0), ("warm", 0)]


def test_a_crash_after_the_last_word_is_still_a_crash(tmp_path: Path) -> None:
    at_exit = "import atexit; atexit.register(os.kill, os.getpid(), signal.SIGSEGV)"
    ended = run_guest(tmp_path, Stubs(misbehave={"import torch": at_exit}))
    assert skeleton(ended)[-1] == "done"
    assert ended.verdict().cause == "crash"


def test_a_missing_gpu_ends_the_launch_at_device(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(hip="0.0-stub"), make_request(tmp_path, device="cuda"))
    assert ended.exit.code == 1
    assert skeleton(ended)[-2:] == ["failed device", "done"]
    verdict = ended.verdict(family="rocm")
    assert (verdict.stage, verdict.cause) == ("device", "no device")
    assert "torch 0.0.0+stub (hip 0.0-stub, cuda None) sees no GPU" in verdict.summary


def test_a_gpu_run_records_the_device_and_its_peaks(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(hip="0.0-stub", gpu=True), make_request(tmp_path, device="cuda"))
    assert ended.verdict(family="rocm").status == "pass"
    device = ended.end("device")
    assert (device["device"], device["name"], device["gfx_target"]) == ("cuda", "stub GPU", "gfx0000")
    assert (ended.end("warm")["peak_allocated_bytes"], ended.end("warm")["peak_reserved_bytes"]) == (1, 1)


def test_a_cpu_run_has_no_gpu_peaks(whole: Ended) -> None:
    end = whole.end("warm")
    assert end["peak_allocated_bytes"] is end["peak_reserved_bytes"] is None
    assert end["peak_resident_bytes"] > 1 << 20


def test_every_border_of_a_pass_waits_for_the_gpu(tmp_path: Path) -> None:
    tell = "import torch; print(torch.cuda.synchronised)"
    stubs = Stubs(hip="0.0-stub", gpu=True, misbehave={"pass 0": tell, "pass 1": tell})
    first, second = map(int, run_guest(tmp_path, stubs, make_request(tmp_path, device="cuda")).log.split())
    # Three steps, both borders of five calls that are timed, the end of one pass, and the begin of the next.
    assert second - first == 3 + 2 * 5 + 2


def test_a_cpu_torch_in_a_rocm_image_is_the_wrong_torch(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(cuda="0.0-stub"), make_request(tmp_path, device="cuda"))
    verdict = ended.verdict(family="rocm")
    assert (verdict.stage, verdict.cause) == ("import", "wrong torch")


def test_a_model_that_was_loaded_onto_another_device_is_no_device(tmp_path: Path) -> None:
    stubs = Stubs(hip="0.0-stub", gpu=True, models_on="cpu")
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, device="cuda"))
    assert ended.chain()[-1]["type"] == "benchmarks.workloads.diarization.diarize.WrongDevice"
    verdict = ended.verdict(family="rocm")
    assert (verdict.stage, verdict.cause) == ("load", "no device")
    assert "the segmentation model is on cpu; cuda was asked for" in verdict.summary


@pytest.mark.parametrize(("number", "stage", "kept"), [(0, "cold", 0), (2, "warm", 2)])
def test_a_model_that_falls_back_in_a_pass_is_no_device(tmp_path: Path, number: int, stage: str, kept: int) -> None:
    fall_back = {f"pass {number}": "pipeline._embedding.model_.device = 'cpu'"}
    stubs = Stubs(hip="0.0-stub", gpu=True, misbehave=fall_back)
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, device="cuda"))
    verdict = ended.verdict(family="rocm")
    assert (verdict.stage, verdict.cause) == (stage, "no device")
    assert "the embedding model is on cpu" in verdict.summary
    assert len(ended.events("pass")) == kept  # its time would be the CPU's


def test_a_gpu_that_multiplies_wrong_ends_the_launch_at_device(tmp_path: Path) -> None:
    stubs = Stubs(hip="0.0-stub", gpu=True, misbehave={"multiply": "tensor.rows[0][0] = float('nan')"})
    verdict = run_guest(tmp_path, stubs, make_request(tmp_path, device="cuda")).verdict(family="rocm")
    assert (verdict.status, verdict.stage) == ("fail", "device")
    assert "sums to nan on cuda" in verdict.summary


FAULTS: dict[str, tuple[str, str, Cause, str]] = {
    "no code": ("raise RuntimeError('HIP error: invalid device function')", "multiply", "gpu fault", "no-code-for-gpu"),
    "full": ("raise RuntimeError('HIP out of memory. Tried to allocate')", "pass 0", "out of memory", "gpu-out-of-memory"),
    "page": (
        "os.write(2, b'Memory access fault by GPU node-1 on address 0x7f1d40e00000.\\n'); os.abort()",
        "pass 1",
        "gpu fault",
        "gpu-page-fault",
    ),
    "nil": (
        "os.write(2, b'Memory access fault by GPU node-1 on address 0x0.\\n'); os.abort()",
        "pass 1",
        "gpu fault",
        "fault-at-nil",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_gpu_fault_is_recognised_by_what_it_says(tmp_path: Path, fault: str) -> None:
    code, moment, cause, signature = FAULTS[fault]
    stubs = Stubs(hip="0.0-stub", gpu=True, misbehave={moment: code})
    verdict = run_guest(tmp_path, stubs, make_request(tmp_path, device="cuda")).verdict(family="rocm")
    assert (verdict.cause, verdict.signature) == (cause, signature)


def test_a_load_that_raises_ends_the_launch_at_load(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"load": "raise ValueError('a checkpoint of another time')"}))
    assert skeleton(ended)[-3:] == ["begin load", "failed load", "done"]
    assert ended.chain()[-1]["where"] == "<load>:1 in <module>"
    verdict = ended.verdict()
    assert (verdict.stage, verdict.cause, verdict.summary) == ("load", "error", "ValueError: a checkpoint of another time")


@pytest.mark.parametrize(
    ("pipeline", "stubs"),
    [
        ("3.1", Stubs(hub_refuses=True, pyannote_audio="3.0.0+stub")),
        ("community-1", Stubs(hub_refuses=True)),
        ("community-1", Stubs(pyannote_audio="3.0.0+stub")),
        ("community-1", Stubs(misbehave={"load": "raise type('LocalEntryNotFoundError', (OSError,), {})('offline')"})),
    ],
)
def test_a_model_that_cannot_be_had_is_model_access(tmp_path: Path, pipeline: str, stubs: Stubs) -> None:
    verdict = run_guest(tmp_path, stubs, make_request(tmp_path, options={"pipeline": pipeline})).verdict()
    assert (verdict.stage, verdict.cause) == ("load", "model access")


def test_the_waveform_is_the_files_samples_in_minus_one_to_one(tmp_path: Path) -> None:
    audio = Path(make_request(tmp_path).inputs["audio"])
    header = audio.read_bytes()[:44]
    audio.write_bytes(header + b"".join(value.to_bytes(2, "little", signed=True) for value in (0, 1, -32768, 32767, -16384)))
    assert list(read_waveform(str(audio))) == [0.0, 1 / 32768, -1.0, 32767 / 32768, -0.5]


@pytest.mark.parametrize("count", [0, 3])
def test_as_many_warm_passes_are_run_as_were_asked_for(tmp_path: Path, count: int) -> None:
    ended = run_guest(tmp_path, request=make_request(tmp_path, warm_passes=count))
    assert [event["index"] for event in ended.events("pass", stage="warm")] == list(range(count))
    assert ended.verdict().status == "pass"


def test_the_batch_sizes_that_were_asked_for_are_the_pipelines(tmp_path: Path) -> None:
    tell = {"pass 0": "print(pipeline.segmentation_batch_size, pipeline.embedding_batch_size)"}
    request = make_request(tmp_path, options={"segmentation_batch_size": 7, "embedding_batch_size": 9})
    assert run_guest(tmp_path, Stubs(misbehave=tell), request).log.split() == ["7", "9"]


def test_audio_that_the_host_did_not_normalise_ends_the_launch_at_load(tmp_path: Path) -> None:
    request = make_request(tmp_path)
    audio = Path(request.inputs["audio"])
    data = bytearray(audio.read_bytes())
    data[24:28] = (8_000).to_bytes(4, "little")  # the WAV header's sample rate
    audio.write_bytes(data)
    verdict = run_guest(tmp_path, request=request).verdict()
    assert (verdict.stage, verdict.cause) == ("load", "error")
    assert "8000 Hz, 1 channels, 16 bits" in verdict.summary


def test_a_memory_error_in_the_cold_pass_is_out_of_memory(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"pass 0": "bytearray(1 << 62)"}))
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "cold", "out of memory")
    assert skeleton(ended)[-2:] == ["failed cold", "done"]


def test_the_local_memory_limit_ends_in_out_of_memory(tmp_path: Path) -> None:
    stubs = Stubs(misbehave={"pass 0": "bytearray(1 << 30)"})
    verdict = run_guest(tmp_path, stubs, memory_bytes=1 << 30).verdict()
    assert (verdict.stage, verdict.cause) == ("cold", "out of memory")


def test_the_local_memory_limit_is_there_before_the_first_instruction(tmp_path: Path) -> None:
    limits = set()
    for _ in range(40):
        tell = ("/bin/sh", "-c", "ulimit -v")
        run = Run(
            name=f"stub-{os.getpid()}",
            image="stub",
            argv=tell,
            environment=clean_environment({}),
            mounts=(),
            working_directory=str(tmp_path),
            exchange=tmp_path,
            memory_bytes=1 << 30,
        )
        assert Local().run(run, timeout_seconds=60).code == 0
        limits.add(read_log_tail(tmp_path).strip())
    assert limits == {str((1 << 30) // 1024)}


def test_a_pass_that_is_killed_with_sigkill_is_out_of_memory(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"pass 0": "os.kill(os.getpid(), signal.SIGKILL)"}))
    assert ended.exit.code == KILLED == 137
    verdict = ended.verdict()
    assert (verdict.stage, verdict.cause) == ("cold", "out of memory")
    assert "most likely" in verdict.summary


HANG = """
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleeper = subprocess.Popen(["sleep", "600"], start_new_session={apart})
(EXCHANGE / "pids").write_text(f"{{os.getpid()}} {{sleeper.pid}}")
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    ("apart", "moment", "stage", "seconds"),
    [(False, "pass 0", "cold", 2.5), (True, "import torch", "import", 1.5)],
    ids=["in its group", "in a session of its own"],
)
def test_a_hang_is_killed_at_its_time_with_all_that_it_started(
    tmp_path: Path, apart: bool, moment: str, stage: str, seconds: float
) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={moment: HANG.format(apart=apart)}), timeout_seconds=seconds)
    assert ended.exit.timed_out
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", stage, "timeout")
    pids = [int(pid) for pid in (ended.exchange / "pids").read_text().split()]
    left = [pid for pid in pids if not ends(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def ends(pid: int) -> bool:
    """Whether a process has ended, or does within two seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 2)[0])
    finally:
        os.close(descriptor)


def test_passes_that_differ_are_wrong_output(tmp_path: Path) -> None:
    verdict = run_guest(tmp_path, Stubs(outputs=(TURNS, ((0.0, 1.5, "STUB_00"), (1.5, 2.0, "STUB_01")), TURNS))).verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("wrong output", "verify", None)
    assert "2 different outputs" in verdict.summary


def test_a_turn_without_a_finite_end_is_wrong_output(tmp_path: Path) -> None:
    verdict = run_guest(tmp_path, Stubs(outputs=(((0.0, float("inf"), "STUB_00"),),))).verdict()
    assert (verdict.status, verdict.stage) == ("wrong output", "verify")
    assert "no finite start or end" in verdict.summary
