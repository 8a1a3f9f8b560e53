"""Rows -> BENCHMARKS.md. The same store gives the same bytes: no clock, no order but the data's."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jinja2

from benchmarks.wire import STAGES
from harness.energy import NO_PRICE, Price
from harness.records import DEFAULT_WARM_PASSES, WITHOUT_ACCURACY, Launch
from harness.stats import Estimate
from reports import tables
from reports.calibrations import calibration_rows, shown_calibrations, size_text
from reports.memory import memory_text
from reports.probes import COLUMNS, notes_of, probes_of
from reports.telemetry import telemetry_rows, unavailable_meters

_MARKS = {"pass": "✅", "fail": "❌", "wrong": "⚠️", "none": "·"}

_ENTITY_OF = {
    **{sign: f"\\{sign}" for sign in "\\`*_{}[]#|~$"},
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "@": "&#64;",
}
"""What Markdown, or the HTML in it, could take for its own inside a line; ``@`` would call a person on GitHub."""


def render_benchmarks(launches: Sequence[Launch], price: Price = NO_PRICE) -> str:
    """The whole page. Text that came out of a container is escaped. Costs are shown where a price is told."""
    all_rows, probes = tables.rows_of(launches), probes_of(launches)
    rows = tuple(row for row in all_rows if not row.is_portable)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, not HTML: `escape_text` and `code_block` are its escapes
    )
    environment.filters |= {
        "text": escape_text,
        "block": code_block,
        "code": code_span,
        "seconds": format_seconds,
        "spread": format_spread,
        "factor": format_factor,
        "percent": format_percent,
        "gib": format_gib,
        "memory": memory_text,
        "size": size_text,
        "meters": calibration_rows,
        "watts": format_watts,
        "joules": format_joules,
        "cost": format_cost,
        "mark": _MARKS.__getitem__,
        "status": tables.status_text,
        "marks": tables.stage_marks,
        "chain": chain_text,
        "broken": _broken_imports,
        "reproduction": reproduction,
        "words": _words,
        "source": _source,
    }
    telemetry = telemetry_rows(sorted(rows, key=_by_name), launches, price)
    hosts = list(dict.fromkeys(row.speaking.plan.host for row in rows))
    return environment.get_template("BENCHMARKS.md.jinja").render(
        rows=sorted(rows, key=_by_name),
        portable=sorted((row for row in all_rows if row.is_portable), key=_by_name),
        fingerprints=tables.fingerprint_rows(all_rows),
        telemetry=telemetry,
        unavailable_meters=unavailable_meters(telemetry),
        prices=_prices(price),
        workloads=tables.workloads_of(rows),
        hosts=hosts,
        stages=STAGES,
        probes=probes,
        calibrations=shown_calibrations(launches),
        probe_columns=COLUMNS,
        probe_notes=notes_of(probes),
        no_accuracy=tables.NO_ACCURACY,
        without_accuracy=WITHOUT_ACCURACY,
        latest=max((launch.plan.planned_at for launch in launches), default=None),
        launches=len(launches),
    )


def _words(value: object) -> str:
    """A journal's list as words; a dash where it is none, or empty: a CPU's torch holds no kernels for a GPU."""
    return " ".join(str(word) for word in value[:30]) or "-" if isinstance(value, list) else "-"


def _source(text: str) -> str:
    """Where a known failure's cause and fix are from. It comes from our own file, so that an address may be a link."""
    return f"<{text}>" if re.fullmatch(r"https://[^\s<>]+", text) else escape_text(text)


def _by_name(row: tables.Row) -> tuple[str, str, str]:
    return (row.image, row.speaking.plan.cell, row.engine)


def write_page(path: Path, text: str) -> None:
    """Write a page whole or not at all; a link is followed, and what is no plain file, such as a pipe, written into."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)


def escape_text(value: object) -> str:
    """Plain text for a line or a table's cell of Markdown."""
    line = " ".join(str(value).split())
    escaped = "".join(_ENTITY_OF.get(sign, sign) for sign in line)
    # A bare address would become a link without any sign of Markdown's.
    return escaped.replace("://", ":&#47;/").replace("www.", "www&#46;")


def code_span(value: object) -> str:
    """Text as code inside a line or a table's cell."""
    text = " ".join(str(value).split()).replace("|", "\N{BROKEN BAR}") or " "
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    if not longest:
        return f"`{text}`"
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def code_block(value: object) -> str:
    """Text as a fenced block, whose fence is longer than any in the text."""
    text = str(value).rstrip()
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def format_seconds(value: float | None) -> str:
    """``2.05 s``"""
    return "-" if value is None else f"{value:.2f} s"


