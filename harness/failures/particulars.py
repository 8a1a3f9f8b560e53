"""The rules that put into words what a text itself says of a failure, by the names that signatures call them by. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.failures import libraries, requirements
from harness.failures.libraries import Words
from harness.records.outcome import ExceptionRecord

_DENIED = re.compile(r"(?:: |'|\"|^)(/[\w./@+-]{1,300})")
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


PLACES = (
    (
        r"^/dev/(kfd|dri)",
        "the GPU's device node",
        "the groups that own it: `strixbench doctor` names the option for this engine",
    ),
    (r"^/dev/shm", "shared memory", "a larger one: --shm-size=8g, or --ipc=host"),
    (
        r"^/var/tmp",
        "the folder in which engines unpack what they fetch",
        "free room in /var/tmp, or another folder in TMPDIR (Podman: image_copy_tmp_dir in containers.conf)",
    ),
    (
        r"/(containers/storage|overlay2?|docker|containerd|buildkit|libpod)(/|$)",
        "the engine's store of images",
        "free room there (`podman system prune`, `docker system prune`), or a store on a larger disk (graphroot in storage.conf; "
        "data-root in daemon.json)",
    ),
    (
        r"/\.cache/(huggingface|torch)|/hub/",
        "the cache of models",
        "HF_HOME (and PYANNOTE_CACHE) on a folder that this user may write to",
    ),
    (
        r"/\.(cache|config|local)/|/\.config$|/\.cache$",
        "a folder in the user's home",
        "HOME, or XDG_CACHE_HOME, on a folder that this user may write to",
    ),
    (
        r"(?i)miopen",
        "MIOpen's database",
        "MIOPEN_USER_DB_PATH and MIOPEN_CUSTOM_CACHE_DIR on a folder that this user may write to",
    ),
    (r"^/tmp", "the folder for temporary files", "free room in /tmp, or another folder in TMPDIR"),
    (
        r"(site|dist)-packages",
        "the Python environment",
        "install as the user who owns it, or make a virtual environment of your own",
    ),
)
"""Path -> what it is, and what to do. The path decides the advice."""


def place_of(path: str) -> tuple[str, str] | None:
    """What a path is and what to do there; ``None``: nothing is known of it."""
    return next(((what, advice) for pattern, what, advice in PLACES if re.search(pattern, path)), None)


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
    return f"this user may not use {path}, {place[0]}", place[1]


def full_disk(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """ENOSPC: which disk is full; the path decides what to do."""
    paths = [path for path in _DENIED.findall(found) if not path.endswith((".py", ".go"))]
    path = next((each for each in paths if place_of(each)), paths[-1] if paths else "")
    place = place_of(path) if path else None
    if place is None:
        return None
    return f"no room is left where {path} is: {place[0]}", place[1]


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
}
"""By name: what was found, the whole text, the exception -> an explanation and a fix; ``None``: the signature's own words stay."""
