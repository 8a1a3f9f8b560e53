"""GPUs of made-up trees of sysfs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.errors import UsageError
from harness.machine.gpus import (
    Gpu,
    amd_gpus,
    check_gpu_use,
    check_override,
    choose_gpu,
    compute_gpus,
    target_major,
    visible_device,
)
from tests.unit.samples import a_gpu

HALO = Gpu("0000:c5:00.0", "/dev/dri/renderD128", "gfx1151")
OTHER = Gpu("0000:03:00.0", "/dev/dri/renderD129", "gfx1201")


def override(version: str) -> dict[str, str]:
    return {"HSA_OVERRIDE_GFX_VERSION": version}


def test_gpus_are_in_the_order_of_their_addresses_and_not_of_their_nodes(tmp_path: Path) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:c5:00.0", target=110501)
    a_gpu(tmp_path, "renderD129", pci="0000:03:00.0", target=120001)
    assert amd_gpus(tmp_path) == (OTHER, HALO)


def test_another_vendor_s_gpu_is_none_of_amd_s(tmp_path: Path) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:00:02.0", vendor="0x8086")
    assert amd_gpus(tmp_path) == ()


def test_a_gpu_that_the_kfd_does_not_name_has_no_target(tmp_path: Path) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:c5:00.0")
    assert [gpu.target for gpu in amd_gpus(tmp_path)] == [None]


@pytest.mark.parametrize("version", [b"110501\xff", b"9" * 5000, "²".encode(), b"\xff"])
def test_what_is_no_text_or_no_number_of_the_kernel_s_names_no_target(tmp_path: Path, version: bytes) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:c5:00.0", target=110501)
    (properties,) = (tmp_path / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    properties.write_bytes(properties.read_bytes().replace(b"110501", version))
    assert [gpu.target for gpu in amd_gpus(tmp_path)] == [None]
    (tmp_path / "sys/class/drm/renderD128/device/vendor").write_bytes(b"0x1002\xff\n")
    assert amd_gpus(tmp_path) == ()


@pytest.mark.parametrize("wanted", ["1", "0000:c5:00.0", "c5:00.0", "0000:C5:00.0"])
def test_a_gpu_is_chosen_by_its_number_or_address(wanted: str) -> None:
    assert choose_gpu(wanted, (OTHER, HALO)) == HALO


@pytest.mark.parametrize("wanted", ["2", "-1", "c6:00.0", "", "renderD128"])
def test_a_gpu_that_is_not_there_is_refused_naming_those_that_are(wanted: str) -> None:
    with pytest.raises(UsageError, match=r"there are 0 \(0000:03:00\.0, gfx1201\), 1 \(0000:c5:00\.0, gfx1151\)"):
        choose_gpu(wanted, (OTHER, HALO))


def test_a_host_without_an_amd_gpu_says_so() -> None:
    with pytest.raises(UsageError, match="there is none"):
        choose_gpu("0", ())


@pytest.mark.parametrize(("target", "major"), [("gfx1151", 11), ("gfx90a", 9), ("gfx942", 9), ("gfx1201", 12)])
def test_a_target_s_last_two_digits_are_not_its_major_version(target: str, major: int) -> None:
    assert target_major(target) == major


@pytest.mark.parametrize(("version", "target"), [("11.0.0", "gfx1201"), ("10.3.0", "gfx1151"), ("12.0.1", "gfx1151")])
def test_an_override_across_a_major_version_is_refused_with_its_source(version: str, target: str) -> None:
    with pytest.raises(UsageError, match=r"rocm-systems#3531") as refused:
        check_override("mine", override(version), [target])
    assert target in str(refused.value)
    assert "--gfx native" in str(refused.value)


@pytest.mark.parametrize("targets", [(), ("gfx1100",), ("gfx1151",), ("gfx1151", "gfx1103")])
def test_an_override_within_a_major_version_or_on_an_unknown_gpu_is_allowed(targets: tuple[str, ...]) -> None:
    check_override("gfx1100", override("11.0.0"), targets)


def test_a_redundant_override_and_a_hazard_are_named() -> None:
    assert "redundant" in check_override("a", override("11.5.1"), ["gfx1151"])[0]
    assert check_override("c", override("11.0.0"), ["gfx1151"]) == ()
    assert check_override("d", {}, ["gfx1151"]) == ()


@pytest.mark.parametrize("version", ["gfx1100", "11.0", "11.0.0.0", "", "11.x.0"])
def test_an_override_of_another_form_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match=r"not of the form 11\.0\.0"):
        check_override("mine", override(version), ())


def test_the_chosen_gpu_alone_decides_which_override_may_be(tmp_path: Path) -> None:
    a_gpu(tmp_path, "renderD128", pci="0000:c5:00.0", target=110501)
    a_gpu(tmp_path, "renderD129", pci="0000:03:00.0", target=120001)
    known = load_catalog()
    image = msgspec.structs.replace(known.images["cpu"], family="rocm")
    variants = (known.variants["gfx1100"],)
    assert check_gpu_use(image, variants, "c5:00.0", root=tmp_path) == ()
    with pytest.raises(UsageError, match="gfx1201"):
        check_gpu_use(image, variants, None, root=tmp_path)
    assert check_gpu_use(known.images["cpu"], variants, None, root=tmp_path) == ()


def with_kfd_node(root: Path, number: int, minor: int, unique_id: int = 0) -> Path:
    folder = root / "sys/class/kfd/kfd/topology/nodes" / str(number)
    folder.mkdir(parents=True)
    text = f"simd_count 80\ngfx_target_version 110501\ndrm_render_minor {minor}\nunique_id {unique_id}\n"
    (folder / "properties").write_text(text)
    return root


def test_the_compute_driver_s_gpus_are_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number, minor in ((10, 130), (9, 129), (2, 128)):
        with_kfd_node(tmp_path, number, minor)
    assert [gpu.render_node for gpu in compute_gpus(tmp_path)] == ["renderD128", "renderD129", "renderD130"]


def test_a_gpu_that_may_not_be_seen_is_not_counted(tmp_path: Path) -> None:
    with_kfd_node(with_kfd_node(tmp_path, 1, 128), 2, 129)
    refused = tmp_path / "sys/class/kfd/kfd/topology/nodes/0/properties"
    refused.mkdir(parents=True)  # a folder cannot be read as a file: it stands for one that the kernel refuses
    assert [visible_device(gpu, compute_gpus(tmp_path)) for gpu in (HALO, OTHER)] == ["0", "1"]


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        ((0, 0xAB), ["0", "GPU-00000000000000ab"]),
        ((0xAB, 0xAB), ["0", "1"]),  # which of the two is meant, an id that both have does not say
    ],
)
def test_a_gpu_is_made_visible_by_an_id_of_its_own_or_else_by_its_number(
    tmp_path: Path, ids: tuple[int, int], names: list[str]
) -> None:
    for number, unique_id in enumerate(ids):
        with_kfd_node(tmp_path, number + 1, 128 + number, unique_id)
    assert [visible_device(gpu, compute_gpus(tmp_path)) for gpu in (HALO, OTHER)] == names


def test_a_gpu_that_the_compute_driver_does_not_have_cannot_be_made_visible(tmp_path: Path) -> None:
    with_kfd_node(with_kfd_node(tmp_path, 1, 130), 2, 131)
    assert visible_device(HALO, compute_gpus(tmp_path)) is None


def test_a_gpu_for_an_image_of_unknown_family_asks_for_the_family() -> None:
    image = msgspec.structs.replace(load_catalog().images["cpu"], family=None)
    with pytest.raises(UsageError, match="--family"):
        check_gpu_use(image, (), "0")
