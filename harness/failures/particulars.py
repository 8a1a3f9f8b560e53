"""The rules that put into words what a text itself says of a failure, by the names that signatures call them by. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from harness.failures import libraries, requirements
from harness.failures.libraries import Words
from harness.records.outcome import ExceptionRecord

_DENIED = re.compile(r"(?:: |['\"`]|^|\s)(/[\w./@+-]{1,300})")
_CAPACITY = re.compile(r"total capacity of (\d{1,4}\.\d{1,2}) GiB")
_OVERRIDE = re.compile(r"HSA_OVERRIDE_GFX_VERSION[ =:'\"]{1,4}(\d{1,2}\.\d{1,2}\.\d{1,2})")
_USUAL_MEMORY_GIB = (32.0, 64.0, 96.0, 128.0)
_TOLD = (
    ("HSA_OVERRIDE_GFX_VERSION", _OVERRIDE),
    ("ROCm", re.compile(r"(?i)\brocm[ _/-]?(?:version:? ?)?v?(\d{1,2}\.\d{1,2}(?:\.\d{1,2})?)")),
    ("torch", re.compile(r"\btorch(?:==|-| )(\d\.\d{1,2}\.\d{1,2}[\w.+]{0,40})")),
    ("GPU", re.compile(r"\b(gfx(?:1[0-9]{3}|9[0-9a-f]{2}))\b")),
    ("kernel", re.compile(r"\b(?:Linux|[Kk]ernel)[ :]{1,3}(?:version )?(\d\.\d{1,2}\.\d{1,3}[\w.+-]{0,40})")),
)


def told_by(text: str) -> tuple[str, ...]:
    """What a text says of the stack that failed: an override, ROCm, torch, GPUs, the kernel."""
    told = []
    for name, pattern in _TOLD:
        values = tuple(dict.fromkeys(pattern.findall(text)))[:4]
        if values:
            told.append(f"{name}{'=' if name.isupper() and '_' in name else ' '}{', '.join(values)}")
    return tuple(told)


def under_override(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A fault of the GPU beside an override."""
    said = _OVERRIDE.search(text)
    if said is None:
        return None
    return (
        f"HSA_OVERRIDE_GFX_VERSION={said[1]} is set: the GPU runs code that was compiled for another GPU, which is the first cause of "
        "such a fault",
        "unset HSA_OVERRIDE_GFX_VERSION and take a torch that has this GPU's own code (gfx1151: ROCm 7 and later); if it faults without "
        "the override too, then kernel and firmware: `strixbench doctor`",
    )


