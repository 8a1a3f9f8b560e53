"""How far the fetch of an image is, read from what the engine prints. Pure.

The lines are those of Docker's ``POST /images/create``, which Podman serves too
(https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageCreate). Docker names all layers at its
start; Podman names each as it begins it, tells no size of one that takes less than a second, and counts the image's
configuration as one more (seen with 20.10 and 4.3.1).
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from harness.engines.discovery import EngineName
from harness.text import counted, size_text

LARGE_LAYER_BYTES = 2_000_000_000
"""A layer of this size is worth a warning before it is fetched: at 50 Mbit/s it takes five minutes."""

MOST_LAYERS = 1000
"""An image has at most 127; what an engine names beyond this is not kept."""

MOST_BYTES = 1 << 50

State = Literal["waiting", "fetching", "retrying", "fetched", "unpacking", "done"]

_STATES: dict[str, State] = {
    "Pulling fs layer": "waiting",
    "Waiting": "waiting",
    "Downloading": "fetching",
    "Verifying Checksum": "fetched",
    "Download complete": "fetched",
    "Extracting": "unpacking",
    "Pull complete": "done",
    "Already exists": "done",
}


class Layer(msgspec.Struct, frozen=True):
    """How far one layer is."""

    state: State
    total_bytes: int | None = None
    """Compressed, as it is fetched; ``None``: not told."""
    fetched_bytes: int = 0


class Fetched(msgspec.Struct, frozen=True):
    """How far the fetch of an image is."""

    layers: dict[str, Layer] = {}
    lists_all: bool = False
    """Whether the engine named all layers at its start."""

    @property
    def fetched_bytes(self) -> int:
        return sum(layer.fetched_bytes for layer in self.layers.values())

    @property
    def largest_bytes(self) -> int:
        """The size of the largest layer; 0: none was told."""
        return max((layer.total_bytes or 0 for layer in self.layers.values()), default=0)


class Line(msgspec.Struct, frozen=True):
    """One line that the engine prints."""

    status: str = ""
    layer: str = ""
    current_bytes: int | None = None
    total_bytes: int | None = None
    error: str = ""


def read_line(told: Any) -> Line:
    """A decoded line; one that is not understood is empty."""
    if not isinstance(told, dict):
        return Line()
    detail = told.get("progressDetail")
    detail = detail if isinstance(detail, dict) else {}
    error = told.get("error") or ""
    if not error and isinstance(told.get("errorDetail"), dict):
        error = told["errorDetail"].get("message") or ""
    return Line(
        status=_text(told.get("status")),
        layer=_text(told.get("id")),
        current_bytes=_bytes(detail.get("current")),
        total_bytes=_bytes(detail.get("total")),
        error=str(error),
    )


def take_in(fetched: Fetched, line: Line) -> Fetched:
    """How far the fetch is after a line."""
    if line.status.startswith("Pulling from "):
        return msgspec.structs.replace(fetched, lists_all=True)
    state: State | None = "retrying" if line.status.startswith("Retrying in ") else _STATES.get(line.status)
    before = fetched.layers.get(line.layer)
    if state is None or not line.layer or (before is None and len(fetched.layers) >= MOST_LAYERS):
        return fetched
    layer = _moved(before or Layer(state), state, line)
    return msgspec.structs.replace(fetched, layers={**fetched.layers, line.layer: layer})


def _moved(layer: Layer, state: State, line: Line) -> Layer:
    """The layer after a line about it. While it is unpacked the engine counts from 0 again."""
    total = line.total_bytes or layer.total_bytes
    come = line.current_bytes if state == "fetching" and line.current_bytes is not None else layer.fetched_bytes
    if state in ("fetched", "unpacking") and total is not None:
        come = total
    return Layer(state, total, come if total is None else min(come, total))


def log_line(before: Fetched, after: Fetched, line: Line) -> str:
    """What the log keeps of a line: a layer's new state, or a line that is about no layer; else empty."""
    if line.error:
        return line.error
    layer = after.layers.get(line.layer)
    if layer is None:
        return f"{line.layer}: {line.status}" if line.layer and line.status else line.status
    was = before.layers.get(line.layer)
    if was is not None and was.state == layer.state:
        return ""
    size = f" ({size_text(layer.total_bytes)})" if layer.total_bytes and layer.state == "fetching" else ""
    return f"{line.layer}: {line.status}{size}"


