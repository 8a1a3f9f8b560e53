"""What `harness.engines.devices` asks for, in real containers.

No GPU is here: char devices that every kernel has, made with mknod or found in /dev, stand in for its nodes. What arrives,
who may open it and what a specification adds is real; nothing speaks to a GPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from harness.catalog.load import load_catalog
from harness.engines.base import LOG, BuiltImage, Mount, Run
from harness.engines.container import ContainerEngine
from harness.engines.container_runs import create_by_libpod, create_container, remove_container
from harness.engines.devices import DeviceRequest, declared_devices, request_devices
from harness.engines.discovery import Found
from harness.engines.options import libpod_specification, needs_libpod
from harness.engines.relaxations import COMPAT, parse_flags
from harness.launch.guest_view import container_user
from harness.records.plan import EngineRecord
from harness.tools import OWNER_LABEL, owner
from tests.commands import Workplace, wait_until

KFD_GROUP, RENDER_GROUP = 64_711, 64_712
"""Of no use on any host."""

ROOTLESS_USER = "strixbench-ci"
"""Whom `.ci/engines.sh` makes for rootless Podman."""

LOOK = """
id -G > /exchange/groups
ls "${NODES:-/dev}/dri" > /exchange/dri 2>/dev/null
head -c 1 "${NODES:-/dev}/kfd" > /dev/null && echo yes > /exchange/opened
echo "$STRIXBENCH_TEST_CDI" > /exchange/cdi
grep ^Seccomp: /proc/self/status > /exchange/seccomp
readlink /proc/self/ns/ipc > /exchange/ipc
df -B1 /dev/shm | tail -1 | tr -s ' ' | cut -d ' ' -f 2 > /exchange/shm
for place in /dev/shm /tmp /var/tmp; do if touch $place/x; then echo $place; fi; done > /exchange/writable
"""


@pytest.fixture
def image(engine: ContainerEngine, request: pytest.FixtureRequest) -> BuiltImage:
    """Any image with a shell: the base of `cpu` where the engine has it."""
    base = load_catalog().images["cpu"].base
    found: BuiltImage | None = engine.find_reference(base) if base else None
    return found or request.getfixturevalue("cpu_image")


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    folder = tmp_path / "exchange"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture
def stand_ins() -> Iterator[Path]:
    """A tree whose /dev has the nodes of a GPU, each for its group alone, and of a display. Itself in /dev, where no
    engine mounts anything over it."""
    if os.getuid() != 0:
        pytest.skip("only root may make device nodes")
    with tempfile.TemporaryDirectory(prefix="strixbench-nodes-", dir="/dev") as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "dev/dri").mkdir(parents=True)
        for name, minor, group in (("kfd", 5, KFD_GROUP), ("dri/renderD128", 3, RENDER_GROUP), ("dri/card0", 3, 0)):
            os.mknod(root / "dev" / name, 0o020660, os.makedev(1, minor))  # 1:5 is zero, 1:3 null
            os.chown(root / "dev" / name, 0, group)
            os.chmod(root / "dev" / name, 0o660)
        yield root


@pytest.fixture
def specification(stand_ins: Path) -> Iterator[Path]:
    """The same tree, and a real CDI specification of its nodes where engines look for it. They arrive under the paths
    that they have here, as a GPU's do: rootless Podman 4.3.1 takes no notice of a `hostPath` (seen)."""
    if any(name.startswith("amd.com/gpu=") for name in declared_devices()):
        pytest.skip("this host has a CDI specification for AMD GPUs of its own")
    nodes = [{"path": str(stand_ins / "dev" / name)} for name in ("kfd", "dri/renderD128")]
    edits = {"deviceNodes": nodes, "env": ["STRIXBENCH_TEST_CDI=arrived"]}
    text = json.dumps(
        {"cdiVersion": "0.5.0", "kind": "amd.com/gpu", "devices": [{"name": "all", "containerEdits": edits}]}, indent=1
    )
    for folder in (Path("/etc/cdi"), stand_ins / "etc/cdi"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "strixbench-test.json").write_text(text)
    yield stand_ins
    Path("/etc/cdi/strixbench-test.json").unlink()
    with contextlib.suppress(OSError):  # it was there before, with something in it
        Path("/etc/cdi").rmdir()


