"""The AMD GPUs of this host and which of them is meant, read from sysfs: no privilege and no vendor tool needed.

``root`` is where ``/sys`` and ``/dev`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from harness.catalog.rows import Image, Variant
from harness.errors import UsageError
from harness.machine.files import whole_number
from harness.records.host import gfx_target

OVERRIDE = "HSA_OVERRIDE_GFX_VERSION"

AMD_VENDOR = "0x1002"


class Gpu(msgspec.Struct, frozen=True):
    """One AMD GPU."""

    pci: str
    """Its address, such as ``0000:c5:00.0``"""
    render_node: str
    """``/dev/dri/renderD128``"""
    target: str | None = None
    """``gfx1151``; ``None``: the KFD does not name it"""


class ComputeGpu(msgspec.Struct, frozen=True):
    """One GPU of the compute driver (KFD)."""

    render_node: str
    """``renderD128``"""
    target: str
    unique_id: int
    """0: it has none, as an APU has not."""


def amd_gpus(root: Path = Path("/")) -> tuple[Gpu, ...]:
    """In the order of their PCI addresses, which no driver's load order changes."""
    targets = {gpu.render_node: gpu.target for gpu in compute_gpus(root)}
    found = []
    for node in (root / "sys/class/drm").glob("renderD*"):
        if render_vendor(node.name, root) == AMD_VENDOR:
            pci = os.path.basename(os.path.realpath(node / "device"))
            found.append(Gpu(pci, f"/dev/dri/{node.name}", targets.get(node.name)))
    return tuple(sorted(found, key=lambda gpu: gpu.pci))


def render_vendor(node: str, root: Path = Path("/")) -> str | None:
    """The PCI vendor of ``renderD128``; ``None`` where sysfs does not tell."""
    try:
        return (root / "sys/class/drm" / node / "device/vendor").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def choose_gpu(wanted: str, gpus: Sequence[Gpu]) -> Gpu:
    """The GPU of ``--gpu N|PCI``. Raises `UsageError` naming those that are there."""
    address = wanted.lower()
    for number, gpu in enumerate(gpus):
        if address in (str(number), gpu.pci, gpu.pci.removeprefix("0000:")):
            return gpu
    there = ", ".join(f"{number} ({gpu.pci}{f', {gpu.target}' if gpu.target else ''})" for number, gpu in enumerate(gpus))
    raise UsageError(f"--gpu {wanted!r} is no AMD GPU of this host: " + (f"there are {there}" if there else "there is none"))


def check_gpu_use(image: Image, variants: Sequence[Variant], gpu: str | None, *, root: Path = Path("/")) -> tuple[str, ...]:
    """Warnings about how an image's variants would use the GPU of ``--gpu``, or all where that is ``None``.

    Raises `UsageError` where that cannot be. NVIDIA's GPUs have no such override and are known to CDI alone.
    """
    if image.family is None and gpu is not None:
        raise UsageError(f"--gpu needs to know whose GPU {image.name} runs on: name its --family as well")
    if image.family in ("cpu", "cuda"):
        return ()
    targets = used_targets(gpu, root=root)
    return tuple(warning for variant in variants for warning in check_override(variant.name, variant.environment, targets))


def used_targets(gpu: str | None, *, root: Path = Path("/")) -> tuple[str, ...]:
    """Targets of the AMD GPUs that a launch may use, as far as the KFD names them. Raises `UsageError`."""
    gpus = amd_gpus(root)
    used = gpus if gpu is None else (choose_gpu(gpu, gpus),)
    return tuple(chosen.target for chosen in used if chosen.target)


def check_override(variant: str, environment: Mapping[str, str], targets: Sequence[str]) -> tuple[str, ...]:
    """Warnings about a variant's gfx override on GPUs of these targets; an unknown target is not judged.

    Raises `UsageError` where it crosses a major version: code objects of another generation have crashed the kernel
    driver, not the process alone (https://github.com/ROCm/rocm-systems/issues/3531).
    """
    override = environment.get(OVERRIDE)
    if override is None:
        return ()
    digits = override.split(".")
    if len(digits) != 3 or not all(digit.isdecimal() for digit in digits):
        raise UsageError(f"variant {variant} sets {OVERRIDE}={override!r}, which is not of the form 11.0.0")
    major, minor, stepping = map(int, digits)
    named = gfx_target(major * 10000 + minor * 100 + stepping)
    warnings = []
    for target in targets:
        if target_major(target) != major:
            raise UsageError(
                f"variant {variant} sets {OVERRIDE}={override}, which makes a {target} GPU pass for {named}: an override "
                "across major versions can crash the kernel driver (ROCm/rocm-systems#3531); leave the variant out with "
                "`--gfx native`, or choose another GPU with `--gpu`"
            )
        if target == named:
            warnings.append(f"variant {variant}: {OVERRIDE}={override} is redundant, the GPU is a {target} already")
    return tuple(warnings)


def target_major(target: str) -> int:
    """11 of ``gfx1151``: minor and stepping are the last digit each, whatever is before them is the major."""
    return int(target.removeprefix("gfx")[:-2])


def compute_gpus(root: Path = Path("/")) -> tuple[ComputeGpu, ...]:
    """The KFD's GPUs that this process may see, in its own order, by which ROCm counts them."""
    found = []
    folders = [path for path in (root / "sys/class/kfd/kfd/topology/nodes").glob("*") if path.name.isdecimal()]
    for folder in sorted(folders, key=lambda path: int(path.name)):
        try:
            text = (folder / "properties").read_text(encoding="utf-8", errors="replace")
        except OSError:  # refused for a GPU that the device cgroup does not allow, and ROCm leaves it out as well
            continue
        properties = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
        minor, version = properties.get("drm_render_minor", ""), whole_number(properties.get("gfx_target_version"))
        if minor and version:  # 0 is a CPU
            found.append(ComputeGpu(f"renderD{minor}", gfx_target(version), whole_number(properties.get("unique_id")) or 0))
    return tuple(found)


def visible_device(chosen: Gpu, gpus: Sequence[ComputeGpu]) -> str | None:
    """What ``ROCR_VISIBLE_DEVICES`` calls a GPU; ``None`` where it is the only one or the KFD does not have it.

    By its unique id where that is one: a wrong name makes no GPU visible, while a wrong number makes another one so. An APU
    has none and goes by its number. ROCm reads ``GPU-`` with 16 hexadecimal digits, or the number in the KFD's order
    (rocr-runtime/runtime/hsa-runtime/core/runtime/amd_filter_device.cpp in https://github.com/ROCm/rocm-systems).
    """
    names = [gpu.render_node for gpu in gpus]
    name = os.path.basename(chosen.render_node)
    if len(gpus) < 2 or name not in names:
        return None
    number = names.index(name)
    unique_id = gpus[number].unique_id
    is_its_own = unique_id != 0 and [gpu.unique_id for gpu in gpus].count(unique_id) == 1
    return f"GPU-{unique_id:016x}" if is_its_own else str(number)
