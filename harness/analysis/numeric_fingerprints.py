"""Two launches' numeric fingerprints -> identical, different by some amount, or not comparable. Pure.

`benchmarks.workloads.diarization.fingerprint` takes them: it sends one made-up chunk of sound through the synthetic pipeline's two
networks.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from harness.records.launch import Launch

OUTPUTS = ("segmentation", "embedding")

_Text = Annotated[str, msgspec.Meta(max_length=100)]


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """The output of one network."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    """Hash of the values as little-endian 32-bit floats"""
    values: int
    sample: Annotated[tuple[float | None, ...], msgspec.Meta(min_length=1, max_length=64)]
    """Some of them, evenly spread; ``None``: not finite."""

    @property
    def short(self) -> str:
        return self.sha256[:12]


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch's networks made of the chunk, and what they ran on."""

    torch: _Text
    device: _Text
    cpu_capability: _Text | None = None
    """The instruction set of torch's kernels; ``None``: that torch does not say."""
    segmentation: Output
    embedding: Output


class Difference(msgspec.Struct, frozen=True):
    """How far two fingerprints are apart, by output."""

    segmentation: float | None
    """0 where the bits are the same, otherwise the largest absolute difference of the sampled values, which is 0 too where
    only other values differ; ``None``: a value is not finite, or the outputs differ in length"""
    embedding: float | None
    identical: bool
    """Whether all bits of both outputs are the same"""


def fingerprint_of(launch: Launch) -> Fingerprint | None:
    """The launch's fingerprint; ``None`` where it has none, or where what the image wrote has another shape."""
    try:
        return msgspec.convert(launch.said.found("verify").fields("fingerprint").raw, Fingerprint)
    except msgspec.ValidationError:
        return None


def compare(one: Fingerprint, other: Fingerprint) -> Difference:
    """How far two fingerprints are apart."""
    return Difference(
        segmentation=_largest_difference(one.segmentation, other.segmentation),
        embedding=_largest_difference(one.embedding, other.embedding),
        identical=all(getattr(one, name).sha256 == getattr(other, name).sha256 for name in OUTPUTS),
    )


def describe(difference: Difference) -> str:
    """``identical``, or how far each output differs: ``differ: segmentation 1.2e-06, embedding 3.4e-05``."""
    if difference.identical:
        return "identical"
    found: dict[str, Any] = {name: getattr(difference, name) for name in OUTPUTS}
    if None in found.values():
        return f"not comparable: {', '.join(name for name, value in found.items() if value is None)}"
    return f"differ: {', '.join(f'{name} {value:.1e}' for name, value in found.items())}"


def _largest_difference(one: Output, other: Output) -> float | None:
    """See `Difference.segmentation`."""
    if one.sha256 == other.sha256:
        return 0.0
    if one.values != other.values or len(one.sample) != len(other.sample):
        return None
    gaps = [abs(a - b) for a, b in zip(one.sample, other.sample, strict=True) if a is not None and b is not None]
    return max(gaps) if len(gaps) == len(one.sample) else None
