"""A `Run` as the line that a person would type. Pure."""

from __future__ import annotations

from harness.engines.base import LOG, Run, shell_wrapped
from harness.engines.discovery import EngineName


def container_command(engine: EngineName, run: Run) -> tuple[str, ...]:
    """``podman run ...`` or ``docker run ...`` with the same isolation, mounts and limits that the API is asked for."""
    argv = wrapped_argv(run)
    return (
        engine,
        "run",
        "--rm",
        f"--name={run.name}",
        f"--network={run.network}",
        "--read-only",
        f"--tmpfs=/tmp:{tmpfs_options(run)}",
        "--cap-drop=ALL",
        *(f"--security-opt={option}" for option in run.security_options),
        *((f"--user={run.user}",) if run.user else ()),
        *(f"--device={device}" for device in run.devices),
        *((f"--gpus={run.gpus}",) if run.gpus else ()),
        *(f"--group-add={group}" for group in run.groups),
        *((f"--ipc={run.ipc}",) if run.ipc else ()),
        *((f"--memory={run.memory_bytes}", f"--memory-swap={run.memory_bytes}") if run.memory_bytes else ()),
        f"--pids-limit={run.processes_limit}",
        *((f"--shm-size={run.shm_bytes}",) if run.shm_bytes is not None else ()),
        *(f"--env={name}={value}" for name, value in sorted(run.environment.items())),
        *(
            f"--mount=type=bind,{_field('source', mount.source)},target={mount.target}{'' if mount.writable else ',readonly'}"
            for mount in run.mounts
        ),
        f"--workdir={run.working_directory}",
        *(f"--label={name}={value}" for name, value in sorted(run.labels.items())),
        f"--entrypoint={argv[0]}",
        run.image,
        *argv[1:],
    )


def wrapped_argv(run: Run) -> tuple[str, ...]:
    """What process 1 of the container is."""
    return shell_wrapped(run.argv, f"/exchange/{LOG}")


def _field(key: str, value: str) -> str:
    """A field of `--mount`, which is read as a line of CSV."""
    doubled = value.replace('"', '""')
    return f'"{key}={doubled}"' if any(sign in value for sign in ',"\n') else f"{key}={value}"


def tmpfs_options(run: Run) -> str:
    """Executable, since torch and MIOpen compile kernels there and load them."""
    return f"rw,exec,nosuid,nodev,mode=1777,size={run.scratch_bytes}"
