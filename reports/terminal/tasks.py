"""What launches of tasks found, on the terminal: probes, ladders, kernels, calibrations and corpora."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.kernel_rows import kernel_images
from harness.analysis.probe_rows import COLUMNS as PROBE_COLUMNS
from harness.analysis.probe_rows import Probe, probes_of
from harness.records.journal import mapping
from harness.records.launch import Launch
from harness.text import printable
from harness.workloads.accuracy import Accuracy, FileResult
from harness.workloads.calibrate import calibration_of
from harness.workloads.corpus_results import corpora_of
from reports.markdown.render import format_percent, format_seconds
from reports.sections import accuracy, kernels
from reports.sections.calibrations import calibration_columns, calibration_rows
from reports.sections.ladder import COLUMNS as LADDER_COLUMNS
from reports.sections.ladder import ladder_rows
from reports.sections.probes import cell_text
from reports.terminal.table import print_table


def print_probes(launches: Sequence[Launch]) -> None:
    """What the probes found in each image, to stdout."""
    columns = ("Image", "Engine", "Python", "PyTorch", "HIP", "CUDA", "pyannote.audio", "Device", "Status")
    print_table("probe: imports and device", columns, [_found(launch) for launch in launches])
    probes = probes_of(launches)
    if not probes:
        return
    rows = [(step, *(cell_text(probe.cells[number]) for probe in probes)) for number, step in enumerate(PROBE_COLUMNS)]
    print()
    print_table("probe: steps, each in a process of its own", ("Step", *(_name(probe) for probe in probes)), rows)
    for probe in probes:
        _print_evidence(probe)
    print("\nAudio reaches pyannote as a waveform in memory, with or without a fix: no step needs torchcodec or FFmpeg.")


def _found(launch: Launch) -> tuple[str, ...]:
    """One probe's row."""
    imported = launch.ends("import")
    torch = mapping(imported.get("torch"))
    verdict = launch.verdict
    return (
        launch.image,
        launch.plan.engine.title,
        *(str(value or "-") for value in (imported.get("python"), torch.get("version"), torch.get("hip"), torch.get("cuda"))),
        str(launch.imports.get("pyannote.audio", {}).get("version") or "-"),
        str(launch.ends("device").get("name") or "-"),
        "PASS" if verdict.status == "pass" else f"FAIL in {verdict.stage}: {verdict.cause}",
    )


def _name(probe: Probe) -> str:
    """The heading of a probe's column."""
    plan = probe.launch.plan
    return f"{probe.launch.image} {plan.variant} ({plan.engine.title})"


def _print_evidence(probe: Probe) -> None:
    """Why each bad step of a probe is bad, and what is known to help."""
    for cell in probe.bad:
        if cell.verdict is None:
            continue
        print("\n" + printable(f"{_name(probe)}: {cell.step}: {cell.verdict.summary}"))
        if cell.signature is not None:
            print(f"  known as {cell.signature.id}: {cell.signature.explanation}\n  fix: {cell.signature.fix}")
        if cell.passes_with:
            print(f"  passes with: {', '.join(cell.passes_with)} (--fix NAME)")


def print_ladders(launches: Sequence[Launch]) -> None:
    """What each ladder found, rung by rung, to stdout."""
    for launch in launches:
        print_table(
            f"{launch.plan.cell} ({launch.plan.engine.name}): {launch.plan.device} against batch 1 on the CPU",
            LADDER_COLUMNS,
            ladder_rows(launch),
        )
        verdict = launch.verdict
        print(
            f"\n{'right at every batch that was tried' if verdict.status == 'pass' else f'{verdict.status}: {printable(verdict.summary)}'}"
        )


def print_kernels(launches: Sequence[Launch], *, beside: Sequence[Launch]) -> None:
    """The times of some launches' kernels, to stdout; ``beside`` are launches of `bench` whose shares are shown."""
    passes = [launch for launch in beside if not launch.plan.task]
    for image in kernel_images([*launches, *passes]):
        rows = [
            (
                row.name,
                row.shape,
                kernels.format_time(row.seconds),
                kernels.format_call(row.first_seconds),
                kernels.format_rate(row.flop_rate),
                kernels.format_rate(row.byte_rate),
                str(row.seconds.n),
                str(row.calls),
            )
            for row in image.rows
        ]
        print_table(f"kernels of {printable(image.title)}", kernels.COLUMNS, rows)
        bad = [f"not timed: {name}: {why}" for name, why in image.bad]
        print("", *map(printable, [*kernels.ceiling_lines(image), *bad]), "", sep="\n")
    for launch in launches:
        if launch.verdict.status != "pass":
            print(printable(f"{launch.image}: {launch.verdict.cause} in {launch.verdict.stage}: {launch.verdict.summary}"))


def print_calibrations(launches: Sequence[Launch]) -> None:
    """Which memory meters moved by what was allocated, to stdout."""
    for launch in launches:
        title = f"{launch.image} {launch.plan.variant} ({launch.plan.engine.title})"
        calibration = calibration_of(launch)
        if calibration is None:
            verdict = launch.verdict
            print(printable(f"{title}: FAIL in {verdict.stage}: {verdict.cause}: {verdict.summary}"))
            continue
        said = f"{title}: memory held on {launch.plan.device}, and by how much each meter moved"
        print_table(said, calibration_columns(calibration), calibration_rows(calibration))
        print()


def print_accuracies(findings: Sequence[Accuracy]) -> None:
    """How accurate images are on a corpus, by recording and then in total, to stdout."""
    for found in findings:
        plan = found.launch.plan
        print_table(f"{plan.cell} ({plan.engine.title})", _RECORDINGS, [_recording(file) for file in found.files])
        for file in found.files:
            if file.why:
                print(f"{printable(file.name)}: {file.outcome}: {printable(file.why)}")
        print()
    for corpus in corpora_of([launch for found in findings for launch in found.launches]):
        columns = (*_ACCURACY[:4], f"DER, {corpus.collar_seconds:g} s collar", *_ACCURACY[4:])
        print_table(accuracy.corpus_title(corpus), columns, [_in_all(row) for row in corpus.rows])
        print(f"\nBeside it: {corpus.expected}.\n" if corpus.expected is not None else "")
    print(accuracy.EXPLANATION)


_RECORDINGS = (
    "Recording",
    "Seconds",
    "DER",
    "With collar",
    "Missed",
    "False alarm",
    "Confusion",
    "Speakers",
    "Reference",
    "Result",
)

_ACCURACY = ("Image", "n", "DER", "Missed + false alarm + confusion", "JER", "Speakers", "Audio h/h")


def _recording(file: FileResult) -> tuple[str, ...]:
    scores = file.strict
    parts = (scores.missed_seconds, scores.false_alarm_seconds, scores.confusion_seconds) if scores else (None,) * 3
    counts = ("-" if count is None else str(count) for count in (file.speakers, file.reference_speakers))
    return (
        file.name,
        "-" if file.audio_seconds is None else f"{file.audio_seconds:.1f}",
        accuracy.file_der_text(file),
        accuracy.file_der_text(file, with_collar=True),
        *map(format_seconds, parts),
        *counts,
        file.outcome,
    )


def _in_all(row: Accuracy) -> tuple[str, ...]:
    return (
        f"{row.launch.image} {row.launch.plan.variant} ({row.launch.plan.engine.title})",
        accuracy.scored_text(row),
        accuracy.der_text(row.strict),
        accuracy.parts_text(row.strict),
        accuracy.der_text(row.collar),
        format_percent(row.jer),
        accuracy.speakers_text(row),
        accuracy.throughput_text(row),
    )
