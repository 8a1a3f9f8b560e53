"""Rows as a table on the terminal; Markdown's own where stdout is not one, so that it can be piped on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.accuracy import Accuracy, FileResult
from harness.calibration import calibration_of
from harness.energy import marks_of
from harness.fingerprints import fingerprint_of
from harness.ladder import rungs_of
from harness.records import Launch
from harness.stopping import rule_text, stop_text
from reports import accuracy, tables
from reports.agreement import agreement_rows, format_cosine, format_difference
from reports.calibrations import calibration_rows, size_text
from reports.comparisons import EFFECT_COLUMNS, effect_cells, effects_of, null_lines, nulls_of
from reports.cost import COST_COLUMNS, cost_rows
from reports.explanation import printable
from reports.kernels import ceiling_lines, format_call, format_rate, format_time, kernel_images
from reports.ladder import COLUMNS as LADDER
from reports.ladder import ladder_cells
from reports.markdown import format_factor, format_percent, format_seconds, format_spread
from reports.memory import memory_text
from reports.probes import COLUMNS, Probe, probes_of
from reports.repeats import REPEAT_COLUMNS, cool_down_text, repeat_rows
from reports.results import chain_text

if TYPE_CHECKING:
    from harness.doctor.finding import Finding
    from harness.trials import Trial

_WIDE = 400
"""Columns where there is no terminal to fit into."""

_RESULTS = ("Image", "Engine", "PyTorch", "GFX", "Time", "Realtime", "n", "Cold", "Load", "Speakers", "DER", "Memory", "Status")

_DISPENSABLE = (
    *("Memory", "Load", "Cold", "PyTorch", "Speakers"),
    *("Workload", "p (sign-flip)", "p", "Null test here", "GFX"),
)
"""Left out, in this order, of a terminal that is too narrow for all."""


def print_results(launches: Sequence[Launch], *, stored: Sequence[Launch] = ()) -> None:
    """The results table of some launches, to stdout; ``stored`` may hold calibrations of their images."""
    for workload in tables.workloads_of(tables.rows_of(launches, stored=stored)):
        _print_table(workload.title, _RESULTS, [_cells(row) for row in workload.rows])
    costs = cost_rows(launches)
    if costs:
        print()
        _print_table("fixed and marginal cost", COST_COLUMNS, [row.cells for row in costs])
    repeats = [row for row in repeat_rows(launches) if row.is_worth_saying]
    if repeats:
        print()
        _print_table("how many launches, and why no more", REPEAT_COLUMNS, [row.cells for row in repeats])


def print_comparisons(launches: Sequence[Launch]) -> None:
    """What knobs changed in some launches, and what a cell against itself says of this machine, to stdout."""
    effects = effects_of(launches)
    if effects:
        print()
        title = "effects: + is slower; a pair is one round, a change is claimed from six pairs on"
        _print_table(title, EFFECT_COLUMNS, [effect_cells(effect) for effect in effects])
    for null in nulls_of(launches):
        print()
        _print_table(f"null test: {null.subject.cell} against itself", ("What", "Found"), null_lines(null))


def print_caches(rows: Sequence[tuple[str, ...]]) -> None:
    """Kept kernel caches, to stdout."""
    _print_table("kernel caches", ("Cache", "Engine", "Driver", "Files", "Size", "Remark"), rows)


def print_agreements(launches: Sequence[Launch], *, with_cpu_runs: bool = False) -> None:
    """How launches agree with the CPU run, to stdout; nothing where all are CPU runs, unless those were asked for."""
    of_rows = tables.rows_of(launches)
    rows = [
        (
            each.row.image,
            each.row.engine,
            each.row.speaking.plan.variant,
            format_percent(each.der),
            each.speakers_text,
            format_cosine(each.cosine),
            format_difference(each),
            str(each.n),
            each.said,
        )
        for each in agreement_rows(of_rows, with_cpu_runs=with_cpu_runs)
    ]
    if rows:
        print()
        columns = ("Image", "Engine", "GFX", "DER", "Speakers", "Cosine", "Largest difference", "n", "Agreement")
        _print_table("agreement with the CPU run of the same image", columns, rows)


def print_ladders(launches: Sequence[Launch]) -> None:
    """What each ladder found, rung by rung, to stdout."""
    for launch in launches:
        rows = [ladder_cells(rung) for rung in rungs_of(launch.results)]
        _print_table(
            f"{launch.plan.cell} ({launch.plan.engine.name}): {launch.plan.device} against batch 1 on the CPU", LADDER, rows
        )
        verdict = launch.verdict
        print(
            f"\n{'right at every batch that was tried' if verdict.status == 'pass' else f'{verdict.status}: {printable(verdict.summary)}'}"
        )


def print_probes(launches: Sequence[Launch]) -> None:
    """What probes found in each image, to stdout."""
    columns = ("Image", "Engine", "Python", "PyTorch", "HIP", "CUDA", "pyannote.audio", "Device", "Status")
    _print_table("probe: imports and device", columns, [_found(launch) for launch in launches])
    probes = probes_of(launches)
    if not probes:
        return
    rows = [(step, *(probe.cells[number].text for probe in probes)) for number, step in enumerate(COLUMNS)]
    print()
    _print_table("probe: steps, each in a process of its own", ("Step", *(_name(probe) for probe in probes)), rows)
    for probe in probes:
        _print_evidence(probe)
    print("\nAudio reaches pyannote as a waveform in memory, with or without a fix: no step needs torchcodec or FFmpeg.")


def print_kernels(launches: Sequence[Launch], *, beside: Sequence[Launch]) -> None:
    """What the kernels of some launches took, to stdout; ``beside`` are launches of `bench`, of which shares are taken."""
    passes = [launch for launch in beside if not launch.plan.task]
    columns = ("Kernel", "Shape", "Time", "First call", "GFLOP/s", "GB/s", "n", "Calls")
    for image in kernel_images([*launches, *passes]):
        rows = [
            (
                row.name,
                row.shape,
                format_time(row.seconds),
                format_call(row.first_seconds),
                format_rate(row.flop_rate),
                format_rate(row.byte_rate),
                str(row.seconds.n),
                str(row.calls),
            )
            for row in image.rows
        ]
        _print_table(f"kernels of {printable(image.title)}", columns, rows)
        bad = [f"not timed: {name}: {why}" for name, why in image.bad]
        print("", *map(printable, [*ceiling_lines(image), *bad]), "", sep="\n")
    for launch in launches:
        if launch.verdict.status != "pass":
            print(printable(f"{launch.image}: {launch.verdict.cause} in {launch.verdict.stage}: {launch.verdict.summary}"))


def print_calibrations(launches: Sequence[Launch]) -> None:
    """Which meters of memory moved by what was allocated, to stdout."""
    for launch in launches:
        engine = launch.plan.engine
        title = f"{launch.image} {launch.plan.variant} ({engine.name}{' rootless' if engine.rootless else ''})"
        calibration = calibration_of(launch)
        if calibration is None:
            verdict = launch.verdict
            print(printable(f"{title}: FAIL in {verdict.stage}: {verdict.cause}: {verdict.summary}"))
            continue
        columns = ("Meter", "Read by", *map(size_text, calibration.sizes_bytes), "Judged")
        rows = [(row.meter, row.read_by, *row.moved, row.judged) for row in calibration_rows(calibration)]
        _print_table(f"{title}: memory held on {launch.plan.device}, and by how much each meter moved", columns, rows)
        print()


def _name(probe: Probe) -> str:
    """What heads a probe's column."""
    return f"{probe.image} {probe.variant} ({probe.engine})"


