"""What differs between two hosts, in words. The hosts are made up."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.host_differences import differences, fingerprint, groups_of
from harness.records.host import CardRecord, ComputeNodeRecord, HostRecord

CARD = CardRecord(
    device="0x1586",
    vram_bytes=512 << 20,
    gtt_bytes=64 << 30,
    vbios="113-A",
    firmware=("mes=0x00000080", "rlc=0x11530506"),
    performance_level="auto",
)
NODE = ComputeNodeRecord(target="gfx1151", simd_count=80, cwsr_bytes=1000, sdma_engines=1)
HOST = HostRecord(
    kernel="6.17.7",
    kernel_build="#1",
    distribution="Fedora 43",
    memory_bytes=128 << 30,
    gpus=("0x1002:0x1586", "gfx1151"),
    command_line=("root=[removed]", "quiet", "amd_iommu=on"),
    parameters=("amdgpu.gttsize=-1", "ttm.pages_limit=16777216"),
    cards=(CARD,),
    compute_nodes=(NODE,),
    firmware_packages=("linux-firmware=20251111-1",),
    iommu="translated",
    platform_profile="balanced",
    boot="11111111",
)


def changed(**fields: object) -> HostRecord:
    return msgspec.structs.replace(HOST, **fields)


def with_card(**fields: object) -> HostRecord:
    return changed(cards=(msgspec.structs.replace(CARD, **fields),))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (changed(kernel="6.18.5", kernel_build="#2"), ("kernel 6.17.7 -> 6.18.5",)),
        (changed(kernel_build="#2"), ("kernel build #1 -> #2",)),
        (with_card(gtt_bytes=96 << 30), ("GTT 64 GiB -> 96 GiB",)),
        (with_card(gtt_bytes=67108864000), ("GTT 64 GiB -> 62.5 GiB",)),
        (with_card(vram_bytes=96 << 30), ("VRAM 0.5 GiB -> 96 GiB",)),
        (changed(iommu="off"), ("IOMMU translated -> off",)),
        (with_card(firmware=("mes=0x00000083", "rlc=0x11530506")), ("firmware mes 0x00000080 -> 0x00000083",)),
        (changed(firmware_packages=("linux-firmware=20251125-1",)), ("package linux-firmware 20251111-1 -> 20251125-1",)),
        (with_card(performance_level="high"), ("performance level auto -> high",)),
        (changed(platform_profile="performance"), ("platform profile balanced -> performance",)),
        (changed(parameters=("amdgpu.gttsize=98304",)), ("parameter amdgpu.gttsize -1 -> 98304",)),
        (changed(command_line=("root=[removed]", "quiet", "amd_iommu=off")), ("amd_iommu on -> off",)),
        (changed(command_line=("root=[removed]", "quiet")), ("amd_iommu on -> not set",)),
        (
            changed(command_line=("ip=[removed]", "mitigations=off", "amd_iommu=on")),
            ("command line without quiet root", "command line with ip mitigations=off"),
        ),
        (changed(compute_nodes=(msgspec.structs.replace(NODE, simd_count=64),)), ("SIMDs 80 -> 64",)),
        (changed(gpus=(), cards=()), ("GPUs 0x1002:0x1586, gfx1151 -> none",)),
        (changed(gpus=("gfx1100",), cards=()), ("GPUs 0x1002:0x1586, gfx1151 -> gfx1100",)),
        (changed(memory_bytes=64 << 30, distribution="Ubuntu"), ("memory 128 GiB -> 64 GiB", "system Fedora 43 -> Ubuntu")),
    ],
)
def test_a_difference_is_told_in_words(other: HostRecord, words: tuple[str, ...]) -> None:
    assert differences(HOST, other) == words
    assert fingerprint(HOST) != fingerprint(other)


def test_a_host_does_not_differ_from_itself_nor_from_its_next_boot() -> None:
    assert differences(HOST, HOST) == ()
    assert differences(HOST, changed(boot="22222222")) == ()
    assert fingerprint(HOST) == fingerprint(changed(boot="22222222"))


def test_what_an_old_record_does_not_know_is_no_difference() -> None:
    old = HostRecord(kernel="6.17.7", memory_bytes=128 << 30, gpus=HOST.gpus)
    assert differences(old, HOST) == ()
    assert differences(HOST, old) == ()


def test_the_hash_does_not_depend_on_the_order_of_fields() -> None:
    fields = msgspec.to_builtins(HOST)
    backwards = msgspec.convert(dict(reversed(fields.items())), HostRecord)
    assert fingerprint(backwards) == fingerprint(HOST)
    assert len(fingerprint(HOST)) == 64


def test_a_field_that_is_new_and_unknown_does_not_change_the_hash() -> None:
    # A later strixbench that looks at one more thing, on a host that does not have it.
    assert fingerprint(HOST) == fingerprint(changed(tuned_profile=None, selinux=None))


def test_hosts_without_a_difference_are_one_group_and_the_one_that_knows_most_speaks() -> None:
    old, other = HostRecord(kernel="6.17.7", gpus=HOST.gpus), changed(kernel="6.18.5")
    again = changed(boot="22222222")
    assert groups_of([old, HOST, other, again]) == ((HOST, again, old), (other,))
    assert groups_of([]) == ()


def test_many_parameters_that_differ_are_cut_short() -> None:
    before, after = (changed(parameters=tuple(f"amdgpu.p{n:02}={v}" for n in range(20))) for v in (0, 1))
    told = differences(before, after)
    assert len(told) == 13
    assert told[-1] == "8 more of parameter"
