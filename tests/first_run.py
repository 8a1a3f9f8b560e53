"""The hosts of docs/first-run.md, and what strixbench says on each: the blocks of that page are generated from here.

A walk on paper: the hosts are trees of files made after public posts, see `tests.unit.real_hosts`; nothing here ran on one. Device
nodes are plain files. Their group is the caller's own, since a test may not give files away; what is printed names the group that
the host would have.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.catalog.load import shipped_catalog
from harness.catalog.rows import Cell
from harness.doctor import examine
from harness.doctor.answers import read_unknowns
from harness.doctor.facts import DeviceNode, User
from harness.doctor.finding import Finding
from harness.engines.about import EngineFacts
from harness.engines.devices import request_devices
from harness.engines.discovery import EngineName, Refusal, refusal_text
from harness.engines.options import container_command
from harness.images.build_plan import image_lines
from harness.inputs.launch_inputs import Inputs
from harness.launch.plan import Origin, Prepared, prepare_launch
from harness.machine.kernel_log import KernelText
from harness.records.plan import EngineRecord, Settings
from tests.unit.fixture_hosts import COMMON, DOCKER, FEDORA, ROOTLESS_PODMAN, a_tree, facts_of
from tests.unit.real_hosts import TWO_GIB_CARVE_OUT, UNPRIVILEGED_LXC
from tests.unit.samples import HOST

FIRST = "rocm72"
"""The image that every walk begins with."""

_NODES = ("dev/kfd", "dev/dri/renderD128")


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """One host and who sits at it."""

    key: str
    files: Mapping[str, str]
    user: User
    engines: tuple[EngineFacts, ...]
    record: EngineRecord
    """The engine that `auto` takes."""
    packages: Mapping[str, str] = {}
    node_group: int
    node_mode: int
    opens_nodes: bool = True


_GPU = {
    **TWO_GIB_CARVE_OUT,
    "sys/bus/pci/devices/0000:c6:00.0/iommu_group/type": "DMA-FQ\n",
    "sys/bus/pci/devices/0000:c6:00.0/fw_version/mes_fw_version": "0x00000080\n",
    "sys/bus/pci/devices/0000:c6:00.0/power_dpm_force_performance_level": "auto\n",
    "sys/class/iommu/ivhd0/name": "",
    "dev/kfd": "",
    "dev/dri/renderD128": "",
}

_NO_DOCKER = EngineFacts(
    name="docker",
    error="permission denied on /var/run/docker.sock",
    refusal=Refusal(engine="docker", path="/var/run/docker.sock", owner="root", group="docker"),
)

_FEDORA = {
    **FEDORA,
    **_GPU,
    "proc/sys/kernel/osrelease": "6.18.9-200.fc43.x86_64\n",
    "sys/fs/selinux/booleans/container_use_dri_devices": "1 1",
    "etc/tuned/active_profile": "accelerator-performance\n",
}
_UBUNTU = {
    **COMMON,
    **_GPU,
    "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
    "etc/group": "root:x:0:\nvideo:x:44:alice\nrender:x:992:alice\ndocker:x:999:alice\nalice:x:1000:\n",
    "proc/sys/kernel/osrelease": "6.14.0-1018-oem\n",
    "proc/version_signature": "Ubuntu 6.14.0-1018.18-oem 6.14.11\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz-6.14.0-1018-oem root=UUID=0 ro quiet splash\n",
}
_ARCH = {
    **COMMON,
    **_GPU,
    "etc/os-release": 'NAME="Arch Linux"\nID=arch\n',
    "etc/group": "root:x:0:root\nvideo:x:985:\nrender:x:989:\n",
    "proc/sys/kernel/osrelease": "7.0.3-arch1-1\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz-linux root=UUID=0 rw\n",
    "var/lib/pacman/local/linux-firmware-amdgpu-1:20260519-1/desc": "",
}

WALKS = (
    Walk(
        key="fedora",
        files=_FEDORA,
        user=User(1000, "alice", (1000, 10, 39, 105)),
        engines=(ROOTLESS_PODMAN,),
        record=EngineRecord(name="podman", version="5.6.2", rootless=True, runtime="crun"),
        packages={"amd-gpu-firmware": "20260110-1.fc43"},
        node_group=105,
        node_mode=0o666,
    ),
    Walk(
        key="ubuntu",
        files=_UBUNTU,
        user=User(1000, "alice", (1000, 44, 992, 999)),
        engines=(DOCKER,),
        record=EngineRecord(name="docker", version="28.3.3", runtime="runc", device_drivers=("cdi",)),
        packages={"linux-firmware": "20240318.git3b128b60-0ubuntu2.19"},
        node_group=992,
        node_mode=0o660,
    ),
    Walk(
        key="ubuntu-no-group",
        files={**_UBUNTU, "etc/group": "root:x:0:\nvideo:x:44:\nrender:x:992:\ndocker:x:999:\nalice:x:1000:\n"},
        user=User(1000, "alice", (1000,)),
        engines=(_NO_DOCKER,),
        record=EngineRecord(name="docker", version="28.3.3", runtime="runc"),
        packages={"linux-firmware": "20240318.git3b128b60-0ubuntu2.19"},
        node_group=992,
        node_mode=0o660,
        opens_nodes=False,
    ),
    Walk(
        key="arch",
        files=_ARCH,
        user=User(0, "root", (0,)),
        engines=(msgspec.structs.replace(ROOTLESS_PODMAN, rootless=False),),
        record=EngineRecord(name="podman", version="5.6.2", runtime="crun"),
        packages={"linux-firmware-amdgpu": "1:20260519-1"},
        node_group=989,
        node_mode=0o666,
    ),
    Walk(
        key="lxc",
        files={**COMMON, **UNPRIVILEGED_LXC},
        user=User(0, "root", (0,)),
        engines=(DOCKER,),
        record=EngineRecord(name="docker", version="28.3.3", runtime="runc"),
        node_group=65534,
        node_mode=0o660,
        opens_nodes=False,
    ),
)

_ELSEWHERE = ("disk", "models", "images")
"""Subjects whose findings are about the machine that runs this, or about no host in particular."""


def a_host(walk: Walk, root: Path) -> Path:
    """The walk's tree below a folder."""
    a_tree(root, walk.files)
    for name in _NODES:
        (root / name).chmod(walk.node_mode)
    if "proc/sys/kernel/overflowgid" in walk.files:
        (root / "proc/sys/kernel/overflowgid").write_text(f"{os.stat(root / 'dev/kfd').st_gid}\n")
    return root


