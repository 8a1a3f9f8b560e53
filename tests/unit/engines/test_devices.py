"""Device nodes are plain files of a made-up tree here: nothing opens them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.engines.devices import request_devices
from harness.engines.relaxations import COMPAT, flags_text, parse_flags
from harness.errors import UsageError
from harness.records.plan import EngineRecord
from tests.unit.real_hosts import TWO_GPUS, UNPRIVILEGED_LXC
from tests.unit.samples import a_gpu, is_root

PODMAN = EngineRecord(name="podman", version="5.7.0", runtime="crun")
ROOTLESS_PODMAN = EngineRecord(name="podman", version="5.7.0", rootless=True, runtime="crun")
DOCKER = EngineRecord(name="docker", version="28.2.2", runtime="runc", device_drivers=("cdi",))
OLD_DOCKER = EngineRecord(name="docker", version="20.10.24+dfsg1", runtime="runc", device_drivers=())
ROOTLESS_DOCKER = EngineRecord(name="docker", version="28.2.2", rootless=True, runtime="runc", device_drivers=("cdi",))
ENGINES = (PODMAN, ROOTLESS_PODMAN, DOCKER, OLD_DOCKER, ROOTLESS_DOCKER)

AMD_CDI = '{"cdiVersion": "0.6.0", "kind": "amd.com/gpu", "devices": [{"name": "0"}, {"name": "all"}]}'
NVIDIA_CDI = '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0"}, {"name": "all"}]}'


def with_file(root: Path, name: str, text: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


def with_selinux(root: Path, *, enforce: str = "1", boolean: str | None = None) -> Path:
    with_file(root, "sys/fs/selinux/enforce", enforce)
    if boolean is not None:
        with_file(root, "sys/fs/selinux/booleans/container_use_devices", boolean)
    return root


def inside(nodes: tuple[str, ...]) -> list[str]:
    """Where nodes arrive; CDI names as they are."""
    return [node.rpartition(":")[2] for node in nodes]


def with_nodes(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def an_amd_host(root: Path) -> Path:
    """Nodes that their group alone may open, and a display's."""
    with_nodes(root, "dev/kfd", "dev/dri/renderD128", "dev/dri/card0")
    for name in ("kfd", "dri/renderD128", "dri/card0"):
        (root / "dev" / name).chmod(0o660)
    return root


@pytest.mark.parametrize("family", ["cpu", None])
def test_an_image_without_a_gpu_gets_no_device_and_no_relaxation(tmp_path: Path, family: None) -> None:
    request = request_devices(family, PODMAN, root=an_amd_host(tmp_path))
    assert (request.device, request.nodes, request.groups, request.relaxations, request.missing) == ("cpu", (), (), (), ())
    assert request.security_options == ("no-new-privileges",)


@pytest.mark.parametrize("family", ["rocm", "therock"])
def test_an_amd_image_gets_the_compute_node_and_the_render_nodes_alone(tmp_path: Path, family: str) -> None:
    root = with_nodes(an_amd_host(tmp_path), "dev/dri/renderD129")
    request = request_devices(family, PODMAN, root=root)  # type: ignore[arg-type]
    assert request.device == "cuda"
    assert inside(request.nodes) == ["/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD129"]
    assert request.missing == ()


def test_the_groups_are_the_numbers_of_those_that_own_the_nodes(tmp_path: Path) -> None:
    request = request_devices("rocm", DOCKER, root=an_amd_host(tmp_path))
    assert request.groups == (str(os.stat(tmp_path / "dev/kfd").st_gid),)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: f"{engine.name}-{engine.rootless}")
def test_nodes_that_everyone_may_open_ask_for_no_group(tmp_path: Path, engine: EngineRecord) -> None:
    root = an_amd_host(tmp_path)
    for name in ("kfd", "dri/renderD128"):
        (root / "dev" / name).chmod(0o666)
    request = request_devices("rocm", engine, root=root)
    assert (request.groups, request.missing) == ((), ())


def test_rootless_podman_keeps_the_caller_s_groups(tmp_path: Path) -> None:
    request = request_devices("rocm", ROOTLESS_PODMAN, root=an_amd_host(tmp_path))
    assert (request.groups, request.missing) == (("keep-groups",), ())


