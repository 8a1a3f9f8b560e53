"""What a build of an image fetches, and what room it takes: catalog rows -> bytes. Pure.

The factors are measured: `du` sampled, every few milliseconds, a step that adds V bytes and the copy of them into the image, on
Podman 4.3.1 and Docker 20.10 (overlay on ext4). The first stage holds V as a layer; the second holds it as the container's files
and again as the layer that these become. Docker took 3 V at its peak and nothing elsewhere. Podman also kept the first stage's
container, so that it took 4 V, and wrote each layer to its temporary folder twice, which took 2 V there at the same time. Both
keep 2 V afterwards: the stage stays as an image without a name until `strixbench images --prune`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from harness.catalog.knobs import Family
from harness.catalog.rows import Image
from harness.text import size_text

GB = 10**9

BASE_ESTIMATES = (
    # ROCm/ROCm-docker#166: rocm/pytorch of ROCm 7.2.4 is 10.39 GB compressed, 7.91 GB of it in one layer.
    ("docker.io/rocm/pytorch:", 10_400_000_000, 7_900_000_000),
    # An owner of the 7.2 -complete image: over 20 GB unpacked.
    ("docker.io/rocm/dev-", 6_000_000_000, None),
)
"""Beginning of a base's name, its compressed bytes, and those of its largest layer."""

SMALL_BASE_BYTES = 50_000_000
"""python:3.12-slim and ubuntu:24.04, compressed."""

WHEEL_ESTIMATES: dict[Family | None, int] = {
    # torch 2.5.1+rocm6.2 is 3.97 GB, 2.14.1+rocm7.2 6.6 GB.
    "rocm": 5_000_000_000,
    "therock": 5_000_000_000,
    "cuda": 3_500_000_000,
    "cpu": 200_000_000,
    None: 5_000_000_000,
}
"""torch with what comes from its index, to download."""

OTHER_WHEEL_BYTES = 220_000_000
OTHER_BYTES = 800_000_000
"""pyannote.audio and all that it needs besides torch: to download, and installed (measured: 1.5 GB with torch's 0.7 GB)."""

UNPACKED_WHEEL = 3.7
"""Bytes on disk for each byte of a torch wheel (measured: 190 MB -> 700 MB)."""

UNPACKED_BASE = 4.0
"""The same for a base's layers: rocm/pytorch's 10.4 GB become 32 to 54 GB (ROCm/legacy-rocm-build#3935, ROCm/ROCm-docker#120)."""

MARK = "~"
"""Stands before a size that nobody measured for this image."""

LINES_MBIT = (50, 100, 500)
"""The speeds of lines for which a download's minutes are shown."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What the build of an image takes on a host that has nothing of it."""

    image: str
    base: str | None
    """``None``: a virtual environment has none."""
    base_bytes: int
    """The base's download, compressed."""
    largest_layer_bytes: int | None
    """The largest layer of the base; ``None``: not known."""
    wheels: tuple[str, ...]
    """What decides which torch is fetched: images that agree in this share one download."""
    wheel_bytes: int
    """The download of torch and what comes with it."""
    other_bytes: int
    """The download of the other packages."""
    disk_bytes: int
    """The finished image with its base."""
    added_bytes: int
    """The part of that which the build adds to the base."""
    stages: int
    """How many times the engine keeps what is added: in the image, and in a build stage where there is one."""
    estimated: tuple[str, ...] = ()
    """The fields that are estimated, since the catalog has no value for this image."""

    @property
    def fetched_bytes(self) -> int:
        """All that is downloaded."""
        return self.base_bytes + self.wheel_bytes + self.other_bytes

    def text(self, field: str) -> str:
        """The size that a field holds, with `MARK` where it is estimated."""
        return f"{MARK if field in self.estimated else ''}{size_text(getattr(self, field))}"

    @property
    def unpacked_base_bytes(self) -> int:
        return self.disk_bytes - self.added_bytes


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """The room that one build takes in an engine."""

    phases: tuple[tuple[int, int], ...]
    """(bytes in the store, bytes in the spool) that are taken at the same time."""
    stays_bytes: int
    """The room of the store that stays taken after the build."""

    @property
    def store_bytes(self) -> int:
        """The most in the store."""
        return max(store for store, _ in self.phases)

    @property
    def spool_bytes(self) -> int:
        """The most in the spool."""
        return max(spool for _, spool in self.phases)

    @property
    def together_bytes(self) -> int:
        """The most on a disk that holds both."""
        return max(store + spool for store, spool in self.phases)


class Free(msgspec.Struct, frozen=True):
    """Room on the disk that a folder lies on."""

    folder: str
    bytes: int
    device: int | None
    """The file system's ``st_dev``: two folders on one file system share its room. ``None``: not known."""
    pool: str | None = None
    """The pool by `harness.images.disk_space.pool_of`: file systems of one pool share its room. ``None``: in no pool."""


class Shortage(msgspec.Struct, frozen=True):
    """A disk that is too small."""

    free: Free
    needed_bytes: int


