"""Which devices the CDI specifications of this host declare (https://github.com/cncf-tags/container-device-interface).

A specification is read only for that; the engine decides whether the rest of it is right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("etc/cdi", "var/run/cdi")
"""Where every engine looks unless it was told otherwise."""

MOST_BYTES = 16 << 20


def declared_devices(root: Path = Path("/")) -> frozenset[str]:
    """Qualified names, such as ``amd.com/gpu=all``. A file that cannot be read declares none."""
    found: set[str] = set()
    for path in (path for folder in FOLDERS for path in sorted((root / folder).glob("*"))):
        if path.suffix in (".json", ".yaml", ".yml"):
            found.update(_devices_of(path))
    return frozenset(found)


def _devices_of(path: Path) -> Iterator[str]:
    """The names that one specification declares."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if path.suffix == ".json":
        try:
            content = json.loads(text)
            kind, names = content["kind"], [device["name"] for device in content["devices"]]
        except (ValueError, LookupError, TypeError, RecursionError):
            return
    else:
        # By line: two scalars need no YAML reader. A `name` below `containerEdits` would be taken for a device's, but the
        # specification has no such field there.
        kind_line = re.search(r"""^kind:\s*["']?([^\s"'#]+)""", text, re.MULTILINE)
        kind = kind_line.group(1) if kind_line else None
        names = re.findall(r"""^\s*(?:-\s+)?name:\s*["']?([^\s"'#]+)""", text, re.MULTILINE)
    if isinstance(kind, str):
        yield from (f"{kind}={name}" for name in names)
