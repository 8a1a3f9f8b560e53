"""`doctor --report`: what it tells of a host, and that nothing of its owner is in it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from harness.catalog.load import shipped_catalog
from harness.doctor import examine
from harness.doctor.answers import Known, read_unknowns
from harness.doctor.facts import Disk, HostFacts
from harness.doctor.private import Private
from harness.doctor.report import HostReport, make_report, report_text
from harness.engines.about import EngineFacts
from harness.machine.host import describe_host
from harness.machine.kernel_log import KernelLine, KernelText
from harness.records.launch import Launch
from harness.records.outcome import Verdict
from tests.unit.doctored import BAD_FIRMWARE
from tests.unit.fixture_hosts import (
    FEDORA,
    OWNED,
    OWNED_ENGINES,
    OWNER,
    PRIVATE_WORDS,
    ROOTLESS_PODMAN,
    a_tree,
    facts_of,
)
from tests.unit.samples import a_launch, a_plan

OWNERS_DISKS = (
    Disk(what="results", path="/mnt/My Disk/jdoe/results", free_bytes=50 * 10**9),
    Disk(what="cache", path="/home/jdoe/.cache/strixbench", free_bytes=None),
    Disk(what="podman images", path="/home/jdoe/.local/share/containers", free_bytes=3 * 10**9),
)
PRIVATE = Private(names=("jdoe", "jdoes-box.lan.example.net"), paths=("/home/jdoe", *(disk.path for disk in OWNERS_DISKS)))

FAILED = Verdict(status="fail", stage="load", cause="gpu fault", summary="jdoe's GPU", signature="kernel-cwsr-fault")
UNKNOWN_FAILURE = Verdict(status="fail", stage="cold", cause="crash", summary="/home/jdoe")


def report_of(root: Path, facts: HostFacts, launches: tuple[Launch, ...] = (), private: Private = PRIVATE) -> HostReport:
    shipped = shipped_catalog()
    return make_report(
        facts,
        examine(facts),
        Known(host=describe_host(root), launches=launches, ours=frozenset((*shipped.images, *shipped.variants))),
        unknowns=read_unknowns(shipped),
        packages={"container-selinux": "2.242.0-1.fc43"},
        private=private,
        version="0.1.0",
    )


def rows(report: HostReport, section: str) -> list[tuple[str, str]]:
    (found,) = (each for each in report.sections if each.name == section)
    return [(row.label, row.value) for row in found.rows]


@pytest.fixture
def owned(tmp_path: Path) -> HostReport:
    root = a_tree(tmp_path / "jdoe", OWNED)
    environment = {"HF_TOKEN": "hf_abcdefghijklmnop"}
    facts = facts_of(root, user=OWNER, engines=OWNED_ENGINES, packages=BAD_FIRMWARE, environment=environment)
    facts = msgspec.structs.replace(facts, disks=OWNERS_DISKS)
    launches = (
        a_launch(a_plan(1, image="registry.lan.example.net/acme/secret:1", family="rocm", caches="empty"), verdict=FAILED),
        a_launch(a_plan(2, image="rocm72", family="rocm", variant="acmes", caches="empty"), verdict=UNKNOWN_FAILURE),
    )
    return report_of(root, facts, launches)


def test_nothing_that_names_a_machine_or_a_person_is_in_the_text_or_the_json(owned: HostReport) -> None:
    for text in (report_text(owned), json.dumps(msgspec.to_builtins(owned))):
        assert [word for word in PRIVATE_WORDS if word.lower() in text.lower()] == []


def test_what_an_engine_s_program_says_of_its_failure_is_left_out(tmp_path: Path) -> None:
    said = "`podman info` failed: unable to connect to alice@alices-nas:22: dial tcp: lookup alices-nas on 192.0.2.53:53"
    facts = facts_of(a_tree(tmp_path / "host", FEDORA), engines=(EngineFacts(name="podman", error=said),))
    text = report_text(report_of(tmp_path / "host", facts))
    assert "alice" not in text
    assert dict(rows(report_of(tmp_path / "host", facts), "engines")) == {"podman": "does not answer"}


def test_what_matters_about_such_a_host_is_still_told(owned: HostReport) -> None:
    text = report_text(owned)
    for told in (
        "6.18.5-200.[removed].fc43.x86_64",
        "Fedora Linux 43 (Server Edition)",
        "ro quiet init=[removed] ip=[removed]",
        "amd_iommu=on",
        "mes=0x00000080 rlc=0x11530506",
        "simd_count 80, cwsr_size 27185152, ctl_stack_size 28672",
        "VRAM 0.5 GiB, GTT 62.5 GiB",
        "0x1002:0x1586 at 0000:c6:00.0, driver amdgpu",
        "ttm.pages_limit=25165824",
        "amd-gpu-firmware=20251125-1.fc43",
        "container-selinux=2.242.0-1.fc43",
        "28.3.3, rootless, runc, cgroups v2",
        "enforcing",
    ):
        assert told in text
    assert dict(rows(owned, "device nodes"))["this user"] == "not root, in render and video"
    assert dict(rows(owned, "room")) == {
        "results": "50.0 GB free",
        "cache": "does not say",
        "podman images": "3.0 GB free",
    }


def test_nodes_are_told_with_mode_and_group(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", FEDORA)
    (root / "dev/kfd").chmod(0o660)
    facts = facts_of(root)
    assert facts.kfd is not None
    kfd = msgspec.structs.replace(facts.kfd, group=105, openable=False)
    told = dict(rows(report_of(root, msgspec.structs.replace(facts, kfd=kfd)), "device nodes"))
    assert told["/dev/kfd"] == "mode 0660, group 105 (render), does not open for this user"


FIRMWARE_TABLE = """ME feature version: 35, firmware version: 0x00000020
SOS feature version: 0, firmware version: 0x00000000
TA HDCP feature version: 0x00000000, firmware version: 0x1700004d
SMC feature version: 0, program: 10, firmware version: 0x0a640600 (100.6.0)
MES feature version: 1, firmware version: 0x00000086
VBIOS version: 113-STRXLGEN-001
"""
"""Lines of a Framework Desktop's amdgpu_firmware_info: https://github.com/ROCm/legacy-rocm-build/issues/6165"""


