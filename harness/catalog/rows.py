"""The rows of the catalog."""

from typing import Annotated, Literal

import msgspec

from harness.catalog.knobs import Family, GuestKnob, Hazard, Knob, VariableName, VariableValue

DIARIZATION = "diarization"
"""The workload whose inputs are recordings, which is run where none is named."""

GPU_FAMILIES: tuple[Family, ...] = ("rocm", "therock", "cuda")

REFERENCE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$"
"""The form of an image reference; none can be mistaken for an option."""

BatchSize = Annotated[int, msgspec.Meta(ge=1)]

PackageName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.+-]*\Z")]

Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*\Z")]

Address = Annotated[str, msgspec.Meta(pattern=r"^[^\s-]\S*\Z")]
"""A word that cannot be mistaken for an option."""

ByteCount = Annotated[int, msgspec.Meta(ge=0)]

EvidencePart = Literal["base", "torch", "companions", "index", "size", "gfx1151"]
"""The part of a row that a piece of evidence is about."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    description: str = ""


class Image(_Row, frozen=True, kw_only=True):
    """One row of ``[images]``: how to build it and what it must contain, or a reference that somebody else built."""

    family: Family | None = None
    """``None``: found by probing the image."""
    engine: Literal["container", "local"] = "container"
    variants: tuple[str, ...] = ()
    reference: Annotated[str, msgspec.Meta(pattern=REFERENCE)] | None = None
    """An image to run as it is; ``None``: we build it."""
    containerfile: str | None = None
    base: Address | None = None
    packages: tuple[PackageName, ...] = ()
    """Debian packages that the base lacks."""
    script: str | None = None
    """What a seed's image installs after torch, in place of a lock."""
    torch: Version | None = None
    """Exact, with its local part: ``2.9.1+rocm6.4``. The base's own where ``torch_from`` is ``base``."""
    torch_extra: Annotated[str, msgspec.Meta(pattern=r"^\[[a-z0-9,-]+\]\Z")] | None = None
    torchaudio: Version | None = None
    torch_index: Address | None = None
    torch_day: Annotated[str, msgspec.Meta(pattern=r"^(newest|\d{8})\Z")] | None = None
    """For an index of nightlies: the day whose torch and torchaudio are taken where these name none, as ``20261003``, or the
    newest that has both. See `harness.images.nightlies`."""
    torch_from: Literal["index", "index and default", "links", "base"] = "index"
    """Where torch comes from: ``torch_index`` alone; it and pip's default index; a page of links; the base image."""
    torch_dependencies: bool = False
    """Whether torch's dependencies come from its index too: CUDA's and TheRock's libraries are packages of their own."""
    expected: str | None = None
    """The beginning of ``torch.version.hip`` or ``.cuda``; ``None``: not held to one."""
    native: bool | None = None
    """Whether the wheels carry kernels for gfx1151; ``None``: not known, or no AMD image."""
    pyannote: str | None = None
    lock: str | None = None
    base_bytes: ByteCount | None = None
    """The size of the base's download, compressed; ``None``: not known."""
    largest_layer_bytes: ByteCount | None = None
    """The largest layer of the base, compressed: Podman cannot resume one. ``None``: not known."""
    wheel_bytes: ByteCount | None = None
    """torch and what comes with it from its index, to download; 0 where the base brings it. ``None``: not known."""
    disk_bytes: ByteCount | None = None
    """What the built image takes on disk with its base, unpacked; ``None``: not known."""
    evidence: dict[EvidencePart, str] = {}
    """Who says that the row's values are right, and when."""
    order: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Its place among the images to try first on a Strix Halo; ``None``: it has none."""
    order_reason: str = ""
    """Why it has that place, with a source."""
    not_portable: str | None = None
    """Why there is no CPU build of the same versions; ``None``: there is one."""
    wheelhouse: str | None = None
    """A folder of wheels named on the command line: where they come from is no part of the recipe, unlike ``wheels``."""
    portable_of: str | None = None
    """The image whose dependency set this is, on a plain base with a torch for any machine; ``None``: itself."""
    wheels: str | None = None
    """A folder of wheels on this host that the build looks into first."""
    build_network: Literal["default", "host"] = "default"
    user: str | None = None
    """``uid:gid`` inside the container; ``None``: the caller's, or an unprivileged one where that is root."""
    python: str = "python3"

    @property
    def lacks_day(self) -> bool:
        """Whether a nightly is still to be chosen: an exact torch has the day in its local part."""
        return self.torch_day is not None and "+" not in (self.torch or "")

    @property
    def todo(self) -> tuple[str, ...]:
        """What is open about its pins, in sentences; none where nothing is."""
        if self.engine == "local" or self.reference is not None or (self.base or "").startswith("localhost/"):
            return ()
        return () if "@sha256:" in (self.base or "") else (f"TODO digest: {self.base} is a tag, which may move",)


