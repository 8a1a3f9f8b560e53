"""Room for images as `doctor` sees it, on made-up hosts."""

from __future__ import annotations

import msgspec

from harness.catalog.load import load_catalog
from harness.doctor.facts import Disk, HostFacts, ImageFacts
from harness.engines.base import Storage
from harness.images.build_needs import GB, demand_of, need_of
from tests.unit.doctored import changed, of, statuses, the
from tests.unit.fixture_hosts import DOCKER, ROOTLESS_PODMAN

IMAGES = tuple(
    ImageFacts(name=image.name, family=image.family, needs_engine=image.engine != "local", need=need_of(image))
    for image in load_catalog().images.values()
)
NAMES = [image.name for image in IMAGES if image.needs_engine]


def a_disk(free_gb: float | None, *, what: str = "podman images", path: str = "/store", device: int = 1) -> Disk:
    return Disk(what=what, path=path, free_bytes=None if free_gb is None else int(free_gb * GB), device=device)


def with_room(facts: HostFacts, *disks: Disk, images: tuple[ImageFacts, ...] = IMAGES) -> HostFacts:
    return changed(facts, engines=(ROOTLESS_PODMAN,), disks=disks, images=images)


def recommended(name: str) -> tuple[ImageFacts, ...]:
    return tuple(msgspec.structs.replace(image, is_recommended=image.name == name) for image in IMAGES)


def names_in(facts: HostFacts, word: str) -> set[str]:
    lines = [finding.found for finding in of(facts, "podman room") if word in finding.found]
    return {name.strip() for line in lines for name in line.partition("to build ")[2].split(",") if name}


def test_a_disk_of_30_gib_is_not_enough_for_a_rocm_image(fedora: HostFacts) -> None:
    found = the(with_room(fedora, a_disk(32)), "podman images")
    assert found.status == "warning"
    assert "rocm72" in found.why
    assert found.fix == "strixbench images --prune"  # a fix removes nothing of the owner's
    assert "podman system prune` frees more, but also removes your stopped containers" in found.why


def test_a_fedora_server_root_of_15_gb_is_not_enough(fedora: HostFacts) -> None:
    assert the(with_room(fedora, a_disk(13)), "podman images").status == "warning"


def test_a_disk_on_which_nothing_fits_is_a_problem(fedora: HostFacts) -> None:
    assert the(with_room(fedora, a_disk(1)), "podman images").status == "problem"


def test_a_large_disk_is_ok_and_every_image_of_the_catalog_is_named_once(fedora: HostFacts) -> None:
    facts = with_room(fedora, a_disk(1000))
    assert the(facts, "podman images").status == "ok"
    assert names_in(facts, "fits") == set(NAMES)
    assert names_in(facts, "too large") == set()


def test_images_are_grouped_by_whether_they_fit(fedora: HostFacts) -> None:
    facts = with_room(fedora, a_disk(32))
    fits, too_large = names_in(facts, "fits"), names_in(facts, "too large")
    assert "cpu" in fits
    assert "rocm72" in too_large
    assert fits | too_large == set(NAMES)
    assert not fits & too_large


def test_no_line_is_wider_than_a_terminal(fedora: HostFacts) -> None:
    facts = with_room(fedora, a_disk(32))
    assert all(len(finding.found) <= 69 for finding in of(facts, "podman room"))


def test_only_the_recommended_images_have_to_fit(fedora: HostFacts) -> None:
    needed = demand_of(need_of(load_catalog().images["rocm72"]), "podman", base_is_here=False).store_bytes / GB
    fitting = with_room(fedora, a_disk(needed + 1), images=recommended("rocm72"))
    assert the(fitting, "podman images").status == "ok"
    assert names_in(fitting, "too large") != set()
    too_small = with_room(fedora, a_disk(needed - 1), images=recommended("rocm72"))
    assert the(too_small, "podman images").why.startswith("rocm72: up to")


def test_a_box_without_a_gpu_needs_room_for_cpu_images_alone(plain: HostFacts) -> None:
    assert the(with_room(plain, a_disk(12)), "podman images").status == "ok"


def test_podman_s_temporary_folder_on_a_small_disk_of_its_own_is_a_warning(fedora: HostFacts) -> None:
    disks = a_disk(1000), a_disk(4, what="podman spool", path="/var/tmp", device=2)
    found = the(with_room(fedora, *disks), "podman spool")
    assert found.status == "warning"
    assert "TMPDIR" in found.fix
    assert the(with_room(fedora, *disks), "podman images").status == "warning"


def test_podman_s_temporary_folder_on_the_same_disk_shares_its_room(fedora: HostFacts) -> None:
    disks = a_disk(1000), a_disk(1000, what="podman spool", path="/var/tmp")
    found = the(with_room(fedora, *disks), "podman spool")
    assert (found.status, found.found) == ("ok", "podman spool: /var/tmp, on the same disk")


def test_a_store_that_cannot_be_looked_at_is_unknown(fedora: HostFacts) -> None:
    assert statuses(with_room(fedora, a_disk(None)), "podman images") == ["unknown"]
    assert of(with_room(fedora, a_disk(None)), "podman room") == []


def test_a_containerd_store_needs_more(fedora: HostFacts) -> None:
    image = load_catalog().images["rocm72"]
    plain = demand_of(need_of(image), "docker", base_is_here=False).together_bytes / GB
    disk = a_disk(plain + 0.1, what="docker images")
    for keeps_compressed, status in ((False, "ok"), (True, "warning")):
        engine = msgspec.structs.replace(DOCKER, storage=Storage(folder="/store", keeps_compressed=keeps_compressed))
        facts = changed(fedora, engines=(engine,), disks=(disk,), images=recommended("rocm72"))
        assert the(facts, "docker images").status == status
