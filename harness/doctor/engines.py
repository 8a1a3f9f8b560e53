"""Checks of the container engines, of what a user without root needs for them, and of the container that this may be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Status
from harness.doctor.remedies import add_argument, outside
from harness.engines.discovery import Refusal
from harness.machine.files import Reading

CONTAINER = "container"
ENGINES = "engines"
ROOTLESS = "rootless"

_FIRST_ID, _IDS = 100_000, 65_536
"""What useradd gives: https://man7.org/linux/man-pages/man5/login.defs.5.html (SUB_UID_MIN, SUB_UID_COUNT)."""

_INSTALL = (
    (("fedora", "rhel", "centos"), "sudo dnf install -y {}"),
    (("debian", "ubuntu"), "sudo apt update && sudo apt install -y {}"),
    (("arch",), "sudo pacman -S --needed {}"),
    (("suse", "opensuse"), "sudo zypper install -y {}"),
)


def check_container(facts: HostFacts) -> Iterator[Finding]:
    """Whether this is a container, and what must therefore be done on its host."""
    where = facts.enclosure
    if not where.container:
        return
    kind = where.container.upper() if where.container in ("lxc", "oci") else where.container
    mapped = ", unprivileged" if where.unmapped_group is not None else ""
    yield Finding(
        CONTAINER,
        "container",
        "note",
        f"this is a container ({kind}{mapped}){' on Proxmox VE' if where.is_on_proxmox else ''}",
        why=f"its kernel, the kernel's command line, modules and firmware belong to {where.host}: fix them there",
    )
    if where.container == "lxc" and any(engine.name == "docker" for engine in facts.engines):
        update = "apt update && apt install -y lxc-pve" if where.is_on_proxmox else "update LXC to 6.0.6 or later"
        yield Finding(
            CONTAINER,
            "docker in lxc",
            "note",
            "Docker in LXC: runc 1.3.3 and later start no container if the host's LXC is older than 6.0.6",
            why="a build then ends with `open sysctl net.ipv4.ip_unprivileged_port_start ... permission denied`",
            fix=f"# only if that happens, on {where.host}: {update}, then restart this container",
            source="https://github.com/opencontainers/runc/issues/4972",
        )


def _install_command(facts: HostFacts, package: str) -> str:
    """How this distribution installs a package."""
    for names, command in _INSTALL:
        if any(word == name or word.startswith(f"{name}-") for word in facts.distribution for name in names):
            return command.format(package)
    return f"# install {package} with your distribution's package manager"


def check_engines(facts: HostFacts) -> Iterator[Finding]:
    """Which engines are here, and whether they answer."""
    if not facts.engines:
        why = "every image but local-cpu runs in one"
        fix = _install_command(facts, "podman")
        yield Finding(ENGINES, "engine", "problem", "neither Podman nor Docker was found", why=why, fix=fix)
    for engine in facts.engines:
        if engine.error is None:
            words = [f"{engine.name} {engine.version or 'of unknown version'}", "rootless" if engine.rootless else "rootful"]
            words += [engine.runtime] if engine.runtime else []
            words += [f"cgroups v{engine.cgroup_version}"] if engine.cgroup_version else []
            yield Finding(ENGINES, "engine", "ok", ", ".join(words))
            continue
        yield Finding(
            ENGINES,
            "engine",
            "note" if facts.has_engine else "problem",
            f"{engine.name}: {engine.error}",
            why="the other engine answers" if facts.has_engine else "no engine answers: every image but local-cpu runs in one",
            fix=_open_command(engine.refusal)
            if engine.refusal is not None
            else "sudo systemctl start docker"
            if engine.name == "docker"
            else "podman info",
        )


def _open_command(refusal: Refusal) -> str:
    """How this user gets to a socket that refuses, or goes without it."""
    if refusal.group is not None and refusal.is_member:
        return f"# log in again: you were added to the group {refusal.group} after this login"
    if refusal.group is not None:
        return f"sudo usermod -aG {refusal.group} $USER  # its members can become root; then log in again"
    return f"unset {refusal.named_by}" if refusal.named_by else f"ls -l {refusal.path}  # only its owner may open it"


def check_runtime(facts: HostFacts) -> Iterator[Finding]:
    """Whether rootless Podman uses crun, which alone passes the user's groups on (``keep-groups``)."""
    podman = next((engine for engine in facts.engines if engine.name == "podman" and engine.error is None), None)
    if podman is None or not podman.rootless or not facts.amd or podman.runtime in (None, "crun"):
        return
    drop_in = "~/.config/containers/containers.conf.d"
    install = "" if facts.has_crun else f"{_install_command(facts, 'crun')} && "
    yield Finding(
        ENGINES,
        "runtime",
        "warning",
        f"rootless Podman uses {podman.runtime}, not crun",
        why="the render and video groups reach a rootless container by --group-add keep-groups, which needs crun",
        fix=f"{install}mkdir -p {drop_in} && printf '[engine]\\nruntime = \"crun\"\\n' > {drop_in}/crun.conf",
        source="https://docs.podman.io/en/latest/markdown/podman-run.1.html",
    )