class Variant(_Row, frozen=True, kw_only=True):
    """How an image is run; one with ``mends`` is a fix, which is set on top of another."""

    environment: dict[VariableName, VariableValue] = {}
    guest: tuple[GuestKnob, ...] = ()
    """Knobs that the guest switches: see `benchmarks.knobs`."""
    unset: tuple[VariableName, ...] = ()
    """Variables that the guest removes, even where the image itself sets them."""
    threads: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Threads of torch on the CPU; ``None``: as many as the guest may use."""
    mends: tuple[str, ...] = ()
    """Stages and steps that it may mend where they fail."""

    @property
    def fixes(self) -> tuple[str, ...]:
        """Names of the fixes that `with_fixes` set on top: no name in the catalog has a ``+`` in it, and a knob has a ``=``."""
        return tuple(name for name in self.name.split("+")[1:] if "=" not in name)


class Profile(msgspec.Struct, frozen=True):
    """A workload in one form: diarization with one of its pipelines."""

    workload: str
    name: str
    """The third part of a cell's id"""
    numbers: dict[str, int] = {}
    """Its settings, which knobs may change: `harness.catalog.knobs.Number`"""


class PipelineRow(_Row, frozen=True, kw_only=True):
    """One pipeline with its settings."""

    segmentation_batch_size: BatchSize
    embedding_batch_size: BatchSize
    random_weights: bool = False
    """Its output means nothing: it is timed and compared, and never scored"""

    @property
    def profile(self) -> Profile:
        """The row as a profile of diarization."""
        numbers = {"segmentation_batch_size": self.segmentation_batch_size, "embedding_batch_size": self.embedding_batch_size}
        return Profile(DIARIZATION, self.name, numbers)


MOST_AMOUNT = 1_000_000
"""More than any pass goes through: eleven days of audio, or a million images."""


class InputRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input of a workload that reads no files."""

    amount: Annotated[float, msgspec.Meta(gt=0, le=MOST_AMOUNT)]
    """What one pass goes through, in the workload's unit"""
    numbers: dict[str, Annotated[int, msgspec.Meta(ge=1, le=MOST_AMOUNT)]] = {}
    """What the guest is told of it, such as ``batch_size``"""


class WorkloadRow(_Row, frozen=True, kw_only=True):
    """A workload whose inputs are numbers: ``bench --workload NAME`` runs it."""

    inputs: dict[str, InputRow]
    """By name, the fourth part of a cell's id"""

    @property
    def profile(self) -> Profile:
        """The only profile of such a workload, which has its name."""
        return Profile(self.name, self.name)


class AudioRow(_Row, frozen=True, kw_only=True):
    """One recording."""

    file: str | None = None
    """Path; ``None``: comes with a model profile."""
    reference: str | None = None
    seconds: float | None = None
    """Its length, for `list` to name its cells by; a launch measures it."""
    highest_der: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Above this the output counts as wrong; ``None``: not known what is right."""


class Catalog(msgspec.Struct, frozen=True):
    """All rows by name."""

    images: dict[str, Image]
    variants: dict[str, Variant]
    pipelines: dict[str, PipelineRow]
    audio: dict[str, AudioRow]
    workloads: dict[str, WorkloadRow] = {}
    knobs: dict[str, Knob] = {}
    hazards: dict[str, Hazard] = {}


class Cell(msgspec.Struct, frozen=True):
    """An image x a variant x a workload with one input: what a launch is a launch of."""

    image: Image
    variant: Variant
    profile: Profile
    input: str
    """What it is run on, such as ``sample-30s``"""
    arm: str = ""
    """Its arm of a comparison: see `harness.campaign.arms`."""
    knobs: tuple[tuple[str, str], ...] = ()
    """Those that were set, with their values."""
    options: tuple[tuple[str, str], ...] = ()
    """What knobs tell the workload, by name: ``precision``"""

    @property
    def id(self) -> str:
        """``image/variant/profile/input``: what users glob on, what logs print and what files are named by."""
        return "/".join((self.image.name, self.variant.name, self.profile.name, self.input))