def test_firmware_is_read_from_the_debug_table_where_root_asks(tmp_path: Path) -> None:
    files = {**FEDORA, "sys/kernel/debug/dri/0000:c6:00.0/amdgpu_firmware_info": FIRMWARE_TABLE}
    root = a_tree(tmp_path / "host", files)
    told = dict(rows(report_of(root, facts_of(root)), "gpu"))
    assert told["firmware in debugfs"] == "me=0x00000020 ta_hdcp=0x1700004d smc=0x0a640600 mes=0x00000086"


def test_launches_are_counted_by_image_with_how_they_failed(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", FEDORA)
    rocm = [a_plan(number, image="rocm72", family="rocm", variant="gfx1100") for number in range(1, 5)]
    passed = Verdict(status="pass", stage="verify")
    launches = (
        a_launch(rocm[0], verdict=passed),
        a_launch(rocm[1], verdict=FAILED),
        a_launch(rocm[2], verdict=FAILED),
        a_launch(rocm[3], verdict=UNKNOWN_FAILURE),
        a_launch(a_plan(6, image="rocm72", family="rocm", variant="gfx1100+lstm-dropout-0"), verdict=passed),
        a_launch(a_plan(5, image="localhost/mine:1", family="rocm", variant="my-own")),
    )
    own, told, fixed = rows(report_of(root, facts_of(root), launches), "launches in the store")
    assert own[0] == "an image of the owner's/a variant of the owner's (podman, cuda)"
    assert told[0] == "rocm72/gfx1100 (podman, cuda)"
    assert fixed[0] == "rocm72/gfx1100+lstm-dropout-0 (podman, cuda)"
    assert told[1].startswith("1 passed, 0 with wrong output, 3 failed; kernel-cwsr-fault x2, crash at cold x1; torch ")


def test_findings_that_are_ok_or_told_elsewhere_in_the_report_are_left_out(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", FEDORA)
    labels = [label for label, _ in rows(report_of(root, facts_of(root, packages=BAD_FIRMWARE)), "doctor's findings")]
    assert "problem kernel and firmware: installed firmware" in labels
    assert not [label for label in labels if label.startswith("ok ") or ": token" in label or "disk" in label]


def test_a_question_is_either_answered_or_has_its_command(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", OWNED)
    report = report_of(root, facts_of(root))
    text = report_text(report)
    answered, asked = text.split("open questions: run")
    assert "context-save-area" in answered
    assert "gfx1151: 80 SIMDs, cwsr_size 27185152, ctl_stack_size 28672" in answered
    for question in report.questions:
        assert (question.command in asked) is (not question.answer), question.id
        assert question.question in text


def test_what_a_file_says_cannot_end_the_fence_or_command_a_terminal(tmp_path: Path) -> None:
    files = {**FEDORA, "sys/class/dmi/id/sys_vendor": "A ```\x1b[31m\u202eMaker\n", "proc/cmdline": "video=```\x07 ro\n"}
    root = a_tree(tmp_path / "host", files)
    engines = (ROOTLESS_PODMAN, EngineFacts(name="docker", error="said:\n```\n# heading"))
    text = report_text(report_of(root, facts_of(root, engines=engines)))
    assert text.count("```") == 2
    assert text.replace("\n", "").isprintable()
    assert "\n# heading" not in text


@pytest.mark.parametrize("text", ["", "\0", "\u00b2 nonsense\n", "9" * 5000, "a:b:c:d\n=\n:\n", "-1 kB"])
def test_a_host_whose_files_say_nothing_or_nonsense_gets_a_report(tmp_path: Path, text: str) -> None:
    files = {name: content if name.endswith("/vendor") else text for name, content in OWNED.items()}
    root = a_tree(tmp_path / "host", files)
    assert report_text(report_of(root, facts_of(root, engines=()))).endswith("\n```")


def test_an_empty_tree_gets_a_report_with_every_question(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    report = report_of(tmp_path / "host", facts_of(tmp_path / "host", engines=()))
    assert dict(rows(report, "engines")) == {"engine": "none"}
    assert not any(question.answer for question in report.questions)


def test_a_hang_is_reported_by_its_kind_and_age_without_the_kernel_s_line_which_may_name_a_process(tmp_path: Path) -> None:
    text = (
        "amdgpu 0000:c3:00.0: amdgpu: [gfxhub] page fault (pasid:32794, for process llama-of-jane pid 345 thread llama pid 345)"
    )
    log = KernelText((KernelLine(77.0, text),))
    facts = msgspec.structs.replace(facts_of(a_tree(tmp_path, FEDORA)), kernel_log=log, up_seconds=677.0)
    report = report_of(tmp_path, facts)
    said = [value for section in report.sections for value in (f"{row.label}: {row.value}" for row in section.rows)]
    assert "warning GPU hangs: GPU hangs: a program on the GPU faulted or hung, 10 min ago" in said
    assert "llama" not in report_text(report)
