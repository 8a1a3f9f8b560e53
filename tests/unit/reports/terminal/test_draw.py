"""Tables and sections on the terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest

from reports.table import Column, Items, Listing, Section, Table, code, paragraph, prose, strong
from reports.terminal.draw import print_section, print_table
from reports.values import number

COLUMNS = (
    Column("Image"),
    Column("Engine", dispensable=1),
    Column("Time", "right"),
    Column("Memory", dispensable=0),
    Column("Status"),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_table(*rows: tuple[str, ...], title: str = "Results") -> Table:
    return Table(title=title, answers="Which is fast?", columns=COLUMNS, rows=rows)


def on_terminal(table: Table, monkeypatch: pytest.MonkeyPatch, *, width: int) -> list[str]:
    """The lines of the table alone."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    print_table(table)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()[3:]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, ["Image", "Engine", "Time", "Memory", "Status"]),
        (50, ["Image", "Engine", "Time", "Status"]),
        (34, ["Image", "Time", "Status"]),
    ],
)
def test_a_narrow_terminal_leaves_out_the_columns_that_can_be_missed(
    width: int, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = on_terminal(a_table(("rocm72", "podman rootless", "2.05 s", "1.50 GiB (VmHWM)", "PASS")), monkeypatch, width=width)
    assert [head for head in ("Image", "Engine", "Time", "Memory", "Status") if any(head in line for line in lines)] == shown
    assert max(map(len, lines)) <= width


def test_numbers_stand_at_the_right_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = on_terminal(a_table(("a", "b", "2 s", "-", "PASS"), ("a", "b", "10.25 s", "-", "PASS")), monkeypatch, width=80)
    assert any("│     2 s │" in line for line in lines)


def test_a_table_that_is_piped_on_has_all_columns_and_says_what_it_answers(capsys: pytest.CaptureFixture[str]) -> None:
    table = a_table(("a|b", "podman", "2 s", "x" * 300, "PASS"))
    print_table(Table(title="Results", answers="Why?", columns=table.columns, rows=table.rows, notes=("one\nnote",)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Results", "Why?", ""]
    assert lines[3].startswith("| Image | Engine | Time | Memory ")
    assert lines[5].startswith("| a\\|b  | podman | 2 s  | xxx")
    assert lines[-1] == "- one note"


def test_a_section_says_its_title_once_and_keeps_each_block_apart(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = (
        paragraph(("Launch ", code("2026"), ": ", prose("use `it`"))),
        Items(lead="So:", items=((strong("Fix"), ": none"), number("2 s", is_struck=True))),
        Listing("# heading\n\x1b[31mred"),
        a_table(("a", "b", "c", "d", "e"), title="Probe of x"),
        Section("Below", (paragraph("end"),)),
    )
    print_section(Section("Probe of x", blocks))
    assert capsys.readouterr().out.splitlines() == [
        "Probe of x",
        "",
        "Launch 2026: use `it`",
        "",
        "So:",
        "- Fix: none",
        "- ~~2 s~~",
        "",
        "  # heading",
        "  \\x1b[31mred",
        "",
        "Which is fast?",
        "",
        "| Image | Engine | Time | Memory | Status |",
        "|-------|--------|------|--------|--------|",
        "| a     | b      | c    | d      | e      |",
        "",
        "Below",
        "",
        "end",
    ]
