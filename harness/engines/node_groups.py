"""Which groups a container's process needs to open the GPU's nodes, and what keeps it from them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from harness.engines.base import KEEP_GROUPS
from harness.engines.discovery import group_name
from harness.machine.enclosure import Enclosure, how_to_map
from harness.machine.files import read_file
from harness.records.plan import EngineRecord

Groups = Literal["numbers", "keep", "none"]

GROUPS: dict[tuple[str, bool], Groups] = {
    ("podman", False): "numbers",
    ("podman", True): "keep",
    ("docker", False): "numbers",
    ("docker", True): "none",
}
"""(engine, rootless) -> how a container's process comes into the groups that own the nodes. By number, since the image need not
know the names. A rootless engine can map none of the host's groups: Podman can leave the caller's own with the process, which
only the runtime crun does; Docker cannot."""


def node_groups(
    engine: EngineRecord, nodes: Sequence[Path], enclosure: Enclosure, root: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The groups to ask for, and sentences that say what keeps the process from nodes in spite of them.

    Nodes that everyone may open need no group.
    """
    closed = [node for node in nodes if os.stat(node).st_mode & 0o006 != 0o006]
    if not closed:
        return (), ()
    way = GROUPS[engine.name, engine.rootless]
    # The number of a group that is not mapped means another group outside, so it is never asked for. A caller who is in the
    # group nevertheless can hand it on.
    unmapped = [node for node in closed if os.stat(node).st_gid == enclosure.unmapped_group]
    if way != "numbers":
        unmapped = [node for node in unmapped if not os.access(node, os.R_OK | os.W_OK)]
    if unmapped:
        names = [f"/{node.relative_to(root)}" for node in unmapped]
        return (), (
            f"{' and '.join(names)}: owned by a group of {enclosure.host} that this container does not map (it shows as "
            f"{enclosure.unmapped_group}), so that nothing in here can be given it. On {enclosure.host}, "
            + how_to_map(enclosure, names, _group_number("render", root)),
        )
    if way == "numbers":
        return tuple(sorted({str(os.stat(node).st_gid) for node in closed}, key=int)), ()
    barred = [node for node in closed if not os.access(node, os.R_OK | os.W_OK)]
    if barred:
        owners = ",".join(sorted({group_name(os.stat(node).st_gid) for node in barred}))
        return (), (f"you may not open {', '.join(map(str, barred))}: `sudo usermod -aG {owners} $USER`, then log in again",)
    if way == "none":
        return (), ("rootless Docker cannot hand in the groups that own the GPU's nodes: use Podman, or rootful Docker",)
    if engine.runtime not in (None, "crun"):
        return (), (
            f"rootless Podman runs containers with {engine.runtime} here, and keep-groups, which opens the GPU's nodes, needs "
            'crun: install it and set `runtime = "crun"` under [engine] in containers.conf',
        )
    return (KEEP_GROUPS,), ()


def _group_number(name: str, root: Path) -> int | None:
    """The number of a group of this system; ``None``: it has none of that name."""
    text = read_file(root / "etc/group").text or ""
    found = re.search(rf"(?m)^{re.escape(name)}:[^:]*:(\d{{1,10}}):", text)
    return int(found[1]) if found else None
