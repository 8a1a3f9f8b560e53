"""Checks of the room for images: which of the catalog fit on an engine's disk, held against what a build would hold them. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from harness.catalog.rows import GPU_FAMILIES
from harness.doctor.facts import Disk, HostFacts, ImageFacts
from harness.doctor.finding import Finding, Status, Subject
from harness.engines.about import EngineFacts
from harness.images.build_needs import GB, Demand, demand_of, share_a_disk, shortages, store_need
from harness.images.disk_space import PRUNE, PRUNE_MORE
from harness.text import size_text

DISK = Subject("disk")

_WIDTH = 68
"""Columns that are left for a line after the columns before it, on a terminal of 80."""


def check_room(facts: HostFacts) -> tuple[Finding, ...]:
    """How much is free where each engine keeps images, and which images of the catalog fit there, each alone."""
    disks = {disk.what: disk for disk in facts.disks}
    return tuple(
        finding
        for engine in facts.engines
        if (store := disks.get(f"{engine.name} images")) is not None
        for finding in _engine_room(engine, store, disks.get(f"{engine.name} spool"), facts)
    )


def _engine_room(engine: EngineFacts, store: Disk, spool: Disk | None, facts: HostFacts) -> Iterable[Finding]:
    if store.free_bytes is None:
        text = f"{store.what}: free room in {store.path} cannot be found out from here"
        yield DISK.says(store.what, "unknown", text, why="a build goes on without that check", fix="df -h")
        return
    free, spool_free = store.free, spool.free if spool else None
    demands = {
        image.name: demand_of(image.need, engine.name, base_is_here=False, keeps_compressed=engine.storage.keeps_compressed)
        for image in facts.images
        if image.needs_engine and image.need is not None
    }
    too_large = {name: demand for name, demand in demands.items() if shortages(demand, free, spool_free)}
    fitting = {name: demand for name, demand in demands.items() if name not in too_large}
    lacking = [image for image in _wanted(facts) if image.name in too_large]
    status: Status = "ok" if not lacking else "warning" if fitting else "problem"
    sizes = {name: store_need(demand, free, spool_free) for name, demand in demands.items()}
    largest = max((sizes[image.name] for image in lacking), default=0)
    names = ", ".join(image.name for image in lacking)
    yield DISK.says(
        store.what,
        status,
        f"{store.what}: {size_text(store.free_bytes)} free in {store.path}",
        why=f"{names}: up to {size_text(largest)} while built. {PRUNE_MORE[engine.name]}" if lacking else "",
        fix=PRUNE if lacking else "",
    )
    if spool is not None:
        yield from _spool(spool, store, demands, [image.name for image in lacking])
    for line in _size_lines(f"{engine.name} fits: ", {name: sizes[name] for name in fitting}):
        yield DISK.says(f"{engine.name} room", "ok", line)
    for line in _size_lines(f"{engine.name} too large: ", {name: sizes[name] for name in too_large}):
        yield DISK.says(f"{engine.name} room", "note", line)


def _wanted(facts: HostFacts) -> Sequence[ImageFacts]:
    """The images that a host like this is for: of its GPU's families, the recommended ones where there are any."""
    if not facts.pci:
        return [image for image in facts.images if image.family == "cpu" and image.need is not None]
    families = GPU_FAMILIES[:2] if facts.amd else GPU_FAMILIES[2:]
    of_gpu = [image for image in facts.images if image.family in families and image.need is not None]
    return [image for image in of_gpu if image.is_recommended] or of_gpu


def _spool(spool: Disk, store: Disk, demands: dict[str, Demand], lacking: Sequence[str]) -> Iterable[Finding]:
    """Podman's temporary folder, where it is not on the disk of the images."""
    if spool.free_bytes is None:
        yield DISK.says(spool.what, "unknown", f"{spool.what}: free room in {spool.path} cannot be found out", fix="df -h")
    elif share_a_disk(spool.free, store.free):
        yield DISK.says(spool.what, "ok", f"{spool.what}: {spool.path}, on the same disk")
    else:
        short = [name for name in lacking if demands[name].spool_bytes > spool.free_bytes]
        most = max((demands[name].spool_bytes for name in short), default=0)
        yield DISK.says(
            spool.what,
            "warning" if short else "ok",
            f"{spool.what}: {size_text(spool.free_bytes)} free in {spool.path}",
            why=f"layers lie there while an image is built, up to {size_text(most)}" if short else "",
            fix="export TMPDIR=/folder/on/a/larger/disk" if short else "",
        )


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
