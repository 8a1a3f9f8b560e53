"""The open questions about the images (`unknowns.toml`), and what this host and its store answer to them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.catalog.rows import Catalog
from harness.doctor.driver import mes_version
from harness.doctor.throttle import Counters
from harness.errors import CatalogError
from harness.records.fields import Fields
from harness.records.host import HostRecord
from harness.records.launch import Launch
from harness.text import counted

MES_IN_QUESTION = 0x88

_FIELD = re.compile(r"\{([a-z0-9-]+)\.([a-z_]+)\}")


class Unknown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question."""

    id: str
    question: str
    why: str
    """What depends on it."""
    answer: str = ""
    """What a host or its store says to it, which the table leaves out; empty: the command is to be run."""
    command: str
    """Its output would settle the question."""
    source: str
    image: str = ""
    """The catalog row that it is about; empty: no single one."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to answer with."""

    host: HostRecord
    launches: tuple[Launch, ...] = ()
    ours: frozenset[str] = frozenset()
    """The names of the shipped catalog's images and variants: others are their owner's, and are not told."""
    counters: tuple[Counters, ...] = ()
    """The throttle counters of each GPU that has some."""

    def has_variant(self, name: str) -> bool:
        """Whether a variant, with the fixes that were added to it, is in the shipped catalog."""
        return all(part in self.ours for part in name.split("+"))


def read_unknowns(catalog: Catalog) -> tuple[Unknown, ...]:
    """The table, with the catalog's values in its commands. Raises `CatalogError` for a row or field that does not exist."""
    text = (Path(__file__).parent / "unknowns.toml").read_text(encoding="utf-8")
    rows = (msgspec.convert({"id": name, **fields}, Unknown) for name, fields in tomllib.loads(text).items())
    return tuple(msgspec.structs.replace(row, command=_filled(row.command, catalog)) for row in rows)


def _filled(command: str, catalog: Catalog) -> str:
    def value(found: re.Match[str]) -> str:
        told = getattr(catalog.images.get(found[1]), found[2], None)
        if not isinstance(told, str):
            raise CatalogError(f"unknowns.toml asks for {found[0]}, and the catalog has no such value")
        return told

    return _FIELD.sub(value, command)


def answer(unknown: Unknown, known: Known) -> str:
    """What is known here; empty: nothing."""
    find = ANSWERS.get(unknown.id)
    return "" if find is None else find(known)


def _on_gpu(known: Known) -> tuple[Launch, ...]:
    """The launches on an AMD GPU in an image of the shipped catalog: a portable build or a run on the CPU says nothing about it."""
    return tuple(
        launch
        for launch in known.launches
        if launch.plan.device != "cpu"
        and launch.plan.image.portable_of is None
        and launch.plan.image.family in ("rocm", "therock")
        and launch.image in known.ours
    )


def _throttle(known: Known) -> str:
    return "; ".join(
        f"in {each.seconds:.0f} s, whatever the box did meanwhile, "
        + (", ".join(f"{name} grew by {by:g}" for name, by in _grown(each).items()) or "none grew")
        + f" ({' '.join(f'{name}={value:g}' for name, value in each.last.items())})"
        for each in known.counters
    )


def _grown(counters: Counters) -> dict[str, float]:
    differences = {name: counters.last.get(name, value) - value for name, value in counters.first.items()}
    return {name: by for name, by in differences.items() if by}


def _save_area(known: Known) -> str:
    nodes = [node for node in known.host.compute_nodes if node.cwsr_bytes is not None]
    return "; ".join(
        f"{node.target}: {node.simd_count} SIMDs, cwsr_size {node.cwsr_bytes}, ctl_stack_size {node.ctl_stack_bytes}"
        for node in nodes
    )


def _mes(known: Known) -> str:
    with_it = [launch for launch in _on_gpu(known) if _mes_version(launch.plan.host) == MES_IN_QUESTION]
    if not with_it:
        return ""
    passed = sum(launch.verdict.status == "pass" for launch in with_it)
    faults = sum("page fault" in launch.kernel_log for launch in with_it)
    return f"{passed} of {counted(len(with_it), 'launch', 'launches')} passed with it; {faults} with a page fault in the kernel's log"


def _mes_version(host: HostRecord) -> int | None:
    rows = (row.partition("=") for card in host.cards for row in card.firmware)
    text = next((value for name, _, value in rows if name == "mes"), "")
    return mes_version(text)


def _cold(known: Known) -> str:
    """The shortest and the longest first pass of each image and variant that began with an empty cache."""
    seconds: dict[str, list[float]] = {}
    for launch in _on_gpu(known):
        was_empty = launch.plan.caches == "empty" or (launch.caches is not None and launch.caches.files_before == 0)
        if was_empty:
            variant = launch.plan.variant if known.has_variant(launch.plan.variant) else "another variant"
            seconds.setdefault(f"{launch.image}/{variant}", []).extend(launch.pass_seconds("cold"))
    return "; ".join(
        f"{name}: {min(each):.1f} to {max(each):.1f} s in {counted(len(each), 'launch', 'launches')}"
        for name, each in sorted(seconds.items())
        if each
    )


def _of_image(name: str, tell: Callable[[Fields], str]) -> Callable[[Known], str]:
    """What the last launch of an image that got through its imports tells."""

    def find(known: Known) -> str:
        ends = [launch.said.ends("import") for launch in _on_gpu(known) if launch.image == name]
        return tell(next((end.found for end in reversed(ends) if end), Fields()))

    return find


def _torch(told: Fields) -> str:
    return told.fields("torch").text("version") or "of no known version"


def _python(told: Fields) -> str:
    version = told.text("python")
    return f"the built image runs Python {version}" if version else ""


def _numpy(told: Fields) -> str:
    versions = [each for each in told.texts("packages") if each.startswith("numpy==")]
    return f"torch {_torch(told)} is imported beside {versions[0]}" if versions else ""


def _architectures(told: Fields) -> str:
    listed = " ".join(told.fields("torch").texts("architectures"))
    return f"torch {_torch(told)} has kernels for {listed}" if listed else ""


def _version(told: Fields) -> str:
    version = told.fields("torch").text("version")
    return f"torch {version} was built into the image" if version else ""


ANSWERS: dict[str, Callable[[Known], str]] = {
    "throttle-counters-at-idle": _throttle,
    "context-save-area": _save_area,
    "mes-0x88": _mes,
    "cold-pass": _cold,
    "rocm72-python": _of_image("rocm72", _python),
    "rocm64-amd-numpy": _of_image("rocm64-amd", _numpy),
    "rocm72-amd-architectures": _of_image("rocm72-amd", _architectures),
    "therock-nightly": _of_image("therock", _version),
}
