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

from harness.calibration import calibration_of
from harness.fingerprints import fingerprint_of
from harness.records import Launch
from reports import tables
from reports.calibrations import calibration_rows, size_text
from reports.explanation import printable
from reports.markdown import chain_text, format_factor, format_percent, format_seconds, format_spread
from reports.memory import memory_text
from reports.probes import COLUMNS, Probe, probes_of

if TYPE_CHECKING:
    from harness.doctor.finding import Finding
    from harness.trials import Trial

_WIDE = 400
"""Columns where there is no terminal to fit into."""

_RESULTS = ("Image", "Engine", "PyTorch", "GFX", "Time", "Realtime", "n", "Cold", "Load", "Speakers", "DER", "Memory", "Status")

_DISPENSABLE = ("Memory", "Load", "Cold", "PyTorch", "Speakers", "GFX")
"""Left out, in this order, of a terminal that is too narrow for all."""


def print_results(launches: Sequence[Launch], *, stored: Sequence[Launch] = ()) -> None:
    """The results table of some launches, to stdout; ``stored`` may hold calibrations of their images."""
    for workload in tables.workloads_of(tables.rows_of(launches, stored=stored)):
        _print_table(workload.title, _RESULTS, [_cells(row) for row in workload.rows])


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
    fingerprint = fingerprint_of(launch)
    if fingerprint is not None:
        lines["numbers"] = (
            f"segmentation {fingerprint.segmentation.short}, embedding {fingerprint.embedding.short} on {fingerprint.device}"
            f"{f', {fingerprint.cpu_capability}' if fingerprint.cpu_capability else ''}"
        )
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
