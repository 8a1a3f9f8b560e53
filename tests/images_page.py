"""The catalog -> docs/images.md: each image with its sources, its sizes, and what no portable build can prove. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.catalog.rows import GPU_FAMILIES, Catalog, Image
from harness.catalog.select import is_portable

_HEAD = """\
# Images

Generated from `containers/catalog.toml` by `python -m tests.generated`; change it there.

What each image is made of, who says that these versions exist and fit, and when. No GPU image was built or run on its own
hardware by this project yet. "Seen publicly" means a public file of which we know only the date. Where a size is
missing, we know of nobody who published it.

A [portable build](portable.md) has an image's locked Python set on a plain base, with a torch of the same release for any
machine. What that cannot prove is listed under *Unproved*.
"""

_PARTS = {"base": "Base", "torch": "torch", "companions": "Companions", "index": "Index", "size": "Size", "gfx1151": "gfx1151"}


def images_page(catalog: Catalog) -> str:
    """The whole page."""
    images = catalog.images.values()
    parts = [_HEAD, _order(catalog), *(_section(image) for image in images)]
    return "\n".join(parts)


def _order(catalog: Catalog) -> str:
    """The images to try first, as a list."""
    placed = sorted((image for image in catalog.images.values() if image.order is not None), key=lambda image: image.order or 0)
    lines = [f"{image.order}. [`{image.name}`](#{image.name}): {image.order_reason}." for image in placed]
    return "\n".join(["## On a Strix Halo, try first", "", *lines, ""])


def _section(image: Image) -> str:
    """One image."""
    facts = "\n".join(f"- {line}" for line in _facts(image))
    evidence = "\n".join(f"- {_PARTS[part]}: {image.evidence[part]}" for part in _PARTS if part in image.evidence)
    unproved = "\n".join(f"- {line}" for line in _unproved(image))
    text = f"## {image.name}\n\n{image.description[:1].upper()}{image.description[1:]}.\n\n{facts}\n\nEvidence:\n\n{evidence}\n"
    return f"{text}\nUnproved:\n\n{unproved}\n" if unproved else text


def _facts(image: Image) -> Iterator[str]:
    yield f"Family {image.family}, run as {' or as '.join(f'`{name}`' for name in image.variants)}."
    if image.engine != "local":
        yield f"Base `{image.base}`{f', with Debian packages {_names(image.packages)}' if image.packages else ''}."
    torch = (
        "the base's"
        if image.torch_from == "base"
        else f"{image.torch}{f' with {image.torch_extra}' if image.torch_extra else ''}"
    )
    if image.lacks_day:
        torch += ", of the newest nightly when it is first built"
    yield f"torch {torch}{f', torchaudio {image.torchaudio}' if image.torchaudio else ''}."
    if image.torch_index is not None:
        yield f"Index <{image.torch_index}>{', and the default one' if image.torch_from == 'index and default' else ''}."
    companions = f"lock `{image.lock}`" if image.lock else f"recipe `{image.script}`, which locks nothing"
    yield f"pyannote.audio {image.pyannote or 'open'}, {companions}."
    if image.expected is not None:
        yield f"Its build fails unless `torch.version.{'cuda' if image.family == 'cuda' else 'hip'}` begins with {image.expected}."
    if sizes := "; ".join(_sizes(image)):
        yield f"{sizes}."
    yield from (f"{todo}." for todo in image.todo)


def _sizes(image: Image) -> Iterator[str]:
    if image.base_bytes is not None:
        layer = f", {_gigabytes(image.largest_layer_bytes)} of it in one layer" if image.largest_layer_bytes else ""
        yield f"Base to download: {_gigabytes(image.base_bytes)}{layer}"
    if image.wheel_bytes:
        yield f"Wheels to download: {_gigabytes(image.wheel_bytes)} or more"
    if image.disk_bytes is not None:
        yield f"On disk: about {_gigabytes(image.disk_bytes)}"


def _unproved(image: Image) -> Iterator[str]:
    """What stays open when a portable build of the image passes."""
    if image.engine == "local":
        return
    if not is_portable(image):
        yield f"Everything: it has no portable build, since {image.not_portable}."
        return
    if image.packages:
        yield f"That {_names(image.packages)} can be installed on its base, and are all that is lacking there."
    if image.torch_from == "base":
        yield "That the Python, torch and torchaudio of its base work with the locked set, which is laid over them."
    else:
        yield f"That its index still has torch {image.torch}, and that this build imports with the system libraries of its base."
        if not image.torch_dependencies and image.family in GPU_FAMILIES:
            yield "That torch imports without its own dependencies, such as triton, which are not installed."
    if image.lacks_day:
        yield "Which day of nightlies it is built of, and whether that day works."
    if image.family in GPU_FAMILIES:
        yield "All that a GPU does: device, kernels, speed, memory, and whether its output is right."


def _names(packages: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in packages)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
