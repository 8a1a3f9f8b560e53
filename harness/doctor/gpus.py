"""Checks of the GPUs, their device nodes, and who may open them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.doctor.facts import STRIX_HALO, DeviceNode, HostFacts
from harness.doctor.finding import Finding
from harness.doctor.remedies import outside
from harness.machine.enclosure import how_to_map

GPU = "GPU"

_DRIVER_SAID = "sudo dmesg | grep -iE 'amdgpu|kfd'"


def check_gpus(facts: HostFacts) -> Iterator[Finding]:
    """The GPUs by PCI address, each with its driver."""
    if not facts.pci:
        why = "the CPU images run here, those for ROCm and CUDA do not"
        yield Finding(GPU, "gpu", "note", "no AMD or NVIDIA GPU on the PCI bus", why=why)
    targets = ", ".join(dict.fromkeys(node.target for node in facts.kfd_nodes))
    for gpu in facts.pci:
        is_amd = gpu.vendor == "0x1002"
        name = "Strix Halo (gfx1151)" if gpu.device == STRIX_HALO else "AMD" if is_amd else "NVIDIA"
        text = f"{gpu.address}: {name}, {gpu.vendor}:{gpu.device}, {f'driver {gpu.driver}' if gpu.driver else 'no driver'}"
        text += f", the compute driver names {targets}" if targets and is_amd else ""
        if gpu.driver is not None:
            yield Finding(GPU, "gpu", "ok", text)
        else:
            fix = outside(facts, f"sudo modprobe {'amdgpu' if is_amd else 'nvidia'}")
            yield Finding(GPU, "gpu", "problem", text, why="without its driver no image can use it", fix=fix)


def check_amd_nodes(facts: HostFacts) -> Iterator[Finding]:
    """Whether /dev/kfd and the render nodes are there and open to this user."""
    if not facts.amd:
        return
    if facts.kfd is not None:
        yield _access("kfd", facts.kfd, facts)
    elif facts.amdgpu_is_loaded:
        why = "ROCm computes through it; the amdgpu driver, which makes it, is loaded: read what it said"
        yield Finding(GPU, "kfd", "problem", "no /dev/kfd", why=why, fix=_hand_in(facts, "/dev/kfd") or _DRIVER_SAID)
    else:
        why = "ROCm computes through it; the amdgpu driver, which makes it, is not loaded"
        yield Finding(GPU, "kfd", "problem", "no /dev/kfd", why=why, fix=outside(facts, "sudo modprobe amdgpu"))
    if not facts.render_nodes:
        fix = _hand_in(facts, "/dev/dri/renderD128") or _DRIVER_SAID
        why = "ROCm allocates memory through it"
        yield Finding(GPU, "render node", "problem", "no /dev/dri/renderD*", why=why, fix=fix)
    for node in facts.render_nodes:
        yield _access("render node", node, facts)


def _access(check: str, node: DeviceNode, facts: HostFacts) -> Finding:
    names = {number: name for name, number in facts.group_ids.items()}
    group = names.get(node.group, "root" if node.group == 0 else "another group")
    text = f"{node.path}: group {group} ({node.group}), mode {node.mode:04o}"
    if node.refused:
        return _refused(check, f"{text}, but opening it fails ({node.refused})", node, facts)
    if node.group == facts.enclosure.unmapped_group and node.mode & 0o006 != 0o006:
        return _unmapped(check, node, facts)
    if node.openable:
        return Finding(GPU, check, "ok", f"{text}, open to this user")
    return Finding(
        GPU,
        check,
        "problem" if facts.opens_nodes_as_user else "note",
        f"{text}, not open to this user",
        why="a rootless container can open only what its user can"
        if facts.opens_nodes_as_user
        else "the engine runs as root and passes it on all the same",
        fix=f"ls -l {node.path}" if group in ("root", "another group") else _join((group,)),
    )


def _refused(check: str, text: str, node: DeviceNode, facts: HostFacts) -> Finding:
    """Mode and groups allow it, but the driver or a rule of the container does not."""
    if node.refused == "EINVAL":
        why = "the compute driver has no GPU: firmware files are missing, or it is stuck; groups do not matter here"
        fix = outside(facts, f"{_DRIVER_SAID}  # then reboot")
        source = "https://github.com/ROCm/legacy-rocm-build/issues/6166"
        return Finding(GPU, check, "problem", text, why=why, fix=fix, source=source)
    if node.refused == "EPERM":
        why = (
            "a device rule forbids it: the node's major number can change with the host's kernel, and the rule does not follow"
        )
        fix = f"ls -l {node.path}"
        if facts.enclosure.container == "lxc":
            rule = f"lxc.cgroup2.devices.allow = c {node.major}:* rwm in the container's configuration"
            fix = _hand_in(facts, node.path) if facts.enclosure.is_on_proxmox else outside(facts, rule)
        source = "https://github.com/jammsen/proxmox-setup-scripts/issues/7"
        return Finding(GPU, check, "problem", text, why=why, fix=fix, source=source)
    return Finding(GPU, check, "problem", text, why="ROCm computes through it", fix=outside(facts, _DRIVER_SAID))


def _unmapped(check: str, node: DeviceNode, facts: HostFacts) -> Finding:
    """Its group exists outside this container only, so no engine in here can pass the node on by it."""
    text = f"{node.path}: owned by a group of {facts.enclosure.host} that this container does not map, mode {node.mode:04o}"
    if node.openable and facts.opens_nodes_as_user:
        return Finding(GPU, check, "ok", f"{text}, open to this user")
    why = f"the group shows as {node.group}, and nothing in here can be given it, not even by root"
    nodes = [each.path for each in (facts.kfd, *facts.render_nodes) if each and each.group == facts.enclosure.unmapped_group]
    return Finding(GPU, check, "problem", text, why=why, fix=_mapped(facts, nodes or [node.path]))


def _mapped(facts: HostFacts, nodes: Sequence[str]) -> str:
    """What to do on the container's host so that these nodes can be opened in here."""
    return f"# on {facts.enclosure.host}, {how_to_map(facts.enclosure, nodes, facts.group_ids.get('render'))}"


