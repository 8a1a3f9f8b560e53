"""Rows chosen by what a user typed."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

import msgspec

from harness.catalog.knobs import Family
from harness.catalog.rows import DIARIZATION, REFERENCE, Catalog, Image, Profile, Variant, WorkloadRow
from harness.errors import UsageError
from harness.text import nearest


def portable(image: Image, catalog: Catalog) -> Image:
    """The same dependency set on the `cpu` image's base, with the CPU build, or PyPI's, of the same torch release.

    It shows on any machine whether the set installs, imports and diarizes, and says nothing about a GPU. It has another name,
    family and variant, so that its results cannot be taken for the image's own. Raises `UsageError` where there is none.
    """
    if image.not_portable is not None:
        raise UsageError(f"image {image.name} has no portable build: {image.not_portable}")
    if not is_portable(image):
        raise UsageError(f"image {image.name} has no portable build: it is not built from a Containerfile of the catalog")
    plain = catalog.images["cpu"]
    return msgspec.structs.replace(
        image,
        name=f"{image.name}-portable",
        portable_of=image.name,
        description=f"{image.name}'s dependency set with a torch for any machine",
        family="cpu",
        variants=("cpu",),
        base=plain.base,
        packages=plain.packages,
        wheels=image.wheels or plain.wheels,
        build_network=plain.build_network,
        torch=_release(image.torch),
        torchaudio=_release(image.torchaudio),
        torch_extra=None,
        torch_index=plain.torch_index,
        torch_day=None,
        torch_from="index and default",
        torch_dependencies=True,
        expected=None,
        native=None,
        python=plain.python,
        base_bytes=plain.base_bytes,
        largest_layer_bytes=plain.largest_layer_bytes,
        wheel_bytes=None,
        disk_bytes=None,
        evidence={},
        order=None,
        order_reason="",
    )


def is_portable(image: Image) -> bool:
    """Whether an image has a portable build."""
    return image.not_portable is None and image.engine == "container" and image.reference is None


def _release(version: str | None) -> str | None:
    """A version without its local part, and no finer than a release of PyTorch's: ``2.11.0.2+rocm10.0.0`` -> ``2.11.0``."""
    return None if version is None else ".".join(version.split("+")[0].split(".")[:3])


def select_images(catalog: Catalog, pattern: str) -> tuple[Image, ...]:
    """The catalog's images that a pattern matches, in the catalog's order; none where it is something else."""
    return tuple(image for name, image in catalog.images.items() if fnmatch.fnmatchcase(name, pattern))


def looks_like_reference(text: str) -> bool:
    """Whether a name that the catalog lacks is written as an image reference: with a tag, a registry or a digest."""
    return any(sign in text for sign in ":/@") and re.fullmatch(REFERENCE, text) is not None


def foreign_image(reference: str, *, family: Family | None) -> Image:
    """An image that somebody else built, to be run as it is."""
    return Image(name=reference, reference=reference, family=family, description="built elsewhere")


def select_variants(catalog: Catalog, image: Image, gfx: str | None) -> tuple[Variant, ...]:
    """The variants to run an image in: those that ``--gfx`` matches, otherwise all that its row names.

    Raises `UsageError` where ``--gfx`` matches none of the image's.
    """
    names = image.variants or (("cpu",) if image.family == "cpu" else ("native",))
    chosen = [name for name in names if gfx is None or fnmatch.fnmatchcase(name, gfx)]
    # A foreign image's owner knows what it needs: any variant of the catalog will do.
    if not chosen and gfx in catalog.variants and image.reference is not None:
        chosen = [gfx]
    if not chosen:
        raise UsageError(f"image {image.name} has no GFX mode that matches {gfx!r}: it has {', '.join(names)}")
    return tuple(catalog.variants[name] for name in chosen)


def select_fixes(catalog: Catalog, names: Iterable[str]) -> tuple[Variant, ...]:
    """Fixes by name, each once; raises `UsageError` with the nearest."""
    known = {name: variant for name, variant in catalog.variants.items() if variant.mends}
    for name in names:
        if name not in known:
            raise UsageError(f"no fix {name!r}{nearest(name, known)}: there are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def with_fixes(variant: Variant, fixes: Iterable[Variant]) -> Variant:
    """The variant with fixes set on top, named ``gfx1100+miopen-off``."""
    for fix in fixes:
        variant = Variant(
            name=f"{variant.name}+{fix.name}",
            description=variant.description,
            environment={**variant.environment, **fix.environment},
            guest=tuple(dict.fromkeys((*variant.guest, *fix.guest))),
            unset=tuple(dict.fromkeys((*variant.unset, *fix.unset))),
            threads=fix.threads or variant.threads,
        )
    return variant


def select_workload(catalog: Catalog, name: str) -> WorkloadRow | None:
    """One workload by name; ``None``: diarization, whose inputs are recordings. Raises `UsageError` with the nearest."""
    known = (DIARIZATION, *catalog.workloads)
    if name not in known:
        raise UsageError(f"no workload {name!r}{nearest(name, known)}: there are {', '.join(known)}")
    return catalog.workloads.get(name)


def select_pipeline(catalog: Catalog, name: str) -> Profile:
    """One pipeline by name; raises `UsageError` with the nearest."""
    if name not in catalog.pipelines:
        raise UsageError(f"no pipeline {name!r}{nearest(name, catalog.pipelines)}: there are {', '.join(catalog.pipelines)}")
    return catalog.pipelines[name].profile


def default_profile(catalog: Catalog) -> Profile:
    """What a launch carries that needs no model of its own: the profile whose models strixbench pins itself."""
    return select_pipeline(catalog, "embedded")


def works(catalog: Catalog) -> tuple[str, ...]:
    """``embedded/sample-30s``, ``vit/batch-8``: each profile with each of its inputs, the ends of the cells' ids."""
    recordings = [f"{audio.name}{f'-{audio.seconds:.0f}s' if audio.seconds else ''}" for audio in catalog.audio.values()]
    return (
        *(f"{pipeline}/{recording}" for pipeline in catalog.pipelines for recording in recordings),
        *(f"{row.name}/{name}" for row in catalog.workloads.values() for name in row.inputs),
    )


def catalogued(catalog: Catalog, profile: Profile) -> Profile:
    """The profile with the catalog's own numbers, whatever knobs made of them; one that is no row of it comes back as it is."""
    row = catalog.pipelines.get(profile.name)
    return profile if row is None else msgspec.structs.replace(profile, numbers=row.profile.numbers)