def test_rootless_podman_with_another_runtime_than_crun_is_told_what_to_do(tmp_path: Path) -> None:
    runc = EngineRecord(name="podman", version="4.3.1", rootless=True, runtime="runc")
    request = request_devices("rocm", runc, root=an_amd_host(tmp_path))
    assert request.groups == ()
    assert "keep-groups" in request.missing[0]
    assert "crun" in request.missing[0]


def test_rootless_docker_cannot_hand_in_a_group(tmp_path: Path) -> None:
    request = request_devices("rocm", ROOTLESS_DOCKER, root=an_amd_host(tmp_path))
    assert request.groups == ()
    assert "rootless Docker" in request.missing[0]


@pytest.mark.skipif(is_root(), reason="root may open everything")
def test_a_caller_who_may_not_open_a_node_is_told_which_group_to_join(tmp_path: Path) -> None:
    root = an_amd_host(tmp_path)
    (root / "dev/kfd").chmod(0)
    (sentence,) = request_devices("rocm", ROOTLESS_PODMAN, root=root).missing
    assert "you may not open" in sentence
    assert "usermod -aG" in sentence


def test_a_host_without_the_driver_is_told_so(tmp_path: Path) -> None:
    (sentence,) = request_devices("rocm", PODMAN, root=tmp_path).missing
    assert "/dev/kfd" in sentence
    assert "amdgpu driver" in sentence


def test_a_host_without_a_render_node_is_told_so(tmp_path: Path) -> None:
    (sentence,) = request_devices("rocm", PODMAN, root=with_nodes(tmp_path, "dev/kfd")).missing
    assert "/dev/dri/renderD*" in sentence


def test_nothing_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    request = request_devices("rocm", PODMAN, root=tmp_path)
    assert (request.nodes, request.groups) == ((), ())


def test_one_chosen_gpu_is_handed_in_alone(tmp_path: Path) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:c5:00.0")
    a_gpu(tmp_path, "renderD129", pci="0000:03:00.0")
    with_file(tmp_path, "etc/cdi/amd.json", AMD_CDI)
    for wanted in ("0", "03:00.0"):
        request = request_devices("rocm", PODMAN, gpu=wanted, root=tmp_path)
        assert (inside(request.nodes), request.gpu) == (["/dev/kfd", "/dev/dri/renderD129"], "0000:03:00.0")
    with pytest.raises(UsageError, match=r"1 \(0000:c5:00\.0\)"):
        request_devices("rocm", PODMAN, gpu="2", root=tmp_path)


def with_two_gpus(root: Path) -> Path:
    """A Strix Halo, and an R9700 outside that the KFD found first."""
    a_gpu(root, "renderD128", pci="0000:c5:00.0")
    a_gpu(root, "renderD129", pci="0000:67:00.0")
    for name, text in TWO_GPUS.items():
        with_file(root, name, text)
    return root


BOTH = ["/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD129"]


@pytest.mark.parametrize("engine", [ROOTLESS_PODMAN, ROOTLESS_DOCKER], ids=lambda engine: engine.name)
@pytest.mark.parametrize(("wanted", "visible"), [("c5:00.0", "1"), ("67:00.0", "GPU-402fe0b1a3c4ffff")])
def test_an_engine_without_a_device_cgroup_hands_in_every_gpu_and_shows_one(
    tmp_path: Path, engine: EngineRecord, wanted: str, visible: str
) -> None:
    request = request_devices("rocm", engine, gpu=wanted, root=with_two_gpus(tmp_path))
    assert (inside(request.nodes), request.gpu) == (BOTH, f"0000:{wanted}")
    assert request.environment == {"ROCR_VISIBLE_DEVICES": visible}
    (relaxation,) = request.relaxations
    assert relaxation.what == "every AMD render node"
    assert "issues/3144" in relaxation.source


@pytest.mark.parametrize("engine", [PODMAN, DOCKER, OLD_DOCKER], ids=lambda engine: f"{engine.name}-{engine.version}")
def test_an_engine_of_root_s_keeps_the_other_gpus_from_the_container(tmp_path: Path, engine: EngineRecord) -> None:
    request = request_devices("rocm", engine, gpu="c5:00.0", root=with_two_gpus(tmp_path))
    assert inside(request.nodes) == ["/dev/kfd", "/dev/dri/renderD128"]
    assert (request.environment, request.relaxations) == ({}, ())