def full_gpu(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """An allocation that fails: on an APU the limit is the kernel's, half of the memory unless it was raised."""
    said = _CAPACITY.search(found) or _CAPACITY.search(text)
    if said is None or "HIP" not in found:
        return None
    capacity = float(said[1])
    half = next((each for each in _USUAL_MEMORY_GIB if 0.465 * each <= capacity <= 0.505 * each), None)
    if half is None:
        return None
    return (
        f"the GPU's memory is full: it may use {capacity:g} GiB, which is the kernel's default of half of a memory of {half:g} GiB, so that "
        "a ttm.pages_limit that was to raise it did not take effect",
        "look whether ttm.pages_limit is on the running kernel's command line (`cat /proc/cmdline /sys/module/ttm/parameters/pages_limit`; "
        "`strixbench doctor` judges it) and boot with it, or lower the need: smaller batches, a shorter context",
    )


_LAYER = re.compile(r"adding layer|processing tar file|writing blob|committing container|copying layers|ApplyLayer|extract")


class Place(msgspec.Struct, frozen=True):
    """What a path is, and what to do where it may not be used and where it is full."""

    pattern: str
    what: str
    when_denied: str
    when_full: str


_STORE = Place(
    r"/(containers/storage|overlay2?|docker|containerd|buildkit|libpod)(/|$)",
    "the engine's store of images",
    "the store belongs to another user (rootful and rootless stores are apart) or lies where this one may not enter: `ls -ldZ` on each "
    "folder above it; never copy a store: `podman system reset` (it deletes all images) makes a new one",
    "free room there (`podman system prune`, `docker system prune`), or a store on a larger disk (graphroot in storage.conf; data-root in "
    "daemon.json)",
)
_NODE = "the groups that own it: `strixbench doctor` names the option for this engine"
_HOME = "HOME, or XDG_CACHE_HOME, on a folder that this user may write to"
_HUB = "HF_HOME (and PYANNOTE_CACHE) on a folder that this user may write to"
_MIOPEN = "MIOPEN_USER_DB_PATH and MIOPEN_CUSTOM_CACHE_DIR on a folder that this user may write to"
_TEMPORARY = "another folder in TMPDIR that this user may write to"
PLACES = (
    Place(r"^/dev/(kfd|dri)", "the GPU's device node", _NODE, _NODE),
    Place(r"^/dev/shm", "shared memory", "--ipc=host, or --shm-size=8g", "a larger one: --shm-size=8g, or --ipc=host"),
    Place(
        r"^/var/tmp",
        "the folder in which engines unpack what they fetch",
        _TEMPORARY,
        "free room in /var/tmp, or another folder in TMPDIR (Podman: image_copy_tmp_dir in containers.conf)",
    ),
    _STORE,
    Place(r"/\.cache/(huggingface|torch)|/hub/", "the cache of models", _HUB, "free room there, or HF_HOME on a larger disk"),
    Place(
        r"(?i)miopen",
        "MIOpen's folder of compiled kernels",
        _MIOPEN,
        "free room there, or MIOPEN_CUSTOM_CACHE_DIR on a larger disk",
    ),
    Place(
        r"/\.(cache|config|local)(/|$)",
        "a folder in the user's home",
        _HOME,
        "free room in the home, or XDG_CACHE_HOME on a larger disk",
    ),
    Place(r"^/tmp", "the folder for temporary files", _TEMPORARY, "free room in /tmp, or another folder in TMPDIR"),
    Place(
        r"(site|dist)-packages",
        "the Python environment",
        "install as the user who owns it, or make a virtual environment of your own",
        "free room there, or a virtual environment on a larger disk",
    ),
)
"""The first that fits counts."""


def place_of(path: str) -> Place | None:
    """What a path is; ``None``: nothing is known of it."""
    return next((each for each in PLACES if re.search(each.pattern, path)), None)


def denied_path(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """EACCES: what may not be opened, and who could."""
    path = _path_in(found)
    if not path:
        return None
    place = place_of(path)
    if place is None:
        return (
            f"this user may not use {path}: its owner or mode forbids it; a mounted folder belongs to the host's user, and SELinux may "
            "forbid it as well",
            f"`ls -ldZ {path}` tells owner, mode and label: run as its owner, change it, or mount it with :z (Podman: --userns keep-id)",
        )
    return f"this user may not use {path}, {place.what}", place.when_denied


def full_disk(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """ENOSPC: which disk is full; the path decides what to do."""
    paths = [path for path in _DENIED.findall(found) if not path.endswith((".py", ".go"))]
    path = next((each for each in paths if place_of(each)), paths[-1] if paths else "")
    place = place_of(path) if path else None
    if place is None and _LAYER.search(found):
        return f"no room is left in {_STORE.what}", _STORE.when_full
    if place is None:
        return None
    return f"no room is left where {path} is: {place.what}", place.when_full


def unknown_group(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A group that the image does not have: those of the GPU go by number, others have another name there."""
    said = re.search(r"find group ([\w.-]{1,40})", found)
    if said is None or said[1] in ("render", "video"):
        return None
    return (
        f"the image has no group {said[1]}: its name is looked up inside the image, and distributions name it otherwise",
        f"leave {said[1]} out of --group-add, or take the image's own name for it (sudo is called wheel in Fedora); the GPU needs only the "
        "host's groups render and video",
    )


def _path_in(found: str) -> str:
    paths = [path for path in _DENIED.findall(found) if not path.endswith((".py", ".go"))]
    return paths[-1].rstrip(".:") if paths else ""


RULES: dict[str, Callable[[str, str, ExceptionRecord | None], Words | None]] = {
    **libraries.RULES,
    **requirements.RULES,
    "override": under_override,
    "full GPU": full_gpu,
    "denied path": denied_path,
    "full disk": full_disk,
    "group": unknown_group,
}
"""By name: what was found, the whole text, the exception -> an explanation and a fix; ``None``: the signature's own words stay."""
