"""What is kept of the kernel's command line, and what names a machine or its owner."""

from __future__ import annotations

from harness.machine.host import keep_words, settings_of


def test_what_bears_on_results_is_kept_whole() -> None:
    text = "amd_iommu=off iommu=pt ttm.pages_limit=25165824 amdgpu.gttsize=98304 mitigations=off nosmt quiet ro"
    assert keep_words(text) == tuple(text.split())


def test_values_that_name_a_machine_are_removed_and_their_names_stay() -> None:
    text = (
        "BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=UUID=11112222-3333 init=/nix/store/abc-nixos-system-alices-box-25.11/init "
        "ip=10.0.0.7::10.0.0.1:255.255.255.0:alices-box rd.luks.name=11112222=cryptroot alice "
        'dyndbg="file alices.c +p" amd_iommu=off -- --token secret'
    )
    kept = keep_words(text)
    assert kept == (
        "BOOT_IMAGE=[removed]",
        "root=[removed]",
        "init=[removed]",
        "ip=[removed]",
        "rd.luks.name=[removed]",
        "dyndbg=[removed]",
        "amd_iommu=off",
    )
    assert "alice" not in " ".join(kept)
    assert "secret" not in " ".join(kept)


def test_a_name_that_is_no_name_is_dropped() -> None:
    assert keep_words("\x1b[2J=1 =x 7=y \u202equiet " + "a" * 100 + "=b") == ()
    assert keep_words("") == ()


def test_settings_of_gpu_and_iommu_are_told_by_name_and_the_last_counts() -> None:
    words = ("amd_iommu=off", "iommu=pt", "ttm.pages-limit=1", "ttm.pages_limit=2", "amdgpu.cwsr_enable=0", "quiet", "mem=8G")
    assert settings_of(words) == {"amd_iommu": "off", "iommu": "pt", "ttm.pages_limit": "2", "amdgpu.cwsr_enable": "0"}
