"""Trees of sysfs and /proc as the sampler reads them. All values are made up; none is a measurement."""

from __future__ import annotations

from pathlib import Path

from tests.unit.gpu_metrics_files import discrete_card, strix_halo

STRIX_HALO_PCI = "0000:c5:00.0"
DISCRETE_PCI = "0000:03:00.0"

PAGE_BYTES = 4096


def write_tree(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files below a root."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def a_card(root: Path, number: int, pci: str, files: dict[str, str | bytes]) -> Path:
    """A card of amdgpu; returns its device's folder."""
    device = root / "sys/devices/pci0000:00" / pci
    write_tree(device, {"vendor": "0x1002\n", **files})
    card = root / "sys/class/drm" / f"card{number}"
    card.mkdir(parents=True)
    (card / "device").symlink_to(device)
    (root / "sys/class/drm" / f"card{number}-HDMI-A-1").mkdir()  # a connector is no card
    return device


def a_strix_halo(root: Path, *, number: int = 1, metrics: bytes | None = None) -> Path:
    """Its device's folder."""
    files: dict[str, str | bytes] = {
        "device": "0x1586\n",
        "gpu_metrics": strix_halo() if metrics is None else metrics,
        "gpu_busy_percent": "97\n",
        "mem_info_vram_used": "180355072\n",
        "mem_info_gtt_used": "2254438400\n",
        "pp_dpm_sclk": "0: 600Mhz\n1: 2411Mhz *\n2: 2900Mhz\n",
        "hwmon/hwmon4/power1_average": "84012000\n",
        "hwmon/hwmon4/temp1_input": "71000\n",
        "hwmon/hwmon4/freq1_input": "2405000000\n",
    }
    return a_card(root, number, STRIX_HALO_PCI, files)


def a_discrete_card(root: Path, *, number: int = 0, pci: str = DISCRETE_PCI) -> Path:
    """Its device's folder."""
    files: dict[str, str | bytes] = {
        "device": "0x744c\n",
        "gpu_metrics": discrete_card(),
        "gpu_busy_percent": "99\n",
        "mem_info_vram_used": "3221225472\n",
        "mem_info_gtt_used": "52428800\n",
        "hwmon/hwmon2/power1_average": "286750000\n",
    }
    return a_card(root, number, pci, files)


def a_process(
    root: Path,
    pid: int,
    *,
    parent: int = 1,
    session: int = 1,
    started: int = 1000,
    command: str = "python3",
    pages: int = 100,
    namespace: str = "mnt:[1]",
    mounts: str = "",
    cgroup: str = "0::/user.slice\n",
    handles: dict[int, tuple[str, str]] | None = None,
) -> None:
    """A process in /proc; ``handles`` are file descriptors: what each is open on, and its fdinfo."""
    fields = ["0"] * 50
    fields[0], fields[1], fields[3], fields[19] = "S", str(parent), str(session), str(started)
    folder = root / "proc" / str(pid)
    write_tree(
        folder,
        {
            "stat": f"{pid} (a name) with a parenthesis) {' '.join(fields)}\n",
            "statm": f"5000 {pages} 10 1 0 50 0\n",
            "cmdline": command.replace(" ", "\0") + "\0",
            "mountinfo": mounts,
            "cgroup": cgroup,
        },
    )
    (folder / "ns").mkdir(exist_ok=True)
    (folder / "ns/mnt").unlink(missing_ok=True)
    (folder / "ns/mnt").symlink_to(namespace)
    (folder / "fd").mkdir(exist_ok=True)
    for number, (target, info) in (handles or {}).items():
        (folder / "fd" / str(number)).symlink_to(target)
        write_tree(folder, {f"fdinfo/{number}": info})


def strixbench_itself(root: Path) -> None:
    """The process that looks."""
    a_process(root, 50, started=1)
    (root / "proc/self").symlink_to("50")
