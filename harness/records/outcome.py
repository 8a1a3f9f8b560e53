"""What is stored of how a launch ended and of what was found in it."""

from typing import Any, Literal

import msgspec

Status = Literal["pass", "wrong output", "fail"]
Ending = Literal["time", "first pass", "gpu fault"]
"""Why strixbench ended a launch: its time or that of its first pass was up, or it stood still after a fault of the GPU."""

TIME_IS_UP: tuple[Ending, ...] = ("time", "first pass")
"""The endings that a time limit brought about."""

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
    "processor",
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
    """The last stage that was reached: the one that failed, or the final one."""
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
    """From its start to its end by the host's clock; ``None``: not measured."""
    message: str = ""
    """Why it never started."""
    ended_because: Ending | None = None
    """``None``: it ended by itself, or it is an older record, in which ``timed_out`` says it"""
    remark: str = ""
    """What the engine could not do as it should have, although the launch started."""


KERNEL_LOG_MAY_TELL: tuple[Cause, ...] = ("gpu fault", "crash", "timeout", "out of memory", "error")
"""Causes about which the kernel's log may say more than the guest could."""

StopReason = Literal["precise", "launches", "failures", "budget"]


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the stopping rule said after a launch."""

    stop: StopReason | None = None
    """``None``: the cell was to be launched again."""
    half_width: float | None = None
    """Half the width of the 95% interval, as a share of the median; ``None``: fewer than six values"""
    values: int = 0
    """The launches of the cell so far that had a time."""
    elapsed_seconds: float = 0.0
    """Since the campaign's first launch began."""


class CacheRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The folder of compiled kernels that a launch was given, before and after it. ``None``: not counted."""

    mode: str
    """``empty``: its own; ``keep``: shared with others of the same image, GPU and driver"""
    key: str = ""
    """The key of a kept cache"""
    files_before: int | None = None
    bytes_before: int | None = None
    files_after: int | None = None
    bytes_after: int | None = None
    seen_before: bool = False
    """Whether the same work had come through its first pass with this cache before"""
    remark: str = ""
    """What a person should know of it"""
    kept_as: str = ""
    """The kept cache that its own folder became, as it was ended while it compiled"""


class Telemetry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Samples of what the host saw while a launch ran."""

    hertz: float
    times: tuple[float, ...] = ()
    """Unix seconds of each sample"""
    series: dict[str, tuple[float | None, ...]] = {}
    """Meter -> one value for each sample; ``None``: the reading failed, or is made less often, as its source then says"""
    sources: dict[str, str] = {}
    """Meter -> the file or call that it is read from"""
    unavailable: dict[str, str] = {}
    """Meter -> why it could not be read at all"""
    cost_seconds: float | None = None
    """Processor seconds of the sampler; ``None``: it was killed before it could say"""


class Agreement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far an output agrees with that of the CPU run of the same image, pipeline and recording: see `harness.verdict.agreement`."""

    reference: str | None = None
    """The id of the CPU run; ``None``: there is none to compare with."""
    why_not: str = ""
    """Why nothing was compared; empty: it was."""
    der: float | None = None
    """DER of this hypothesis against that of the CPU run; ``None``: weights are random, or it cannot be computed."""
    speakers: int | None = None
    """``None``: weights are random, or the number is not known."""
    reference_speakers: int | None = None
    """The CPU run's; ``None`` as for ``speakers``."""
    cosine: float | None = None
    """Cosine between the fixed chunk's embedding and that of the CPU run; ``None``, here and below: it cannot be computed."""
    difference: float | None = None
    """The largest absolute difference between the fixed chunk's sampled segmentation values."""
    relative_difference: float | None = None
    """The same as a share of the CPU run's largest value."""
    sampled: int = 0
    """The number of segmentation values that were compared."""
    reasons: tuple[str, ...] = ()
    """What is wrong; empty: it agrees."""

    @property
    def is_right(self) -> bool:
        """Whether it was compared, and agrees."""
        return not self.why_not and not self.reasons


def exception_chain(value: Any) -> tuple[ExceptionRecord, ...]:
    """A journal's ``chain``, typed; entries of another shape are left out."""
    if not isinstance(value, list):
        return ()
    links = [link for link in value if isinstance(link, dict)]
    return tuple(ExceptionRecord(**{k: str(link.get(k, "")) for k in ExceptionRecord.__struct_fields__}) for link in links)
