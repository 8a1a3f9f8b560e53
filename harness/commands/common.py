"""What all verbs share: the application, their common options, and what they open and print to.

Imports nothing heavy at the top, as no module of this folder does: `--help`, `list` and `--dry-run` answer at once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness import places
from harness.catalog.rows import Catalog, Image, Variant
from harness.catalog.select import select_variants
from harness.commands import common
from harness.errors import HostError, UsageError
from harness.text import one_line

if TYPE_CHECKING:
    from harness.records.launch import Launch

if TYPE_CHECKING:
    from harness.campaign.request import BenchRequest
    from harness.commands.progress import Progress
    from harness.engines.base import Engine
    from harness.launch.plan import Settings
    from harness.records.price import Price
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


def read_price(per_kwh: float | None, per_hour: float | None) -> Price:
    """The prices of a command line. Raises `UsageError`."""
    from harness.commands.arguments import parse_price
    from harness.records.price import Price

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
    from harness.engines.discovery import find_engine

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
    known: Catalog,
    names: Sequence[str] | None,
    *,
    gfx: str | None,
    family: str | None,
    portable: bool = False,
    dry_run: bool = False,
) -> tuple[Image, ...]:
    """The images of a command line, each of the nightly that was chosen for it, or is now; a dry run asks no index.

    Raises `UsageError`, also where one has no variant that ``--gfx`` matches, and `PackageIndexError` where no image is left.
    """
    from harness.commands.arguments import choose_images, parse_family

    chosen = choose_images(known, names or [DEFAULT_IMAGE], family=parse_family(family), as_portable=portable)
    for image in chosen:
        select_variants(known, image, gfx)
    return with_days(chosen, dry_run=dry_run)


def with_days(images: tuple[Image, ...], *, dry_run: bool) -> tuple[Image, ...]:
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
    known: Catalog,
    images: tuple[Image, ...],
    *,
    gfx: str | None,
    engine: str,
    settings: Settings,
    fixes: tuple[Variant, ...] = (),
) -> BenchRequest:
    """One launch a cell of what diarizes nothing: the embedded profile and the sample are what every launch has along.

    Raises `AudioError` or `ModelsError`.
    """
    from harness.campaign.request import BenchRequest
    from harness.inputs.gather import fetch_inputs

    audio, models = fetch_inputs(known, "embedded", "sample", None, None, say=talk)
    return BenchRequest(
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


def find_launch(launch: str, *, or_else: str = "") -> Launch:
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
