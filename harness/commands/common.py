"""What all verbs share: the application, their common options, and what they open and print to.

Imports nothing heavy at the top, as no module of this folder does: `--help`, `list` and `--dry-run` answer at once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import places
from harness.catalog import load
from harness.errors import HostError, NothingMeasuredError, UsageError
from harness.text import one_line

if TYPE_CHECKING:
    from harness.analysis.energy import Price
    from harness.campaign.campaign import Campaign
    from harness.campaign.request import Request
    from harness.commands.progress import Progress
    from harness.engines.base import Engine
    from harness.launch.plan import Settings
    from harness.records.store import Store

DEFAULT_IMAGE = "local-cpu"

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help takes twice the time of everything else
    pretty_exceptions_enable=False,  # a bug's traceback, untouched
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which container image runs pyannote speaker diarization here, how fast, and is its output right?",
    epilog="Exit codes: 0 all passed; 1 a cell failed, and it is on record; 2 wrong usage; 3 the environment; "
    "4 nothing measured; 130 interrupted.",
)
models_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Model files that the pipelines need.")
app.add_typer(models_app, name="models")

Catalogs = Annotated[
    list[Path] | None, typer.Option("--catalog", help="An overlay over the catalog; may be given again.", metavar="FILE")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
EngineOption = Annotated[str, typer.Option("--engine", help="auto, podman, docker or local.", metavar="ENGINE")]
FamilyOption = Annotated[
    str | None,
    typer.Option("--family", help="cpu, rocm, therock or cuda, for an image that is not in the catalog.", metavar="NAME"),
]
PortableOption = Annotated[
    bool,
    typer.Option(
        "--portable", help="The same dependency set on a plain base with a torch for any machine: no result of the image."
    ),
]
FlagsOption = Annotated[
    str,
    typer.Option(
        "--flags", help="least privilege, compat (what most recipes ask for), or some of its relaxations.", metavar="FLAGS"
    ),
]
GpuOption = Annotated[
    str | None, typer.Option("--gpu", help="Its number or PCI address, on a host with several.", metavar="GPU")
]
GfxOption = Annotated[str | None, typer.Option("--gfx", help="Only the variants that match.", metavar="VARIANT")]
FixOption = Annotated[
    list[str] | None, typer.Option("--fix", help="A work-around of the catalog; may be given again.", metavar="NAME")
]
PricePerKwhOption = Annotated[
    float | None, typer.Option("--price-per-kwh", help="Shows what an audio hour's energy costs.", metavar="PRICE")
]
PricePerHourOption = Annotated[
    float | None, typer.Option("--price-per-hour", help="Of the machine's time, likewise.", metavar="PRICE")
]
PipelineOption = Annotated[str, typer.Option("--pipeline", help="embedded, synthetic, 3.1 or community-1.", metavar="NAME")]
AudioOption = Annotated[str, typer.Option("--audio", help="A recording of the catalog, or a file.", metavar="FILE")]
LabelOption = Annotated[str | None, typer.Option("--label", help="A name to find these launches by.", metavar="NAME")]
TimeoutOption = Annotated[float | None, typer.Option("--timeout", help="Kill a launch after this long.", metavar="SECONDS")]
MemoryOption = Annotated[str | None, typer.Option("--memory", help="Memory limit, such as 8g.", metavar="SIZE")]
VerifyOption = Annotated[
    bool,
    typer.Option(
        "--verify/--no-verify", help="Compare what a GPU puts out with a CPU run of the same image; without, no rank."
    ),
]
Images = Annotated[list[str] | None, typer.Argument(help="Catalog ids, globs, or image references.", metavar="IMAGE")]


def read_price(per_kwh: float | None, per_hour: float | None) -> Price:
    """The prices of a command line. Raises `UsageError`."""
    from harness.analysis.energy import Price
    from harness.commands.arguments import parse_price

    return Price(parse_price("--price-per-kwh", per_kwh), parse_price("--price-per-hour", per_hour))


def refuse_page(path: Path, option: str = "--report") -> None:
    """Raise `UsageError` where a page cannot be written, before anything is fetched or launched."""
    from reports.markdown.render import why_no_page

    if why := why_no_page(path):
        raise UsageError(f"{option} {path} {why}")


def open_engine(name: str) -> Engine:
    """The engine of a name; raises `EngineError`."""
    if name == "local":
        from harness.engines.local import Local

        return Local()
    from harness.engines.container import ContainerEngine
    from harness.engines.find import find_engine

    found = find_engine(name)
    if found.remark:
        _warn_once(found.remark)
    return ContainerEngine(found)


@functools.cache
def _warn_once(text: str) -> None:
    """An engine is opened for each image of a build."""
    talk(f"warning: {text}")


def open_store() -> Store:
    """The store of this user's results; a damaged record of it is told of, on stderr. Raises `StoreError`."""
    from harness.records.store import Store

    return Store(places.store_url(), warn=lambda text: talk(f"warning: {text}"))


