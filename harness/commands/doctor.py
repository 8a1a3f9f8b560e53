"""`doctor`: what this host lacks for a bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands import opening, options, output
from harness.commands.app import app
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.records.launch import Launch


@app.command()
def doctor(
    catalogs: options.Catalogs = None,
    as_report: Annotated[
        bool, typer.Option("--report", help="Print a report on this host and its launches, fit for a public issue.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Say what this host lacks for a bench, and how to fix it. Changes nothing. Exit code 1: there is a problem."""
    from harness.catalog.load import load_catalog
    from harness.doctor import examine, this_host

    facts = this_host(load_catalog(catalogs or ()).images.values())
    if as_report:
        from harness.doctor import report_on
        from harness.doctor.report import report_text

        launches: tuple[Launch, ...] = ()
        try:
            launches = opening.stored_launches()
        except StoreError as error:  # the report is for hosts on which things fail
            output.talk(f"warning: the report is without launches: {error}")
        report = report_on(facts, launches)
        if as_json:
            output.print_json(report)
        else:
            typer.echo(report_text(report))
            output.talk("no name, path or address of yours should be in it: look through it before you paste it")
        return
    findings = examine(facts)
    if as_json:
        output.print_json(findings)
    else:
        from reports.terminal.findings import print_findings

        print_findings(findings)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)