def a_run(engine: ContainerEngine, image: BuiltImage, exchange: Path, request: DeviceRequest, **changes: Any) -> Run:
    """A run with the devices of a request, isolated as a launch is."""
    run = Run(
        name=f"strixbench-test-{time.monotonic_ns()}",
        image=image.id,
        argv=("sh", "-c", LOOK),
        environment={},
        mounts=(Mount(str(exchange), "/exchange", writable=True),),
        working_directory="/",
        exchange=exchange,
        user=container_user(engine.record),
        devices=request.nodes,
        gpus=request.gpus,
        groups=request.groups,
        security_options=request.security_options,
        ipc=request.ipc,
        shm_bytes=request.shm_bytes,
        labels={OWNER_LABEL: owner()},
    )
    return msgspec.structs.replace(run, **changes)


def look(engine: ContainerEngine, run: Run) -> dict[str, str]:
    """What a container saw of its devices."""
    ended = engine.run(run, timeout_seconds=60)
    said = (run.exchange / LOG).read_text() if (run.exchange / LOG).exists() else ""
    assert (ended.started, ended.code) == (True, 0), f"{ended.message} {said}"
    return {path.name: path.read_text().strip() for path in run.exchange.iterdir()}


def inspected(engine: ContainerEngine, container: str) -> dict[str, Any]:
    """What Podman itself says of a container."""
    api = engine.connection.api
    found: dict[str, Any] = api.get(f"{api.base_url}/v4.0.0/libpod/containers/{container}/json", timeout=60).json()
    return found


def need(engine: ContainerEngine, name: str) -> None:
    if engine.record.name != name:
        pytest.skip(f"is about {name}")


def test_the_nodes_and_the_numbers_of_their_groups_arrive_and_no_display(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, stand_ins: Path
) -> None:
    request = request_devices("rocm", engine.record, root=stand_ins)
    assert request.groups == (str(KFD_GROUP), str(RENDER_GROUP))
    seen = look(engine, a_run(engine, image, exchange, request))
    assert {str(KFD_GROUP), str(RENDER_GROUP)} <= set(seen["groups"].split())
    assert (seen["dri"], seen.get("opened")) == ("renderD128", "yes")


def test_without_its_group_a_node_arrives_and_stays_closed(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, stand_ins: Path
) -> None:
    request = msgspec.structs.replace(request_devices("rocm", engine.record, root=stand_ins), groups=())
    seen = look(engine, a_run(engine, image, exchange, request))
    assert (seen["dri"], seen.get("opened")) == ("renderD128", None)
    assert "Permission denied" in seen[LOG]


def test_a_node_that_everyone_may_open_needs_no_group(engine: ContainerEngine, image: BuiltImage, exchange: Path) -> None:
    """With a node that is on every host, so that a user without rights can run this."""
    request = DeviceRequest(device="cuda", nodes=("/dev/zero:/dev/kfd", "/dev/null:/dev/dri/renderD128"))
    seen = look(engine, a_run(engine, image, exchange, request))
    assert (seen["dri"], seen.get("opened")) == ("renderD128", "yes")
    assert len(seen["groups"].split()) == 1


def test_a_cdi_device_arrives_in_podman_with_its_edits_and_the_nodes_groups(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, specification: Path
) -> None:
    need(engine, "podman")
    request = request_devices("rocm", engine.record, root=specification)
    assert request.nodes == ("amd.com/gpu=all",)
    seen = look(engine, a_run(engine, image, exchange, request, environment={"NODES": str(specification / "dev")}))
    assert (seen["cdi"], seen["dri"], seen.get("opened")) == ("arrived", "renderD128", "yes")
    assert {str(KFD_GROUP), str(RENDER_GROUP)} <= set(seen["groups"].split())


