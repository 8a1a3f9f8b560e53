"""`strixbench models`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands import common, options
from harness.text import counted


@common.models_app.command("fetch")
def fetch_models(
    profile: Annotated[str, typer.Argument(help="embedded, 3.1 or community-1.")] = "embedded",
    as_json: options.AsJson = False,
) -> None:
    """Get and verify model files; with `build` the only step that uses the network."""
    from harness.inputs import models
    from harness.inputs.gather import show_licences

    progress = common.show_progress()
    try:
        fetched = models.fetch(profile, say=progress.announce, show=progress.say)
    finally:
        progress.stop()
    if as_json:
        rows = [
            {"name": f.name, "repository": f.repository, "revision": f.revision, "sha256": f.sha256, "licence": f.licence}
            for f in fetched.files
        ]
        common.print_json(rows)
        return
    show_licences(fetched.new_files, say=common.talk)
    for revision in dict.fromkeys(f"{file.repository}@{file.revision}" for file in fetched.files if file.repository):
        typer.echo(revision)
    typer.echo(f"{counted(len(fetched.files), 'file')} verified in {fetched.folder}")