def _print_evidence(probe: Probe) -> None:
    """Why each bad step of a probe is bad, and what is known to help."""
    for cell in probe.bad:
        if cell.verdict is None:
            continue
        print(f"\n{_name(probe)}: {cell.step}: {cell.verdict.summary}")
        if cell.signature is not None:
            print(f"  known as {cell.signature.id}: {cell.signature.explanation}\n  fix: {cell.signature.fix}")
        if cell.passes_with:
            print(f"  passes with: {', '.join(cell.passes_with)} (--fix NAME)")


def print_trials(image: str, findings: Sequence[Trial]) -> None:
    """Which relaxations an image needs, to stdout."""
    rows = [(found.flags, found.need, found.because) for found in findings]
    _print_table(f"{image}: each relaxation left out alone, and the least alone", ("Left out", "Result", "Because"), rows)


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that fits the terminal; Markdown's own without trailing blanks where there is none."""
    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else _WIDE)
    left_out: list[str] = []
    while True:
        shown = [number for number, column in enumerate(columns) if column not in left_out]
        table = Table(box=box.ROUNDED if terminal else box.MARKDOWN)
        for number in shown:
            table.add_column(columns[number], overflow="fold")
        for row in rows:
            words = [printable(row[number]) for number in shown]  # what comes out of a container makes no lines of its own
            table.add_row(*(Text(word if terminal else word.replace("|", "\\|")) for word in words))
        dispensable = [column for column in _DISPENSABLE if column in columns and column not in left_out]
        if not dispensable or Measurement.get(console, console.options.update(width=_WIDE), table).maximum <= console.width:
            break
        left_out.append(dispensable[0])
    with console.capture() as captured:
        console.print(table)
    print(f"{title}\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines() if line.strip()))


def _found(launch: Launch) -> tuple[str, ...]:
    """One probe's row."""
    imported = launch.ends("import")
    found = imported.get("torch")
    torch = found if isinstance(found, dict) else {}
    engine, verdict = launch.plan.engine, launch.verdict
    return (
        launch.image,
        f"{engine.name} rootless" if engine.rootless else engine.name,
        *(str(value or "-") for value in (imported.get("python"), torch.get("version"), torch.get("hip"), torch.get("cuda"))),
        str(launch.imports.get("pyannote.audio", {}).get("version") or "-"),
        str(launch.ends("device").get("name") or "-"),
        "PASS" if verdict.status == "pass" else f"FAIL in {verdict.stage}: {verdict.cause}",
    )


def print_accuracies(findings: Sequence[Accuracy]) -> None:
    """How right images are on a corpus: by recording, then in all, to stdout."""
    for found in findings:
        plan = found.launch.plan
        _print_table(f"{plan.cell} ({accuracy.engine_of(found)})", _RECORDINGS, [_recording(file) for file in found.files])
        for file in found.files:
            if file.why:
                print(f"{printable(file.name)}: {file.outcome}: {printable(file.why)}")
        print()
    for corpus in accuracy.corpora_of([launch for found in findings for launch in found.launches]):
        columns = (*_ACCURACY[:4], f"DER, {corpus.collar_seconds:g} s collar", *_ACCURACY[4:])
        _print_table(corpus.title, columns, [_in_all(row) for row in corpus.rows])
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
        f"{row.launch.image} {row.launch.plan.variant} ({accuracy.engine_of(row)})",
        accuracy.counted(row),
        accuracy.der_text(row.strict),
        accuracy.parts_text(row.strict),
        accuracy.der_text(row.collar),
        format_percent(row.jer),
        accuracy.speakers_text(row),
        accuracy.throughput_text(row),
    )


