"""Checks of the container engines and of what a user without root needs for them. Pure."""

from __future__ import annotations

import re

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Status, Subject
from harness.doctor.remedies import add_argument, outside
from harness.engines.about import EngineFacts
from harness.engines.discovery import Refusal
from harness.machine.files import Reading

ENGINES = Subject("engines")
ROOTLESS = Subject("rootless")

_FIRST_ID, _IDS = 100_000, 65_536
"""What useradd gives: https://man7.org/linux/man-pages/man5/login.defs.5.html (SUB_UID_MIN, SUB_UID_COUNT)."""

_INSTALL = (
    (("fedora", "rhel", "centos"), "sudo dnf install -y {}"),
    (("debian", "ubuntu"), "sudo apt update && sudo apt install -y {}"),
    (("arch",), "sudo pacman -S --needed {}"),
    (("suse", "opensuse"), "sudo zypper install -y {}"),
)


def install_command(facts: HostFacts, package: str) -> str:
    """How this distribution installs a package; Debian's way where it is not known."""
    for names, command in _INSTALL:
        if any(word == name or word.startswith(f"{name}-") for word in facts.distribution for name in names):
            return command.format(package)
    return f"# install {package} with your distribution's package manager"


def check_engines(facts: HostFacts) -> tuple[Finding, ...]:
    """Which engines are here, and whether they answer."""
    if not facts.engines:
        return (
            ENGINES.says(
                "engine",
                "problem",
                "neither Podman nor Docker",
                why="every image but local-cpu runs in one",
                fix=install_command(facts, "podman"),
            ),
        )
    return tuple(_engine(engine, facts) for engine in facts.engines)


def _engine(engine: EngineFacts, facts: HostFacts) -> Finding:
    if engine.error is None:
        words = [f"{engine.name} {engine.version or 'of unknown version'}", "rootless" if engine.rootless else "rootful"]
        words += [engine.runtime] if engine.runtime else []
        words += [f"cgroups v{engine.cgroup_version}"] if engine.cgroup_version else []
        return ENGINES.says("engine", "ok", ", ".join(words))
    fix = "podman info"
    if engine.refusal is not None:
        fix = _open_command(engine.refusal)
    elif engine.name == "docker":
        fix = "sudo systemctl start docker"
    return ENGINES.says(
        "engine",
        "note" if facts.has_engine else "problem",
        f"{engine.name}: {engine.error}",
        why="the other engine answers" if facts.has_engine else "no engine answers: every image but local-cpu runs in one",
        fix=fix,
    )


def _open_command(refusal: Refusal) -> str:
    """How this user gets to a socket that refuses, or goes without it."""
    if refusal.group is not None and refusal.is_member:
        return f"# log in again: you are in the group {refusal.group}, but this login is older than that"
    if refusal.group is not None:
        return f"sudo usermod -aG {refusal.group} $USER  # the group is as good as root; then log in again"
    return f"unset {refusal.named_by}" if refusal.named_by else f"ls -l {refusal.path}  # only its owner may open it"


def check_runtime(facts: HostFacts) -> tuple[Finding, ...]:
    """Rootless Podman hands on the user's groups by ``keep-groups``, which is crun's."""
    podman = _podman(facts)
    if podman is None or not podman.rootless or not facts.amd or podman.runtime in (None, "crun"):
        return ()
    drop_in = "~/.config/containers/containers.conf.d"
    install = "" if facts.has_crun else f"{install_command(facts, 'crun')} && "
    return (
        ENGINES.says(
            "runtime",
            "warning",
            f"rootless Podman uses {podman.runtime}, not crun",
            why="the render and video groups reach a rootless container by --group-add keep-groups, which needs crun",
            fix=f"{install}mkdir -p {drop_in} && printf '[engine]\\nruntime = \"crun\"\\n' > {drop_in}/crun.conf",
            source="https://docs.podman.io/en/latest/markdown/podman-run.1.html",
        ),
    )


