"""`report`, `show` and `explain`: what is in the store, and what is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import places
from harness.commands import common, options
from harness.errors import NothingMeasuredError

if TYPE_CHECKING:
    pass


@common.app.command()
def report(
    output: Annotated[Path | None, typer.Option("--output", help="Where it goes.", metavar="FILE")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file is stale.")] = False,
    price_per_kwh: options.PricePerKwhOption = None,
    price_per_hour: options.PricePerHourOption = None,
) -> None:
    """Write BENCHMARKS.md from the store."""
    from harness.records.store import store_exists
    from reports.markdown.render import render_benchmarks, write_page

    price = common.read_price(price_per_kwh, price_per_hour)
    path = output or places.ROOT / "BENCHMARKS.md"
    if not check:
        common.refuse_page(path, "--output")
    if not store_exists(places.store_url()):
        if check:
            common.talk(f"there is no store, so nothing that {path.name} could be stale against")
            return
        raise NothingMeasuredError("there is no store yet: `make bench` makes the first launch")
    text = render_benchmarks(common.open_store().launches(), price)
    if not check:
        write_page(path, text)
        if path.is_file():  # into a pipe goes the page alone
            typer.echo(str(path))
    elif not path.is_file() or path.read_bytes() != text.encode():
        common.talk(f"{path} is stale: run `make report`")
        raise typer.Exit(1)