def test_a_docker_that_knows_no_cdi_gets_amd_s_nodes_and_says_what_nvidia_s_need(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, specification: Path
) -> None:
    need(engine, "docker")
    if engine.record.device_drivers:
        pytest.skip(f"this Docker knows {', '.join(engine.record.device_drivers)}")
    seen = look(engine, a_run(engine, image, exchange, request_devices("rocm", engine.record, root=specification)))
    assert (seen["cdi"], seen["dri"], seen.get("opened")) == ("", "renderD128", "yes")
    text = '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all"}]}'
    (specification / "etc/cdi/nvidia.json").write_text(text)
    (sentence,) = request_devices("cuda", engine.record, root=specification).missing
    assert "takes no CDI device" in sentence


def test_the_wish_for_nvidia_gpus_reaches_docker(engine: ContainerEngine, image: BuiltImage, exchange: Path) -> None:
    need(engine, "docker")
    if engine.record.device_drivers and "nvidia" in engine.record.device_drivers:
        pytest.skip("this Docker has NVIDIA's runtime")
    ended = engine.run(a_run(engine, image, exchange, DeviceRequest(device="cuda", gpus="all")), timeout_seconds=60)
    assert not ended.started
    assert "gpu" in ended.message


def test_the_least_and_the_compatible_set_arrive_as_asked(engine: ContainerEngine, image: BuiltImage, exchange: Path) -> None:
    least = look(engine, a_run(engine, image, exchange, request_devices("cpu", engine.record)))
    assert least["seccomp"].split()[1] == "2"
    assert least["ipc"] != os.readlink("/proc/self/ns/ipc")
    assert least["shm"] == str(1 << 30)
    request = request_devices("cpu", engine.record, flags=parse_flags("compat"))
    wide = look(engine, a_run(engine, image, exchange, request))
    assert wide["seccomp"].split()[1] == "0"
    assert wide["ipc"] == os.readlink("/proc/self/ns/ipc")


@pytest.mark.parametrize("device", ["/dev/strixbench-no-such-node", "strixbench.test/gpu=none"])
def test_a_device_that_is_not_there_was_never_started(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, device: str
) -> None:
    ended = engine.run(a_run(engine, image, exchange, DeviceRequest(device="cuda", nodes=(device,))), timeout_seconds=60)
    assert not ended.started
    assert ended.message
    assert not list(exchange.iterdir())


def test_a_host_without_the_nodes_is_a_verdict_before_the_start(
    engine: ContainerEngine, image: BuiltImage, workplace: Workplace
) -> None:
    missing = request_devices("rocm", engine.record).missing
    if not missing:
        pytest.skip("this host has an AMD GPU")
    done = workplace.run("probe", image.id, "--family", "rocm", "--engine", engine.record.name, "--json")
    (launch,) = {launch.verdict for launch in done.launches}
    assert (done.code, launch.stage, launch.cause) == (1, "device", "no device")
    assert missing[0] in launch.summary
    assert not any(launch.exit.started for launch in done.launches)


