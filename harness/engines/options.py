"""A `Run` as the options of a container. Pure.

Each option stands here once, in the words of the command line, of the docker SDK and of Podman's own interface (libpod). What
`--dry-run` prints and what an engine is asked for are both put together from these options.

Podman is asked through its own interface only for what its Docker-compatible one cannot say (seen with 4.3.1): it drops a CDI
device that `DeviceRequests` names without a word and looks for one in `Devices` as a file, and it looks for `keep-groups` in the
image's group file (https://github.com/containers/podman/issues/14881, which names the annotation instead; the release notes of
Podman 6.0 report the CDI fault as mended).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from harness.engines.base import KEEP_GROUPS, LOG, Run, shell_wrapped
from harness.engines.discovery import EngineName


class Option(msgspec.Struct, frozen=True):
    """One option in each form."""

    words: tuple[str, ...] = ()
    """What follows `podman run` or `docker run`"""
    docker: dict[str, Any] = {}
    """Keywords of the SDK, as its `containers.create` has them"""
    libpod: dict[str, Any] = {}
    """Fields of Podman's `SpecGenerator`"""


def container_command(engine: EngineName, run: Run) -> tuple[str, ...]:
    """``podman run ...`` or ``docker run ...``, as a person would type it."""
    return (engine, "run", *(word for option in _options(run) for word in option.words))


def docker_keywords(run: Run) -> dict[str, Any]:
    """The keywords that create the container through the SDK."""
    return _merged(option.docker for option in _options(run))


def libpod_specification(run: Run) -> dict[str, Any]:
    """The body of the request that creates the container through Podman's own interface."""
    return _merged(option.libpod for option in _options(run))


def needs_libpod(run: Run) -> bool:
    """Whether Podman's Docker-compatible interface cannot say what the run asks for."""
    return run.gpus is not None or KEEP_GROUPS in run.groups or not all(map(_is_node, run.devices))


_LIBPOD_SECURITY: dict[str, dict[str, Any]] = {
    "no-new-privileges": {"no_new_privileges": True},
    "label=disable": {"selinux_opts": ["disable"]},
    "seccomp=unconfined": {"seccomp_profile_path": "unconfined"},
}


def _options(run: Run) -> Iterator[Option]:
    """All options of a run, in the order in which they are printed."""
    argv = shell_wrapped(run.argv, f"/exchange/{LOG}")
    # Executable, since torch and MIOpen compile kernels there and load them.
    scratch = f"rw,exec,nosuid,nodev,mode=1777,size={run.scratch_bytes}"
    yield Option(("--rm",))  # the harness removes a container itself, once it knows how it ended
    yield Option((f"--name={run.name}",), {"name": run.name}, {"name": run.name})
    yield Option((f"--network={run.network}",), {"network_mode": run.network}, {"netns": {"nsmode": run.network}})
    yield Option(("--read-only",), {"read_only": True}, {"read_only_filesystem": True})
    yield Option((f"--tmpfs=/tmp:{scratch}",), {"tmpfs": {"/tmp": scratch}}, {"mounts": [_tmpfs("/tmp", scratch)]})  # noqa: S108
    yield Option(("--cap-drop=ALL",), {"cap_drop": ["ALL"]}, {"cap_drop": ["ALL"]})
    for option in run.security_options:
        yield Option((f"--security-opt={option}",), {"security_opt": [option]}, _LIBPOD_SECURITY[option])
    if run.user:
        yield Option((f"--user={run.user}",), {"user": run.user}, {"user": run.user})
    for device in run.devices:
        yield _node(device) if _is_node(device) else _cdi_device(device)
    if run.gpus:
        yield _gpus(run.gpus)
    for group in run.groups:
        # The annotation is what `podman run` sets for `keep-groups`; crun reads it and leaves the groups as they are.
        kept = {"annotations": {"run.oci.keep_original_groups": "1"}} if group == KEEP_GROUPS else {"groups": [group]}
        yield Option((f"--group-add={group}",), {"group_add": [group]}, kept)
    if run.ipc:
        yield Option((f"--ipc={run.ipc}",), {"ipc_mode": run.ipc}, {"ipcns": {"nsmode": run.ipc}})
    if most := run.memory_bytes:
        yield Option(
            (f"--memory={most}", f"--memory-swap={most}"),
            {"mem_limit": most, "memswap_limit": most},
            {"resource_limits": {"memory": {"limit": most, "swap": most}}},
        )
    limit = run.processes_limit
    yield Option((f"--pids-limit={limit}",), {"pids_limit": limit}, {"resource_limits": {"pids": {"limit": limit}}})
    if run.shm_bytes is not None:
        yield Option((f"--shm-size={run.shm_bytes}",), {"shm_size": run.shm_bytes}, {"shm_size": run.shm_bytes})
    for name, value in sorted(run.environment.items()):
        yield Option((f"--env={name}={value}",), {"environment": {name: value}}, {"env": {name: value}})
    for mount in run.mounts:
        yield _bind(mount.source, mount.target, writable=mount.writable)
    yield Option(
        (f"--workdir={run.working_directory}",),
        {"working_dir": run.working_directory},
        {"work_dir": run.working_directory},
    )
    for name, value in sorted(run.labels.items()):
        yield Option((f"--label={name}={value}",), {"labels": {name: value}}, {"labels": {name: value}})
    yield Option((f"--entrypoint={argv[0]}",), {"entrypoint": [argv[0]]}, {"entrypoint": [argv[0]]})
    yield Option((run.image,), {"image": run.image}, {"image": run.image})
    yield Option(argv[1:], {"command": list(argv[1:])}, {"command": list(argv[1:])})
    # The caller's proxies, with their passwords, are not for an image.
    yield Option(docker={"use_config_proxy": False}, libpod={"httpproxy": False})
    yield Option(libpod=_LIKE_PODMAN_RUN)


