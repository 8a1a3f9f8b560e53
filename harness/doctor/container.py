"""Checks of a system that is itself a container: what of it is the host's. Pure."""

from __future__ import annotations

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Subject

CONTAINER = Subject("container")

_SYSCTL = "https://github.com/opencontainers/runc/issues/4972"


def check_container(facts: HostFacts) -> tuple[Finding, ...]:
    """What this is, and what is therefore to be done elsewhere; nothing on a machine of its own."""
    where = facts.enclosure
    if not where.container:
        return ()
    kind = where.container.upper() if where.container in ("lxc", "oci") else where.container
    mapped = ", unprivileged" if where.unmapped_group is not None else ""
    found = [
        CONTAINER.says(
            "container",
            "note",
            f"this is a container ({kind}{mapped}){' on Proxmox VE' if where.is_on_proxmox else ''}",
            why=f"its kernel, the kernel's command line, modules and firmware belong to {where.host}: fix them there",
        )
    ]
    if where.container == "lxc" and any(engine.name == "docker" for engine in facts.engines):
        update = "apt update && apt install -y lxc-pve" if where.is_on_proxmox else "update LXC to 6.0.6 or later"
        found.append(
            CONTAINER.says(
                "docker in lxc",
                "note",
                "Docker in LXC: runc 1.3.3 and later start no container where the host's LXC is before 6.0.6",
                why="a build then ends with `open sysctl net.ipv4.ip_unprivileged_port_start ... permission denied`",
                fix=f"# only where it does, on {where.host}: {update}, then restart this container",
                source=_SYSCTL,
            )
        )
    return tuple(found)
