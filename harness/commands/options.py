"""Arguments and options that several verbs take."""

from pathlib import Path
from typing import Annotated

import typer

Images = Annotated[list[str] | None, typer.Argument(help="Catalog ids, globs, or image references.", metavar="IMAGE...")]

Catalogs = Annotated[
    list[Path] | None, typer.Option("--catalog", help="Lay this file over the catalog; repeatable.", metavar="FILE")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

EngineOption = Annotated[str, typer.Option("--engine", help="auto, podman, docker or local.", metavar="ENGINE")]

FamilyOption = Annotated[
    str | None, typer.Option("--family", help="cpu, rocm, therock or cuda: what a foreign image is for.", metavar="NAME")
]

PortableOption = Annotated[
    bool, typer.Option("--portable", help="Use a plain base and a torch for any machine: no result of the image itself.")
]

FlagsOption = Annotated[
    str, typer.Option("--flags", help="least, compat (as most recipes ask for), or parts of it.", metavar="FLAGS")
]

GpuOption = Annotated[str | None, typer.Option("--gpu", help="Which GPU of several, by number or PCI address.", metavar="GPU")]

GfxOption = Annotated[
    str | None, typer.Option("--gfx", help="Only the variants that match, such as gfx1100.", metavar="VARIANT")
]

FixOption = Annotated[
    list[str] | None, typer.Option("--fix", help="Apply a work-around of the catalog; repeatable.", metavar="NAME")
]

PricePerKwhOption = Annotated[
    float | None, typer.Option("--price-per-kwh", help="Show what the energy for an hour of audio costs.", metavar="PRICE")
]

PricePerHourOption = Annotated[
    float | None, typer.Option("--price-per-hour", help="Show what an hour of audio costs in machine time.", metavar="PRICE")
]

PipelineOption = Annotated[str, typer.Option("--pipeline", help="embedded, synthetic, 3.1 or community-1.", metavar="NAME")]

AudioOption = Annotated[str, typer.Option("--audio", help="A recording of the catalog, or a file.", metavar="FILE")]

TimeoutOption = Annotated[float | None, typer.Option("--timeout", help="Kill a launch after this long.", metavar="SECONDS")]

MemoryOption = Annotated[str | None, typer.Option("--memory", help="Memory limit of a launch, such as 8g.", metavar="SIZE")]

LabelOption = Annotated[str | None, typer.Option("--label", help="A name to find these launches by.", metavar="NAME")]
