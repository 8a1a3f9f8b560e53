"""`report`, `show` and `explain`: what is in the store, and what is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import places
from harness.commands import common
from harness.errors import NothingMeasuredError, UsageError

if TYPE_CHECKING:
    from harness.records.launch import Launch


@common.app.command()
def report(
    output: Annotated[Path | None, typer.Option("--output", help="Where it goes.", metavar="FILE")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file is stale.")] = False,
    price_per_kwh: common.PricePerKwhOption = None,
    price_per_hour: common.PricePerHourOption = None,
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


@common.app.command()
def show(
    launch: Annotated[str, typer.Argument(help="A launch's id, or the beginning of one.", metavar="LAUNCH")],
    as_json: common.AsJson = False,
) -> None:
    """Show one launch as it was recorded."""
    import msgspec

    from reports.terminal.launches import print_launch

    found = _find_launch(launch)
    if as_json:
        common.print_json(msgspec.to_builtins(found))
        return
    print_launch(found)


@common.app.command()
def explain(
    failure: Annotated[
        str, typer.Argument(help="A launch's id, a file with a traceback or a log, or - for stdin.", metavar="LAUNCH|FILE|-")
    ],
    as_json: common.AsJson = False,
) -> None:
    """Say what is known of a failure: its true cause, and what to do. Exit code 1 where nothing known fits."""
    from harness.commands.arguments import read_pasted
    from harness.verdict.explain import explain_launch, explain_text
    from reports.terminal.explanation import explanation_data, explanation_lines

    if failure == "-" or Path(failure).exists():
        explanation = explain_text(read_pasted(failure, say=common.talk))
    else:
        explanation = explain_launch(_find_launch(failure, or_else=" and no such file"))
    if as_json:
        common.print_json(explanation_data(explanation))
    else:
        for line in explanation_lines(explanation):
            typer.echo(line)
    if explanation.failed and explanation.match is None:
        raise typer.Exit(1)


def _find_launch(launch: str, *, or_else: str = "") -> Launch:
    """The launch of an id or of the beginning of one; raises `UsageError`, which ends in ``or_else``."""
    from harness.records.store import store_exists

    found: tuple[Launch, ...] = common.open_store().find(launch) if store_exists(places.store_url()) else ()
    if not found:
        raise UsageError(f"no launch {launch!r} in the store{or_else}")
    if len(found) > 1:
        raise UsageError(
            f"{launch!r} is the beginning of {len(found)} launches: {', '.join(each.id for each in found[:5])} ..."
        )
    return found[0]
