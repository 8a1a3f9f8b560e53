from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from harness.launch.run import conclude, not_launched
from harness.machine.kernel_log import KernelLine, KernelText
from harness.records.host import CardRecord, HostRecord
from harness.records.outcome import ExitRecord
from harness.text import printable
from harness.verdict.explain import Explanation, explain_launch, explain_text
from reports.terminal.explanation import explanation_data, explanation_lines
from reports.terminal.launch import print_launch
from tests.unit.real_hosts import DMESG_BOOT, DMESG_MES_83, FRAMEWORK_FIRMWARE
from tests.unit.samples import HOST, a_failed_launch, a_launch, a_link, a_plan, journal_until, passing_journal

TORCHVISION = """
Attempting to use hipBLASLt on an unsupported architecture! Overriding blas backend to hipblas
Traceback (most recent call last):
  File "/opt/site-packages/pyannote/audio/core/inference.py", line 32, in <module>
    from lightning.pytorch.utilities.memory import is_oom_error
  File "/opt/site-packages/torch/library.py", line 148, in _check
    raise RuntimeError(message)
RuntimeError: operator torchvision::nms does not exist
"""


def said_of(text: str) -> dict[str, str]:
    """The lines for a person, by their first word."""
    return {line[:10].strip(): line[11:] for line in explanation_lines(explain_text(text))}


def test_a_known_failure_is_told_with_its_cause_its_fix_and_where_that_is_from() -> None:
    said = said_of(TORCHVISION)
    assert said["known as"] == "torchvision-mismatch (found in the exception)"
    assert (said["step"], said["cause"]) == ("import", "import")
    assert said["fix"].startswith("uninstall torchvision")
    assert said["source"].startswith("https://")
    assert said["reproduced"].startswith("yes")
    assert said["root"] == "RuntimeError: operator torchvision::nms does not exist"
    assert said["raised at"] == "/opt/site-packages/torch/library.py:148 in _check"
    assert said["warning"].startswith("hipblaslt-unsupported")
    assert "to add it" not in said


def test_an_unknown_failure_is_told_with_its_root_what_to_look_at_and_how_to_report_it() -> None:
    said = said_of("ValueError: nobody has seen this")
    assert said["known as"] == "nothing known fits"
    assert said["root"] == "ValueError: nobody has seen this"
    assert "strixbench doctor" in said["look at"]
    assert "strixbench probe" in said["look at"]
    assert "doctor --report" in said["report it"]


def test_an_automatic_fix_is_named() -> None:
    assert said_of("RuntimeError: miopenStatusUnknownError")["works with"].startswith("miopen-off")


def test_the_kernel_s_log_is_known_too() -> None:
    said = said_of("[ 9.1] amdgpu: MES failed to respond to msg=REMOVE_QUEUE")
    assert said["known as"] == "kernel-mes-unresponsive (found in the kernel's log)"


def with_mes(version: str) -> HostRecord:
    return msgspec.structs.replace(HOST, cards=(CardRecord(device="0x1586", firmware=(f"mes={version}", "rlc=0x11530506")),))


def signature_of(explanation: Explanation) -> str | None:
    return explanation.match.signature.id if explanation.match else None


@pytest.mark.parametrize(
    ("firmware", "signature"),
    [
        ("", "kernel-cwsr-fault"),
        (FRAMEWORK_FIRMWARE, "kernel-cwsr-fault"),
        (FRAMEWORK_FIRMWARE.replace("0x00000086", "0x00000083"), "kernel-mes-83-fault"),
    ],
)
def test_two_faults_that_leave_the_same_lines_are_told_apart_by_the_firmware_in_the_text(firmware: str, signature: str) -> None:
    assert signature_of(explain_text(f"{firmware}{DMESG_MES_83}")) == signature


@pytest.mark.parametrize(
    ("version", "signature"),
    [("0x00000083", "kernel-mes-83-fault"), ("0x83", "kernel-mes-83-fault"), ("0x00000080", "kernel-cwsr-fault")],
)
def test_a_launch_s_fault_is_judged_with_the_firmware_of_its_host(version: str, signature: str) -> None:
    plan = a_plan(family="rocm", host=with_mes(version))
    said = KernelText(tuple(KernelLine(0.0, line) for line in DMESG_MES_83.splitlines()))
    launch = conclude(plan, ExitRecord(started=True, code=134), kernel_log=said)
    assert launch.verdict.signature == signature
    assert launch.kernel_log == DMESG_MES_83, "what the kernel said is stored as it is"
    assert signature_of(explain_launch(launch)) == signature


def test_without_the_firmware_the_explanation_names_both_causes() -> None:
    said = said_of(DMESG_MES_83)
    assert "MES 0x83" in said["means"]
    assert "strixbench doctor" in said["fix"]


def test_an_invalid_argument_at_the_compute_node_is_no_matter_of_groups() -> None:
    said = said_of(
        "ROCk module is loaded\nUnable to open /dev/kfd read-write: Invalid argument\nroot is member of render group\n"
    )
    assert said["known as"].startswith("kfd-no-gpu-node")
    assert "group-add" not in said["fix"]


def test_what_the_kernel_says_of_parameters_at_boot_is_known() -> None:
    assert {each.id for each in explain_text(DMESG_BOOT).warnings} == {
        "kernel-parameter-unknown",
        "kernel-gttsize-deprecated",
        "kernel-gtt-above-ttm",
    }


LXC_REFUSES = (
    "OCI runtime create failed: runc create failed: unable to start container process: error during container init: "
    "open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied: unknown"
)


