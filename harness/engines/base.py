"""What all engines share: the values that go in and come out, and the protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from harness.machine.kernel_log import KernelLog
from harness.records.outcome import Ending, ExitRecord
from harness.records.plan import EngineRecord
from harness.text import Say

CAMPAIGN_LABEL = "io.strixbench.campaign"
RECIPE_LABEL = "io.strixbench.recipe"
IMAGE_LABEL = "io.strixbench.image"
LOCK_LABEL = "io.strixbench.lock"
PORTABLE_LABEL = "io.strixbench.portable-of"
OVERLAY_LABEL = "io.strixbench.overlay"
"""Set on an image whose catalog row an overlay made or changed."""
STAGE_LABEL = "io.strixbench.stage"
"""Set on a stage of a Containerfile whose results are copied out of it: see containers/wheels.Containerfile."""

LARGEST_FILE_BLOCKS = 1 << 21
"""In blocks of 512 bytes: 1 GiB. A guest that prints without end meets this limit before it fills the disk."""

KEEP_GROUPS = "keep-groups"
"""What Podman's command line calls all groups that the caller is in."""

LOG = "log"
"""The libraries' stdout and stderr, in the exchange folder."""


class Mount(msgspec.Struct, frozen=True):
    """A folder or file of this host inside the image."""

    source: str
    target: str
    writable: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One launch as an engine sees it. What `--dry-run` prints and what is executed come from the same value."""

    name: str
    image: str
    """The engine's image id, never a tag that may have moved; a tag only where nothing was built yet."""
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    working_directory: str
    exchange: Path
    """The writable folder, on this host."""
    user: str | None = None
    network: str = "none"
    devices: tuple[str, ...] = ()
    """Nodes, ``/dev/kfd`` or ``/on/this/host:/in/the/container``, and CDI names, ``amd.com/gpu=all``"""
    gpus: str | None = None
    """The value of `docker run --gpus`: ``all`` or ``device=0``"""
    groups: tuple[str, ...] = ()
    """Group numbers of this host, or `KEEP_GROUPS` alone"""
    security_options: tuple[str, ...] = ()
    ipc: str | None = None
    memory_bytes: int | None = None
    processes_limit: int = 4096
    shm_bytes: int | None = 1 << 30
    """``None`` where the host's is shared: engines take no size then"""
    scratch_bytes: int = 4 << 30
    """Size limit of the tmpfs at /tmp: all that a launch may write outside the exchange folder."""
    labels: Mapping[str, str] = {}


class BuiltImage(msgspec.Struct, frozen=True):
    """An image that an engine has."""

    id: str
    digests: tuple[str, ...] = ()
    portable_of: str | None = None
    """What its label says; ``None``: it has none."""


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that we built and that an engine still has."""

    id: str
    image: str
    """Its name in the catalog, from its label."""
    name: str
    """`Recipe.image` of the recipe that it was built from."""
    recipe: str
    """The hash of that recipe."""
    tag: str
    size_bytes: int
    """With its base, which it may share with others."""
    created: str
    """UTC, ISO 8601"""
    portable_of: str | None = None
    is_of_overlay: bool = False
    """Whether an overlay of the catalog made or changed its row when it was built."""


PODMAN_SPOOL = "/var/tmp"  # noqa: S108 - Podman's own default; nothing of ours is written there


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Where an engine keeps images. A path is the engine's own: its host need not be ours."""

    folder: str | None = None
    """``None``: it does not say."""
    spool: str | None = None
    """Where layers lie until they are part of an image; ``None``: in ``folder``."""
    keeps_compressed: bool = False
    """Whether it keeps layers compressed beside the unpacked ones."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what a built image holds; its hash is the image's identity."""

    image: str
    hash: str
    containerfile: str
    """The text; empty for a virtual environment."""
    arguments: Mapping[str, str]
    files: Mapping[str, Path]
    """Path in the build context -> file on this host."""
    labels: Mapping[str, str] = {}
    """Labels of the image, besides its recipe's hash."""
    network: str = "default"
    base_bytes: int | None = None
    """The compressed size of the base, as it is downloaded; ``None``: not known. The hash does not depend on sizes."""
    largest_layer_bytes: int | None = None
    """The compressed size of the base's largest layer; ``None``: not known."""

    @property
    def base(self) -> str:
        """The reference of the image that it is built on; empty for a virtual environment."""
        return self.arguments.get("BASE", "")

    @property
    def tag(self) -> str:
        """A name for people; strixbench itself finds the image by its label."""
        return f"localhost/strixbench/{self.image}:{self.hash[:12]}"


GiveUp = Callable[[], Ending | None]
"""Says why a run must end now; ``None``: it may go on."""

GIVE_UP_SECONDS = 1.0
"""The time between two such questions."""


def never() -> None:
    """Only the time limit ends the run."""


class Engine(Protocol):
    """What runs an image."""

    @property
    def record(self) -> EngineRecord:
        """Its name and version."""

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        """The image that was built from exactly this recipe."""

    def find_reference(self, reference: str) -> BuiltImage | None:
        """The image that the engine knows under a name."""

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        """Build it, the whole output into ``log``. ``announce`` shows what should stay to be read; ``None``: ``say`` does.

        Raises `BuildFailed`, or `EngineError` where the engine or what it fetches from is at fault.
        """

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        """Remove images of these `Recipe.image` names that were built from other recipes than ``keep``; returns their tags."""

    def remove_stages(self) -> int:
        """Remove the unnamed stages that our builds left; returns how many there were. The next build makes them again."""

    def list_built(self) -> tuple[StoredImage, ...]:
        """All images that we built, under the names that we gave them."""

    def storage(self) -> Storage:
        """Where it keeps images."""

    def command(self, run: Run) -> tuple[str, ...]:
        """What a person would type to do the same run."""

    def run(self, run: Run, *, timeout_seconds: float, give_up: GiveUp = never) -> ExitRecord:
        """Run it to its end. Kill it when the time is up, or when ``give_up``, which is asked every second, gives a reason.
        Nothing of it is left, whatever happens."""

    @property
    def kernel_log(self) -> KernelLog:
        """The log of the kernel that it runs on."""

    def memory_stats(self, name: str) -> Mapping[str, int]:
        """What the engine's own `stats` says of the memory of a running container: ``stats_usage_bytes``, and
        ``stats_shown_bytes`` where it prints another number; empty where it keeps none. Answers soon, in any thread. Raises
        `EngineError`."""

    def sweep(self) -> int:
        """Remove the containers or processes that killed harnesses left; returns how many. Raises `EngineError` for what cannot
        be removed, after everything else was."""

    def close(self) -> None:
        """Stop what was started only to serve us."""


def still_held_text(what: str, why: str) -> str:
    """The remark on a launch that was killed and is not gone."""
    return (
        f"{what} was killed and is not gone: {why}. After a hang of the GPU the kernel may hold a process until the next boot: "
        "reboot before you launch again"
    )


def shell_wrapped(argv: Sequence[str], log: str) -> tuple[str, ...]:
    """The argv under a shell that stays its parent and keeps its output.

    Python as process 1 misreports its own death: the kernel drops a signal that process 1 sends itself and has no
    handler for, so an abort would end as something else. The shell turns it into 128 + signal.
    """
    limit = f"ulimit -f {LARGEST_FILE_BLOCKS} 2>/dev/null; "
    return ("sh", "-c", f'{limit}"$@" >{log} 2>&1; exit $?', "sh", *argv)
