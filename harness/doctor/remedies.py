"""How this system gets another kernel, other firmware, or a word on the kernel's command line: facts -> commands. Pure.

A container has none of these of its own: the line then says what to do on the host, as a comment, so that nobody pastes it into
the wrong shell. Proxmox is known by its kernel's name, inside and outside (https://pve.proxmox.com/wiki/Host_Bootloader).
"""

from __future__ import annotations

import re

from harness.doctor.facts import HostFacts

_NEWER_KERNELS = {
    "pve": "apt update && apt install -y proxmox-kernel-7.0  # or a newer one; then reboot",
    "fedora": "sudo dnf upgrade -y --refresh kernel  # then reboot",
    "ubuntu": "# install kernel 6.18.4 or later, and boot it",
    "debian": "sudo apt update && sudo apt full-upgrade -y  # then reboot",
    "arch": "sudo pacman -Syu  # then reboot",
    "tumbleweed": "sudo zypper dup  # then reboot",
    "suse": "# Leap's own kernel is older: install kernel-default of openSUSE's Kernel:stable:Backport, and boot it",
    "": "# install kernel 6.18.4 or later, and boot it",
}

_BY_VERSION = {
    "ubuntu": {
        "24.04": "sudo apt update && sudo apt install -y linux-oem-24.04d  # or linux-generic-hwe-24.04; then reboot",
        "25.04": "sudo do-release-upgrade  # to 25.10 and then to 26.04, whose own kernel is 7.0",
        "25.10": "sudo do-release-upgrade  # to 26.04, whose own kernel is 7.0",
        "26.04": "# nothing to install: boot 26.04's own kernel, which is 7.0",
    },
    "debian": {
        "12": "# Debian 12 has no kernel that is new enough, not even in its backports: upgrade to Debian 13",
        "13": "sudo apt update && sudo apt install -y -t trixie-backports linux-image-amd64  # needs trixie-backports in "
        "apt's sources; then reboot",
    },
}
"""Newer kernels by distribution and `HostFacts.version_id`."""

_FIRMWARE = {
    "pve": "apt update && apt install -y pve-firmware && update-initramfs -u -k all && proxmox-boot-tool refresh  # then reboot",
    "fedora": "sudo dnf upgrade amd-gpu-firmware && sudo dracut --force --kver $(uname -r)  # 20260110 or later, then reboot",
    "arch": "sudo pacman -Syu && sudo mkinitcpio -P  # linux-firmware 20260110 or later, then reboot",
    "tumbleweed": "sudo zypper dup && sudo dracut --force --kver $(uname -r)  # 20260110 or later, then reboot",
    "": "# install linux-firmware 20260110 or later, rebuild the initramfs, and reboot",
}

_COMMAND_LINES = {  # Fedora has grubby
    "pve": "nano /etc/kernel/cmdline && proxmox-boot-tool refresh  # {}; where GRUB boots: /etc/default/grub and update-grub",
    "arch": "sudoedit /etc/default/grub && sudo grub-mkconfig -o /boot/grub/grub.cfg  # {}; systemd-boot: its entries; Limine: "
    "/etc/default/limine",
    "suse": "sudoedit /etc/default/grub && sudo grub2-mkconfig -o /boot/grub2/grub.cfg  # {} GRUB_CMDLINE_LINUX_DEFAULT",
    "": "sudoedit /etc/default/grub && sudo update-grub  # {} GRUB_CMDLINE_LINUX_DEFAULT",
}


def newer_kernel(facts: HostFacts) -> str:
    """How to get a kernel that suits gfx1151."""
    system = _system(facts)
    own = _BY_VERSION.get(system, {}) if system in facts.distribution[:1] else {}  # a derivative's version is its own
    return outside(facts, own.get(facts.version_id, _NEWER_KERNELS[system]))


def other_firmware(facts: HostFacts) -> str:
    """How to get firmware without the bad MES, and an initramfs that carries it."""
    system = _system(facts)
    if system in ("ubuntu", "debian"):
        named = [name for name in facts.packages or () if name in ("linux-firmware-amd-graphics", "firmware-amd-graphics")]
        package = named[0] if named else "firmware-amd-graphics" if system == "debian" else "linux-firmware"
        return outside(
            facts,
            f"sudo apt update && sudo apt install -y {package} && sudo update-initramfs -u -k $(uname -r)  # then reboot",
        )
    return outside(facts, _FIRMWARE.get(system, _FIRMWARE[""]))


def add_argument(facts: HostFacts, word: str) -> str:
    """How a word gets onto the kernel's command line."""
    return _edited(facts, f"--args={word}", f"add {word}", "to")


def remove_argument(facts: HostFacts, word: str) -> str:
    """How a word gets off the kernel's command line."""
    safe = _safe(word)
    return _edited(facts, f"--remove-args={safe}", f"remove {safe}", "from")


def replace_argument(facts: HostFacts, word: str, by: str) -> str:
    """How one word takes another's place on the kernel's command line."""
    safe = _safe(word)
    return _edited(facts, f"--remove-args={safe} --args={by}", f"replace {safe} by {by}", "in")


def outside(facts: HostFacts, command: str) -> str:
    """A command for the system whose kernel this is: a comment in a container."""
    if not facts.enclosure.container:
        return command
    return f"# on {facts.enclosure.host}, not in this container: {command.removeprefix('# ').replace('sudo ', '')}"


def _safe(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z0-9_.=,:-]+", word) else word.partition("=")[0]


def _edited(facts: HostFacts, grubby: str, change: str, preposition: str) -> str:
    """The command or the edit that makes a change: by grubby's options, or in words."""
    system = _system(facts)
    if system == "fedora":
        return f"sudo grubby --update-kernel=ALL {grubby}"
    if not system and facts.enclosure.container:
        return outside(facts, f"{change} {preposition} the kernel's command line, and reboot")
    template = _COMMAND_LINES.get("suse" if system == "tumbleweed" else system, _COMMAND_LINES[""])
    return outside(facts, template.format(f"{change} {preposition}" if template.endswith("DEFAULT") else change))


def _system(facts: HostFacts) -> str:
    """Whose kernel this is; empty: not known, as in a container on any host but Proxmox."""
    if facts.enclosure.is_on_proxmox:
        return "pve"
    if facts.enclosure.container:
        return ""
    if "opensuse-tumbleweed" in facts.distribution:
        return "tumbleweed"
    known = (system for system in ("fedora", "ubuntu", "debian", "arch") if system in facts.distribution)
    return next(known, "suse" if any("suse" in name for name in facts.distribution) else "")
