"""`models`: the model files that the pipelines need."""

from typing import Annotated

import typer

from harness.commands import options, output
from harness.commands.app import app
from harness.text import counted

models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Fetch the model files that the pipelines need.")
app.add_typer(models, name="models")


@models.command("fetch")
def fetch_models(
    profile: Annotated[str, typer.Argument(help="embedded, 3.1 or community-1.")] = "embedded",
    as_json: options.AsJson = False,
) -> None:
    """Fetch model files and check their hashes. 3.1 and community-1 need a Hugging Face account."""
    from harness.inputs.gather import show_licences
    from harness.inputs.models import fetch

    progress = output.show_progress()
    try:
        fetched = fetch(profile, say=progress.announce, show=progress.say)
    finally:
        progress.stop()
    if as_json:
        rows = [
            {"name": f.name, "repository": f.repository, "revision": f.revision, "sha256": f.sha256, "licence": f.licence}
            for f in fetched.files
        ]
        output.print_json(rows)
        return
    show_licences([file for file in fetched.files if file.is_new], say=output.talk)
    for revision in dict.fromkeys(f"{file.repository}@{file.revision}" for file in fetched.files if file.repository):
        typer.echo(revision)
    typer.echo(f"{counted(len(fetched.files), 'file')} verified in {fetched.folder}")