def print_launch(launch: Launch) -> None:
    """One launch for a person."""
    verdict, plan = launch.verdict, launch.plan
    lines = {
        "launch": launch.id,
        "cell": plan.cell,
        "when": plan.planned_at,
        "engine": f"{plan.engine.name} {plan.engine.version or ''}{' rootless' if plan.engine.rootless else ''}",
        "image id": plan.image.id or "-",
        "torch": launch.torch_version or "-",
        "verdict": f"{verdict.status}{f': {verdict.cause}' if verdict.cause else ''} in {verdict.stage} {verdict.summary}",
        "import": format_seconds(launch.import_seconds),
        "load": format_seconds(launch.load_seconds),
        "cold": ", ".join(map(format_seconds, launch.pass_seconds("cold"))) or "-",
        "warm": ", ".join(map(format_seconds, launch.pass_seconds("warm"))) or "-",
        "DER": format_percent(launch.der) if plan.workload.has_accuracy else tables.NO_ACCURACY,
        "command": shlex.join(plan.command) or "-",
    }
    if plan.stopping is not None and launch.decision is not None:
        lines["launches"] = f"{rule_text(plan.stopping)}; {stop_text(plan.stopping, launch.decision) or 'go on'}"
    if plan.cool_down is not None:
        lines["cool-down"] = cool_down_text([plan.cool_down])
    if launch.agreement is not None:
        found = launch.agreement
        lines["agreement"] = "; ".join(found.reasons) or (f"not compared: {found.why_not}" if found.why_not else "agrees")
        lines["agreement"] += (
            f" (DER {format_percent(found.der)}, cosine {format_cosine(found.cosine)}; CPU run {found.reference or '-'})"
        )
    fingerprint = fingerprint_of(launch)
    if fingerprint is not None:
        lines["numbers"] = (
            f"segmentation {fingerprint.segmentation.short}, embedding {fingerprint.embedding.short} on {fingerprint.device}"
            f"{f', {fingerprint.cpu_capability}' if fingerprint.cpu_capability else ''}"
        )
    if launch.telemetry is not None:
        sampled = launch.telemetry
        lines["sampled"] = f"{len(sampled.times)} times, {len(sampled.series)} meters; {len(sampled.unavailable)} unavailable"
        lines["marks"] = "; ".join(marks_of(launch)) or "-"
    for name, value in lines.items():
        print(f"{name:<9} {value}")
    if launch.chain:
        print(chain_text(launch))