def check_memory_limits(facts: HostFacts) -> tuple[Finding, ...]:
    """Whether ``--memory`` can be kept."""
    found = []
    for engine in facts.engines:
        if engine.error is not None or not engine.rootless:
            continue
        if engine.cgroup_version == "1":
            found.append(
                ENGINES.says(
                    "memory limits",
                    "warning",
                    f"{engine.name} is rootless on cgroups v1",
                    why="a container's memory cannot be limited or measured there; v2 is the kernel's choice at boot",
                    fix=add_argument(facts, "systemd.unified_cgroup_hierarchy=1"),
                )
            )
        elif engine.controllers is not None and "memory" not in engine.controllers:
            found.append(
                ENGINES.says(
                    "memory limits",
                    "warning",
                    f"the memory controller is not delegated to rootless {engine.name}",
                    why="a container's memory cannot be limited",
                    fix="sudo mkdir -p /etc/systemd/system/user@.service.d && "
                    "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' "
                    "| sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload",
                    source="https://rootlesscontaine.rs/getting-started/common/cgroup2/",
                )
            )
        else:
            found.append(ENGINES.says("memory limits", "ok", f"{engine.name} can limit memory"))
    return tuple(found)


def check_subordinate_ids(facts: HostFacts) -> tuple[Finding, ...]:
    """Rootless containers need ids to map their users to."""
    if not facts.is_rootless:
        return ()
    found = []
    status: Status
    for name, reading in (("subuid", facts.subuid), ("subgid", facts.subgid)):
        if reading.refused is not None:
            status = "unknown"
            text, fix = f"/etc/{name} cannot be read: {reading.refused}", f"ls -l /etc/{name}"
        elif _has_range(reading, facts):
            status, text, fix = "ok", f"/etc/{name} has a range for this user", ""
        else:
            status = "problem" if _needs_ids(facts) else "note"
            text = f"/etc/{name} has no range for this user"
            first = _first_free(reading)
            fix = f"sudo usermod --add-{name}s {first}-{first + _IDS - 1} $USER && podman system migrate"
        why = "" if status == "ok" else "rootless Podman maps a container's users to these ids"
        found.append(ROOTLESS.says(name, status, text, why=why, fix=fix))
    if not facts.has_newuidmap:
        package = "uidmap" if {"debian", "ubuntu"} & set(facts.distribution) else "shadow-utils"
        found.append(
            ROOTLESS.says(
                "newuidmap",
                "problem" if _needs_ids(facts) else "note",
                "newuidmap is not installed",
                why="rootless Podman maps a container's users with it",
                fix=install_command(facts, package),
            )
        )
    return tuple(found)


def check_session(facts: HostFacts) -> tuple[Finding, ...]:
    """What a login gives a rootless engine."""
    if not facts.is_rootless:
        return ()
    found = []
    if facts.runtime_directory is None:
        found.append(
            ROOTLESS.says(
                "runtime directory",
                "warning",
                "XDG_RUNTIME_DIR is not set, or not a folder that can be written",
                why="rootless Podman keeps its state and socket there; `su` and `sudo` do not set it",
                fix="sudo loginctl enable-linger $USER && export XDG_RUNTIME_DIR=/run/user/$(id -u)",
            )
        )
    if facts.tun is None:
        found.append(
            ROOTLESS.says(
                "tun",
                "warning",
                "no /dev/net/tun",
                why="a rootless build reaches the network by it; a launch has none",
                fix=outside(facts, "sudo modprobe tun"),
            )
        )
    return tuple(found) or (ROOTLESS.says("session", "ok", "runtime directory and tun"),)


def _podman(facts: HostFacts) -> EngineFacts | None:
    return next((engine for engine in facts.engines if engine.name == "podman" and engine.error is None), None)


def _needs_ids(facts: HostFacts) -> bool:
    """Whether Podman is what would be used: Docker's daemon maps nothing for its callers."""
    return any(engine.name == "podman" for engine in facts.engines)


def _first_free(reading: Reading) -> int:
    """Behind all ranges that were given away: two users with the same ids could reach into each other's containers."""
    ranges = re.findall(r"^[^:\n]+:([0-9]{1,10}):([0-9]{1,10})$", reading.text or "", re.MULTILINE)
    return max([_FIRST_ID, *(int(first) + int(count) for first, count in ranges)])


def _has_range(reading: Reading, facts: HostFacts) -> bool:
    """Lines of subuid(5): name or id, first, count."""
    for line in (reading.text or "").splitlines():
        match = re.fullmatch(r"([^:]+):([0-9]{1,10}):([0-9]{1,10})", line.strip())
        if match and match[1] in (facts.user.name, str(facts.user.id)) and int(match[3]) > 0:
            return True
    return False