def test_an_engine_that_can_start_nothing_in_an_lxc_is_explained_after_a_build_and_after_a_launch() -> None:
    built = not_launched(a_plan(), stage="launch", cause="build", message=f"the build failed: {LXC_REFUSES}")
    started = conclude(a_plan(), ExitRecord(started=False, message=LXC_REFUSES))
    for launch in (built, started):
        assert launch.verdict.signature == "lxc-sysctl"
        assert signature_of(explain_launch(launch)) == "lxc-sysctl"


def test_a_launch_is_explained_with_its_stage() -> None:
    launch = a_failed_launch(chain=[a_link("OSError", "[Errno 28] No space left on device")], stage="load")
    explanation = explain_launch(launch)
    assert explanation.match is not None
    assert explanation.match.signature.id == "disk-full"
    assert (explanation.stage, explanation.failed) == ("load", True)


def test_a_launch_that_passed_has_no_failure_but_may_have_warnings() -> None:
    explanation = explain_launch(a_launch(log_tail="std(): degrees of freedom is <= 0"))
    assert (explanation.failed, explanation.match) == (False, None)
    assert [each.id for each in explanation.warnings] == ["std-of-one-frame"]
    assert explanation_lines(explanation)[0] == "failure    none: this launch came to its end in verify"


@pytest.mark.parametrize("ended", ["time", "first pass", None])
def test_what_strixbench_killed_was_not_killed_for_memory(ended: Any) -> None:
    killed = ExitRecord(started=True, code=137, timed_out=True, ended_because=ended)
    assert explain_launch(a_launch(journal=journal_until("warm"), exit=killed)).match is None


def test_that_the_kernel_s_log_was_not_read_is_said_of_a_failure_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    why = "/dev/kmsg is closed to this user (kernel.dmesg_restrict)"
    dead = a_launch(
        a_plan(family="rocm"), journal=journal_until("cold", hip="7.2.26015"), exit=ExitRecord(started=True, code=134)
    )
    unread = msgspec.structs.replace(dead, kernel_log_refused=why)
    told = [line for line in explanation_lines(explain_launch(unread)) if line.startswith("kernel log")]
    assert told == [f"kernel log not read ({why}): `sudo dmesg` may say more"]
    assert not any(line.startswith("kernel log") for line in explanation_lines(explain_launch(dead)))
    print_launch(unread)
    assert f"kernel    not read: {why}" in capsys.readouterr().out
    on_cpu = msgspec.structs.replace(unread, plan=a_plan(family="cpu"))
    assert not any(line.startswith("kernel log") for line in explanation_lines(explain_launch(on_cpu)))


def test_a_silent_death_is_explained_by_its_exit_code_and_says_so() -> None:
    explanation = explain_launch(a_launch(journal=journal_until("warm"), exit=ExitRecord(started=True, code=137)))
    assert explanation.match is not None
    assert (explanation.match.signature.id, explanation.match.found_in) == ("killed-for-memory", "exit code")
    assert "without a word of evidence" in explanation_lines(explanation)[0]


def test_a_torch_that_was_replaced_is_explained() -> None:
    launch = a_launch(a_plan(family="rocm"), journal=passing_journal(torch="2.8.0+cu128", hip=None, cuda="12.8"))
    assert launch.verdict.signature == "torch-replaced"
    explanation = explain_launch(launch)
    assert explanation.match is not None
    assert explanation.match.signature.id == "torch-replaced"


def test_lines_are_wrapped_to_a_terminal_and_addresses_stay_whole() -> None:
    explanation = explain_text(TORCHVISION)
    whole, wrapped = explanation_lines(explanation), explanation_lines(explanation, width=60)
    assert max(map(len, whole)) > 60
    assert all(len(line) <= 60 or " " not in line[11:] for line in wrapped)
    assert " ".join(" ".join(wrapped).split()) == " ".join(" ".join(whole).split())
    assert all(line[:11].strip() or line.startswith(" " * 11) for line in wrapped)


def test_what_a_terminal_would_obey_is_spelled_out() -> None:
    assert printable("a\x1b[2Jb\x07\u202ec\n  d") == "a\\x1b[2Jb\\x07\\u202ec d"
    lines = explanation_lines(
        explain_text('Traceback (most recent call last):\n  File "/x\u202e.py", line 1, in f\nKeyError: \x9b2J\n')
    )
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("text", [TORCHVISION, "ValueError: new", "just a log"])
def test_the_data_is_json_and_says_the_same(text: str) -> None:
    explanation = explain_text(text)
    data = json.loads(json.dumps(explanation_data(explanation)))
    match = explanation.match
    assert (data["signature"] and data["signature"]["id"]) == (match and match.signature.id)
    assert len(data["chain"]) == len(explanation.chain)


@pytest.mark.parametrize(
    "survived",
    [
        "torch.OutOfMemoryError caught, retrying with a smaller batch",
        "INFO: pip is looking at multiple versions. This is taking longer than usual. You might need to provide the resolver",
    ],
)
def test_what_was_survived_before_the_exception_is_not_its_cause(survived: str) -> None:
    ended = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    d["a"]\nKeyError: \'a\'\n'
    explanation = explain_text(f"{survived}\n{ended}")
    assert explanation.match is None
    assert explanation.also is not None


def test_a_native_death_after_a_warning_s_traceback_is_explained() -> None:
    warned = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    load()\nKeyError: 'a'\n"
    explanation = explain_text(
        f"{warned}Memory access fault by GPU node-1 (Agent handle: 0x5) on address 0x7f. Reason: Unknown.\n"
    )
    assert explanation.match is not None
    assert explanation.match.signature.id == "gpu-page-fault"