def test_both_ways_to_make_a_podman_container_make_the_same(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, tmp_path: Path
) -> None:
    need(engine, "podman")
    (tmp_path / "models").mkdir()
    run = a_run(
        engine,
        image,
        exchange,
        DeviceRequest(device="cuda", nodes=("/dev/zero:/dev/kfd",), groups=() if engine.record.rootless else ("64711",)),
        environment={"HOME": "/tmp", "A": "b c"},
        mounts=(Mount(str(exchange), "/exchange", writable=True), Mount(str(tmp_path / "models"), "/models")),
        memory_bytes=None if engine.record.rootless else 1 << 29,
    )
    described = []
    for create in (create_container, create_by_libpod):
        container = create(engine.connection, run)
        try:
            described.append(comparable(inspected(engine, container)))
        finally:
            remove_container(engine.connection, container)
    for part in described[0]:
        assert described[0][part] == described[1][part]
    assert described[0]["HostConfig"]["ReadonlyRootfs"]


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """What Podman says of a container, without what no two containers share and without the order of lists."""
    config, host = found["Config"], found["HostConfig"]
    # The image as it was asked for: its id is compared below. How long a `podman stop` waits: nothing of ours stops one, and
    # Podman 5 fills it in for Docker's interface alone.
    for name in ("Hostname", "CreateCommand", "Image", "StopTimeout"):
        config.pop(name, None)
    # Without when it was made, and without a "false" where the other way leaves it out. Podman 5 says None of none.
    annotations = (config["Annotations"] or {}).items()
    config["Annotations"] = {name: value for name, value in annotations if not name.endswith((".Created", ".TTY"))}
    host.pop("LogConfig", None)
    config["Env"] = sorted(variable for variable in config["Env"] if not variable.startswith("HOSTNAME="))
    host["Binds"] = sorted(sorted(bind.replace(":", ",").split(",")) for bind in host["Binds"])
    # Podman adds /run and /var/tmp to a read-only root by itself: 4 lists them, 5 does not.
    host["Tmpfs"] = sorted(host["Tmpfs"]["/tmp"].split(","))
    kept = ("Path", "Args", "Config", "HostConfig", "EffectiveCaps", "BoundingCaps", "MountLabel", "ProcessLabel", "Image")
    return {name: found.get(name) for name in kept}


@pytest.mark.parametrize("groups", [(), ("keep-groups",)], ids=["docker's interface", "podman's own"])
def test_shared_memory_and_temporary_folders_can_be_written_whichever_way_the_container_was_made(
    engine: ContainerEngine, image: BuiltImage, exchange: Path, groups: tuple[str, ...]
) -> None:
    need(engine, "podman")
    run = a_run(engine, image, exchange, DeviceRequest(device="cuda", groups=groups))
    assert needs_libpod(run) is bool(groups)
    assert look(engine, run)["writable"].split() == ["/dev/shm", "/tmp", "/var/tmp"]


def test_kept_groups_reach_podman_as_the_annotation_that_crun_reads(
    engine: ContainerEngine, image: BuiltImage, exchange: Path
) -> None:
    need(engine, "podman")
    run = a_run(engine, image, exchange, DeviceRequest(device="cuda", groups=("keep-groups",)))
    container = create_container(engine.connection, run)
    try:
        found = inspected(engine, container)
    finally:
        remove_container(engine.connection, container)
    assert found["Config"]["Annotations"]["run.oci.keep_original_groups"] == "1"
    assert found["HostConfig"]["GroupAdd"] == []
    assert "--group-add=keep-groups" in engine.command(run)
    assert "groups" not in libpod_specification(run)


