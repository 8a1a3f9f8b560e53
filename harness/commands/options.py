"""Options and arguments that several verbs take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    pass


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
