"""`doctor` and `models fetch`: what this host lacks, and getting it."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import catalog
from harness.verbs import base
from harness.words import counted


@base.models_app.command("fetch")
def fetch_models(
    profile: Annotated[str, typer.Argument(help="embedded, 3.1 or community-1.")] = "embedded",
    as_json: base.AsJson = False,
) -> None:
    """Get and verify model files; with `build` the only step that uses the network."""
    from harness import models
    from harness.inputs import show_licences

    progress = base.show_progress()
    try:
        fetched = models.fetch(profile, say=progress.announce, show=progress.say)
    finally:
        progress.stop()
    if as_json:
        rows = [
            {"name": f.name, "repository": f.repository, "revision": f.revision, "sha256": f.sha256, "licence": f.licence}
            for f in fetched.files
        ]
        base.print_json(rows)
        return
    show_licences(fetched.new_files, say=base.talk)
    for revision in dict.fromkeys(f"{file.repository}@{file.revision}" for file in fetched.files if file.repository):
        typer.echo(revision)
    typer.echo(f"{counted(len(fetched.files), 'file')} verified in {fetched.folder}")


@base.app.command()
def doctor(catalogs: base.Catalogs = None, as_json: base.AsJson = False) -> None:
    """Say what this host lacks for a bench, with the command that mends it. Changes nothing; exit 1: a problem."""
    from harness.doctor import examine, this_host

    findings = examine(this_host(catalog.load_catalog(catalogs or ()).images.values()))
    if as_json:
        import msgspec

        base.print_json(msgspec.to_builtins(findings))
    else:
        from reports.terminal import print_findings

        print_findings(findings)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)