def check_memory_limits(facts: HostFacts) -> Iterator[Finding]:
    """Whether each rootless engine can limit a container's memory."""
    for engine in facts.engines:
        if engine.error is not None or not engine.rootless:
            continue
        if engine.cgroup_version == "1":
            yield Finding(
                ENGINES,
                "memory limits",
                "warning",
                f"{engine.name} is rootless on cgroups v1",
                why="a container's memory can be neither limited nor measured there; the kernel chooses v2 at boot",
                fix=add_argument(facts, "systemd.unified_cgroup_hierarchy=1"),
            )
        elif engine.controllers is not None and "memory" not in engine.controllers:
            yield Finding(
                ENGINES,
                "memory limits",
                "warning",
                f"the memory controller is not delegated to rootless {engine.name}",
                why="a container's memory cannot be limited",
                fix="sudo mkdir -p /etc/systemd/system/user@.service.d && "
                "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' "
                "| sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload",
                source="https://rootlesscontaine.rs/getting-started/common/cgroup2/",
            )
        else:
            yield Finding(ENGINES, "memory limits", "ok", f"{engine.name} can limit memory")


def check_subordinate_ids(facts: HostFacts) -> Iterator[Finding]:
    """The ids that rootless containers map their users to."""
    if not facts.is_rootless:
        return
    # Only Podman needs them: Docker's daemon maps nothing for its callers.
    lacking: Status = "problem" if any(engine.name == "podman" for engine in facts.engines) else "note"
    for name, reading in (("subuid", facts.subuid), ("subgid", facts.subgid)):
        why = "rootless Podman maps a container's users to these ids"
        if reading.refused is not None:
            text = f"/etc/{name} cannot be read: {reading.refused}"
            yield Finding(ROOTLESS, name, "unknown", text, why=why, fix=f"ls -l /etc/{name}")
        elif _has_range(reading, facts):
            yield Finding(ROOTLESS, name, "ok", f"/etc/{name} has a range for this user")
        else:
            first = _first_free(reading)
            fix = f"sudo usermod --add-{name}s {first}-{first + _IDS - 1} $USER && podman system migrate"
            yield Finding(ROOTLESS, name, lacking, f"/etc/{name} has no range for this user", why=why, fix=fix)
    if not facts.has_newuidmap:
        package = "uidmap" if {"debian", "ubuntu"} & set(facts.distribution) else "shadow-utils"
        why = "rootless Podman maps a container's users with it"
        fix = _install_command(facts, package)
        yield Finding(ROOTLESS, "newuidmap", lacking, "newuidmap is not installed", why=why, fix=fix)


def check_session(facts: HostFacts) -> Iterator[Finding]:
    """What a rootless engine needs from the user's login."""
    if not facts.is_rootless:
        return
    if facts.runtime_directory is None:
        yield Finding(
            ROOTLESS,
            "runtime directory",
            "warning",
            "XDG_RUNTIME_DIR is not set, or is not a folder that can be written",
            why="rootless Podman keeps its state and socket there; `su` and `sudo` do not set it",
            fix="sudo loginctl enable-linger $USER && export XDG_RUNTIME_DIR=/run/user/$(id -u)",
        )
    if facts.tun is None:
        why = "a rootless build reaches the network through it; a launch has no network"
        yield Finding(ROOTLESS, "tun", "warning", "no /dev/net/tun", why=why, fix=outside(facts, "sudo modprobe tun"))
    elif facts.runtime_directory is not None:
        yield Finding(ROOTLESS, "session", "ok", "the runtime directory and /dev/net/tun are there")


def _first_free(reading: Reading) -> int:
    """The first id after all ranges in use: two users with the same ids could reach into each other's containers."""
    ranges = re.findall(r"^[^:\n]+:([0-9]{1,10}):([0-9]{1,10})$", reading.text or "", re.MULTILINE)
    return max([_FIRST_ID, *(int(first) + int(count) for first, count in ranges)])


def _has_range(reading: Reading, facts: HostFacts) -> bool:
    """Whether a line of subuid(5), which is name or id, first, count, gives this user ids."""
    for line in (reading.text or "").splitlines():
        match = re.fullmatch(r"([^:]+):([0-9]{1,10}):([0-9]{1,10})", line.strip())
        if match and match[1] in (facts.user.name, str(facts.user.id)) and int(match[3]) > 0:
            return True
    return False
