"""What the verbs that launch images share: the images of a command line, and a run with its progress, output and exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.commands.opening import open_store
from harness.commands.output import print_json, show_progress, talk
from harness.errors import NothingMeasuredError

if TYPE_CHECKING:
    from harness.campaign.campaign import Campaign
    from harness.campaign.request import BenchRequest, OpenEngine
    from harness.catalog.rows import Catalog, Image
    from harness.records.launch import Launch
    from harness.records.plan import Settings
    from harness.records.store import Store


def choose_images(
    known: Catalog,
    names: Sequence[str] | None,
    *,
    gfx: str | None,
    family: str | None,
    portable: bool = False,
    dry_run: bool = False,
) -> tuple[Image, ...]:
    """The images of a command line, with their nightlies chosen. A dry run asks no index.

    Raises `UsageError`, also where an image has no variant that ``--gfx`` matches, and `PackageIndexError` where no image
    is left.
    """
    from harness.catalog.select import select_variants
    from harness.commands.arguments import named_images

    chosen = named_images(known, names, family=family, as_portable=portable)
    for image in chosen:
        select_variants(known, image, gfx)
    return with_days(chosen, dry_run=dry_run)


def with_days(images: tuple[Image, ...], *, dry_run: bool = False) -> tuple[Image, ...]:
    """The images with their nightlies chosen. An image whose index refuses is left out with a warning.

    Raises `PackageIndexError` where no image is left.
    """
    from functools import partial

    from harness.images.nightlies import settle, with_day, with_settled_day

    settled, refused = settle(images, with_settled_day if dry_run else partial(with_day, say=talk))
    if refused and not settled:
        raise next(iter(refused.values()))
    for name, error in refused.items():
        talk(f"warning: {name} is left out: {error}")
    return settled


def make_request(
    known: Catalog,
    images: tuple[Image, ...],
    *,
    gfx: str | None,
    engine: str,
    settings: Settings,
    workload: str,
    files: Mapping[str, Path] | None = None,
    pipeline: str = "embedded",
    audio: str = "sample",
    fixes: Sequence[str] | None = None,
    launches: int = 1,
) -> BenchRequest:
    """The request of a verb, with its inputs fetched, and ``files`` beside them. A launch that diarizes nothing carries the embedded
    profile and the sample.

    Raises `UsageError`, `AudioError` or `ModelsError`.
    """
    import msgspec

    from harness.campaign.request import BenchRequest
    from harness.catalog.select import select_fixes, select_pipeline
    from harness.inputs.gather import fetch_inputs

    row, chosen_fixes = select_pipeline(known, pipeline), select_fixes(known, fixes or ())
    given = fetch_inputs(known, row.name, audio, None, None, say=talk)
    return BenchRequest(
        images=images,
        gfx=gfx,
        profile=msgspec.structs.replace(row, workload=workload),
        inputs=(msgspec.structs.replace(given, files={**given.files, **(files or {})}),),
        engine=engine,
        launches=launches,
        settings=settings,
        fixes=chosen_fixes,
    )


def run_campaign(known: Catalog, request: BenchRequest, store: Store, *, open_engine: OpenEngine) -> Campaign:
    """A campaign after its run, with progress on stderr meanwhile. Raises what `Campaign.run` does."""
    from harness.campaign.campaign import Campaign

    progress = show_progress()
    campaign = Campaign(request, known, store, open_engine=open_engine, observer=progress)
    try:
        campaign.run()
    finally:
        progress.stop()
    return campaign


def run_and_show(
    known: Catalog,
    request: BenchRequest,
    *,
    open_engine: OpenEngine,
    show: Callable[[Sequence[Launch]], None],
    as_json: bool,
) -> None:
    """Run a request, print its launches, and end the verb with their exit code."""
    campaign = run_campaign(known, request, open_store(), open_engine=open_engine)
    if as_json:
        print_json(campaign.launches)
    else:
        show(campaign.launches)
    end_with(campaign)


def end_with(*campaigns: Campaign, failed: bool | None = None) -> None:
    """End the verb with the exit code of its campaigns, after their results are printed.

    ``failed`` says whether a cell failed, where the verb judges that itself; ``None``: a launch that did not pass.
    """
    errors = [campaign.environment_error for campaign in campaigns if campaign.environment_error is not None]
    launches = [launch for campaign in campaigns for launch in campaign.launches]
    if errors:
        raise errors[-1]
    if not launches:
        raise NothingMeasuredError("nothing was launched")
    if any(launch.verdict.status != "pass" for launch in launches) if failed is None else failed:
        raise typer.Exit(1)
