"""Checks of the GPUs, their device nodes, and who may open them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.doctor.facts import STRIX_HALO, DeviceNode, HostFacts
from harness.doctor.finding import Finding, Subject
from harness.doctor.remedies import outside
from harness.machine.enclosure import how_to_map

GPU = Subject("GPU")

_DRIVER_SAID = "sudo dmesg | grep -iE 'amdgpu|kfd'"


def check_gpus(facts: HostFacts) -> tuple[Finding, ...]:
    """Which there are, by PCI address."""
    if not facts.pci:
        return (
            GPU.says(
                "gpu",
                "note",
                "no AMD or NVIDIA GPU on the PCI bus",
                why="the CPU images run here, those for ROCm and CUDA do not",
            ),
        )
    targets = ", ".join(dict.fromkeys(node.target for node in facts.kfd_nodes))
    found = []
    for gpu in facts.pci:
        name = "Strix Halo (gfx1151)" if gpu.device == STRIX_HALO else "AMD" if gpu.vendor == "0x1002" else "NVIDIA"
        driver = f"driver {gpu.driver}" if gpu.driver else "no driver"
        text = f"{gpu.address}: {name}, {gpu.vendor}:{gpu.device}, {driver}"
        bound = gpu.driver is not None
        found.append(
            GPU.says(
                "gpu",
                "ok" if bound else "problem",
                text + (f", the compute driver names {targets}" if targets and gpu.vendor == "0x1002" else ""),
                why="" if bound else "without its driver no image can use it",
                fix="" if bound else outside(facts, f"sudo modprobe {'amdgpu' if gpu.vendor == '0x1002' else 'nvidia'}"),
            )
        )
    return tuple(found)


def check_amd_nodes(facts: HostFacts) -> tuple[Finding, ...]:
    """/dev/kfd and the render nodes: there, and open to this user."""
    if not facts.amd:
        return ()
    found = []
    if facts.kfd is None:
        found.append(
            GPU.says(
                "kfd",
                "problem",
                "no /dev/kfd",
                why="ROCm computes through it; the amdgpu driver makes it"
                + (", which is loaded: look at what it said" if facts.amdgpu_is_loaded else ", which is not loaded"),
                fix=_hand_in(facts, "/dev/kfd") or _DRIVER_SAID
                if facts.amdgpu_is_loaded
                else outside(facts, "sudo modprobe amdgpu"),
            )
        )
    else:
        found.append(_access("kfd", facts.kfd, facts))
    if not facts.render_nodes:
        found.append(
            GPU.says(
                "render node",
                "problem",
                "no /dev/dri/renderD*",
                why="ROCm allocates memory through it",
                fix=_hand_in(facts, "/dev/dri/renderD128") or _DRIVER_SAID,
            )
        )
    return (*found, *(_access("render node", node, facts) for node in facts.render_nodes))


def _access(check: str, node: DeviceNode, facts: HostFacts) -> Finding:
    names = {number: name for name, number in facts.group_ids.items()}
    group = names.get(node.group, "root" if node.group == 0 else "another group")
    text = f"{node.path}: group {group} ({node.group}), mode {node.mode:04o}"
    if node.refused:
        return _refused(check, text, node, facts)
    if node.group == facts.enclosure.unmapped_group and node.mode & 0o006 != 0o006:
        return _unmapped(check, node, facts)
    if node.openable:
        return GPU.says(check, "ok", f"{text}, open to this user")
    return GPU.says(
        check,
        "problem" if facts.opens_nodes_as_user else "note",
        f"{text}, not open to this user",
        why="a rootless container can open what its user can, and no more"
        if facts.opens_nodes_as_user
        else "the engine runs as root and hands it on all the same",
        fix=f"ls -l {node.path}" if group in ("root", "another group") else _join((group,)),
    )


def _refused(check: str, text: str, node: DeviceNode, facts: HostFacts) -> Finding:
    """Mode and groups allow it, and the driver or a rule of the container does not."""
    text = f"{text}, but opening it fails ({node.refused})"
    if node.refused == "EINVAL":
        why = "the compute driver has no GPU: firmware files are missing, or it is stuck; this is no matter of groups"
        fix = outside(facts, f"{_DRIVER_SAID}  # then boot again")
        return GPU.says(
            check, "problem", text, why=why, fix=fix, source="https://github.com/ROCm/legacy-rocm-build/issues/6166"
        )
    if node.refused == "EPERM":
        why = (
            "a device rule forbids it: the node's major number can change with the host's kernel, and the rule does not follow"
        )
        fix = f"ls -l {node.path}"
        if facts.enclosure.container == "lxc":
            rule = f"lxc.cgroup2.devices.allow = c {node.major}:* rwm in the container's configuration"
            fix = _hand_in(facts, node.path) if facts.enclosure.is_on_proxmox else outside(facts, rule)
        source = "https://github.com/jammsen/proxmox-setup-scripts/issues/7"
        return GPU.says(check, "problem", text, why=why, fix=fix, source=source)
    return GPU.says(check, "problem", text, why="ROCm computes through it", fix=outside(facts, _DRIVER_SAID))


def _unmapped(check: str, node: DeviceNode, facts: HostFacts) -> Finding:
    """Its number is no group's in here and another one's outside: no engine in here can hand it on by it."""
    text = f"{node.path}: owned by a group of {facts.enclosure.host} that this container does not map, mode {node.mode:04o}"
    if node.openable and facts.opens_nodes_as_user:
        return GPU.says(check, "ok", f"{text}, open to this user")
    why = f"it shows as {node.group}, and nothing in here can be given it, not even by root"
    return GPU.says(check, "problem", text, why=why, fix=_into_the_container(facts, node.path))


def _into_the_container(facts: HostFacts, path: str) -> str:
    """The lines that map the group of this node, and of the others that lack the same."""
    nodes = [node.path for node in (facts.kfd, *facts.render_nodes) if node and node.group == facts.enclosure.unmapped_group]
    lines = how_to_map(facts.enclosure, nodes or [path], facts.group_ids.get("render"))
    return f"# on {facts.enclosure.host}, {lines}"


def _hand_in(facts: HostFacts, path: str) -> str:
    """How a node that this container does not have gets into it; empty on a machine of its own."""
    if facts.enclosure.container == "lxc":
        return f"# on {facts.enclosure.host}, {how_to_map(facts.enclosure, [path], facts.group_ids.get('render'))}"
    return f"# on {facts.enclosure.host}, start this container with --device {path}" if facts.enclosure.container else ""


def check_groups(facts: HostFacts) -> tuple[Finding, ...]:
    """Whether the user is in the groups that own the nodes."""
    if not facts.amd or not facts.is_rootless or not facts.group_ids:
        return ()
    lacking = [name for name, number in facts.group_ids.items() if number not in facts.user.groups]
    if not lacking:
        return (GPU.says("groups", "ok", "this user is in render and video"),)
    nodes = [node for node in (facts.kfd, *facts.render_nodes) if node is not None]
    if any(node.group == facts.enclosure.unmapped_group for node in nodes):
        return ()  # no group in here owns them
    # Logind's ACL or a wider mode can open the nodes to whoever sits at the machine; a login by ssh has none.
    harmless = not facts.opens_nodes_as_user or (bool(nodes) and all(node.openable or node.refused for node in nodes))
    given = all(name in facts.listed_in for name in lacking)
    return (
        GPU.says(
            "groups",
            "note" if harmless else "problem",
            f"this session is not in {' and '.join(lacking)}" + (", though the user is" if given else ""),
            why="the nodes are open all the same: by their mode, by an ACL of this login that ssh would not have, or to an "
            "engine that runs as root"
            if harmless
            else "log out and in again for a new group to count"
            if given
            else "they own the GPU's nodes; log in again afterwards",
            fix="exec newgrp render" if given and "render" in lacking else _join(lacking),
        ),
    )


def _join(groups: Sequence[str]) -> str:
    return f"sudo usermod -aG {','.join(groups)} $USER  # then log in again"


def check_nvidia(facts: HostFacts) -> tuple[Finding, ...]:
    """Driver, node and CDI specification."""
    if not any(gpu.vendor == "0x10de" for gpu in facts.pci) and facts.nvidia is None:
        return ()
    version = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", facts.nvidia_driver.text or "")
    if facts.nvidia_driver.refused is not None:
        driver = GPU.says(
            "nvidia driver",
            "unknown",
            f"/proc/driver/nvidia/version cannot be read: {facts.nvidia_driver.refused}",
        )
    elif version is None:
        driver = GPU.says(
            "nvidia driver",
            "problem",
            "the NVIDIA driver is not loaded",
            why="CUDA images need it",
            fix="sudo modprobe nvidia",
        )
    else:
        driver = GPU.says("nvidia driver", "ok", f"NVIDIA driver {version[1]}")
    if facts.nvidia is None:
        node = GPU.says(
            "nvidia node",
            "problem",
            "no /dev/nvidia0",
            why="CUDA computes through it",
            fix="sudo nvidia-modprobe -u -c=0",
        )
    else:
        node = _access("nvidia node", facts.nvidia, facts)
    return (driver, node, _nvidia_cdi(facts))


def _nvidia_cdi(facts: HostFacts) -> Finding:
    names = [name for name in facts.cdi if name.startswith("nvidia")]
    if names:
        return GPU.says("nvidia cdi", "ok", f"CDI specification {', '.join(names)}")
    return GPU.says(
        "nvidia cdi",
        "problem",
        "no CDI specification for NVIDIA",
        why="it names the nodes and libraries that a container gets",
        fix="sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        source="https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html",
    )


def check_amd_cdi(facts: HostFacts) -> tuple[Finding, ...]:
    """Optional: the nodes can be named one by one."""
    names = [name for name in facts.cdi if name.startswith("amd")]
    if not facts.amd or not names:
        return ()
    return (GPU.says("amd cdi", "ok", f"CDI specification {', '.join(names)}"),)