def show_progress(*, of_builds: bool = False) -> Progress:
    """What a person sees on stderr while it runs."""
    from rich.console import Console

    from harness.commands.progress import BuildProgress, Progress

    return (BuildProgress if of_builds else Progress)(Console(stderr=True, highlight=False))


def choose_images(
    known: load.Catalog,
    names: Sequence[str] | None,
    *,
    gfx: str | None,
    family: str | None,
    portable: bool = False,
    dry_run: bool = False,
) -> tuple[load.Image, ...]:
    """The images of a command line, each of the nightly that was chosen for it, or is now; a dry run asks no index.

    Raises `UsageError`, also where one has no variant that ``--gfx`` matches, and `PackageIndexError` where no image is left.
    """
    from harness.commands.arguments import choose_images, parse_family

    chosen = choose_images(known, names or [DEFAULT_IMAGE], family=parse_family(family), as_portable=portable)
    for image in chosen:
        load.select_variants(known, image, gfx)
    return with_days(chosen, dry_run=dry_run)


def with_days(images: tuple[load.Image, ...], *, dry_run: bool) -> tuple[load.Image, ...]:
    """The images with their nightlies chosen; one whose index refuses is told of and left out. Raises `PackageIndexError`."""
    from functools import partial

    from harness.images.nightlies import settle, with_day, with_settled_day

    settled, refused = settle(images, with_settled_day if dry_run else partial(with_day, say=talk))
    if refused and not settled:
        raise next(iter(refused.values()))
    for name, error in refused.items():
        talk(f"warning: {name} is left out: {error}")
    return settled


def sample_request(
    known: load.Catalog,
    images: tuple[load.Image, ...],
    *,
    gfx: str | None,
    engine: str,
    settings: Settings,
    fixes: tuple[load.Variant, ...] = (),
) -> Request:
    """One launch a cell of what diarizes nothing: the embedded profile and the sample are what every launch has along.

    Raises `AudioError` or `ModelsError`.
    """
    from harness.campaign.request import Request
    from harness.commands.arguments import fetch_inputs

    audio, models = fetch_inputs(known, "embedded", "sample", None, None, say=talk)
    return Request(
        images=images,
        gfx=gfx,
        pipeline=known.pipelines["embedded"],
        audio=audio,
        models=models,
        engine=engine,
        launches=1,
        settings=settings,
        fixes=fixes,
    )


def run_campaign(known: load.Catalog, request: Request, store: Store) -> Campaign:
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


class Refusals:
    """Keeps an engine that refuses from stopping the others, and says at once what it refused."""

    def __init__(self) -> None:
        self.happened = False

    @contextmanager
    def told(self, engine: str) -> Iterator[None]:
        """What is done within may fail with a `HostError`, which ends no more than that."""
        try:
            yield
        except HostError as error:
            self.happened = True
            talk(f"{engine}: {error}")

    def end(self) -> None:
        """End the verb with the exit code of the environment where an engine refused."""
        if self.happened:
            raise typer.Exit(HostError.exit_code)


def print_json(value: Any) -> None:
    """To stdout."""
    typer.echo(json.dumps(value, indent=1))


def talk(text: str) -> None:
    """To stderr: it is no result."""
    typer.echo(one_line(text), err=True)