class RootlessService:
    """A rootless Podman service of another user, who is in the stand-ins' groups, with crun for its runtime.

    crun refuses hosts that mount both generations of cgroups; the service runs in a mount namespace of its own without
    the second, and in a pid namespace, so that nothing of it outlives it. Its storage reads the images of the user's own.
    """

    def __init__(self, home: Path) -> None:
        account = pwd.getpwnam(ROOTLESS_USER)
        self.socket = home / "podman.sock"
        self._runtime = home / "run"
        configuration = home / ".config/containers"
        configuration.mkdir(parents=True)
        self._runtime.mkdir()
        (configuration / "containers.conf").write_text('[engine]\nruntime = "crun"\n')
        images = Path(account.pw_dir) / ".local/share/containers/storage"
        (configuration / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\n[storage.options]\nadditionalimagestores = ["{images}"]\n'
        )
        for path in (home, *home.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o700 if path.is_dir() else 0o600)
        groups = f"{account.pw_gid},{KFD_GROUP},{RENDER_GROUP}"
        ids = f"--reuid={account.pw_uid} --regid={account.pw_gid} --groups={groups}"
        environment = f"env -i HOME={home} XDG_RUNTIME_DIR={self._runtime} PATH={os.environ['PATH']}"
        script = (
            "mount --make-rprivate / && { umount /sys/fs/cgroup/unified 2>/dev/null || true; } && "
            f"cd {home} && exec setpriv {ids} {environment} podman system service --time=60 unix://{self.socket}"
        )
        namespaces = ("unshare", "--mount", "--pid", "--fork", "--mount-proc")
        self.process = subprocess.Popen((*namespaces, "sh", "-c", script), stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """End it with all that it left at work: the first process of the namespace ends after all others."""
        for started in psutil.Process(self.process.pid).children():
            started.kill()
        self.process.wait(timeout=30)


@pytest.fixture
def rootless_engine(stand_ins: Path) -> Iterator[ContainerEngine]:
    """Rootless Podman with crun, started by root for a user."""
    missing = [name for name in ("podman", "crun", "unshare", "setpriv", "newuidmap") if shutil.which(name) is None]
    if missing or ROOTLESS_USER not in {account.pw_name for account in pwd.getpwall()}:
        pytest.skip(f"not here: {', '.join(missing) or f'the user {ROOTLESS_USER}, whom .ci/engines.sh makes'}")
    home = Path(tempfile.mkdtemp(prefix="strixbench-rootless-"))
    service = RootlessService(home)
    try:
        wait_until(lambda: service.socket.exists() or service.process.poll() is not None, what="the service", seconds=30)
        opened = ContainerEngine(Found("podman", str(service.socket)))
        yield opened
        opened.close()
    finally:
        service.end()
        shutil.rmtree(home)


@pytest.mark.parametrize("way", ["nodes", "cdi"])
def test_rootless_podman_with_crun_opens_what_the_caller_s_groups_alone_may_open(
    rootless_engine: ContainerEngine, stand_ins: Path, way: str, request: pytest.FixtureRequest
) -> None:
    record = rootless_engine.record
    assert (record.rootless, record.runtime) == (True, "crun")
    if way == "cdi":
        request.getfixturevalue("specification")
    base = load_catalog().images["cpu"].base
    image = rootless_engine.find_reference(base) if base else None
    if image is None:
        pytest.skip(f"{ROOTLESS_USER}'s Podman has no {base}")
    asked = request_devices("rocm", record, root=stand_ins)
    assert asked.groups == ("keep-groups",)
    assert (asked.nodes == ("amd.com/gpu=all",)) is (way == "cdi")
    for groups, opened in ((asked.groups, "yes"), ((), None)):
        with tempfile.TemporaryDirectory(prefix="strixbench-exchange-") as folder:
            Path(folder).chmod(0o777)
            run = a_run(rootless_engine, image, Path(folder), asked, groups=groups)
            if way == "cdi":
                run = msgspec.structs.replace(run, environment={"NODES": str(stand_ins / "dev")})
            seen = look(rootless_engine, run)
        assert (seen["dri"], seen.get("opened")) == ("renderD128", opened)
        assert seen["cdi"] == ("arrived" if way == "cdi" else "")


def test_rootless_podman_with_runc_is_an_obstacle_before_the_start(stand_ins: Path) -> None:
    runc = EngineRecord(name="podman", version="4.3.1", rootless=True, runtime="runc")
    assert "crun" in request_devices("rocm", runc, root=stand_ins).missing[0]


def test_an_image_without_a_gpu_needs_no_relaxation_and_every_launch_is_stored(
    engine: ContainerEngine, cpu_image: BuiltImage, workplace: Workplace
) -> None:
    need(engine, "podman")  # six launches of torch: once is enough
    done = workplace.run("flags", cpu_image.id, "--family", "cpu", "--engine", engine.record.name, "--json")
    findings = {finding["flags"]: finding for finding in json.loads(done.stdout)}
    assert done.code == 0
    needs = {name: finding["need"] for name, finding in findings.items()}
    assert needs == {**dict.fromkeys(COMPAT, "not needed"), "/dev/dri": "does not apply", "least": "passes"}
    stored = {launch.id: launch for launch in workplace.stored()}
    assert len(stored) == len(COMPAT) + 2
    assert {launch.plan.last_stage for launch in stored.values()} == {"device"}
    assert stored[findings["least"]["launches"][0]].plan.flags == "least"
