"""Installed versions of the packages that carry the GPU's firmware; rpm itself is asked where there is one."""

from __future__ import annotations

import os
from pathlib import Path

from harness.engines.about import rpm_versions
from harness.machine.firmware_packages import FIRMWARE, RPM_FOLDERS, packages_in_texts


def read_packages(root: Path) -> dict[str, str] | None:
    """Name -> version; ``None`` where there is no package database or it cannot be read."""
    found = packages_in_texts(root)
    if found is not None or not any(os.path.isdir(root / folder) for folder in RPM_FOLDERS):
        return found
    return rpm_versions(FIRMWARE)
