"""Arguments and options that several verbs take."""

from pathlib import Path
from typing import Annotated

import typer

Images = Annotated[
    list[str] | None,
    typer.Argument(help="Names or patterns from `list`, or image references; local-cpu if none.", metavar="IMAGE..."),
]

Catalogs = Annotated[
    list[Path] | None, typer.Option("--catalog", help="Lay this file over the catalog; repeatable.", metavar="FILE")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

EngineOption = Annotated[str, typer.Option("--engine", help="auto, podman, docker or local.", metavar="ENGINE")]

FamilyOption = Annotated[
    str | None,
    typer.Option("--family", help="Family of an image that is not in the catalog: cpu, rocm, therock or cuda.", metavar="NAME"),
]

PortableOption = Annotated[
    bool, typer.Option("--portable", help="Use the portable build: a plain base and a torch for any machine, no GPU.")
]

FlagsOption = Annotated[
    str,
    typer.Option(
        "--flags",
        help="Rights of the container: least, compat (what most recipes ask for), or parts of compat, such as ipc=host.",
        metavar="FLAGS",
    ),
]

GpuOption = Annotated[str | None, typer.Option("--gpu", help="Which GPU of several, by number or PCI address.", metavar="GPU")]

GfxOption = Annotated[
    str | None, typer.Option("--gfx", help="Only the GFX modes that match, such as native or gfx1100.", metavar="MODE")
]

FixOption = Annotated[
    list[str] | None, typer.Option("--fix", help="Apply a work-around from the catalog; repeatable.", metavar="NAME")
]

PricePerKwhOption = Annotated[
    float | None, typer.Option("--price-per-kwh", help="Show what the energy for an hour of audio costs.", metavar="PRICE")
]

PricePerHourOption = Annotated[
    float | None, typer.Option("--price-per-hour", help="Show what an hour of audio costs in machine time.", metavar="PRICE")
]

PipelineOption = Annotated[str, typer.Option("--pipeline", help="embedded, synthetic, 3.1 or community-1.", metavar="NAME")]

AudioOption = Annotated[str, typer.Option("--audio", help="A recording from the catalog, or a file.", metavar="FILE")]

TimeoutOption = Annotated[
    str | None, typer.Option("--timeout", help="Kill a launch after this long, such as 600, 10m or 2h.", metavar="TIME")
]

MemoryOption = Annotated[str | None, typer.Option("--memory", help="Memory limit of a launch, such as 8g.", metavar="SIZE")]

LabelOption = Annotated[str | None, typer.Option("--label", help="A name to find these launches by.", metavar="NAME")]