def test_root_of_a_user_namespace_has_no_device_cgroup_either(tmp_path: Path) -> None:
    root = with_file(with_two_gpus(tmp_path), "proc/self/gid_map", UNPRIVILEGED_LXC["proc/self/gid_map"])
    request = request_devices("rocm", DOCKER, gpu="c5:00.0", root=root)
    assert (inside(request.nodes), request.environment) == (BOTH, {"ROCR_VISIBLE_DEVICES": "1"})


def test_a_gpu_that_was_not_chosen_or_is_the_only_one_needs_no_variable(tmp_path: Path) -> None:
    request = request_devices("rocm", ROOTLESS_PODMAN, root=with_two_gpus(tmp_path / "two"))
    assert (inside(request.nodes), request.environment) == (BOTH, {})
    a_gpu(tmp_path / "one", "renderD128", pci="0000:c5:00.0", target=110501)
    alone = request_devices("rocm", ROOTLESS_PODMAN, gpu="0", root=tmp_path / "one")
    assert (inside(alone.nodes), alone.environment) == (["/dev/kfd", "/dev/dri/renderD128"], {})


def an_unprivileged_lxc(root: Path) -> Path:
    """Its nodes' group is no group in there: what this test's files show as is taken for the kernel's number of such."""
    for name, text in UNPRIVILEGED_LXC.items():
        with_file(root, name, text)
    with_file(root, "proc/sys/kernel/overflowgid", f"{os.stat(root / 'dev/kfd').st_gid}\n")
    for name in ("dev/kfd", "dev/dri/renderD128"):
        (root / name).chmod(0o660)
    return root


@pytest.mark.parametrize("engine", [DOCKER, OLD_DOCKER, PODMAN], ids=lambda engine: f"{engine.name}-{engine.version}")
def test_a_group_that_an_unprivileged_container_does_not_map_is_an_obstacle_and_never_asked_for(
    tmp_path: Path, engine: EngineRecord
) -> None:
    request = request_devices("rocm", engine, root=an_unprivileged_lxc(tmp_path))
    assert request.groups == ()
    (sentence,) = request.missing
    assert sentence.startswith("/dev/kfd and /dev/dri/renderD128: owned by a group of the Proxmox host")
    assert "`dev0: /dev/kfd,gid=993` and `dev1: /dev/dri/renderD128,gid=993`" in sentence


def test_a_group_that_is_not_mapped_is_no_obstacle_where_the_caller_has_it_and_can_hand_it_on(tmp_path: Path) -> None:
    request = request_devices("rocm", ROOTLESS_PODMAN, root=an_unprivileged_lxc(tmp_path))
    assert (request.groups, request.missing) == (("keep-groups",), ())


def test_nodes_that_an_unprivileged_container_maps_are_asked_for_by_number(tmp_path: Path) -> None:
    root = with_file(an_unprivileged_lxc(tmp_path), "proc/sys/kernel/overflowgid", "65534\n")
    request = request_devices("rocm", DOCKER, root=root)
    assert (request.groups, request.missing) == ((str(os.stat(root / "dev/kfd").st_gid),), ())


def test_a_gpu_of_another_vendor_is_not_handed_in(tmp_path: Path) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:00:02.0", vendor="0x8086")
    a_gpu(tmp_path, "renderD129", pci="0000:03:00.0")
    assert inside(request_devices("rocm", DOCKER, root=tmp_path).nodes) == ["/dev/kfd", "/dev/dri/renderD129"]


@pytest.mark.parametrize("engine", [PODMAN, ROOTLESS_PODMAN, DOCKER], ids=lambda engine: f"{engine.name}-{engine.rootless}")
def test_an_amd_specification_is_used_where_the_engine_can_and_recorded_as_wider(tmp_path: Path, engine: EngineRecord) -> None:
    request = request_devices("rocm", engine, root=with_file(an_amd_host(tmp_path), "etc/cdi/amd.json", AMD_CDI))
    assert request.nodes == ("amd.com/gpu=all",)
    assert request.groups != ()
    assert [relaxation.what for relaxation in request.relaxations] == ["amd.com/gpu=all"]