def fetch_text(name: str, fetched: Fetched, expected_bytes: int | None) -> str:
    """``fetching NAME: 1.2 of 10.4 GB, 3 of 12 layers done``.

    ``expected_bytes`` is the image's size in the catalog; without one, the sizes of layers that were told are a lower
    bound.
    """
    return f"fetching {name}: " + ", ".join(filter(None, (_amount(fetched, expected_bytes), _layers(fetched))))


def _amount(fetched: Fetched, expected_bytes: int | None) -> str:
    whole = max(expected_bytes or 0, sum(layer.total_bytes or 0 for layer in fetched.layers.values()))
    if not whole:
        return ""
    of = "" if expected_bytes else "at least "
    number, unit = size_text(whole).split()
    scale = 1e9 if unit == "GB" else 1e6
    digits = 1 if "." in number else 0
    return f"{fetched.fetched_bytes / scale:.{digits}f} of {of}{number} {unit}"


def _layers(fetched: Fetched) -> str:
    layers = fetched.layers.values()
    if not layers:
        return "asking the registry"
    come = sum(layer.state in ("fetched", "unpacking", "done") for layer in layers)
    if not fetched.lists_all:
        return f"{counted(come, 'layer')} done"
    if come == len(layers):
        return f"unpacking, {sum(layer.state == 'done' for layer in layers)} of {counted(come, 'layer')} done"
    retrying = ", reconnecting" if any(layer.state == "retrying" for layer in layers) else ""
    return f"{come} of {counted(len(layers), 'layer')} done{retrying}"


_FAULTS_OF_IMAGES = re.compile(
    r"manifest unknown|manifest for .{1,300} not found|name unknown|repository name not known|name_unknown"
    r"|repository does not exist|pull access denied|requested access to the resource is denied|unauthorized"
    r"|no matching manifest|no image found in (?:manifest list|image index)|invalid reference format|no such image"
    r"|invalid repository name|repository name must be",
    re.IGNORECASE,
)


def is_fault_of_image(text: str) -> bool:
    """Whether a refusal is about the image: it is not there, not for this machine, or not for everybody. Any other, an
    unreachable registry or a full disk, is this host's affair."""
    return _FAULTS_OF_IMAGES.search(text[:10_000]) is not None


_FAULTS_OF_QUOTA = re.compile(r"toomanyrequests|too many requests|pull rate limit", re.IGNORECASE)


def is_fault_of_quota(text: str) -> bool:
    """Whether a registry refuses because of how much was fetched already: Docker Hub counts pulls by account, or by address
    where nobody logged in (https://docs.docker.com/docker-hub/usage/)."""
    return _FAULTS_OF_QUOTA.search(text[:10_000]) is not None


def registry_of(reference: str) -> str:
    """``docker.io`` of ``rocm/pytorch:7.2``: the first part is a registry where it has a dot or a port, or is localhost."""
    first, slash, _ = reference.partition("/")
    return first if slash and (first == "localhost" or any(sign in first for sign in ".:")) else "docker.io"


def large_layer_text(name: str, size_bytes: int, *, engine: EngineName, silence_text: str) -> str:
    """What to know before a layer of many GB is fetched; for the sources see `KEPT`."""
    kept = KEPT[engine]
    resumes = "Docker resumes a connection that breaks, for some attempts. " if engine == "docker" else ""
    return (
        f"{name} has a layer of {size_text(size_bytes)}. {resumes}{kept[:1].upper()}{kept[1:]}. Any connection speed will do: "
        f"a fetch is given up only after {silence_text} without a byte"
    )


KEPT: dict[EngineName, str] = {
    "podman": "if a fetch stops early, Podman keeps the finished layers below the first unfinished one and fetches that one again",
    "docker": "if a fetch stops early, Docker may keep nothing and fetches the whole image again",
}
"""What each engine keeps. Seen with Podman 4.3.1: a finished layer is in the store once all below it are; a partial one is dropped
(https://github.com/containers/podman/issues/14616), also where a connection is cut, after which newer ones reconnect
(https://github.com/containers/image/pull/1816). Seen with Docker 20.10: a cut connection is resumed by a range request; after a fetch
that ends early every layer is removed, finished ones too (https://github.com/moby/moby/issues/26146; for 29.2 issue 52965)."""


def _text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""


def _bytes(value: Any) -> int | None:
    """A size; ``None`` where the value is not one."""
    return value if type(value) is int and 0 <= value <= MOST_BYTES else None
