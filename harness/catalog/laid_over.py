"""One catalog row laid over another: its fields replace the other's, and what was known about a replaced field lapses. Pure.

A size or a piece of evidence is about certain fields. A row or an overlay that changes one of these takes over neither: the
size of one base says nothing about another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OWN = ("order", "order_reason")
"""The fields that a row never takes over from the one that it is ``like``."""

_BASE = ("base", "packages", "containerfile")
_TORCH = ("torch", "torch_extra", "torch_day")
_INDEX = ("torch_index", "torch_from")
_COMPANIONS = ("torchaudio", "lock", "script", "pyannote")

_SIZES: Mapping[str, tuple[str, ...]] = {
    "base_bytes": ("base",),
    "largest_layer_bytes": ("base",),
    "wheel_bytes": (*_TORCH, *_INDEX),
    "disk_bytes": ("base", *_TORCH, *_INDEX),
}
_EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "base": _BASE,
    "torch": _TORCH,
    "companions": _COMPANIONS,
    "index": _INDEX,
    "size": ("base", *_TORCH, *_INDEX),
    "gfx1151": ("base", *_TORCH, *_INDEX),
}
"""The fields that each piece of evidence is about."""


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``above``, and those of ``below`` that it leaves alone and that still hold."""
    changed = {name for name, value in above.items() if below.get(name) != value}
    kept = {name: value for name, value in below.items() if not changed.intersection(_SIZES.get(name, ()))}
    known = {
        part: sentence
        for part, sentence in (below.get("evidence") or {}).items()
        if not changed.intersection(_EVIDENCE.get(part, ()))
    }
    evidence = known | dict(above.get("evidence") or {})
    return kept | dict(above) | ({"evidence": evidence} if evidence or "evidence" in kept else {})