def test_an_engine_that_knows_no_cdi_gets_amd_s_nodes(tmp_path: Path) -> None:
    request = request_devices("rocm", OLD_DOCKER, root=with_file(an_amd_host(tmp_path), "etc/cdi/amd.json", AMD_CDI))
    assert inside(request.nodes) == ["/dev/kfd", "/dev/dri/renderD128"]


def test_a_file_of_the_right_name_that_declares_something_else_is_no_specification(tmp_path: Path) -> None:
    request = request_devices("rocm", PODMAN, root=with_file(an_amd_host(tmp_path), "etc/cdi/amd.json", NVIDIA_CDI))
    assert inside(request.nodes) == ["/dev/kfd", "/dev/dri/renderD128"]


@pytest.mark.parametrize("place", ["etc/cdi/nvidia.json", "var/run/cdi/whatever.json"])
@pytest.mark.parametrize("engine", [PODMAN, DOCKER, ROOTLESS_PODMAN], ids=lambda engine: f"{engine.name}-{engine.rootless}")
def test_an_nvidia_image_gets_its_gpu_by_cdi(tmp_path: Path, place: str, engine: EngineRecord) -> None:
    root = with_file(tmp_path, place, NVIDIA_CDI)
    request = request_devices("cuda", engine, root=root)
    assert (request.device, request.nodes, request.gpus, request.missing) == ("cuda", ("nvidia.com/gpu=all",), None, ())
    assert request_devices("cuda", engine, gpu="0", root=root).nodes == ("nvidia.com/gpu=0",)


@pytest.mark.parametrize(("gpu", "asked"), [(None, "all"), ("1", "device=1")])
def test_docker_without_cdi_hands_in_an_nvidia_gpu_by_its_own_option(tmp_path: Path, gpu: str | None, asked: str) -> None:
    with_nvidia = EngineRecord(name="docker", version="20.10.24", runtime="runc", device_drivers=("nvidia",))
    request = request_devices("cuda", with_nvidia, gpu=gpu, root=with_file(tmp_path, "etc/cdi/nvidia.json", NVIDIA_CDI))
    assert (request.nodes, request.gpus, request.gpu, request.missing) == ((), asked, gpu, ())


def test_docker_that_knows_neither_way_is_told_both(tmp_path: Path) -> None:
    (sentence,) = request_devices("cuda", OLD_DOCKER, root=with_file(tmp_path, "etc/cdi/nvidia.json", NVIDIA_CDI)).missing
    assert "docker 20.10.24+dfsg1 takes no CDI device" in sentence
    assert "25.0" in sentence
    assert "nvidia-ctk runtime configure" in sentence


def test_an_nvidia_gpu_that_the_specification_lacks_is_named(tmp_path: Path) -> None:
    (sentence,) = request_devices("cuda", PODMAN, gpu="7", root=with_file(tmp_path, "etc/cdi/n.json", NVIDIA_CDI)).missing
    assert "nvidia.com/gpu=7" in sentence
    assert "nvidia.com/gpu=0" in sentence
    with pytest.raises(UsageError, match="number"):
        request_devices("cuda", PODMAN, gpu="c5:00.0", root=tmp_path)


def test_an_nvidia_host_without_a_specification_is_told_how_to_make_one(tmp_path: Path) -> None:
    (sentence,) = request_devices("cuda", PODMAN, root=tmp_path).missing
    assert "nvidia-ctk cdi generate" in sentence


@pytest.mark.parametrize(
    ("enforce", "boolean", "disabled"),
    [("1", None, True), ("1", "0 0", True), ("1", "1 1", False), ("0", None, False), ("0", "0 0", False)],
)
def test_labels_are_switched_off_where_selinux_would_keep_the_gpu_from_containers(
    tmp_path: Path, enforce: str, boolean: str | None, disabled: bool
) -> None:
    request = request_devices("rocm", PODMAN, root=with_selinux(an_amd_host(tmp_path), enforce=enforce, boolean=boolean))
    assert ("label=disable" in request.security_options) is disabled
    assert ["label=disable"] * disabled == [relaxation.what for relaxation in request.relaxations]


