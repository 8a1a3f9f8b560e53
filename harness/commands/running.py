"""A run of launches from the command line: with progress, then what it found on stdout, and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.catalog.rows import Catalog
from harness.errors import NothingMeasuredError

if TYPE_CHECKING:
    from harness.campaign.campaign import Campaign
    from harness.campaign.request import BenchRequest
    from harness.records.price import Price
    from harness.records.store import Store
from typing import TYPE_CHECKING

from harness.commands import common, running
from harness.commands.common import open_engine, show_progress

if TYPE_CHECKING:
    from harness.campaign.request import BenchRequest
    from harness.records.price import Price


def run_campaign(known: Catalog, request: BenchRequest, store: Store) -> Campaign:
    """A campaign that has run, with its progress on stderr. Raises what `Campaign.run` does."""
    from harness.campaign.campaign import Campaign

    progress = show_progress()
    campaign = Campaign(request, known, store, open_engine=open_engine, observer=progress)
    try:
        campaign.run()
    finally:
        progress.stop()
    return campaign


def end_with(*campaigns: Campaign, failed: bool | None = None) -> None:
    """The exit code of campaigns, once what they found is printed.

    ``failed`` is whether a cell did, where a verb has its own view of that; ``None``: a launch that did not pass.
    """
    errors = [campaign.environment_error for campaign in campaigns if campaign.environment_error is not None]
    launches = [launch for campaign in campaigns for launch in campaign.launches]
    if errors:
        raise errors[-1]
    if not launches:
        raise NothingMeasuredError("nothing was launched")
    if any(launch.verdict.status != "pass" for launch in launches) if failed is None else failed:
        raise typer.Exit(1)


def run_and_report(
    known: Catalog, request: BenchRequest, report_to: Path | None, *, as_json: bool, price: Price | None = None
) -> None:
    """A campaign, what it found on stdout, and its exit code."""
    import msgspec

    from harness.analysis.stopping import rule_text
    from harness.records.price import NO_PRICE
    from reports.markdown.render import render_benchmarks, write_page
    from reports.sections.cold_and_warm import alarms
    from reports.sections.comparisons import compared_data
    from reports.tables import rows_of
    from reports.terminal.launches import print_agreements, print_comparisons, print_results
    from reports.terminal.tasks import print_probes

    if request.rule.until is not None or request.rule.budget_seconds is not None:
        common.talk(f"launches: {rule_text(request.rule)}")
    store = common.open_store()
    campaign = running.run_campaign(known, request, store)
    stored = store.launches()
    if as_json:
        compared = compared_data(campaign.launches)
        launches = msgspec.to_builtins(campaign.launches)
        common.print_json({"launches": launches, **compared} if compared else launches)
    elif report_to is None:
        print_probes(campaign.launches)
    else:
        print_results(campaign.launches, stored=stored)
        print_comparisons(campaign.launches)
        print_agreements(campaign.launches)
    if report_to is not None:
        for line in alarms(rows_of(campaign.launches), stored):
            common.talk(line)
        write_page(report_to, render_benchmarks(stored, price or NO_PRICE))
        common.talk(f"wrote {report_to}")
    running.end_with(campaign)
