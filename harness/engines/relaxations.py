"""What weakens the default isolation of a launch, and why.

Least privilege is every family's default. Each relaxation has a row here with its reason and is recorded with the launch. No
row gives a capability back: all are always dropped.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.machine.files import read_file
from harness.text import nearest


class Relaxation(msgspec.Struct, frozen=True):
    """One weakening of the default isolation."""

    what: str
    reason: str
    source: str


COMPAT: dict[str, Relaxation] = {
    "ipc=host": Relaxation(
        "ipc=host",
        "asked for by --flags; AMD's instructions have it, and memory faults on Strix Halo were reported without",
        "https://github.com/whylucian/softab",
    ),
    "seccomp=unconfined": Relaxation(
        "seccomp=unconfined",
        "asked for by --flags; AMD's instructions have it as an option that lets memory be mapped across processes",
        "https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html",
    ),
    "label=disable": Relaxation(
        "label=disable",
        "asked for by --flags; the common recipe for GPUs on hosts with SELinux",
        "https://github.com/containers/container-selinux",
    ),
    "/dev/dri": Relaxation(
        "/dev/dri",
        "asked for by --flags; AMD's instructions hand in the whole folder, with the display's nodes",
        "https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html",
    ),
}
"""What ``--flags compat`` weakens: the set that most recipes for these images copy."""

CDI_OF_AMD = Relaxation(
    what="amd.com/gpu=all",
    reason="this host has a CDI specification for AMD GPUs: all that it lists is handed in, which may be more than the "
    "render node (`--gpu` hands in one node alone)",
    source="https://instinct.docs.amd.com/projects/container-toolkit/en/latest/container-runtime/cdi-guide.html",
)

EVERY_AMD_GPU = Relaxation(
    what="every AMD render node",
    reason="this engine cannot keep a container from single GPUs (it has no device cgroup), so ROCm sees all of them and "
    "fails at its start, hsa_init 1008, where the render node of one is missing: all are handed in, and "
    "ROCR_VISIBLE_DEVICES leaves the chosen one alone visible",
    source="https://github.com/ROCm/legacy-rocm-build/issues/3144, https://github.com/ROCm/legacy-rocm-build/issues/2860",
)

_LABEL_DISABLED = Relaxation(
    what="label=disable",
    reason="SELinux is enforcing here and the boolean container_use_devices is not on, so that a confined container is kept "
    "from the GPU's nodes (`setsebool -P container_use_devices on` makes this needless)",
    source="https://github.com/containers/container-selinux",
)
_FILES_CLOSED = Relaxation(
    what="label=disable",
    reason="SELinux is enforcing here and keeps a confined container from files that are not labelled for containers, as "
    "those in a home folder are not: the guest, the recording, the models and the exchange folder are mounted",
    source="https://docs.podman.io/en/latest/markdown/podman-run.1.html#volume-v-source-volume-host-dir-container-dir-options",
)

_TYPES_FOR_CONTAINERS = ("container_file_t", "svirt_sandbox_file_t")
"""The SELinux types of files that a confined container may read and write; the second is the first's old name."""


def parse_flags(text: str) -> tuple[str, ...]:
    """``least``, ``compat``, or names of `COMPAT` with commas between them. Raises `UsageError`."""
    if text in ("least", "compat"):
        return tuple(COMPAT) if text == "compat" else ()
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in COMPAT:
            known = ("least", "compat", *COMPAT)
            raise UsageError(f"--flags {name!r}{nearest(name, set(known))}: there are {', '.join(known)}")
    return tuple(name for name in COMPAT if name in names)


def flags_text(flags: tuple[str, ...]) -> str:
    """The reverse of `parse_flags`."""
    return {(): "least", tuple(COMPAT): "compat"}.get(flags) or ",".join(flags)


def selinux_relaxation(files: tuple[Path, ...], *, has_gpu: bool, root: Path) -> Relaxation | None:
    """What SELinux makes necessary on this host for a launch that mounts ``files``; ``None``: nothing."""
    if _text(root / "sys/fs/selinux/enforce") != "1":
        return None
    # The file of a boolean holds its value now and its value after the next commit.
    if has_gpu and not _text(root / "sys/fs/selinux/booleans/container_use_devices").startswith("1"):
        return _LABEL_DISABLED
    return _FILES_CLOSED if any(_selinux_type(path) not in _TYPES_FOR_CONTAINERS for path in files) else None


def _selinux_type(path: Path) -> str | None:
    """The type of a file, such as ``user_home_t``, or of the nearest folder above one that is not there yet; ``None``: it has no
    label."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        label = os.getxattr(path, "security.selinux").decode(errors="replace")
    except OSError:
        return None
    return label.rstrip("\0").split(":")[2] if label.count(":") >= 2 else None


def _text(path: Path) -> str:
    return (read_file(path).text or "").strip()
