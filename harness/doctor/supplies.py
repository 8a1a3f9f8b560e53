"""Checks of what a bench uses up or takes in: room on the disks, gated models, the catalog's images. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from harness.catalog.rows import GPU_FAMILIES
from harness.doctor.facts import Disk, HostFacts, ImageFacts
from harness.doctor.finding import Finding, Status
from harness.engines.about import EngineFacts
from harness.images.build_needs import GB, Demand, demand_of, share_a_disk, shortages, store_need
from harness.images.disk_space import PRUNE, PRUNE_MORE
from harness.inputs.models import GATED
from harness.text import size_text

DISK = "disk"
MODELS = "models"
IMAGES = "images"

ENVIRONMENT_BYTES = 2 * GB
"""The `local-cpu` environment with torch, and the models."""

RESULTS_BYTES = GB // 10

_USES = {
    "results": "launches keep their logs and records there",
    "cache": "the local environment and the models are kept there",
}

_WIDTH = 68
"""The columns that are left for a line after the columns before it, on a terminal of 80."""


def check_room(facts: HostFacts) -> Iterator[Finding]:
    """How much is free where each engine keeps images, and which images of the catalog fit there, each alone."""
    disks = {disk.what: disk for disk in facts.disks}
    for engine in facts.engines:
        if (store := disks.get(f"{engine.name} images")) is not None:
            yield from _engine_room(engine, store, disks.get(f"{engine.name} spool"), facts)


def _engine_room(engine: EngineFacts, store: Disk, spool: Disk | None, facts: HostFacts) -> Iterator[Finding]:
    """What a build would find there: the numbers are those that a build is held against."""
    if store.free_bytes is None:
        text = f"{store.what}: the free room in {store.path} cannot be found out from here"
        yield Finding(DISK, store.what, "unknown", text, why="a build goes on without that check", fix="df -h")
        return
    free, spool_free = store.free, spool.free if spool else None
    demands = {
        image.name: demand_of(image.need, engine.name, base_is_here=False, keeps_compressed=engine.storage.keeps_compressed)
        for image in facts.images
        if image.needs_engine and image.need is not None
    }
    too_large = {name for name, demand in demands.items() if shortages(demand, free, spool_free)}
    sizes = {name: store_need(demand, free, spool_free) for name, demand in demands.items()}
    lacking = [image.name for image in _wanted(facts) if image.name in too_large]
    text = f"{store.what}: {size_text(store.free_bytes)} free in {store.path}"
    if lacking:
        largest = size_text(max(sizes[name] for name in lacking))
        why = f"{', '.join(lacking)}: up to {largest} while one is built. {PRUNE_MORE[engine.name]}"
        status: Status = "warning" if len(too_large) < len(demands) else "problem"
        yield Finding(DISK, store.what, status, text, why=why, fix=PRUNE)
    else:
        yield Finding(DISK, store.what, "ok", text)
    if spool is not None:
        yield _spool(spool, store, [demands[name] for name in lacking])
    for line in _size_lines(f"{engine.name} fits: ", {name: size for name, size in sizes.items() if name not in too_large}):
        yield Finding(DISK, f"{engine.name} room", "ok", line)
    for line in _size_lines(f"{engine.name} too large: ", {name: size for name, size in sizes.items() if name in too_large}):
        yield Finding(DISK, f"{engine.name} room", "note", line)


def _wanted(facts: HostFacts) -> Sequence[ImageFacts]:
    """The images for a host like this: those for the CPU, or the recommended ones of its GPU's families where there are any."""
    if not facts.pci:
        return [image for image in facts.images if image.family == "cpu" and image.need is not None]
    families = GPU_FAMILIES[:2] if facts.amd else GPU_FAMILIES[2:]
    of_gpu = [image for image in facts.images if image.family in families and image.need is not None]
    return [image for image in of_gpu if image.is_recommended] or of_gpu


def _spool(spool: Disk, store: Disk, lacking: Sequence[Demand]) -> Finding:
    """Podman's temporary folder, where it is not on the disk of the images."""
    if spool.free_bytes is None:
        text = f"{spool.what}: the free room in {spool.path} cannot be found out"
        return Finding(DISK, spool.what, "unknown", text, fix="df -h")
    if share_a_disk(spool.free, store.free):
        return Finding(DISK, spool.what, "ok", f"{spool.what}: {spool.path}, on the same disk")
    text = f"{spool.what}: {size_text(spool.free_bytes)} free in {spool.path}"
    most = max((demand.spool_bytes for demand in lacking), default=0)
    if most <= spool.free_bytes:
        return Finding(DISK, spool.what, "ok", text)
    why = f"layers are kept there while an image is built, up to {size_text(most)}"
    return Finding(DISK, spool.what, "warning", text, why=why, fix="export TMPDIR=/folder/on/a/larger/disk")


