"""Room on the disks: read, compared with what a build takes, and reserved for it while it builds."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec

from harness.catalog.rows import Image
from harness.engines.base import Engine, Storage
from harness.errors import NoRoomError
from harness.images.build_needs import Demand, Free, Need, Shortage, demand_of, need_of, shortages, taken, without_taken
from harness.machine.files import FILE_TIMEOUT_SECONDS, read_file, within
from harness.secrets import without_home
from harness.text import Say, size_text

UNCHECKED = "STRIXBENCH_NO_ROOM_CHECK"
"""If set, builds begin however little room there is. It is a variable and no option, since seven verbs may build."""

MOVE_STORE = {
    "podman": "move the store to a larger disk (`graphroot` in ~/.config/containers/storage.conf or /etc/containers/storage.conf)",
    "docker": "move the store to a larger disk (`data-root` in /etc/docker/daemon.json; for a containerd store `root` in "
    "/etc/containerd/config.toml)",
    "local": "set STRIXBENCH_CACHE to a folder on a larger disk",
}
PRUNE = "strixbench images --prune"
"""This removes only what is ours."""

PRUNE_MORE = {
    "podman": "`podman system prune` frees more, but also removes your stopped containers",
    "docker": "`docker system prune` frees more, but also removes your stopped containers",
}
MOVE_SPOOL = (
    "set TMPDIR to a folder on a larger disk (`image_copy_tmp_dir` in containers.conf where a service of systemd answers)"
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's room. ``None``: it cannot be found out from here."""

    engine: str
    storage: Storage
    store: Free | None
    spool: Free | None


def read_free(folder: str | None) -> Free | None:
    """The room on a folder's disk; ``None`` where that cannot be found out: the folder is on another host, or closed to us."""
    if folder is None:
        return None

    def look() -> Free:
        status = os.statvfs(folder)
        mounts = read_file(Path("/proc/self/mountinfo")).text or ""
        return Free(
            folder, status.f_bavail * status.f_frsize, os.stat(folder).st_dev, pool_of(os.path.realpath(folder), mounts)
        )

    try:
        return within(FILE_TIMEOUT_SECONDS, look)
    except OSError:
        return None


def pool_of(folder: str, mounts: str) -> str | None:
    """The pool that a folder takes its room from, such as ``btrfs /dev/nvme0n1p3`` or ``zfs rpool``; ``None`` on other file systems.

    Each subvolume of btrfs and each data set of ZFS has its own ``st_dev``, and all of one pool share its free room. Fedora
    installs ``/`` and ``/home`` as two subvolumes of one btrfs. ``folder`` is absolute and free of links. ``mounts`` is the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    """
    wanted = PurePosixPath(folder)
    depth, found = -1, None
    for line in mounts.splitlines():
        mount, separator, source = line.partition(" - ")
        words, kinds = mount.split(), source.split()
        if not separator or len(words) < 5 or len(kinds) < 2:
            continue
        point = PurePosixPath(_unescaped(words[4]))
        if wanted.is_relative_to(point) and len(point.parts) >= depth:  # a later mount covers an earlier one
            depth, found = len(point.parts), (kinds[0], _unescaped(kinds[1]))
    if found is None or found[0] not in ("btrfs", "zfs"):
        return None
    kind, name = found
    return f"{kind} {name.partition('/')[0] if kind == 'zfs' else name}"


def _unescaped(text: str) -> str:
    r"""A field of mountinfo as text: the kernel writes white space and ``\`` as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def place_of(engine: Engine) -> Place:
    """The engine's room as it is now. Raises `EngineError`."""
    storage = engine.storage()
    return Place(
        engine=engine.record.name,
        storage=storage,
        store=read_free(storage.folder),
        spool=read_free(storage.spool),
    )


def demand_in(place: Place, need: Need, *, base_is_here: bool) -> Demand:
    """What a build of an image takes there."""
    return demand_of(need, place.engine, base_is_here=base_is_here, keeps_compressed=place.storage.keeps_compressed)


def has_base(engine: Engine, image: Image) -> bool:
    """Whether the engine has the base of an image. Raises `EngineError`."""
    return image.engine != "local" and image.base is not None and engine.find_reference(image.base) is not None


class Room:
    """Lets a build begin once there is room for it. All builds of a command share one, since they share the disks."""

    def __init__(self, announce: Say, *, look: Callable[[Engine], Place] = place_of) -> None:
        """``announce`` shows a line that stays. ``look`` finds out the room; tests pass their own."""
        self._announce = announce
        self._look = look
        self._is_checked = not os.environ.get(UNCHECKED)
        self._changed = threading.Condition()
        self._kept: list[tuple[Free, int]] = []
        """What running builds may still take, and on which disk."""
        self._said: set[str] = set()

    @contextmanager
    def kept_for(self, image: Image, engine: Engine) -> Iterator[None]:
        """Reserve what a build takes until it ends. Waits for other builds where it would fit without them.

        Raises `NoRoomError` where a disk is too small, and `EngineError` where the engine does not answer.
        """
        kept = self._keep(image, engine) if self._is_checked else ()
        try:
            yield
        finally:
            with self._changed:
                for each in kept:
                    self._kept.remove(each)
                self._changed.notify_all()

    def _keep(self, image: Image, engine: Engine) -> tuple[tuple[Free, int], ...]:
        """What is reserved for a build, on which disks."""
        with self._changed:  # held while the engine is asked: a build that ends meanwhile would make the answer old
            while True:
                place = self._look(engine)
                demand = demand_in(place, need_of(image), base_is_here=has_base(engine, image))
                if not shortages(demand, *(without_taken(free, self._kept) for free in (place.store, place.spool))):
                    break
                if not self._kept:
                    raise NoRoomError(no_room_text(image.name, place, demand))
                self._say_once(f"{image.name} waits until another build makes room")
                self._changed.wait()
            kept = taken(demand, place.store, place.spool)
            self._kept += kept
        folders = ((place.storage.folder or "a folder that it does not name", place.store), (place.storage.spool, place.spool))
        for folder, free in folders:
            if folder is not None and free is None:  # the engine named it, and this process cannot look at it
                self._say_once(
                    f"the free room of {folder} cannot be found out from here: {place.engine} builds without that check"
                )
        return kept

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._announce(without_home(text))


def no_room_text(image: str, place: Place, demand: Demand) -> str:
    """Why a build does not begin and what to do, in a sentence."""
    short = shortages(demand, place.store, place.spool)
    lacking = " and ".join(_lack(each, demand, place) for each in short)
    is_spool_alone = all(place.store is None or each.free.folder != place.store.folder for each in short)
    advice = (
        MOVE_SPOOL
        if is_spool_alone
        else "; ".join(filter(None, (f"free some with `{PRUNE}`, or {MOVE_STORE[place.engine]}", PRUNE_MORE.get(place.engine))))
    )
    return without_home(f"no room to build {image} with {place.engine}: {lacking}; {advice}; {UNCHECKED}=1 builds anyway")


def _lack(short: Shortage, demand: Demand, place: Place) -> str:
    free, needed = short.free, short.needed_bytes
    text = f"{size_text(free.bytes)} are free in {free.folder} and about {size_text(needed)} are needed while it is built"
    is_store = place.store is not None and free.folder == place.store.folder
    return f"{text} ({size_text(demand.stays_bytes)} remain afterwards)" if is_store else text
