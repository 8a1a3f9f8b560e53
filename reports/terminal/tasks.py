"""What launches found that are timed by no pass, for a person: probes, ladders, kernels, calibrations and corpora."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.kernel_rows import kernel_images
from harness.analysis.probe_rows import probes_of
from harness.records.launch import Launch
from harness.text import printable
from harness.workloads.accuracy import Accuracy
from harness.workloads.calibrate import calibration_of
from harness.workloads.corpus_results import corpora_of
from harness.workloads.workload import workload_of
from reports.sections.accuracy import EXPLANATION, corpus_table, files_table
from reports.sections.calibrations import calibration_section
from reports.sections.kernels import image_section
from reports.sections.ladder import ladder_section
from reports.sections.probes import evidence, looks_table, probes_table
from reports.table import turned
from reports.terminal.draw import print_section, print_table


def print_probes(launches: Sequence[Launch]) -> None:
    """What the probes found in each image, to stdout."""
    print_table(looks_table(launches))
    probes = probes_of(launches)
    if not probes:
        return
    print()
    print_table(turned(probes_table(probes), "Step"))  # a terminal has room for a few images, not for all steps side by side
    for probe in probes:
        if probe.bad:
            print()
            print_section(evidence(probe))
    fixes = sorted({fix for probe in probes for cell in probe.bad for fix in cell.passes_with})
    if fixes:
        print(f"\nUse what helps: {', '.join(f'--fix {fix}' for fix in fixes)}")
    print("\nAudio reaches pyannote as a waveform in memory, with or without a fix: no step needs torchcodec or FFmpeg.")


def print_ladders(launches: Sequence[Launch]) -> None:
    """What each ladder found, rung by rung, to stdout."""
    for number, launch in enumerate(launches):
        if number:
            print()
        print_section(ladder_section(launch))


def print_kernels(launches: Sequence[Launch], *, beside: Sequence[Launch]) -> None:
    """The times of some launches' kernels, to stdout; ``beside`` are launches of `bench` whose shares are shown."""
    passes = [launch for launch in beside if workload_of(launch.plan).is_measured]
    for image in kernel_images([*launches, *passes]):
        print_section(image_section(image))
        print()
    for launch in launches:
        if launch.verdict.status != "pass":
            print(_failure(launch.image, launch))


def print_calibrations(launches: Sequence[Launch]) -> None:
    """Which memory meters moved by what was allocated, to stdout."""
    for launch in launches:
        calibration = calibration_of(launch)
        if calibration is None:
            print(_failure(f"{launch.image} {launch.plan.variant} ({launch.plan.engine.title})", launch))
            continue
        print_section(calibration_section(calibration))
        print()


def print_accuracies(findings: Sequence[Accuracy]) -> None:
    """How accurate images are on a corpus, by recording and then in total, to stdout."""
    for found in findings:
        plan = found.launch.plan
        print_table(files_table(f"{plan.cell} ({plan.engine.title})", found.files))
        for file in found.files:
            if file.why:
                print(printable(f"{file.name}: {file.outcome}: {file.why}"))
        print()
    for corpus in corpora_of([launch for found in findings for launch in found.launches]):
        print_table(corpus_table(corpus))
        print(f"\nBeside it: {corpus.expected}.\n" if corpus.expected is not None else "")
    print(EXPLANATION)


def _failure(what: str, launch: Launch) -> str:
    verdict = launch.verdict
    return printable(f"{what}: FAIL in {verdict.stage}: {verdict.cause}: {verdict.summary}")
