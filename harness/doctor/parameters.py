"""Checks of what the kernel's command line asks of the GPU's modules. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from harness.doctor.driver import KERNEL
from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding
from harness.doctor.remedies import remove_argument, replace_argument

PAGE_BYTES = 4096

_SOURCE = "https://github.com/ROCm/legacy-rocm-build/issues/5595"

_USUAL = {
    "amdgpu": ("cwsr_enable", "gpu_recovery", "gttsize", "lockup_timeout", "noretry", "ppfeaturemask", "runpm", "vramlimit"),
    "ttm": ("page_pool_size", "pages_limit"),
    "amdttm": ("page_pool_size", "pages_limit"),
}
"""The parameters that guides for these machines name: known even where the module does not show its own."""

_ALIKE = 0.85
"""The least likeness of a misspelling, by `difflib`: ``page_limit`` is 0.95 like ``pages_limit``, while ``gartsize``, which amdgpu
has as well, is 0.80 like ``gttsize``."""


def sensible_pages(memory_bytes: int) -> int:
    """The ``ttm.pages_limit`` that leaves a quarter of the memory to everything else."""
    return int(memory_bytes * 0.75) // PAGE_BYTES


def check_parameters(facts: HostFacts) -> Iterator[Finding]:
    """Parameters that are deprecated, that matter to results, or that set nothing."""
    if not facts.amd:
        return
    words = (facts.command_line.text or "").split()
    if deprecated := [word for word in words if word.startswith("amdgpu.gttsize=")]:
        yield Finding(
            KERNEL,
            "gttsize",
            "warning",
            "amdgpu.gttsize is on the kernel's command line",
            why="it is deprecated; ttm.pages_limit alone sets the size",
            fix=remove_argument(facts, deprecated[0]),
            source=_SOURCE,
        )
    if (facts.cwsr_enable.text or "").strip() == "0":
        yield Finding(
            KERNEL,
            "cwsr_enable",
            "note",
            "amdgpu.cwsr_enable=0",
            why="this is a workaround for a kernel and a ROCm that disagree; it does not help against MES 0x83",
            source="https://github.com/ROCm/legacy-rocm-build/issues/5724",
        )
    yield from _unknown(facts, words)


def _unknown(facts: HostFacts, words: list[str]) -> Iterator[Finding]:
    """The parameters that the kernel ignores, which it says once, at boot; it takes ``-`` for ``_`` in their names."""
    for word in words:
        match = re.fullmatch(r"(amdgpu|ttm|amdttm)\.([\w-]{1,80})(?:=(.*))?", word)
        if match is None:
            continue
        module, name = match[1], match[2].replace("-", "_")
        if module == "amdttm" and facts.parameter_names and module not in facts.parameter_names:
            why = "only AMD's DKMS driver has that module: the kernel's own is ttm, and this word sets nothing"
            yield _sets_nothing(facts, word, f"{module}.{name}: there is no module amdttm here", why, f"ttm.{name}")
            continue
        shown = facts.parameter_names.get(module, ())
        names = {*shown, *_USUAL[module]}
        if name in names:
            continue
        near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=_ALIKE)
        if shown or near:
            found = f"{module}.{name} on the kernel's command line is no parameter of {module}"
            why = "the kernel ignores it, so it sets nothing"
            yield _sets_nothing(facts, word, found, why, f"{module}.{near[0]}" if near else "")


def _sets_nothing(facts: HostFacts, word: str, found: str, why: str, right: str) -> Finding:
    """``right`` is the parameter that was meant; empty: none is like it."""
    value = word.partition("=")[2]
    if right == "amdgpu.gttsize":
        right, value = "ttm.pages_limit", _pages(facts, value)
        why += "; amdgpu.gttsize was meant, which is deprecated: ttm.pages_limit sets the size, in pages of 4 KiB"
    elif right:
        why += f"; {right} was meant"
    is_plain = re.fullmatch(r"[A-Za-z0-9_.,:-]+", value) is not None
    fix = replace_argument(facts, word, f"{right}={value}") if right and is_plain else remove_argument(facts, word)
    return Finding(KERNEL, "parameter", "warning", found, why=why, fix=fix, source=_SOURCE)


def _pages(facts: HostFacts, mebibytes: str) -> str:
    """The pages of a size in MiB, but no more than is sensible; empty where it is no size, or 0."""
    if re.fullmatch(r"[0-9]{1,9}", mebibytes) is None:
        return ""
    most = sensible_pages(facts.memory_bytes) if facts.memory_bytes else 1 << 40
    return str(min((int(mebibytes) << 20) // PAGE_BYTES, most) or "")
