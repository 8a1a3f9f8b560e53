"""What is stored of how a launch ended and of what was found in it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Status = Literal["pass", "wrong output", "fail"]
Ending = Literal["time", "first pass", "gpu fault"]
"""Why strixbench ended a launch: its time was up, that for its first pass was, or it stood still after a fault of the GPU."""

TIME_IS_UP: tuple[Ending, ...] = ("time", "first pass")
"""What of these is a matter of a limit."""

Cause = Literal[
    "build",
    "engine",
    "import",
    "wrong torch",
    "no device",
    "model access",
    "out of memory",
    "gpu fault",
    "crash",
    "timeout",
    "interrupted",
    "error",
]


class ExceptionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exception of a chain, as the guest saw it."""

    type: str
    message: str = ""
    where: str = ""
    traceback: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a launch."""

    status: Status
    stage: str
    """The last stage that was reached: the one that failed, or the last of all."""
    cause: Cause | None = None
    """``None``: passed, or wrong output."""
    summary: str = ""
    signature: str | None = None
    """Id of the known failure that matched; ``None``: none did."""


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the container or process ended."""

    started: bool
    code: int | None = None
    """``None``: never started, or the harness was gone when it ended. A signal's death is 128 + its number."""
    timed_out: bool = False
    out_of_memory: bool = False
    interrupted: bool = False
    run_seconds: float | None = None
    """From its start to its end by the host's clock; ``None``: nobody looked."""
    message: str = ""
    """Why it never started."""
    ended_because: Ending | None = None
    """``None``: it ended by itself, or ``timed_out`` says all, as in records from before"""
    remark: str = ""
    """What the engine could not do as it should have, though it started."""


StopReason = Literal["precise", "launches", "failures", "budget"]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the stopping rule said behind a launch."""

    stop: StopReason | None = None
    """``None``: the cell was to be launched again."""
    half_width: float | None = None
    """Of the 95% interval, as a share of the median; ``None``: fewer than six values"""
    values: int = 0
    """Launches of the cell that had a time until then."""
    elapsed_seconds: float = 0.0
    """Since the campaign's first launch began."""


class CacheRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The folder of compiled kernels that a launch was given, before and after it. ``None``: not counted."""

    mode: str
    """``empty``: its own; ``keep``: shared with others of the same image, GPU and driver"""
    key: str = ""
    """Of a kept cache"""
    files_before: int | None = None
    bytes_before: int | None = None
    files_after: int | None = None
    bytes_after: int | None = None
    seen_before: bool = False
    """Whether the same work had come through its first pass with this cache before"""
    remark: str = ""
    """What a person should know of it"""
    kept_as: str = ""
    """The kept cache that its own folder has become: it was ended while it compiled"""


class Telemetry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the host saw while a launch ran, sampled."""

    hertz: float
    times: tuple[float, ...] = ()
    """Unix seconds of each sample"""
    series: dict[str, tuple[float | None, ...]] = {}
    """Meter -> a value a sample; ``None``: this reading failed, or is made less often, as its source then says"""
    sources: dict[str, str] = {}
    """Meter -> which file or call it is"""
    unavailable: dict[str, str] = {}
    """Meter -> why it could not be read at all"""
    cost_seconds: float | None = None
    """Processor seconds of the sampler; ``None``: it did not live to say"""


class Agreement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an output agrees with that of the CPU run of the same image, pipeline and recording: see `harness.verdict.agreement`."""

    reference: str | None = None
    """The id of the CPU run; ``None``: there is none to compare with."""
    why_not: str = ""
    """Why nothing was compared; empty: it was."""
    der: float | None = None
    """Of this hypothesis against the CPU run's; ``None``: weights are random, or it cannot be told."""
    speakers: int | None = None
    """``None``: weights are random, or it cannot be told."""
    reference_speakers: int | None = None
    """Likewise."""
    cosine: float | None = None
    """Of the fixed chunk's embedding to the CPU run's; ``None``: cannot be told, as all below."""
    difference: float | None = None
    """The largest of the fixed chunk's sampled segmentation values, absolute."""
    relative_difference: float | None = None
    """The same in parts of the CPU run's largest value."""
    sampled: int = 0
    """How many values of the segmentation were compared."""
    reasons: tuple[str, ...] = ()
    """What is wrong; none: it agrees."""

    @property
    def is_right(self) -> bool:
        """Whether it was compared, and agrees."""
        return not self.why_not and not self.reasons


def exception_chain(value: Any) -> tuple[ExceptionRecord, ...]:
    """A journal's ``chain`` typed; entries of another shape are left out."""
    if not isinstance(value, list):
        return ()
    links = [link for link in value if isinstance(link, dict)]
    return tuple(ExceptionRecord(**{k: str(link.get(k, "")) for k in ExceptionRecord.__struct_fields__}) for link in links)
