"""The command line: arguments, printing, exit codes. The only catcher of our errors.

Imports nothing heavy at the top: `--help`, `list` and `--dry-run` answer at once. Results go to stdout, talk to stderr.
"""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from harness import __version__, catalog, places
from harness.errors import HostError, NothingMeasuredError, StrixbenchError, UsageError

if TYPE_CHECKING:
    from harness.campaign import Request
    from harness.engines.base import Engine
    from harness.progress import Progress
    from harness.records import Launch

INTERRUPTED = 130
_HOSTS_DOING = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}
"""Errors of the host's files and disks, not ours."""

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
Images = Annotated[list[str] | None, typer.Argument(help="Catalog ids, globs, or image references.", metavar="IMAGE")]


def main() -> NoReturn:
    """Entry point of the ``strixbench`` command."""
    signal.signal(signal.SIGTERM, _interrupt)
    os.umask(0o022)  # a container's user reads what we write for it; launch folders are closed by their own mode
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows only ASCII is no reason to fail
    try:
        status = app(standalone_mode=False)
    except StrixbenchError as error:
        print(f"strixbench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except BrokenPipeError:  # `strixbench list | head`
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in _HOSTS_DOING:
            raise
        print(f"strixbench: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(HostError.exit_code)
    except Exception as error:
        # Typer's own errors of usage; anything else is a bug and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)
    if status == INTERRUPTED:  # Typer turns Ctrl-C into this status
        print("strixbench: interrupted; every finished launch is in the store", file=sys.stderr)  # noqa: T201
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
def list_images(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Globs on images, or with a / on cells.", metavar="PATTERN")
    ] = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Show the images and what they are pinned to; with a pattern that has a /, the cells image/variant/pipeline/audio."""
    from harness.listing import cell_rows, image_rows, select_rows, write_cells, write_images

    known = catalog.load_catalog(catalogs or ())
    if patterns and any("/" in pattern for pattern in patterns):
        cells = select_rows(cell_rows(known), patterns, known)
        lines = [] if as_json else write_cells(cells)
        rows: list[dict[str, Any]] = cells
    else:
        rows = select_rows(image_rows(known), patterns, known) if patterns else image_rows(known)
        lines = [] if as_json else write_images(rows)
    if as_json:
        _print_json(rows)
    for line in lines:
        typer.echo(line)


@models_app.command("fetch")
def fetch_models(
    profile: Annotated[str, typer.Argument(help="embedded, 3.1 or community-1.")] = "embedded",
    as_json: AsJson = False,
) -> None:
    """Get and verify model files; with `build` the only step that uses the network."""
    from harness import models
    from harness.inputs import show_licences

    progress = _progress()
    try:
        fetched = models.fetch(profile, say=progress.announce, show=progress.say)
    finally:
        progress.stop()
    if as_json:
        rows = [
            {"name": f.name, "repository": f.repository, "revision": f.revision, "sha256": f.sha256, "licence": f.licence}
            for f in fetched.files
        ]
        _print_json(rows)
        return
    show_licences(fetched.new_files, say=_talk)
    for revision in dict.fromkeys(f"{file.repository}@{file.revision}" for file in fetched.files if file.repository):
        typer.echo(revision)
    typer.echo(f"{len(fetched.files)} files verified in {fetched.folder}")


@app.command()
def doctor(catalogs: Catalogs = None, as_json: AsJson = False) -> None:
    """Say what this host lacks for a bench, with the command that mends it. Changes nothing; exit 1: a problem."""
    from harness.doctor import examine, this_host

    findings = examine(this_host(catalog.load_catalog(catalogs or ()).images.values()))
    if as_json:
        import msgspec

        _print_json(msgspec.to_builtins(findings))
    else:
        from reports.terminal import print_findings

        print_findings(findings)
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(1)


@app.command("build")
def build_images(
    images: Images = None,
    engine: EngineOption = "auto",
    portable: PortableOption = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Build so many at once.", metavar="N")] = 1,
    wheelhouse: Annotated[
        Path | None, typer.Option("--wheelhouse", help="A folder of wheels to look into first.", metavar="DIR")
    ] = None,
    catalogs: Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be built.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Build also what is built already.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Then remove images of recipes that are no longer current.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build images; one that is already built of the same recipe is left alone, and a failure does not stop the others."""
    from harness.build import build_log, recipe_of
    from harness.campaign import engine_name
    from harness.inputs import choose_images, parse_engine, with_wheelhouse

    preference = parse_engine(engine)
    known = catalog.load_catalog(catalogs or ())
    chosen = choose_images(known, images or [DEFAULT_IMAGE], family=None, as_portable=portable)
    chosen = with_wheelhouse(chosen, wheelhouse)
    for image in chosen:
        if image.reference is not None:
            raise UsageError(f"{image.reference} was built elsewhere: there is nothing to build, `strixbench bench` runs it")
        engine_name(image, preference)
    recipes = {image.name: recipe_of(image) for image in chosen}
    outcome: list[dict[str, Any]] = [
        {"image": name, "recipe": recipe.hash, "tag": recipe.tag, "log": str(build_log(recipe))}
        for name, recipe in recipes.items()
    ]
    if dry_run:
        for row, recipe in zip(outcome, recipes.values(), strict=True):
            row |= {"arguments": dict(recipe.arguments), "files": sorted(recipe.files)}
    else:
        _build(known, chosen, preference, outcome, again=again, jobs=jobs)
        if prune:
            _prune(known, {engine_name(image, preference) for image in chosen}, {recipe.hash for recipe in recipes.values()})
    if as_json:
        _print_json(outcome)
    else:
        for row in outcome:
            typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
    if any("error" in row for row in outcome):
        raise typer.Exit(1)


def _build(
    known: catalog.Catalog, chosen: tuple[catalog.Image, ...], preference: str, rows: list[dict[str, Any]], **how: Any
) -> None:
    """Build them, add to each row what became of it, and store what failed."""
    from harness.builds import build_all
    from harness.campaign import Campaign, Request, engine_name
    from harness.exchange import clean_text
    from harness.inputs import unread_sample
    from harness.launch import Settings

    audio, found_models = unread_sample(known)
    progress = _progress()
    campaign = Campaign(
        Request(
            images=chosen,
            gfx=None,
            pipeline=known.pipelines["embedded"],
            audio=audio,
            models=found_models,
            engine=preference,
            launches=0,
            settings=Settings(),
        ),
        known,
        _open_store(),
        open_engine=open_engine,
        observer=progress,
    )
    outcomes = build_all(chosen, open_engine=lambda image: open_engine(engine_name(image, preference)), say=progress.say, **how)
    try:
        for outcome in campaign.build(outcomes):
            row = next(row for row in rows if row["image"] == outcome.image.name)
            if outcome.built is not None:
                row["id"] = outcome.built.id
            else:
                row["error"] = clean_text(outcome.message)
                progress.announce(f"{outcome.image.name}: the build failed: {outcome.message}\n{outcome.log_tail[-1500:]}")
    finally:
        progress.stop()


def _prune(known: catalog.Catalog, engines: set[str], just_built: set[str]) -> None:
    """Remove what was built of recipes that the catalog does not have, from these engines."""
    from harness.build import recipe_of

    images = [image for image in known.images.values() if image.reference is None]
    portable = [catalog.portable(image, known) for image in images if catalog.is_portable(image)]
    recipes = [recipe_of(image) for image in (*images, *portable)]
    keep, names = {recipe.hash for recipe in recipes} | just_built, {recipe.image for recipe in recipes}
    for name in sorted(engines):
        engine = open_engine(name)
        try:
            removed = engine.remove_built(keep, names)
        finally:
            engine.close()
        _talk(f"removed from {name}: {', '.join(removed) or 'nothing'}")


@app.command()
def bench(
    images: Images = None,
    gfx: GfxOption = None,
    fixes: FixOption = None,
    pipeline: Annotated[
        str, typer.Option("--pipeline", help="embedded, synthetic, 3.1 or community-1.", metavar="NAME")
    ] = "embedded",
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
    portable: PortableOption = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Kill a launch after this long.", metavar="SECONDS")
    ] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Memory limit, such as 8g.", metavar="SIZE")] = None,
    flags: FlagsOption = "least",
    gpu: GpuOption = None,
    catalogs: Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the engine's command line and run nothing.")] = False,
    report_to: Annotated[Path | None, typer.Option("--report", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Run images, store every launch, print the results table and write BENCHMARKS.md."""
    from harness.campaign import Request
    from harness.devices import parse_flags
    from harness.inputs import (
        choose_images,
        fetch_inputs,
        locate_inputs,
        parse_engine,
        parse_family,
        parse_size,
        parse_time_limit,
    )
    from harness.launch import Settings

    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    known = catalog.load_catalog(catalogs or ())
    chosen = choose_images(known, images or [DEFAULT_IMAGE], family=parse_family(family), as_portable=portable)
    row = catalog.select_pipeline(known, pipeline)
    chosen_fixes = catalog.select_fixes(known, fixes or ())
    for image in chosen:
        catalog.select_variants(known, image, gfx)
    if dry_run:
        prepared_audio, found_models = locate_inputs(known, row.name, audio, reference, audio_seconds)
    else:
        prepared_audio, found_models = fetch_inputs(known, row.name, audio, reference, audio_seconds, say=_talk)
    request = Request(
        images=chosen,
        gfx=gfx,
        pipeline=row,
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=launches,
        settings=Settings(
            warm_passes=passes,
            label=label,
            timeout_seconds=limit,
            memory_bytes=parse_size(memory),
            flags=relaxed,
            gpu=gpu,
        ),
        fixes=chosen_fixes,
    )
    if dry_run:
        from harness.dry_run import dry_run_lines

        for line in dry_run_lines(known, request):
            typer.echo(line.text, err=line.is_remark)
        return
    _run(known, request, report_to or places.ROOT / "BENCHMARKS.md", as_json=as_json)


@app.command()
def probe(
    images: Images = None,
    gfx: GfxOption = None,
    fixes: FixOption = None,
    try_fixes: Annotated[bool, typer.Option("--try-fixes", help="Where a step fails, try the work-arounds for it.")] = False,
    engine: EngineOption = "auto",
    family: FamilyOption = None,
    portable: PortableOption = False,
    flags: FlagsOption = "least",
    gpu: GpuOption = None,
    timeout: Annotated[float, typer.Option("--timeout", help="Kill a step after this long.", metavar="SECONDS")] = 300.0,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Try the imports, the device, and what pyannote computes, each step in a process of its own."""
    from benchmarks.wire import STEPS
    from harness.campaign import Request
    from harness.devices import parse_flags
    from harness.inputs import choose_images, fetch_inputs, parse_engine, parse_family, parse_time_limit
    from harness.launch import Settings

    preference, step_limit, relaxed = parse_engine(engine), parse_time_limit(timeout) or timeout, parse_flags(flags)
    known = catalog.load_catalog(catalogs or ())
    chosen = choose_images(known, images or [DEFAULT_IMAGE], family=parse_family(family), as_portable=portable)
    chosen_fixes = catalog.select_fixes(known, fixes or ())
    for image in chosen:
        catalog.select_variants(known, image, gfx)
    prepared_audio, found_models = fetch_inputs(known, "embedded", "sample", None, None, say=_talk)
    request = Request(
        images=chosen,
        gfx=gfx,
        pipeline=known.pipelines["embedded"],
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=1,
        settings=Settings(
            last_stage="device",
            steps=STEPS,
            step_timeout_seconds=step_limit,
            # Beside the steps: imports and device, and the end of each process.
            timeout_seconds=600 + len(STEPS) * (step_limit + 10),
            flags=relaxed,
            gpu=gpu,
        ),
        fixes=chosen_fixes,
        fixes_to_try=tuple(fix for fix in known.variants.values() if fix.mends) if try_fixes else (),
    )
    _run(known, request, None, as_json=as_json)


@app.command("flags")
def try_flags(
    image: Annotated[str, typer.Argument(help="A catalog id, or an image reference.", metavar="IMAGE")],
    gfx: Annotated[str | None, typer.Option("--gfx", help="Only the variants that match.", metavar="VARIANT")] = None,
    engine: EngineOption = "auto",
    family: FamilyOption = None,
    gpu: GpuOption = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Find out which relaxations of `--flags compat` an image needs to reach its device, one at a time."""
    import msgspec

    from harness.campaign import Campaign, Request
    from harness.devices import flags_text
    from harness.inputs import choose_images, fetch_inputs, parse_engine, parse_family
    from harness.launch import Settings
    from harness.trials import arrangements, judge_flags
    from reports.terminal import print_trials

    preference = parse_engine(engine)
    known = catalog.load_catalog(catalogs or ())
    chosen = choose_images(known, [image], family=parse_family(family))
    if len(chosen) != 1:
        raise UsageError(f"{image!r} matches {len(chosen)} images: name one")
    (row,) = chosen
    if "local" in (row.engine, preference):
        raise UsageError(f"image {row.name} runs as a process of this host, which has no isolation that could be relaxed")
    prepared_audio, found_models = fetch_inputs(known, "embedded", "sample", None, None, say=_talk)
    store, found = _open_store(), {}
    for flags in arrangements():
        _talk(f"{row.name} with --flags {flags_text(flags)}")
        progress = _progress()
        request = Request(
            images=(row,),
            gfx=gfx,
            pipeline=known.pipelines["embedded"],
            audio=prepared_audio,
            models=found_models,
            engine=preference,
            launches=1,
            settings=Settings(last_stage="device", timeout_seconds=600, flags=flags, gpu=gpu),
        )
        campaign = Campaign(request, known, store, open_engine=open_engine, observer=progress)
        try:
            campaign.run()
        finally:
            progress.stop()
        if campaign.environment_error is not None:
            raise campaign.environment_error
        found[flags] = campaign.launches
        # What the first launch found out need not be found out again.
        row = msgspec.structs.replace(row, family=row.family or campaign.launches[0].plan.image.family)
    findings = judge_flags(found)
    if as_json:
        _print_json(msgspec.to_builtins(findings))
    else:
        print_trials(row.name, findings)
    if all(finding.need == "fails even with all" for finding in findings):
        raise typer.Exit(1)


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

    from reports.terminal import print_launch

    found = _find_launch(launch)
    if as_json:
        _print_json(msgspec.to_builtins(found))
        return
    print_launch(found)


@app.command()
def explain(
    failure: Annotated[
        str, typer.Argument(help="A launch's id, a file with a traceback or a log, or - for stdin.", metavar="LAUNCH|FILE|-")
    ],
    as_json: AsJson = False,
) -> None:
    """Say what is known of a failure: its true cause, and what to do. Exit code 1 where nothing known fits."""
    from harness.explain import explain_launch, explain_text
    from harness.inputs import read_pasted
    from reports.explanation import explanation_data, explanation_lines

    if failure == "-" or Path(failure).exists():
        explanation = explain_text(read_pasted(failure, say=_talk))
    else:
        explanation = explain_launch(_find_launch(failure, or_else=" and no such file"))
    if as_json:
        _print_json(explanation_data(explanation))
    else:
        for line in explanation_lines(explanation):
            typer.echo(line)
    if explanation.failed and explanation.match is None:
        raise typer.Exit(1)


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
    from reports.terminal import print_probes, print_results

    if report_to is not None and report_to.is_dir():
        raise UsageError(f"--report {report_to} is a folder; name a file")
    progress = _progress()
    store = _open_store()
    campaign = Campaign(request, known, store, open_engine=open_engine, observer=progress)
    try:
        campaign.run()
    finally:
        progress.stop()
    if as_json:
        _print_json(msgspec.to_builtins(campaign.launches))
    elif report_to is None:
        print_probes(campaign.launches)
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


def _find_launch(launch: str, *, or_else: str = "") -> Launch:
    """The launch of an id or of the beginning of one; raises `UsageError`, which ends in ``or_else``."""
    from harness.store import store_exists

    found: tuple[Launch, ...] = _open_store().find(launch) if store_exists(places.store_url()) else ()
    if not found:
        raise UsageError(f"no launch {launch!r} in the store{or_else}")
    if len(found) > 1:
        raise UsageError(
            f"{launch!r} is the beginning of {len(found)} launches: {', '.join(each.id for each in found[:5])} ..."
        )
    return found[0]


def _open_store() -> Any:
    from harness.store import Store

    return Store(places.store_url())


def _progress() -> Progress:
    from rich.console import Console

    from harness.progress import Progress

    return Progress(Console(stderr=True, highlight=False))


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1))


def _talk(text: str) -> None:
    """To stderr: it is no result."""
    typer.echo(text, err=True)