def need_of(image: Image) -> Need:
    """What a build of this image takes; sizes that its row lacks are estimated, and named as such."""
    said = {name: getattr(image, name) for name in ("base_bytes", "wheel_bytes", "disk_bytes")}
    is_local = image.engine == "local"
    from_base = image.torch_from == "base"
    guess, guessed_layer = (0, None) if is_local else _base_estimate(image.base or "")
    base = guess if said["base_bytes"] is None or is_local else said["base_bytes"]
    wheels = (0 if from_base else WHEEL_ESTIMATES[image.family]) if said["wheel_bytes"] is None else said["wheel_bytes"]
    added = OTHER_BYTES + (0 if from_base else int(wheels * UNPACKED_WHEEL))
    disk = int(base * UNPACKED_BASE) + added if said["disk_bytes"] is None else said["disk_bytes"]
    if said["disk_bytes"] is not None:
        # With a small base, the rest of the image is what was added; with a large one, only the wheels tell.
        is_small = base <= 10 * SMALL_BASE_BYTES
        added = max(0, disk - int(base * UNPACKED_BASE)) if is_small and not from_base else min(added, disk)
    return Need(
        image=image.name,
        base=None if is_local else image.base,
        base_bytes=base,
        largest_layer_bytes=guessed_layer if image.largest_layer_bytes is None else image.largest_layer_bytes,
        wheels=tuple(
            str(part)
            for part in (image.base, image.packages, image.torch, image.torch_extra, image.torchaudio, image.torch_index)
        ),
        wheel_bytes=wheels,
        other_bytes=OTHER_WHEEL_BYTES,
        disk_bytes=disk,
        added_bytes=added,
        stages=1 if is_local or image.script is not None else 2,
        estimated=(
            *(name for name, value in said.items() if value is None and not (is_local and name == "base_bytes")),
            *(("largest_layer_bytes",) if image.largest_layer_bytes is None and guessed_layer is not None else ()),
        ),
    )


def _base_estimate(base: str) -> tuple[int, int | None]:
    """(compressed bytes, bytes of the largest layer) of a base for which the catalog has no sizes."""
    for beginning, size, layer in BASE_ESTIMATES:
        if base.startswith(beginning):
            return size, layer
    return SMALL_BASE_BYTES, None


def demand_of(need: Need, engine: str, *, base_is_here: bool, keeps_compressed: bool = False) -> Demand:
    """The room that a build takes in ``podman``, ``docker`` or ``local``; see this module's docstring for the factors."""
    if engine == "local":
        # pip keeps what it fetched until it is installed.
        return Demand(phases=((need.added_bytes + need.wheel_bytes + need.other_bytes, 0),), stays_bytes=need.added_bytes)
    fetched = 0 if base_is_here else need.base_bytes
    base = 0 if base_is_here else need.unpacked_base_bytes
    added = need.added_bytes
    if engine == "podman":
        built = base + added * (2 * need.stages)
        phases = ((base, fetched), (built, 2 * added))
        return Demand(phases=phases, stays_bytes=base + added * need.stages)
    kept = fetched + need.stages * (need.wheel_bytes + need.other_bytes) if keeps_compressed else 0
    built = base + kept + added * (need.stages + 1)
    return Demand(phases=((base + fetched, 0), (built, 0)), stays_bytes=base + kept + added * need.stages)


def store_need(demand: Demand, store: Free | None, spool: Free | None) -> int:
    """The most that a build takes on the disk of the store, including the spool where that lies there too."""
    return demand.together_bytes if share_a_disk(store, spool) else demand.store_bytes


def shortages(demand: Demand, store: Free | None, spool: Free | None) -> tuple[Shortage, ...]:
    """The disks on which a build does not fit; what is not known (``None``) is taken to be large enough."""
    held = taken(demand, store, spool)
    if store is not None and spool is not None and share_a_disk(store, spool) and store.bytes != spool.bytes:
        # A quota bounds one of them, as Proxmox sets for each volume of a container: its own part must fit into it, too.
        own = (store, demand.store_bytes), (spool, demand.spool_bytes)
        roomier = max(store, spool, key=lambda free: free.bytes)
        held = tuple((free, demand.together_bytes if free is roomier else size) for free, size in own)
    return tuple(Shortage(free, needed) for free, needed in held if free.bytes < needed)


def taken(demand: Demand, store: Free | None, spool: Free | None) -> tuple[tuple[Free, int], ...]:
    """Each disk that is known, with the most that a build takes there."""
    pairs = [(store, store_need(demand, store, spool))]
    pairs += [] if share_a_disk(store, spool) else [(spool, demand.spool_bytes)]
    return tuple((free, size) for free, size in pairs if free is not None)


def share_a_disk(one: Free | None, other: Free | None) -> bool:
    """Whether both take their room from one file system, or from one pool of file systems."""
    if one is None or other is None:
        return False
    return (one.device is not None and one.device == other.device) or (one.pool is not None and one.pool == other.pool)


def without_taken(free: Free | None, held: Iterable[tuple[Free, int]]) -> Free | None:
    """The room that is left after what others hold: pairs of a folder and the bytes taken on its disk."""
    if free is None:
        return None
    taken_bytes = sum(size for each, size in held if share_a_disk(each, free))
    return msgspec.structs.replace(free, bytes=max(0, free.bytes - taken_bytes))


def fetched_bytes(needs: Iterable[Need], *, bases_here: Collection[str] = ()) -> tuple[int, ...]:
    """What each build downloads, one after the other: a base or a torch that an earlier one fetched is not fetched again."""
    here, wheels = set(bases_here), set()
    found = []
    for need in needs:
        base = 0 if need.base is None or need.base in here else need.base_bytes
        torch = 0 if need.wheels in wheels and need.base is not None else need.wheel_bytes
        found.append(base + torch + need.other_bytes)
        if need.base is not None:
            here.add(need.base)
        wheels.add(need.wheels)
    return tuple(found)


def minutes(bytes_: int, mbit: int) -> float:
    """The minutes of a download at this many Mbit/s."""
    return bytes_ * 8 / (mbit * 1e6) / 60
