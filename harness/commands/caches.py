"""`caches`: the compiled kernels that `bench --caches keep` keeps."""

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from harness.commands import options, output
from harness.commands.app import app
from harness.errors import UsageError


@app.command("caches")
def show_caches(
    names: Annotated[list[str] | None, typer.Argument(help="Images or caches, or globs of them.", metavar="NAME...")] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove them. The next launch with each has to compile again.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show or remove the kernel caches that `bench --caches keep` leaves."""
    from harness.launch import kept_caches
    from reports.terminal.lists import print_caches
    from reports.values import format_gib

    found = [
        cache
        for cache in kept_caches.kept()
        if not names or any(fnmatchcase(each, name) for each in (cache.image, cache.key) for name in names)
    ]
    if names and not found:
        raise UsageError(f"no kept cache matches {' or '.join(names)}: `strixbench caches` shows all")
    if clear:
        from harness.campaign.recovery import campaign_lock

        with campaign_lock():  # so that no launch loses its cache
            kept_caches.clear(found)
    if as_json:
        output.print_json(found)
    elif found and not clear:
        print_caches([(c.key, c.engine, c.driver, str(c.size.files), format_gib(c.size.bytes), c.size.remark) for c in found])
    output.talk(f"{len(found)} removed" if clear else f"{len(found)} kept in {kept_caches.kept_folder()}")
