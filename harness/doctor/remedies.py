"""How this system gets another kernel, other firmware, or a word on the kernel's command line: facts -> commands. Pure.

In a container none of that is its own: the line says what to do on the host, and as a comment, so that nobody pastes it into
the wrong shell. Proxmox is known by its kernel's name, inside and outside (https://pve.proxmox.com/wiki/Host_Bootloader).
"""

from __future__ import annotations

import re

from harness.doctor.facts import HostFacts

_NEWER_KERNELS = {
    "pve": "apt update && apt install -y proxmox-kernel-7.0  # or a newer one; then boot again",
    "fedora": "sudo dnf upgrade -y --refresh kernel  # then boot again",
    "ubuntu": "# install a kernel of 6.18.4 or later, and boot it",
    "debian": "sudo apt update && sudo apt full-upgrade -y  # then boot again",
    "arch": "sudo pacman -Syu  # then boot again",
    "tumbleweed": "sudo zypper dup  # then boot again",
    "suse": "# Leap's own kernel is older: install kernel-default of openSUSE's Kernel:stable:Backport, and boot it",
    "": "# install a kernel of 6.18.4 or later, and boot it",
}

_OF_UBUNTU = {
    "24.04": "sudo apt update && sudo apt install -y linux-oem-24.04d  # or linux-generic-hwe-24.04; then boot again",
    "25.04": "sudo do-release-upgrade  # to 25.10 and then 26.04, whose own kernel is 7.0",
    "25.10": "sudo do-release-upgrade  # to 26.04, whose own kernel is 7.0",
    "26.04": "# nothing is to be installed: boot 26.04's own kernel, which is 7.0",
}

_OF_DEBIAN = {
    "12": "# Debian 12 has no kernel that is new enough, its backports included: upgrade to Debian 13",
    "13": "sudo apt update && sudo apt install -y -t trixie-backports linux-image-amd64  # needs trixie-backports among "
    "apt's sources; then boot again",
}

_FIRMWARE = {
    "pve": "apt update && apt install -y pve-firmware && update-initramfs -u -k all && proxmox-boot-tool refresh  # then boot again",
    "fedora": "sudo dnf upgrade amd-gpu-firmware && sudo dracut --force --kver $(uname -r)  # 20260110 or later, then boot again",
    "arch": "sudo pacman -Syu && sudo mkinitcpio -P  # linux-firmware 20260110 or later, then boot again",
    "tumbleweed": "sudo zypper dup && sudo dracut --force --kver $(uname -r)  # 20260110 or later, then boot again",
    "": "# install linux-firmware 20260110 or later, build the initramfs again, and boot it",
}

_COMMAND_LINES = {  # of Fedora: grubby
    "pve": "nano /etc/kernel/cmdline && proxmox-boot-tool refresh  # {}; where GRUB boots: /etc/default/grub and update-grub",
    "arch": "sudoedit /etc/default/grub && sudo grub-mkconfig -o /boot/grub/grub.cfg  # {}; systemd-boot: its entries; Limine: "
    "/etc/default/limine",
    "suse": "sudoedit /etc/default/grub && sudo grub2-mkconfig -o /boot/grub2/grub.cfg  # {} GRUB_CMDLINE_LINUX_DEFAULT",
    "": "sudoedit /etc/default/grub && sudo update-grub  # {} GRUB_CMDLINE_LINUX_DEFAULT",
}


def newer_kernel(facts: HostFacts) -> str:
    """How to get a kernel that suits gfx1151."""
    system = _system(facts)
    command = _NEWER_KERNELS[system]
    if system == "ubuntu" and facts.distribution[0] == "ubuntu":  # another's version is not Ubuntu's
        command = _OF_UBUNTU.get(facts.version_id, command)
    if system == "debian" and facts.distribution[0] == "debian":
        command = _OF_DEBIAN.get(facts.version_id, command)
    return outside(facts, command)


def other_firmware(facts: HostFacts) -> str:
    """How to get firmware without the bad MES, and an initramfs that carries it."""
    system = _system(facts)
    if system in ("ubuntu", "debian"):
        named = [name for name in facts.packages or () if name in ("linux-firmware-amd-graphics", "firmware-amd-graphics")]
        package = named[0] if named else "firmware-amd-graphics" if system == "debian" else "linux-firmware"
        return outside(
            facts,
            f"sudo apt update && sudo apt install -y {package} && sudo update-initramfs -u -k $(uname -r)  # then boot again",
        )
    return outside(facts, _FIRMWARE.get(system, _FIRMWARE[""]))


def add_argument(facts: HostFacts, word: str) -> str:
    """How a word gets onto the kernel's command line."""
    if _system(facts) == "fedora":
        return f"sudo grubby --update-kernel=ALL --args={word}"
    return _edited(facts, f"add {word} to", f"add {word}")


def remove_argument(facts: HostFacts, word: str) -> str:
    """How a word gets off the kernel's command line."""
    safe = _safe(word)
    if _system(facts) == "fedora":
        return f"sudo grubby --update-kernel=ALL --remove-args={safe}"
    return _edited(facts, f"remove {safe} from", f"remove {safe}")


def replace_argument(facts: HostFacts, word: str, by: str) -> str:
    """How one word takes another's place on the kernel's command line."""
    safe = _safe(word)
    if _system(facts) == "fedora":
        return f"sudo grubby --update-kernel=ALL --remove-args={safe} --args={by}"
    return _edited(facts, f"replace {safe} by {by} in", f"replace {safe} by {by}")


def outside(facts: HostFacts, command: str) -> str:
    """A command for the system whose kernel this is: a comment in a container."""
    if not facts.enclosure.container:
        return command
    return f"# on {facts.enclosure.host}, not in this container: {command.removeprefix('# ').replace('sudo ', '')}"


def _safe(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z0-9_.=,:-]+", word) else word.partition("=")[0]


def _edited(facts: HostFacts, with_variable: str, alone: str) -> str:
    system = _system(facts)
    if not system and facts.enclosure.container:
        return outside(facts, f"{alone} on the kernel's command line, and boot again")
    template = _COMMAND_LINES.get("suse" if system == "tumbleweed" else system, _COMMAND_LINES[""])
    return outside(facts, template.format(with_variable if template.endswith("DEFAULT") else alone))


def _system(facts: HostFacts) -> str:
    """Whose kernel this is; empty: not known, as in a container of any host but Proxmox."""
    if facts.enclosure.is_on_proxmox:
        return "pve"
    if facts.enclosure.container:
        return ""
    names = facts.distribution
    for system in ("fedora", "ubuntu", "debian", "arch"):
        if system in names:
            return system
    if "opensuse-tumbleweed" in names:
        return "tumbleweed"
    return "suse" if any("suse" in name for name in names) else ""
