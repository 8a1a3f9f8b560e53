"""Rows as a table on the terminal; Markdown's own where stdout is not one, so that it can be piped on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.records import Launch
from reports import tables
from reports.markdown import chain_text, format_factor, format_gib, format_percent, format_seconds, format_spread

_WIDE = 240
"""Columns where there is no terminal to fit into."""


def print_results(launches: Sequence[Launch]) -> None:
    """The results table of some launches, to stdout."""
    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else _WIDE)
    for workload in tables.workloads_of(tables.rows_of(launches)):
        table = Table(
            title=f"{workload.pipeline} on {workload.audio}: {workload.audio_seconds:.1f} s of audio",
            box=box.ROUNDED if terminal else box.MARKDOWN,
            title_justify="left",
        )
        for column in (
            "Image",
            "Engine",
            "PyTorch",
            "GFX",
            "Time",
            "Realtime",
            "n",
            "Cold",
            "Load",
            "Speakers",
            "DER",
            "Memory",
        ):
            table.add_column(column, no_wrap=column in ("Time", "Realtime"))
        table.add_column("Status", overflow="fold")
        for row in workload.rows:
            table.add_row(*(Text(cell if terminal else cell.replace("|", "\\|")) for cell in _cells(row)))
        console.print(table)


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
        "DER": format_percent(launch.der),
        "command": shlex.join(plan.command) or "-",
    }
    for name, value in lines.items():
        print(f"{name:<9} {value}")
    if launch.chain:
        print(chain_text(launch))


def _cells(row: tables.Row) -> tuple[str, ...]:
    return (
        row.image,
        row.engine,
        row.speaking.torch_version or "-",
        row.speaking.plan.variant,
        format_spread(row.seconds),
        format_factor(row.realtime),
        str(len(row.launches)),
        format_seconds(row.cold_seconds),
        format_seconds(row.load_seconds),
        "-" if row.speakers is None else str(row.speakers),
        format_percent(row.der),
        format_gib(row.peak_resident_bytes),
        tables.status_text(row),
    )
