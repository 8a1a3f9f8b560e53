"""`doctor --report`: what a first run on this host depends on, and what is still unknown, as a text for a public place. Pure.

It holds no name of the machine or its user, no path, address, serial number or token: what goes in is chosen field by field,
and everything but our own words goes through `Private`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from harness.doctor.answers import Known, Unknown, answer
from harness.doctor.driver import debug_firmware
from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding
from harness.doctor.private import Private
from harness.engines.about import EngineFacts
from harness.records.host import HostRecord
from harness.records.launch import Launch
from harness.text import size_text

_GIB = 1 << 30

_PARAMETERS = ("amdgpu.cwsr_enable", "amdgpu.gttsize", "amdgpu.vramlimit", "ttm.pages_limit", "amdttm.pages_limit")

LEFT_OUT = ("images", "disk", "models")
"""Subjects of findings that are left out: the report has the first two in words of its own, and the third is private."""

MOST_CHARACTERS = 2000
"""The longest text of one value: what came out of an image may be of any length."""

MOST_ENDINGS = 6
"""How many of an image's failures are shown, the most frequent first."""


class Row(msgspec.Struct, frozen=True):
    """One line."""

    label: str
    value: str


class Section(msgspec.Struct, frozen=True):
    """Lines below a heading."""

    name: str
    rows: tuple[Row, ...]


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    strixbench: str
    """The version."""
    sections: tuple[Section, ...]
    questions: tuple[Unknown, ...]
    """Each with what this host or its store answers."""


def make_report(
    facts: HostFacts,
    findings: Iterable[Finding],
    known: Known,
    *,
    unknowns: Iterable[Unknown],
    packages: dict[str, str],
    private: Private,
    version: str,
) -> HostReport:
    """The report. ``packages`` are those that decide about a container's rights, with their versions."""

    def told(text: str) -> str:
        return private.without(text)[:MOST_CHARACTERS]

    sections = {
        "host": _host(known.host),
        "gpu": _gpu(known.host, facts),
        "device nodes": _nodes(facts),
        "engines": _engines(facts),
        "isolation": _isolation(known.host, facts, packages),
        "room": _room(facts),
        "doctor's findings": _findings(findings),
        "launches in the store": _launches(known),
    }
    return HostReport(
        strixbench=version,
        sections=tuple(
            Section(name, tuple(Row(told(label), told(value)) for label, value in rows if value))
            for name, rows in sections.items()
        ),
        questions=tuple(msgspec.structs.replace(each, answer=told(answer(each, known))) for each in unknowns),
    )


def report_text(report: HostReport) -> str:
    """The report between Markdown fences, ready to paste."""
    lines = [f"strixbench {report.strixbench}, doctor --report"]
    for section in report.sections:
        lines += ["", section.name]
        width = max((len(row.label) for row in section.rows), default=0)
        lines += [f"  {row.label:<{width}}  {row.value}" for row in section.rows] or ["  nothing"]
    told = [question for question in report.questions if question.answer]
    asked = [question for question in report.questions if not question.answer]
    lines += ["", "open questions that this host answers"] if told else []
    for question in told:
        lines += [f"  {question.id}: {question.question}", f"    {question.answer}"]
    lines += (
        ["", "open questions: run any of these commands and add what it prints (with Docker, docker for podman)"]
        if asked
        else []
    )
    for question in asked:
        lines += [f"  {question.id}: {question.question}", f"    why: {question.why}", f"    run: {question.command}"]
    return "\n".join(("```text", *lines, "```"))


Rows = Iterator[tuple[str, str]]


def _host(host: HostRecord) -> Rows:
    yield "machine", host.product or ""
    yield "BIOS", host.bios or ""
    yield "processor", f"{host.processor or 'unknown'}, {host.processors or '?'} threads"
    yield "memory", _bytes(host.memory_bytes)
    yield "system", host.distribution or ""
    yield "kernel", " ".join(filter(None, (host.kernel, host.kernel_build)))
    yield "command line", " ".join(host.command_line)
    profiles = (("platform", host.platform_profile), ("tuned", host.tuned_profile), ("governor", host.governor))
    yield "profiles", ", ".join(f"{name} {value}" for name, value in profiles if value)


def _gpu(host: HostRecord, facts: HostFacts) -> Rows:
    for gpu in facts.pci:
        yield "PCI", f"{gpu.vendor}:{gpu.device} at {gpu.address}, driver {gpu.driver or 'none'}"
    for card in host.cards:
        yield "memory", f"VRAM {_bytes(card.vram_bytes) or 'unknown'}, GTT {_bytes(card.gtt_bytes) or 'unknown'}"
        yield "VBIOS", card.vbios or ""
        yield "firmware", " ".join(card.firmware) or "the driver does not show it"
        yield "performance level", card.performance_level or ""
    yield "firmware in debugfs", " ".join(f"{name}={version}" for name, version in debug_firmware(facts).items())
    for node in host.compute_nodes:
        shown = (("simd_count", node.simd_count), ("cwsr_size", node.cwsr_bytes), ("ctl_stack_size", node.ctl_stack_bytes))
        yield "KFD node", f"{node.target}: " + ", ".join(f"{name} {_known(value)}" for name, value in shown)
    driver = f"from outside the kernel: {host.amdgpu}" if host.amdgpu else "the kernel's own"
    yield "amdgpu", driver if facts.amdgpu_is_loaded else "not loaded"
    yield "parameters", " ".join(row for row in host.parameters if row.partition("=")[0] in _PARAMETERS)
    yield "firmware packages", " ".join(f"{name}={version}" for name, version in sorted((facts.packages or {}).items()))
    yield "NVIDIA", (facts.nvidia_driver.text or "").partition("\n")[0]


