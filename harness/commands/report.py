"""`report`: BENCHMARKS.md from the store."""

from pathlib import Path
from typing import Annotated

import typer

from harness import places
from harness.commands import opening, options, output
from harness.commands.app import app
from harness.errors import NothingMeasuredError


@app.command()
def report(
    write_to: Annotated[Path | None, typer.Option("--output", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the file is stale.")] = False,
    price_per_kwh: options.PricePerKwhOption = None,
    price_per_hour: options.PricePerHourOption = None,
) -> None:
    """Write BENCHMARKS.md from the store."""
    from harness.commands.arguments import parse_prices
    from harness.records.store import store_exists
    from reports.markdown.render import render_benchmarks
    from reports.markdown.write import write_page

    price = parse_prices(price_per_kwh, price_per_hour)
    path = write_to or places.ROOT / "BENCHMARKS.md"
    if not check:
        output.refuse_page(path, "--output")
    if not store_exists(places.store_url()):
        if check:
            output.talk(f"there is no store, so nothing that {path.name} could be stale against")
            return
        raise NothingMeasuredError("there is no store yet: `make bench` makes the first launch")
    text = render_benchmarks(opening.open_store().launches(), price)
    if not check:
        write_page(path, text)
        if path.is_file():  # into a pipe goes the page alone
            typer.echo(str(path))
    elif not path.is_file() or path.read_bytes() != text.encode():
        output.talk(f"{path} is stale: run `make report`")
        raise typer.Exit(1)
