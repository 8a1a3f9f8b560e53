"""Checks of what a bench uses up or takes in: room on the disks, gated models, the catalog's images. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.doctor.facts import Disk, HostFacts, ImageFacts
from harness.doctor.finding import Finding, Status, Subject
from harness.images.build_needs import GB
from harness.text import size_text

DISK = Subject("disk")
MODELS = Subject("models")
IMAGES = Subject("images")

ENVIRONMENT_BYTES = 2 * GB
"""The `local-cpu` environment with torch, and the models."""

RESULTS_BYTES = GB // 10

_USES = {
    "results": "launches keep their logs and records there",
    "cache": "the local environment and the models lie there",
}


def check_disks(facts: HostFacts) -> tuple[Finding, ...]:
    """Room for results and the cache; for images see `harness.doctor.disk_space`."""
    return tuple(_disk(disk) for disk in facts.disks if disk.what in _USES)


def _disk(disk: Disk) -> Finding:
    if disk.free_bytes is None:
        text = f"{disk.what}: free room in {disk.path} cannot be found out"
        return DISK.says(disk.what, "unknown", text, fix="df -h")
    if not disk.writable:
        return DISK.says(
            disk.what,
            "problem",
            f"{disk.what}: {disk.path} cannot be written by this user",
            why=_USES[disk.what],
            fix=f"export STRIXBENCH_{disk.what.upper()}=~/strixbench-{disk.what}",
        )
    wanted, least = (RESULTS_BYTES, RESULTS_BYTES // 10) if disk.what == "results" else (ENVIRONMENT_BYTES, RESULTS_BYTES)
    status: Status = "problem" if disk.free_bytes < least else "warning" if disk.free_bytes < wanted else "ok"
    return DISK.says(
        disk.what,
        status,
        f"{disk.what}: {size_text(disk.free_bytes)} free in {disk.path}",
        why="" if status == "ok" else f"{_USES[disk.what]}: {size_text(wanted)} are enough",
        fix="" if status == "ok" else "df -h",
    )


def check_models(facts: HostFacts, gated: Mapping[str, Sequence[str]]) -> tuple[Finding, ...]:
    """Token and gated repositories. That there is a token is all that is known of it."""
    lacking = {name: [each for each in repositories if each not in facts.cached] for name, repositories in gated.items()}
    if facts.token is not None:
        text = f"a Hugging Face token is configured in a {facts.token}"
        token = MODELS.says("token", "ok", text)
    else:
        needed = any(lacking.values())
        token = MODELS.says(
            "token",
            "note" if needed else "ok",
            "no Hugging Face token is configured",
            why="the embedded pipeline needs none; the gated ones do to be fetched" if needed else "",
            fix="hf auth login" if needed else "",
        )
    rows = (
        MODELS.says(
            name,
            "note" if missing else "ok",
            f"{name}: not in the cache: {', '.join(missing)}" if missing else f"{name}: in the cache",
            why="accept the conditions, where there are any, of "
            + " and ".join(f"https://huggingface.co/{each}" for each in missing)
            if missing
            else "",
            fix=f"strixbench models fetch {name}" if missing else "",
        )
        for name, missing in lacking.items()
    )
    return (_embedded(facts), token, *rows)


def _embedded(facts: HostFacts) -> Finding:
    missing = facts.embedded_missing
    return MODELS.says(
        "embedded",
        "note" if missing else "ok",
        f"embedded: not fetched yet: {', '.join(missing)}" if missing else "embedded: fetched; each bench verifies it",
        why="the first bench fetches it; it needs no token" if missing else "",
        fix="strixbench models fetch embedded" if missing else "",
    )


def check_images(facts: HostFacts) -> tuple[Finding, ...]:
    """What each image of the catalog still needs: of this host, those with the same lack together; of its row, each."""
    by_lack: dict[tuple[str, ...], list[ImageFacts]] = {}
    for image in facts.images:
        silent = ("no engine answers",) if facts.engines and not facts.has_engine and image.needs_engine else ()
        by_lack.setdefault(silent + image.obstacles, []).append(image)
    here = [
        IMAGES.says(
            "here",
            "note" if obstacles else "ok",
            f"{', '.join(image.name for image in images)}: "
            + (f"not here: {'; '.join(obstacles)}" if obstacles else "can run here"),
        )
        for obstacles, images in by_lack.items()
    ]
    todo = [IMAGES.says("catalog", "note", f"{image.name}: {'; '.join(image.todo)}") for image in facts.images if image.todo]
    return (*here, *todo)