def _hand_in(facts: HostFacts, path: str) -> str:
    """How a node that this container lacks gets into it; empty on a machine of its own."""
    if facts.enclosure.container == "lxc":
        return _mapped(facts, [path])
    return f"# on {facts.enclosure.host}, start this container with --device {path}" if facts.enclosure.container else ""


def check_groups(facts: HostFacts) -> Iterator[Finding]:
    """Whether the user is in the groups that own the nodes."""
    if not facts.amd or not facts.is_rootless or not facts.group_ids:
        return
    lacking = [name for name, number in facts.group_ids.items() if number not in facts.user.groups]
    if not lacking:
        yield Finding(GPU, "groups", "ok", "this user is in render and video")
        return
    nodes = [node for node in (facts.kfd, *facts.render_nodes) if node is not None]
    if any(node.group == facts.enclosure.unmapped_group for node in nodes):
        return  # no group in here owns them
    # Logind's ACL or a wider mode can open the nodes to whoever sits at the machine; a login by ssh has none.
    harmless = not facts.opens_nodes_as_user or (bool(nodes) and all(node.openable or node.refused for node in nodes))
    given = all(name in facts.listed_in for name in lacking)
    yield Finding(
        GPU,
        "groups",
        "note" if harmless else "problem",
        f"this session is not in {' and '.join(lacking)}" + (", though the user is" if given else ""),
        why="the nodes are open all the same: by their mode, by an ACL of this login that ssh would not have, or to an "
        "engine that runs as root"
        if harmless
        else "a new group counts only after you log out and in again"
        if given
        else "these groups own the GPU's nodes; log in again afterwards",
        fix="exec newgrp render" if given and "render" in lacking else _join(lacking),
    )


def _join(groups: Sequence[str]) -> str:
    return f"sudo usermod -aG {','.join(groups)} $USER  # then log in again"


def check_nvidia(facts: HostFacts) -> Iterator[Finding]:
    """The driver, the node and the CDI specification."""
    if not any(gpu.vendor == "0x10de" for gpu in facts.pci) and facts.nvidia is None:
        return
    version = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", facts.nvidia_driver.text or "")
    if facts.nvidia_driver.refused is not None:
        text = f"/proc/driver/nvidia/version cannot be read: {facts.nvidia_driver.refused}"
        yield Finding(GPU, "nvidia driver", "unknown", text)
    elif version is None:
        text, fix = "the NVIDIA driver is not loaded", "sudo modprobe nvidia"
        yield Finding(GPU, "nvidia driver", "problem", text, why="CUDA images need it", fix=fix)
    else:
        yield Finding(GPU, "nvidia driver", "ok", f"NVIDIA driver {version[1]}")
    if facts.nvidia is None:
        fix = "sudo nvidia-modprobe -u -c=0"
        yield Finding(GPU, "nvidia node", "problem", "no /dev/nvidia0", why="CUDA computes through it", fix=fix)
    else:
        yield _access("nvidia node", facts.nvidia, facts)
    if names := [name for name in facts.cdi if name.startswith("nvidia")]:
        yield Finding(GPU, "nvidia cdi", "ok", f"CDI specification {', '.join(names)}")
    else:
        yield Finding(
            GPU,
            "nvidia cdi",
            "problem",
            "no CDI specification for NVIDIA",
            why="it names the nodes and libraries that a container gets",
            fix="sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
            source="https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html",
        )


def check_amd_cdi(facts: HostFacts) -> Iterator[Finding]:
    """AMD's CDI specification, which is optional: a launch can name the nodes one by one."""
    names = [name for name in facts.cdi if name.startswith("amd")]
    if facts.amd and names:
        yield Finding(GPU, "amd cdi", "ok", f"CDI specification {', '.join(names)}")