def findings_on(walk: Walk, root: Path) -> tuple[Finding, ...]:
    """What `doctor` finds on the host, without the subjects of `_ELSEWHERE`."""
    facts = facts_of(root, user=walk.user, engines=walk.engines, packages=walk.packages)
    nodes = [DeviceNode(f"/{name}", walk.opens_nodes, walk.node_group, walk.node_mode) for name in _NODES]
    enclosure = facts.enclosure
    if enclosure.unmapped_group is not None:
        enclosure = msgspec.structs.replace(enclosure, unmapped_group=walk.node_group)
    facts = msgspec.structs.replace(facts, kfd=nodes[0], render_nodes=(nodes[1],), enclosure=enclosure, kernel_log=KernelText())
    return tuple(finding for finding in examine(facts) if finding.subject not in _ELSEWHERE)


def launch_on(walk: Walk, root: Path, *, variant: str = "native") -> Prepared:
    """The launch that `bench rocm72 --gfx VARIANT` would start there. Raises what `prepare_launch` does."""
    known = shipped_catalog()
    image = known.images[FIRST]
    cell = Cell(image, known.variants[variant], known.pipelines["embedded"].profile, "sample-30s")
    return prepare_launch(
        cell,
        None,
        walk.record,
        origin=Origin("dry-run", "", HOST),
        inputs=Inputs(name="sample-30s", amount=30.0, sha256="", files={"audio": Path("/recordings/sample.wav")}),
        settings=Settings(),
        family=image.family,
        launch_id="dry-run-first",
        root=root,
    )


def launch_line(walk: Walk, root: Path, *, variant: str = "native") -> str:
    """What the `--dry-run` line of that launch says about the GPU and the isolation, or why there is no such launch."""
    refusal = next((engine.refusal for engine in walk.engines if engine.refusal is not None), None)
    if refusal is not None:
        return f"strixbench: {refusal_text(refusal)}"
    missing = obstacles_on(walk, root)
    if missing:
        return f"not launched: {'; '.join(missing)}"
    name: EngineName = "docker" if walk.record.name == "docker" else "podman"
    command = container_command(name, launch_on(walk, root, variant=variant).run)
    shown = (
        "--device=",
        "--group-add=",
        "--security-opt=",
        "--cap-drop=",
        "--network=",
        "--env=HSA",
        "--env=ROCR",
        "--read-only",
    )
    options = [word for word in command if word.startswith(shown)]
    # Without the path of the tree, and with the group that a test may not give a file to.
    own_group = os.stat(root / "dev/kfd").st_gid
    words = [word.replace(f"{root}/", "/") for word in options]
    words = [f"--group-add={walk.node_group}" if word == f"--group-add={own_group}" else word for word in words]
    words = [word.partition(":/dev")[0] if word.startswith("--device=") else word for word in words]
    return f"{command[0]} run ... {shlex.join(words)} ..."


def obstacles_on(walk: Walk, root: Path) -> tuple[str, ...]:
    """What the image needs and the host lacks."""
    family = shipped_catalog().images[FIRST].family
    missing = request_devices(family, walk.record, root=root).missing
    return tuple(
        sentence.replace(f"shows as {os.stat(root / 'dev/kfd').st_gid})", f"shows as {walk.node_group})")
        for sentence in missing
    )


def block_of(walk: Walk) -> str:
    """The host's block of docs/first-run.md: what needs care, and the first launch."""
    with tempfile.TemporaryDirectory() as folder:
        root = a_host(walk, Path(folder))
        findings = [finding for finding in findings_on(walk, root) if finding.status != "ok"]
        lines = ["$ strixbench doctor"]
        for finding in findings:
            lines.append(f"  {finding.status:<8} {finding.found}")
            lines += [f"           fix: {finding.fix}"] if finding.fix else []
        lines += [] if findings else ["  nothing needs care, except room and models"]
        lines += [f"$ strixbench bench {FIRST} --gfx native --dry-run", *wrapped(launch_line(walk, root))]
    return "\n".join(lines) + "\n"


def wrapped(line: str) -> list[str]:
    """A command line on several, as a shell reads it; a sentence as it is."""
    if " run ... " not in line:
        return [line]
    lines = [""]
    for word in line.split(" "):
        if len(lines[-1]) + len(word) > 96:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def sizes_block() -> str:
    """What the first image fetches and takes: the beginning of `build --dry-run`."""
    lines = image_lines(shipped_catalog().images[FIRST], "auto")
    wanted = ("base", "wheels", "in all", "disk", "")
    shown = [line for line in lines[1:] if line[2:9].strip() in wanted and "sha256:" not in line and "~ est" not in line]
    end = next(number for number, line in enumerate(shown) if "with Docker" in line)
    return "\n".join([f"$ strixbench build {FIRST} --dry-run", *shown[: end + 1]]) + "\n"


def unknowns_block() -> str:
    """The questions of `doctor --report`, as a list."""
    return "".join(f"- {unknown.question}\n" for unknown in read_unknowns(shipped_catalog()))
