"""Where engines keep images, read from what they say. Pure.

Docker and Podman unpack what they fetch, each in a different place:

- Podman writes the compressed layers of a base, and each layer that a build commits, to its temporary folder first: ``TMPDIR``,
  else ``image_copy_tmp_dir`` of containers.conf, else ``/var/tmp`` (podman-pull(1)). Its own `info` names that folder.
- Docker fetches into a folder beside its images. A daemon with the containerd store, the default of new installations from Docker 29
  on, keeps the compressed layers too, below containerd's root and not below its own
  (https://docs.docker.com/engine/storage/containerd/, docker/docs#24496).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.engines.base import Storage

LIBPOD_INFO = "/v{version}/libpod/info"
"""Where Podman's own interface tells of itself, in the version of the service."""

CONTAINERD_ROOT = "/var/lib/containerd"
"""The default of ``root`` in containerd's configuration."""

PODMAN_SPOOL = "/var/tmp"  # noqa: S108 - Podman's own default; nothing of ours is written there

_CONTAINERD_STORE = "io.containerd.snapshotter.v1"


def podman_storage(store: Mapping[str, Any]) -> Storage:
    """What the part ``store`` of `podman info`, or of ``GET /libpod/info``, says."""
    return Storage(folder=_text(store.get("graphRoot")), spool=_text(store.get("imageCopyTmpDir")) or PODMAN_SPOOL)


def docker_storage(info: Mapping[str, Any]) -> Storage:
    """What ``GET /info`` of Docker's API says."""
    root = _text(info.get("DockerRootDir"))
    status = info.get("DriverStatus") or ()
    if not any(list(row) == ["driver-type", _CONTAINERD_STORE] for row in status):
        return Storage(folder=root)
    address = str((info.get("Containerd") or {}).get("Address") or "")
    # A containerd that dockerd started itself, as a rootless one does, lies below Docker's own root and has its socket in
    # Docker's own folder: `/run/docker/containerd/containerd.sock`.
    return Storage(folder=root if "/docker/containerd/" in address else CONTAINERD_ROOT, keeps_compressed=True)


def _text(value: object) -> str | None:
    return str(value)[:300] if value else None