def _size_lines(title: str, sizes: dict[str, int]) -> list[str]:
    """Names by what their build takes, the largest first, in lines that fit a terminal and can each be read alone."""
    by_size: dict[int, list[str]] = {}
    for name, bytes_ in sizes.items():
        by_size.setdefault(round(bytes_ / GB), []).append(name)
    lines = []
    for size, names in sorted(by_size.items(), reverse=True):
        start = f"{title}{size:>3} GB to build "
        lines += [start + part for part in textwrap.wrap(", ".join(names), _WIDTH - len(start), break_on_hyphens=False)]
    return lines


def check_disks(facts: HostFacts) -> Iterator[Finding]:
    """Room for results and the cache."""
    for disk in facts.disks:
        if disk.what not in _USES:
            continue
        if disk.free_bytes is None:
            text = f"{disk.what}: the free room in {disk.path} cannot be found out"
            yield Finding(DISK, disk.what, "unknown", text, fix="df -h")
            continue
        if not disk.writable:
            text = f"{disk.what}: this user cannot write to {disk.path}"
            fix = f"export STRIXBENCH_{disk.what.upper()}=~/strixbench-{disk.what}"
            yield Finding(DISK, disk.what, "problem", text, why=_USES[disk.what], fix=fix)
            continue
        wanted, least = (RESULTS_BYTES, RESULTS_BYTES // 10) if disk.what == "results" else (ENVIRONMENT_BYTES, RESULTS_BYTES)
        text = f"{disk.what}: {size_text(disk.free_bytes)} free in {disk.path}"
        if disk.free_bytes >= wanted:
            yield Finding(DISK, disk.what, "ok", text)
        else:
            status: Status = "problem" if disk.free_bytes < least else "warning"
            why = f"{_USES[disk.what]}: {size_text(wanted)} are enough"
            yield Finding(DISK, disk.what, status, text, why=why, fix="df -h")


def check_models(facts: HostFacts) -> Iterator[Finding]:
    """Token and models. That there is a token is all that is known about it."""
    if missing := facts.embedded_missing:
        text = f"embedded: not fetched yet: {', '.join(missing)}"
        why, fix = "the first bench fetches it; it needs no token", "strixbench models fetch embedded"
        yield Finding(MODELS, "embedded", "note", text, why=why, fix=fix)
    else:
        yield Finding(MODELS, "embedded", "ok", "embedded: fetched; each bench verifies it")
    lacking = {name: [each for each in repositories if each not in facts.cached] for name, repositories in GATED.items()}
    if facts.token is not None:
        yield Finding(MODELS, "token", "ok", f"a Hugging Face token is configured in a {facts.token}")
    elif any(lacking.values()):
        why = "the embedded pipeline needs none; fetching the gated ones does"
        yield Finding(MODELS, "token", "note", "no Hugging Face token is configured", why=why, fix="hf auth login")
    else:
        yield Finding(MODELS, "token", "ok", "no Hugging Face token is configured")
    for name, repositories in lacking.items():
        if repositories:
            text = f"{name}: not in the cache: {', '.join(repositories)}"
            pages = " and ".join(f"https://huggingface.co/{each}" for each in repositories)
            why = f"first accept the conditions, if there are any, on {pages}"
            yield Finding(MODELS, name, "note", text, why=why, fix=f"strixbench models fetch {name}")
        else:
            yield Finding(MODELS, name, "ok", f"{name}: in the cache")


def check_images(facts: HostFacts) -> Iterator[Finding]:
    """What each image of the catalog still lacks: on this host, with a line for all that lack the same; in its row."""
    by_lack: dict[tuple[str, ...], list[str]] = {}
    for image in facts.images:
        silent = ("no engine answers",) if facts.engines and not facts.has_engine and image.needs_engine else ()
        by_lack.setdefault(silent + image.obstacles, []).append(image.name)
    for obstacles, names in by_lack.items():
        if obstacles:
            yield Finding(IMAGES, "here", "note", f"{', '.join(names)}: cannot run here: {'; '.join(obstacles)}")
        else:
            yield Finding(IMAGES, "here", "ok", f"{', '.join(names)}: can run here")
    for image in facts.images:
        if image.todo:
            yield Finding(IMAGES, "catalog", "note", f"{image.name}: {'; '.join(image.todo)}")
