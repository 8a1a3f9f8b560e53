"""`doctor` and `models fetch`: what this host lacks, and getting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness import places
from harness.catalog import load
from harness.commands import common, options
from harness.errors import StoreError

if TYPE_CHECKING:
    from harness.records.launch import Launch


@common.app.command()
def doctor(
    catalogs: options.Catalogs = None,
    as_report: Annotated[
        bool, typer.Option("--report", help="Print this host and its launches for a public place, with what is still unknown.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Say what this host lacks for a bench, with the command that mends it. Changes nothing; exit 1: a problem."""
    import msgspec

    from harness.doctor import examine, this_host

    facts = this_host(load.load_catalog(catalogs or ()).images.values())
    if as_report:
        from harness.doctor import report_on
        from harness.doctor.report import report_text

        report = report_on(facts, _stored_launches())
        if as_json:
            common.print_json(msgspec.to_builtins(report))
        else:
            typer.echo(report_text(report))
            common.talk("no name, path or address of yours should be in it: look through it before you paste it")
        return
    findings = examine(facts)
    if as_json:
        common.print_json(msgspec.to_builtins(findings))
    else:
        from reports.terminal.launches import print_findings

        print_findings(findings)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)


def _stored_launches() -> tuple[Launch, ...]:
    """Those of the store; none, and a warning, where it cannot be read: the report is for hosts on which things fail."""
    from harness.records.store import store_exists

    try:
        return common.open_store().launches() if store_exists(places.store_url()) else ()
    except StoreError as error:
        common.talk(f"warning: the report is without launches: {error}")
        return ()
