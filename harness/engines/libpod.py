"""A `Run` as Podman's own interface takes it. Pure.

Podman's Docker-compatible interface cannot say two things that a GPU may need (seen with 4.3.1): a CDI device named in
`DeviceRequests` is dropped without a word and one in `Devices` is looked for as a file, and `keep-groups` is looked for
in the image's group file (https://github.com/containers/podman/issues/14881, which names the annotation instead; Podman
6.0's release notes tell of the CDI fault as mended). For such runs alone the container is made here; a test compares it with what the other way
makes, so that the two stay the same in all else.
"""

from __future__ import annotations

from typing import Any

from harness.engines.base import KEEP_GROUPS, Run
from harness.engines.options import tmpfs_options, wrapped_argv

CREATE = "/v{version}/libpod/containers/create"
"""https://docs.podman.io/en/latest/_static/api.html#tag/containers/operation/ContainerCreateLibpod; of the service's own
version, which every service serves."""

INFO = "/v{version}/libpod/info"

_TMPFS = "rw,rprivate,nosuid,nodev,tmpcopyup"


def needs_libpod(run: Run) -> bool:
    """Whether Docker's interface of Podman cannot say what is asked for."""
    return bool(cdi_names(run)) or KEEP_GROUPS in run.groups


def cdi_names(run: Run) -> tuple[str, ...]:
    """The devices that are CDI names."""
    return tuple(device for device in run.devices if not device.startswith("/"))


def node_paths(run: Run) -> tuple[tuple[str, str], ...]:
    """The devices that are nodes: path on this host, path in the container."""
    split = (device.partition(":") for device in run.devices if device.startswith("/"))
    return tuple((source, target or source) for source, _, target in split)


def container_specification(run: Run) -> dict[str, Any]:
    """The body of a request that creates the container."""
    argv = wrapped_argv(run)
    options = list(run.security_options)
    specification: dict[str, Any] = {
        "name": run.name,
        "image": run.image,
        "entrypoint": [argv[0]],
        "command": list(argv[1:]),
        "env": dict(run.environment),
        "labels": dict(run.labels),
        "user": run.user or "",
        "work_dir": run.working_directory,
        "netns": {"nsmode": run.network},
        "httpproxy": False,
        "read_only_filesystem": True,
        # Since 4.4 Podman makes /dev and /dev/shm read-only with the root, where this is not said (podman#16545; seen with
        # 5.4). Docker's interface and `podman run` say it. Nor do those copy the host's /etc/hosts.
        "read_write_tmpfs": True,
        "base_hosts_file": "none",
        "mounts": [
            {
                "type": "bind",
                "source": mount.source,
                "destination": mount.target,
                "options": ["rbind", "rprivate", "rw" if mount.writable else "ro"],
            }
            for mount in run.mounts
        ]
        + [
            {"type": "tmpfs", "source": "tmpfs", "destination": place, "options": tmpfs.split(",")}
            # The other two are what Podman adds to a read-only root by itself, as `podman run` does.
            for place, tmpfs in {"/tmp": tmpfs_options(run), "/run": _TMPFS, "/var/tmp": _TMPFS}.items()  # noqa: S108
        ],
        "umask": "0000",
        "stop_timeout": 0,
        "cap_drop": ["ALL"],
        "no_new_privileges": "no-new-privileges" in options,
        "selinux_opts": ["disable"] if "label=disable" in options else [],
        "devices": [{"path": f"{source}:{target}:rw"} for source, target in node_paths(run)]
        + [{"path": name} for name in cdi_names(run)],
        "groups": [group for group in run.groups if group != KEEP_GROUPS],
        "resource_limits": {"pids": {"limit": run.processes_limit}},
    }
    if "seccomp=unconfined" in options:
        specification["seccomp_profile_path"] = "unconfined"
    if KEEP_GROUPS in run.groups:
        # What `podman run --group-add keep-groups` sets; crun reads it and leaves the groups as they are.
        specification["annotations"] = {"run.oci.keep_original_groups": "1"}
    if run.ipc is not None:
        specification["ipcns"] = {"nsmode": run.ipc}
    if run.shm_bytes is not None:
        specification["shm_size"] = run.shm_bytes
    if run.memory_bytes is not None:
        specification["resource_limits"]["memory"] = {"limit": run.memory_bytes, "swap": run.memory_bytes}
    return specification