def _cells(row: tables.Row) -> tuple[str, ...]:
    """A portable build's times are nobody's result, so they are not shown."""
    times = (
        ("-",) * 5
        if row.is_portable
        else (
            format_spread(row.seconds),
            format_factor(row.realtime),
            str(len(row.launches)),
            format_seconds(row.cold_seconds),
            format_seconds(row.load_seconds),
        )
    )
    return (
        row.image,
        row.engine,
        row.speaking.torch_version or "-",
        row.speaking.plan.variant,
        *times,
        "-" if row.speakers is None else str(row.speakers),
        format_percent(row.der),
        memory_text(row.memory),
        f"{tables.status_text(row)}{' (portable)' if row.is_portable else ''}",
    )


def print_findings(findings: Sequence[Finding]) -> None:
    """What `doctor` found, by subject, to stdout. What needs nobody's care is one line."""
    subject = None
    for finding in findings:
        if finding.subject != subject:
            print(f"{'' if subject is None else chr(10)}{finding.subject}")
            subject = finding.subject
        print(f"  {finding.status:<8} {_printable(finding.found)}")
        if finding.status == "ok":
            continue
        for name, text in (("why", finding.why), ("fix", finding.fix), ("see", finding.source)):
            if text:
                print(f"           {name}: {_printable(text)}")
    counts = {status: sum(finding.status == status for finding in findings) for status in _COUNTED}
    said = ", ".join(f"{count} {status if count == 1 else _COUNTED[status]}" for status, count in counts.items() if count)
    print(f"\n{said or 'all well'}")


_COUNTED = {"problem": "problems", "warning": "warnings", "unknown": "unknown", "note": "notes"}


def _printable(text: str) -> str:
    """Text on its line: what came out of a file may hold signs that command a terminal or turn its direction."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
