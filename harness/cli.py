"""The command line: arguments, printing, exit codes. The only catcher of our errors.

Imports nothing heavy at the top: `--help`, `list` and `--dry-run` answer at once. Results go to stdout, talk to stderr.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from harness import __version__, catalog, places
from harness.errors import NothingMeasuredError, StrixbenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.audio import Audio
    from harness.campaign import Request
    from harness.engines.base import Engine
    from harness.models import Models
    from harness.progress import Progress
    from harness.records import Launch

INTERRUPTED = 130
DEFAULT_IMAGE = "local-cpu"
MOST_TIMEOUT_SECONDS = 30 * 24 * 3600

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
Images = Annotated[list[str] | None, typer.Argument(help="Catalog ids, globs, or image references.", metavar="IMAGE")]


def main() -> NoReturn:
    """Entry point of the ``strixbench`` command."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = app(standalone_mode=False)
    except StrixbenchError as error:
        print(f"strixbench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("strixbench: interrupted; every finished launch is in the store", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # `strixbench list | head`
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        # Typer's own errors of usage; anything else is a bug and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)


def _interrupt(number: int, frame: object) -> None:
    """SIGTERM ends us as Ctrl-C does: with everything tidied up."""
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"strixbench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Takes `--version`."""


@app.command("list")
def list_cells(
    patterns: Annotated[list[str] | None, typer.Argument(help="Globs on cells or images.", metavar="PATTERN")] = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Show the cells, image/variant/pipeline/audio, that could be run."""
    import fnmatch

    known = catalog.load_catalog(catalogs or ())
    cells = [
        {
            "cell": f"{image.name}/{variant.name}/{pipeline}/{audio}",
            "image": image.name,
            "family": image.family,
            "engine": image.engine,
            "torch": image.torch,
            "base": image.base,
            "description": image.description,
            "obstacles": obstacles,
        }
        for image, obstacles in ((image, _obstacles(image)) for image in known.images.values())
        for variant in catalog.select_variants(known, image, None)
        for pipeline in known.pipelines
        for audio in known.audio
    ]
    if patterns:
        cells = [
            cell
            for cell in cells
            if any(fnmatch.fnmatchcase(str(cell[key]), pattern) for pattern in patterns for key in ("cell", "image"))
        ]
        if not cells:
            words = {str(cell_image) for cell_image in known.images}
            raise UsageError(f"no cell matches {' '.join(patterns)}{catalog.nearest(patterns[0], words)}")
    if as_json:
        _print_json(cells)
        return
    width = max(len(str(cell["cell"])) for cell in cells)
    for cell in cells:
        here = f"no: {'; '.join(cell['obstacles'])}" if cell["obstacles"] else "yes"
        family, torch = cell["family"] or "?", cell["torch"] or "?"
        typer.echo(f"{cell['cell']:<{width}}  {family:<7} {cell['engine']:<9} torch {torch}  runs here: {here}")


@models_app.command("fetch")
def fetch_models(
    profile: Annotated[str, typer.Argument(help="embedded, 3.1 or community-1.")] = "embedded",
    as_json: AsJson = False,
) -> None:
    """Get and verify model files; with `build` the only step that uses the network."""
    from harness import models

    fetched = models.fetch(profile, say=_talk)
    if as_json:
        _print_json([{"name": file.name, "sha256": file.sha256, "licence": file.licence} for file in models.EMBEDDED])
        return
    _show_licences(fetched)
    typer.echo(f"{len(models.EMBEDDED)} files verified in {models.embedded_folder()}")


@app.command("build")
def build_images(
    images: Images = None,
    engine: EngineOption = "auto",
    catalogs: Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be built.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build images; one that is already built of the same recipe is left alone."""
    from harness.build import build_log, ensure_built, recipe_of
    from harness.campaign import engine_name
    from harness.errors import BuildFailed

    preference = _engine_preference(engine)
    known = catalog.load_catalog(catalogs or ())
    chosen = _select(known, images or [DEFAULT_IMAGE], family=None)
    outcome: list[dict[str, Any]] = []
    progress = None if dry_run else _progress()
    for image in chosen:
        if image.reference is not None:
            raise UsageError(f"{image.reference} was built elsewhere: there is nothing to build, `strixbench bench` runs it")
        recipe = recipe_of(image)
        row: dict[str, Any] = {"image": image.name, "recipe": recipe.hash, "log": str(build_log(recipe))}
        if progress is None:
            row |= {"tag": recipe.tag, "arguments": dict(recipe.arguments), "files": sorted(recipe.files)}
        else:
            runner = open_engine(engine_name(image, preference))
            try:
                row["id"] = ensure_built(image, runner, say=progress.say).id
            except BuildFailed as error:
                row["error"] = str(error)
                progress.announce(f"{image.name}: the build failed: {error}\n{error.log_tail[-1500:]}")
            finally:
                progress.stop()
                runner.close()
        outcome.append(row)
    if as_json:
        _print_json(outcome)
    else:
        for row in outcome:
            typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
    if any("error" in row for row in outcome):
        raise typer.Exit(1)


@app.command()
def bench(
    images: Images = None,
    gfx: Annotated[str | None, typer.Option("--gfx", help="Only the variants that match.", metavar="VARIANT")] = None,
    pipeline: Annotated[str, typer.Option("--pipeline", help="embedded, 3.1 or community-1.", metavar="NAME")] = "embedded",
    audio: Annotated[str, typer.Option("--audio", help="A recording of the catalog, or a file.", metavar="FILE")] = "sample",
    reference: Annotated[Path | None, typer.Option("--reference", help="RTTM of the audio file.", metavar="FILE")] = None,
    audio_seconds: Annotated[
        float | None, typer.Option("--audio-seconds", help="Repeat or cut the audio to this length.", metavar="SECONDS")
    ] = None,
    launches: Annotated[int, typer.Option("--launches", min=1, help="Fresh containers a cell.", metavar="N")] = 3,
    passes: Annotated[int, typer.Option("--passes", min=1, help="Warm passes a launch, behind the cold one.", metavar="N")] = 3,
    label: Annotated[str | None, typer.Option("--label", help="A name to find these launches by.", metavar="NAME")] = None,
    engine: EngineOption = "auto",
    family: FamilyOption = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Kill a launch after this long.", metavar="SECONDS")
    ] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Memory limit, such as 8g.", metavar="SIZE")] = None,
    catalogs: Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the engine's command line and run nothing.")] = False,
    report_to: Annotated[Path | None, typer.Option("--report", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Run images, store every launch, print the results table and write BENCHMARKS.md."""
    from harness.campaign import Request
    from harness.launch import Settings

    preference, limit = _engine_preference(engine), _seconds(timeout)
    known = catalog.load_catalog(catalogs or ())
    chosen = _select(known, images or [DEFAULT_IMAGE], family=_family(family))
    row = catalog.select_pipeline(known, pipeline)
    for image in chosen:
        catalog.select_variants(known, image, gfx)
    inputs = _inputs_as_they_lie if dry_run else _inputs
    prepared_audio, found_models = inputs(known, row.name, audio, reference, audio_seconds)
    request = Request(
        images=chosen,
        gfx=gfx,
        pipeline=row,
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=launches,
        settings=Settings(warm_passes=passes, label=label, timeout_seconds=limit, memory_bytes=_bytes(memory)),
    )
    if dry_run:
        _print_commands(known, request)
        return
    _run(known, request, report_to or places.ROOT / "BENCHMARKS.md", as_json=as_json)


@app.command()
def probe(
    images: Images = None,
    engine: EngineOption = "auto",
    family: FamilyOption = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Try the imports and the device of images, and nothing more."""
    from harness.campaign import Request
    from harness.launch import Settings

    preference = _engine_preference(engine)
    known = catalog.load_catalog(catalogs or ())
    chosen = _select(known, images or [DEFAULT_IMAGE], family=_family(family))
    prepared_audio, found_models = _inputs(known, "embedded", "sample", None, None)
    request = Request(
        images=chosen,
        gfx=None,
        pipeline=known.pipelines["embedded"],
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=1,
        settings=Settings(last_stage="device", timeout_seconds=600),
    )
    _run(known, request, None, as_json=as_json)


@app.command()
def report(
    output: Annotated[Path | None, typer.Option("--output", help="Where it goes.", metavar="FILE")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when the file is stale.")] = False,
) -> None:
    """Write BENCHMARKS.md from the store."""
    from harness.store import store_exists
    from reports.markdown import render_benchmarks, write_page

    path = output or places.ROOT / "BENCHMARKS.md"
    if not store_exists(places.store_url()):
        if check:
            _talk(f"there is no store, so nothing that {path.name} could be stale against")
            return
        raise NothingMeasuredError("there is no store yet: `make bench` makes the first launch")
    text = render_benchmarks(_open_store().launches())
    if not check:
        write_page(path, text)
        typer.echo(str(path))
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        _talk(f"{path} is stale: run `make report`")
        raise typer.Exit(1)


@app.command()
def show(
    launch: Annotated[str, typer.Argument(help="A launch's id, or the beginning of one.", metavar="LAUNCH")],
    as_json: AsJson = False,
) -> None:
    """Show one launch as it was recorded."""
    import msgspec

    from harness.store import store_exists

    found = _open_store().find(launch) if store_exists(places.store_url()) else ()
    if not found:
        raise UsageError(f"no launch {launch!r} in the store")
    if len(found) > 1:
        raise UsageError(
            f"{launch!r} is the beginning of {len(found)} launches: {', '.join(each.id for each in found[:5])} ..."
        )
    if as_json:
        _print_json(msgspec.to_builtins(found[0]))
        return
    _print_launch(found[0])


def open_engine(name: str) -> Engine:
    """The engine of a name; raises `EngineError`."""
    if name == "local":
        from harness.engines.local import Local

        return Local()
    from harness.engines.container import ContainerEngine
    from harness.engines.find import find_engine

    return ContainerEngine(find_engine(name))


def _run(known: catalog.Catalog, request: Request, report_to: Path | None, *, as_json: bool) -> None:
    """A campaign, what it found on stdout, and its exit code."""
    import msgspec

    from harness.campaign import Campaign
    from reports.markdown import render_benchmarks, write_page
    from reports.terminal import print_results

    progress = _progress()
    store = _open_store()
    campaign = Campaign(request, known, store, open_engine=open_engine, observer=progress)
    try:
        campaign.run()
    finally:
        progress.stop()
    if as_json:
        _print_json(msgspec.to_builtins(campaign.launches))
    else:
        print_results(campaign.launches)
    if report_to is not None:
        write_page(report_to, render_benchmarks(store.launches()))
        _talk(f"wrote {report_to}")
    if campaign.environment_error is not None:
        raise campaign.environment_error
    if not campaign.launches:
        raise NothingMeasuredError("nothing was launched")
    if any(launch.verdict.status != "pass" for launch in campaign.launches):
        raise typer.Exit(1)


def _print_commands(known: catalog.Catalog, request: Request) -> None:
    """The line of each cell, fit to paste. What it reads is written into a folder of its own, so that it works."""
    from harness.build import recipe_of
    from harness.campaign import DRY_RUN_PREFIX, engine_name
    from harness.catalog import Cell
    from harness.engines.command import container_command
    from harness.engines.find import find_engine, is_rootless
    from harness.engines.local import Local, environment_folder
    from harness.exchange import make_exchange
    from harness.host import describe_host
    from harness.launch import prepare_launch
    from harness.records import EngineRecord

    for image in request.images:
        name = engine_name(image, request.engine)
        engine = EngineRecord(name="local")
        if name != "local":
            found = find_engine(name)
            engine = EngineRecord(name=found.name, rootless=found.name == "podman" and is_rootless())
        for variant in catalog.select_variants(known, image, request.gfx):
            cell = Cell(image, variant, request.pipeline, request.audio.name)
            prepared = prepare_launch(
                cell,
                None,
                engine,
                campaign="dry-run",
                audio=request.audio,
                models=request.models,
                settings=request.settings,
                host=describe_host(),
                family=image.family,
                owned_by="",
                launch_id=DRY_RUN_PREFIX + re.sub(r"[^A-Za-z0-9_.-]+", "-", cell.id),
            )
            make_exchange(prepared.run.exchange, prepared.request)
            if engine.name == "local":
                line = Local().command(prepared.run)
                if not environment_folder(recipe_of(image)).exists():
                    _talk(f"# not built yet: strixbench build {image.name}")
            else:
                line = container_command(found.name, prepared.run)
                if image.reference is None:
                    _talk(f"# if it is not built yet: strixbench build {image.name} --engine {engine.name}")
            _talk(f"# its journal: {prepared.run.exchange / 'journal.jsonl'}")
            typer.echo(shlex.join(line))


def _obstacles(image: catalog.Image) -> list[str]:
    """What this host lacks to run an image, as far as a glance tells: no engine is asked."""
    from harness.devices import request_devices
    from harness.engines.find import find_engine, is_rootless
    from harness.errors import EngineError
    from harness.records import EngineRecord

    if image.engine == "local":
        return []
    try:
        found = find_engine("auto")
    except EngineError:
        return ["neither Podman nor Docker is here"]
    return list(request_devices(image.family, EngineRecord(name=found.name, rootless=is_rootless())).missing)


def _select(known: catalog.Catalog, names: Sequence[str], *, family: catalog.Family | None) -> tuple[catalog.Image, ...]:
    """The images of the command line, each once. Raises `UsageError` for a name that nothing answers to."""
    chosen: dict[str, catalog.Image] = {}
    for name in names:
        matched = catalog.select_images(known, name)
        if not matched:
            if not catalog.looks_like_reference(name):
                raise catalog.unknown_image(known, name)
            matched = (catalog.foreign_image(name, family=family),)
        chosen |= {image.name: image for image in matched}
    return tuple(chosen.values())


def _inputs(
    known: catalog.Catalog, pipeline: str, audio: str, reference: Path | None, seconds: float | None
) -> tuple[Audio, Models]:
    """The recording and the models, verified; the embedded profile is fetched where it is missing."""
    from harness import models

    recording = known.audio.get(audio)
    _refuse_no_recording(known, audio)
    if pipeline == "embedded" or (recording is not None and recording.file is None):
        _show_licences(models.fetch_embedded(say=_talk))
    return _recording(recording, audio, reference, seconds), models.models_for(pipeline)


def _inputs_as_they_lie(
    known: catalog.Catalog, pipeline: str, audio: str, reference: Path | None, seconds: float | None
) -> tuple[Audio, Models]:
    """The same for `--dry-run`: nothing is fetched, and the weights are not read to verify them."""
    from harness import models
    from harness.errors import ModelsError

    recording = known.audio.get(audio)
    _refuse_no_recording(known, audio)
    if recording is not None and recording.file is None and not (models.embedded_folder() / f"{recording.name}.wav").exists():
        raise ModelsError("the recording is not here yet: run `strixbench models fetch`")
    return _recording(recording, audio, reference, seconds), models.locate_models(pipeline)


def _refuse_no_recording(known: catalog.Catalog, audio: str) -> None:
    """Raise `UsageError` for a word that can only be meant as a recording of the catalog and is none."""
    if audio not in known.audio and not Path(audio).exists() and "/" not in audio and "." not in audio:
        raise UsageError(f"{audio!r} is neither a file nor a recording of the catalog{catalog.nearest(audio, known.audio)}")


def _recording(row: catalog.AudioRow | None, audio: str, reference: Path | None, seconds: float | None) -> Audio:
    """The normalised recording of a catalog row, or of a file where there is none."""
    from harness.audio import prepare_audio
    from harness.models import embedded_folder

    if row is None:
        return prepare_audio(Path(audio), reference=reference, seconds=seconds)
    folder = embedded_folder() if row.file is None else Path()
    return prepare_audio(
        folder / (row.file or f"{row.name}.wav"),
        reference=reference or (folder / row.reference if row.reference else None),
        seconds=seconds,
        # Known for the whole recording with its own reference, not for a part of it or another's.
        highest_der=row.highest_der if seconds is None and reference is None else None,
    )


def _family(text: str | None) -> catalog.Family | None:
    families = (*catalog.GPU_FAMILIES, "cpu")
    if text is not None and text not in families:
        raise UsageError(f"--family {text!r}{catalog.nearest(text, families)}: there are {', '.join(families)}")
    return text


def _engine_preference(text: str) -> str:
    names = ("auto", "podman", "docker", "local")
    if text not in names:
        raise UsageError(f"--engine {text!r}{catalog.nearest(text, names)}: there are {', '.join(names)}")
    return text


def _seconds(value: float | None) -> float | None:
    """A time limit that ends."""
    if value is not None and not 1 <= value <= MOST_TIMEOUT_SECONDS:
        raise UsageError(f"--timeout {value:g} is not between 1 and {MOST_TIMEOUT_SECONDS} seconds")
    return value


def _bytes(text: str | None) -> int | None:
    """``512m``, ``8g``, ``8GiB`` or plain bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or int(match[1]) == 0:
        raise UsageError(f"--memory {text!r} is not a size such as 512m or 8g")
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2]]


def _open_store() -> Any:
    from harness.store import Store

    return Store(places.store_url())


def _progress() -> Progress:
    from rich.console import Console

    from harness.progress import Progress

    return Progress(Console(stderr=True, highlight=False))


def _show_licences(files: Sequence[Any]) -> None:
    """The licences of what was just fetched."""
    for licence in dict.fromkeys(file.licence for file in files):
        _talk(f"licence: {licence}")


def _print_launch(launch: Launch) -> None:
    """One launch for a person."""
    from reports.markdown import format_percent, format_seconds
    from reports.terminal import chain_text

    verdict, plan = launch.verdict, launch.plan
    lines = {
        "launch": launch.id,
        "cell": plan.cell,
        "when": plan.planned_at,
        "engine": f"{plan.engine.name} {plan.engine.version or ''}{' rootless' if plan.engine.rootless else ''}",
        "image id": plan.image.id or "-",
        "torch": launch.torch_version or "-",
        "verdict": f"{verdict.status}{f': {verdict.cause}' if verdict.cause else ''} in {verdict.stage} {verdict.summary}",
        "import": format_seconds(launch.import_seconds),
        "load": format_seconds(launch.load_seconds),
        "cold": ", ".join(map(format_seconds, launch.pass_seconds("cold"))) or "-",
        "warm": ", ".join(map(format_seconds, launch.pass_seconds("warm"))) or "-",
        "DER": format_percent(launch.der),
        "command": shlex.join(plan.command) or "-",
    }
    for name, value in lines.items():
        typer.echo(f"{name:<9} {value}")
    if launch.chain:
        typer.echo(chain_text(launch))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


def _talk(text: str) -> None:
    """To stderr: it is no result."""
    typer.echo(text, err=True)