def format_spread(value: Estimate | None) -> str:
    """``2.05 s [1.98, 2.11]``: an interval in brackets, mere extremes in parentheses."""
    if value is None:
        return "-"
    if value.n == 1:
        return f"{value.median:.2f} s"
    inner = f"{value.low:.2f}, {value.high:.2f}"
    return f"{value.median:.2f} s " + (f"[{inner}]" if value.is_interval else f"({inner})")


def format_factor(value: Estimate | None) -> str:
    """``14.6x``"""
    return "-" if value is None else f"{value.median:.1f}x"


def format_percent(value: float | None) -> str:
    """``5.2%``"""
    return "-" if value is None else f"{value:.1%}"


def format_gib(value: float | None) -> str:
    """``0.86 GiB``"""
    return "-" if value is None else f"{value / 2**30:.2f} GiB"


def format_watts(value: Estimate) -> str:
    """``84.5 W (83.9, 85.2)``"""
    return _with_extremes(value, 1.0, ".1f", " W")


def format_joules(value: Estimate | None) -> str:
    """``21.6 kJ (21.1, 22.0)``"""
    return "-" if value is None else _with_extremes(value, 1e-3, ".1f", " kJ")


def format_cost(value: Estimate | None) -> str:
    """``0.00300``"""
    return "-" if value is None else _with_extremes(value, 1.0, ".5f", "")


def _with_extremes(value: Estimate, unit: float, digits: str, name: str) -> str:
    """The median, and behind it what is known of its spread, as `format_spread` has it."""
    middle = f"{value.median * unit:{digits}}{name}"
    if value.n == 1:
        return middle
    inner = f"{value.low * unit:{digits}}, {value.high * unit:{digits}}"
    return f"{middle} [{inner}]" if value.is_interval else f"{middle} ({inner})"


def _prices(price: Price) -> str:
    """The prices in words; empty where none is told."""
    told = [(price.per_kwh, "a kWh"), (price.per_hour, "an hour of the machine")]
    return " and ".join(f"{value:g} {unit}" for value, unit in told if value is not None)


def reproduction(row: tables.Row) -> str:
    """The command that runs a row again; a recording of the user's own is named by its hash."""
    plan, workload = row.speaking.plan, row.speaking.plan.workload
    options: list[str] = []
    if workload.pipeline != "embedded":
        options += ["--pipeline", workload.pipeline]
    if workload.warm_passes != DEFAULT_WARM_PASSES:
        options += ["--passes", str(workload.warm_passes)]
    options += [word for fix in plan.fixes for word in ("--fix", fix)]
    if plan.memory_limit_bytes is not None:
        options += ["--memory", str(plan.memory_limit_bytes)]
    if workload.audio.startswith("sample-fitted-"):
        options += ["--audio-seconds", f"{workload.audio_seconds:g}"]
    elif not workload.audio.startswith("sample-"):
        options += ["--audio", f"FILE-{workload.audio_sha256[:12]}"]
        options += ["--reference", f"FILE-{workload.reference_sha256[:12]}"] if workload.reference_sha256 else []
    options += ["--flags", plan.flags] if plan.flags not in ("", "least") else []
    options += ["--gpu", plan.gpu] if plan.gpu is not None else []
    words = [f"IMAGE={shlex.quote(_one_line(row.image))}", f"ENGINE={shlex.quote(plan.engine.name)}"]
    words += [f"ARGS={shlex.quote(' '.join(options))}"] if options else []
    return f"make bench {' '.join(words)}  # {_one_line(plan.cell)}"


def _one_line(value: object) -> str:
    """Text that stays on its line of a fenced block, and opens no other."""
    return re.sub(r"[\s`]+", " ", str(value)).strip()


def chain_text(launch: Launch) -> str:
    """The exception chain as a person reads it: the outermost first, each with its deepest frame."""
    lines = []
    for number, link in enumerate(launch.chain):
        lines.append(f"{'caused by ' if number else ''}{link.type}: {link.message}")
        if link.where:
            lines.append(f"    at {link.where}")
    return "\n".join(lines)


def _broken_imports(launch: Launch) -> list[tuple[str, str]]:
    """Imports that failed though the package is there, with their root cause."""
    broken = []
    for name, event in launch.imports.items():
        chain = event.get("chain")
        if event.get("outcome") == "failed" and isinstance(chain, list) and chain and isinstance(chain[-1], dict):
            broken.append((name, f"{chain[-1].get('type')}: {chain[-1].get('message')}"))
    return broken