def _is_node(device: str) -> bool:
    """Whether a device is a path of this host, not a CDI name."""
    return device.startswith("/")


def _node(device: str) -> Option:
    source, _, target = device.partition(":")
    whole = f"{source}:{target or source}:rw"
    return Option((f"--device={device}",), {"devices": [whole]}, {"devices": [{"path": whole}]})


def _cdi_device(name: str) -> Option:
    asked = {"driver": "cdi", "device_ids": [name]}
    return Option((f"--device={name}",), {"device_requests": [asked]}, {"devices": [{"path": name}]})


def _gpus(which: str) -> Option:
    """NVIDIA's GPUs. Podman has them by CDI alone."""
    number = which.removeprefix("device=")
    asked = {"driver": "", "capabilities": [["gpu"]], **({"count": -1} if which == "all" else {"device_ids": [number]})}
    return Option((f"--gpus={which}",), {"device_requests": [asked]}, {"devices": [{"path": f"nvidia.com/gpu={number}"}]})


def _bind(source: str, target: str, *, writable: bool) -> Option:
    options = ["rbind", "rprivate", "rw" if writable else "ro"]
    return Option(
        (f"--mount=type=bind,{_field('source', source)},target={target}{'' if writable else ',readonly'}",),
        {"mounts": [{"Type": "bind", "Source": source, "Target": target, "ReadOnly": not writable}]},
        {"mounts": [{"type": "bind", "source": source, "destination": target, "options": options}]},
    )


def _field(key: str, value: str) -> str:
    """A field of `--mount`, which the engines read as a line of CSV."""
    doubled = value.replace('"', '""')
    return f'"{key}={doubled}"' if any(sign in value for sign in ',"\n') else f"{key}={value}"


def _tmpfs(place: str, options: str) -> dict[str, Any]:
    return {"type": "tmpfs", "source": "tmpfs", "destination": place, "options": options.split(",")}


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One mapping of many: where two have a key in common, their lists are joined and their mappings merged."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if isinstance(value, list):
                whole[key] = [*whole.get(key, ()), *value]
            elif isinstance(value, dict):
                whole[key] = _merged((whole.get(key, {}), value))
            else:
                whole[key] = value
    return whole


_LIKE_PODMAN_RUN = {
    # Since 4.4 Podman makes /dev and /dev/shm read-only with the root unless this is set (podman#16545; seen with 5.4).
    "read_write_tmpfs": True,
    "mounts": [_tmpfs(place, "rw,rprivate,nosuid,nodev,tmpcopyup") for place in ("/run", "/var/tmp")],  # noqa: S108
    "base_hosts_file": "none",
    "umask": "0000",
    "stop_timeout": 0,
}
"""What Podman's Docker-compatible interface sets by itself and its own interface must be told."""
