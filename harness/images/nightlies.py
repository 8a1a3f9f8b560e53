"""Which nightly an image is built from. Its index is asked once and the answer kept in the user's cache, so that the image stays the
same until the index is asked anew.

An image is identified by exact versions (`harness.images.build.recipe_of`), and a public index prunes its nightlies. So the catalog
says how to choose (``torch_day``), and the choice belongs to this user.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import places
from harness.catalog.rows import Image, Version
from harness.errors import CatalogError, PackageIndexError
from harness.text import Say
from harness.tools import open_own_file


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that were chosen, and when the index was asked."""

    torch: Version
    torchaudio: Version
    asked: str
    before: tuple[Version, Version] | None = None
    """torch and torchaudio of the choice that this one replaced; ``None``: it was the first."""


def choices_file() -> Path:
    """Where the choices are kept."""
    return places.cache() / "nightlies.json"


def settle(images: Iterable[Image], choose: Callable[[Image], Image]) -> tuple[tuple[Image, ...], dict[str, PackageIndexError]]:
    """The images with their days chosen, and the errors of those that could not be settled, by name."""
    settled: list[Image] = []
    refused: dict[str, PackageIndexError] = {}
    for image in images:
        try:
            settled.append(choose(image))
        except PackageIndexError as error:
            refused[image.name] = error
    return tuple(settled), refused


def with_kept_day(image: Image) -> Image:
    """The image with the day that was chosen before, unchanged where none was. Asks no index."""
    choice = _kept().get(_key(image)) if image.lacks_day else None
    return image if choice is None else msgspec.structs.replace(image, torch=choice.torch, torchaudio=choice.torchaudio)


def with_day_before(image: Image) -> Image | None:
    """The image with the day that the present choice replaced; ``None`` where there is none."""
    choice = _kept().get(_key(image)) if image.lacks_day else None
    if choice is None or choice.before is None:
        return None
    torch, torchaudio = choice.before
    return msgspec.structs.replace(image, torch=torch, torchaudio=torchaudio)


def with_settled_day(image: Image) -> Image:
    """The image with the day that was chosen before. Asks no index; raises `PackageIndexError` where none was chosen."""
    kept = with_kept_day(image)
    refuse_no_day(kept)
    return kept


def with_day(image: Image, *, say: Say) -> Image:
    """The image with the day that was chosen before, or with one that is chosen now. Raises `PackageIndexError`."""
    kept = with_kept_day(image)
    return with_new_day(kept, say=say) if kept.lacks_day else kept


def with_new_day(image: Image, *, say: Say) -> Image:
    """The image with the day that its index offers now; the choice is kept. Raises `PackageIndexError`, `CatalogError`."""
    from harness.images.nightly_index import ask_index

    refuse_half_a_pin(image)
    if not image.lacks_day:
        return image
    say(f"asking {image.torch_index} for the {image.torch_day} nightly of torch {image.torch}")
    found = ask_index(
        str(image.torch_index), torch=str(image.torch), torchaudio=str(image.torchaudio), day=str(image.torch_day)
    )
    choice = Choice(torch=found.torch, torchaudio=found.torchaudio, asked=datetime.now(UTC).isoformat(timespec="seconds"))
    choice = _keep(_key(image), choice)
    say(
        f"{image.name} is built of torch {found.torch}, torchaudio {found.torchaudio} until `build --again` or `--plan` asks anew"
    )
    if choice.before is not None:
        torch, torchaudio = choice.before
        say(
            f"{image.name} was built of torch {torch}, torchaudio {torchaudio} before. That image stays; to go back to it, name "
            "these two versions in an overlay (`--catalog FILE`)"
        )
    return msgspec.structs.replace(image, torch=found.torch, torchaudio=found.torchaudio)


def refuse_no_day(image: Image) -> None:
    """Raise `PackageIndexError` for an image whose day is not chosen, and `CatalogError` for a half-pinned one."""
    refuse_half_a_pin(image)
    if image.lacks_day:
        raise PackageIndexError(
            f"image {image.name}: which nightly of torch {image.torch} to take is not chosen yet. `strixbench build {image.name} "
            f"--plan` asks {image.torch_index} and keeps the answer; offline, name exact versions of torch and torchaudio in an "
            "overlay (`--catalog FILE`)"
        )


def refuse_half_a_pin(image: Image) -> None:
    """Raise `CatalogError` where one of torch and torchaudio names a day and the other does not."""
    if image.torch_day is not None and ("+" in str(image.torch)) != ("+" in str(image.torchaudio)):
        raise CatalogError(
            f"catalog row images.{image.name}: torch {image.torch} and torchaudio {image.torchaudio}: name the day of both, such as "
            "2.14.0+rocm10.2.0a20261003 and 2.11.0.3+rocm10.2.0a20261003, or of neither"
        )


def _key(image: Image) -> str:
    """The question that a choice answers: another index, release or day is another question."""
    return f"{image.torch_index} torch {image.torch} torchaudio {image.torchaudio} {image.torch_day}"


def _kept() -> dict[str, Choice]:
    """All choices; empty where there is no file. Raises `PackageIndexError` for a file that cannot be read."""
    try:
        return msgspec.json.decode(choices_file().read_bytes(), type=dict[str, Choice])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise PackageIndexError(
            f"{choices_file()} cannot be read ({error}): remove it, and `strixbench build --plan` chooses again"
        ) from error


def _keep(key: str, choice: Choice) -> Choice:
    """Add a choice, whole or not at all; returns it with what it replaced. Raises `PackageIndexError` where it cannot be written.

    The file is locked: commands may choose at the same time, and each writes the whole file.
    """
    file = choices_file()
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open_own_file(file.with_name(f"{file.name}.lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = _kept()
            if (old := kept.get(key)) is not None:
                is_same = (old.torch, old.torchaudio) == (choice.torch, choice.torchaudio)
                before = old.before if is_same else (old.torch, old.torchaudio)
                choice = msgspec.structs.replace(choice, before=before)
            beside.write_bytes(msgspec.json.format(msgspec.json.encode(kept | {key: choice}), indent=1))
            beside.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise PackageIndexError(
            f"{file} cannot be written ({error.strerror}): the chosen nightly would be forgotten"
        ) from error
    return choice