def labelled(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A fake of the kernel's answer: no host of ours has SELinux."""
    monkeypatch.setattr(os, "getxattr", lambda path, name: f"system_u:object_r:{kind}:s0\0".encode())


@pytest.mark.parametrize(
    ("enforce", "kind", "disabled"),
    [("1", "user_home_t", True), ("1", "container_file_t", False), ("0", "user_home_t", False)],
)
@pytest.mark.parametrize("family", ["cpu", "rocm"])
def test_labels_are_switched_off_where_selinux_would_keep_the_mounted_files_from_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, enforce: str, kind: str, disabled: bool
) -> None:
    labelled(monkeypatch, kind)
    root = with_selinux(an_amd_host(tmp_path), enforce=enforce, boolean="1 1")
    request = request_devices(family, PODMAN, files=(tmp_path / "not-there-yet",), root=root)  # type: ignore[arg-type]
    assert ("label=disable" in request.security_options) is disabled
    assert len(request.relaxations) == disabled


def test_a_label_that_is_off_for_the_gpu_is_switched_off_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled(monkeypatch, "user_home_t")
    request = request_devices("rocm", PODMAN, files=(tmp_path,), root=with_selinux(an_amd_host(tmp_path)))
    assert request.security_options == ("no-new-privileges", "label=disable")


def test_a_file_without_any_label_is_not_open_to_containers(tmp_path: Path) -> None:
    if "security.selinux" in os.listxattr(tmp_path):
        pytest.skip("this host labels its files")
    request = request_devices("cpu", PODMAN, files=(tmp_path,), root=with_selinux(tmp_path))
    assert request.security_options == ("no-new-privileges", "label=disable")


def test_without_selinux_nothing_is_relaxed(tmp_path: Path) -> None:
    request = request_devices("rocm", PODMAN, root=an_amd_host(tmp_path))
    assert (request.relaxations, request.security_options, request.ipc) == ((), ("no-new-privileges",), None)


def test_an_image_without_a_gpu_keeps_its_label(tmp_path: Path) -> None:
    assert request_devices("cpu", PODMAN, root=with_selinux(tmp_path)).relaxations == ()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: f"{engine.name}-{engine.rootless}")
def test_the_compatible_set_is_the_wide_one_and_every_relaxation_is_explained_once(
    tmp_path: Path, engine: EngineRecord
) -> None:
    request = request_devices("rocm", engine, flags=parse_flags("compat"), root=with_selinux(an_amd_host(tmp_path)))
    assert request.security_options == ("no-new-privileges", "seccomp=unconfined", "label=disable")
    assert (request.ipc, request.shm_bytes) == ("host", None)
    assert inside(request.nodes) == ["/dev/kfd", "/dev/dri"]
    assert [relaxation.what for relaxation in request.relaxations] == list(COMPAT)
    assert all(relaxation.reason and relaxation.source for relaxation in request.relaxations)


def test_an_image_without_a_gpu_gets_no_node_by_the_compatible_set(tmp_path: Path) -> None:
    request = request_devices("cpu", PODMAN, flags=parse_flags("compat"), root=an_amd_host(tmp_path))
    assert request.nodes == ()
    assert [relaxation.what for relaxation in request.relaxations] == ["ipc=host", "seccomp=unconfined", "label=disable"]


@pytest.mark.parametrize("text", ["least", "compat", "ipc=host", "seccomp=unconfined,/dev/dri"])
def test_flags_are_written_as_they_are_read(text: str) -> None:
    assert flags_text(parse_flags(text)) == text


@pytest.mark.parametrize("text", ["wide", "", "ipc=host,", "compat,ipc=host"])
def test_flags_that_are_not_known_are_refused_naming_those_that_are(text: str) -> None:
    with pytest.raises(UsageError, match="there are least, compat, ipc=host"):
        parse_flags(text)


def test_a_process_of_this_host_needs_nothing_handed_in(tmp_path: Path) -> None:
    request = request_devices("rocm", EngineRecord(name="local"), root=tmp_path)
    assert (request.device, request.nodes, request.missing) == ("cuda", (), ())


@pytest.mark.parametrize(
    "name", ["sys/fs/selinux/enforce", "sys/fs/selinux/booleans/container_use_devices", "etc/group", "etc/cdi/amd.json"]
)
def test_a_file_that_is_no_text_ends_nothing(tmp_path: Path, name: str) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:c5:00.0", target=110501)
    with_selinux(tmp_path, boolean="1 1")
    with_file(tmp_path, name, "")
    (tmp_path / name).write_bytes(b"\xff\xfe")
    for engine in ENGINES:
        request_devices("rocm", engine, root=tmp_path)