def _nodes(facts: HostFacts) -> Rows:
    names = {number: name for name, number in facts.group_ids.items()}
    for node in (facts.kfd, *facts.render_nodes, facts.nvidia, facts.tun):
        if node is not None:
            group = names.get(node.group, "no name of a GPU")
            opens = "opens" if node.openable else "does not open"
            yield node.path, f"mode {node.mode:04o}, group {node.group} ({group}), {opens} for this user"
    has = [name for name, number in facts.group_ids.items() if number in facts.user.groups]
    yield "this user", f"{'root' if facts.user.id == 0 else 'not root'}, in {' and '.join(has) or 'neither render nor video'}"
    yield "CDI", " ".join(name for name in facts.cdi if name.partition(".")[0] in ("amd", "nvidia"))


def _engines(facts: HostFacts) -> Rows:
    if not facts.engines:
        yield "engine", "none"
    for engine in facts.engines:
        yield engine.name, _engine(engine)


def _engine(engine: EngineFacts) -> str:
    if engine.refusal is not None:
        return "does not answer: this user may not open its socket"
    if engine.error is not None:
        return "does not answer"  # its own words may name another machine, or a login there
    words = [engine.version or "of unknown version", "rootless" if engine.rootless else "rootful"]
    words += [engine.runtime] if engine.runtime else []
    words += [f"cgroups v{engine.cgroup_version}"] if engine.cgroup_version else []
    words += [f"can limit {' '.join(engine.controllers)}"] if engine.controllers is not None else []
    return ", ".join(words)


def _isolation(host: HostRecord, facts: HostFacts, packages: dict[str, str]) -> Rows:
    yield "SELinux", host.selinux or "not in use"
    booleans = ((name, (reading.text or "").split()) for name, reading in facts.selinux_booleans.items())
    yield "SELinux booleans", ", ".join(f"{name}={'on' if words[0] == '1' else 'off'}" for name, words in booleans if words)
    yield "packages", " ".join(f"{name}={version}" for name, version in sorted(packages.items()))
    yield "IOMMU", host.iommu or ""


def _room(facts: HostFacts) -> Rows:
    for disk in facts.disks:
        free = "does not say" if disk.free_bytes is None else f"{size_text(disk.free_bytes)} free"
        yield disk.what, free if disk.writable else f"{free}, not to be written by this user"


def _findings(findings: Iterable[Finding]) -> Rows:
    for finding in findings:
        if finding.status != "ok" and finding.subject not in LEFT_OUT and finding.check != "engine":
            yield f"{finding.status} {finding.subject}: {finding.check}", finding.found


def _launches(known: Known) -> Rows:
    """How many launches of each image, variant and engine passed, and how the others ended."""
    groups: dict[str, list[Launch]] = {}
    for launch in known.launches:
        groups.setdefault(_group(launch, known), []).append(launch)
    for name, each in sorted(groups.items()):
        counts = Counter(launch.verdict.status for launch in each)
        bad = [launch.verdict for launch in each if launch.verdict.status != "pass"]
        # A known failure's id, or the cause and the stage.
        ends = Counter(end.signature or f"{end.cause or end.status} at {end.stage}" for end in bad)
        torch = next((launch.torch_version for launch in reversed(each) if launch.torch_version), None)
        words = [f"{counts['pass']} passed, {counts['wrong output']} with wrong output, {counts['fail']} failed"]
        words += [", ".join(f"{ending} x{count}" for ending, count in ends.most_common(MOST_ENDINGS))] if ends else []
        words += [f"torch {torch}"] if torch else []
        yield name, "; ".join(words)


def _group(launch: Launch, known: Known) -> str:
    image, variant = launch.plan.image.portable_of or launch.image, launch.plan.variant
    image = image if image in known.ours else "an image of the owner's"
    variant = variant if known.has_variant(variant) else "a variant of the owner's"
    portable = ", portable" if launch.plan.image.portable_of else ""
    return f"{image}/{variant}{portable} ({launch.plan.engine.name}, {launch.plan.device})"


def _bytes(number: int | None) -> str:
    return "" if number is None else f"{number / _GIB:.4g} GiB"


def _known(value: int | None) -> str:
    return "not told" if value is None else str(value)
