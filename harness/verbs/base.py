"""What all verbs share: the application, their common options, and what they open and print to.

Imports nothing heavy at the top, as no module of this folder does: `--help`, `list` and `--dry-run` answer at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import places

if TYPE_CHECKING:
    from harness.engines.base import Engine
    from harness.progress import Progress
    from harness.store import Store

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
    float | None, typer.Option("--price-per-kwh", min=0, help="Shows what an audio hour's energy costs.", metavar="PRICE")
]
PricePerHourOption = Annotated[
    float | None, typer.Option("--price-per-hour", min=0, help="Of the machine's time, likewise.", metavar="PRICE")
]
Images = Annotated[list[str] | None, typer.Argument(help="Catalog ids, globs, or image references.", metavar="IMAGE")]


def open_engine(name: str) -> Engine:
    """The engine of a name; raises `EngineError`."""
    if name == "local":
        from harness.engines.local import Local

        return Local()
    from harness.engines.container import ContainerEngine
    from harness.engines.find import find_engine

    return ContainerEngine(find_engine(name))


def open_store() -> Store:
    """The store of this user's results; raises `StoreError`."""
    from harness.store import Store

    return Store(places.store_url())


def show_progress() -> Progress:
    """What a person sees on stderr while it runs."""
    from rich.console import Console

    from harness.progress import Progress

    return Progress(Console(stderr=True, highlight=False))


def print_json(value: Any) -> None:
    """To stdout."""
    typer.echo(json.dumps(value, indent=1))


def talk(text: str) -> None:
    """To stderr: it is no result."""
    typer.echo(text, err=True)
