"""Facts of real boxes as their owners posted them, for `tests.unit.fixture_hosts.a_tree`.

Neutralised: no names, no serial numbers. The source stands above each; "a public file" is one whose repository was not kept.
What no post has is marked where it stands: "derived" is computed from what the post says, "filled" is made up so that the
reader has something to read. The PCI addresses of `GTT_ABOVE_MEMORY`, `BIG_CARVE_OUT` and `LXC` are filled with one that
others have.
"""

from __future__ import annotations


def _gpu(pci: str, *, vram: str, gtt: str, **more: str) -> dict[str, str]:
    """The PCI folder of a Strix Halo, as `lspci` and sysfs show it everywhere: a display controller of class 0380."""
    files = {"vendor": "0x1002\n", "device": "0x1586\n", "class": "0x038000\n", **more}
    files |= {"mem_info_vram_total": f"{vram}\n", "mem_info_gtt_total": f"{gtt}\n"}
    return {f"sys/bus/pci/devices/{pci}/{name}": text for name, text in files.items()}


TWO_GIB_CARVE_OUT = {
    **_gpu("0000:c6:00.0", vram="2147483648", gtt="120259084288", revision="0xc1\n"),
    "proc/meminfo": "MemTotal:       127098456 kB\n",
    "sys/module/ttm/parameters/pages_limit": "29360128\n",
    # Filled: the processor's node.
    "sys/class/kfd/kfd/topology/nodes/0/properties": "cpu_cores_count 32\nsimd_count 0\ngfx_target_version 0\n",
    "sys/class/kfd/kfd/topology/nodes/1/properties": "cpu_cores_count 0\nsimd_count 80\ngfx_target_version 110501\n"
    "vendor_id 4098\ndevice_id 5510\ndrm_render_minor 128\n",
}
"""A 128 GB box with 2 GiB of VRAM and 112 GiB of GTT: the public test of an inference engine."""

GTT_ABOVE_MEMORY = {
    **_gpu("0000:c5:00.0", vram="536870912", gtt="137438953472"),
    "proc/meminfo": "MemTotal:       130988113 kB\n",  # derived: 124.92 GiB
    "proc/sys/kernel/osrelease": "7.0.0-28-generic\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz ro quiet splash amdgpu.gttsize=131072\n",
}
"""A Beelink GTR9 Pro with more GTT than memory: ROCm/legacy-rocm-build#6004."""

BIG_CARVE_OUT = {
    **_gpu("0000:c5:00.0", vram="103079215104", gtt="16368283648"),
    "proc/meminfo": "MemTotal:       32470752 kB\n",  # 30.97 GiB in ROCm/legacy-rocm-build#5444, another box of the same carve-out
}
"""96 GiB of VRAM, and half of what is left as GTT: a public monitor's snapshot."""

FRAMEWORK_FIRMWARE = """\
ME feature version: 35, firmware version: 0x00000020
PFP feature version: 35, firmware version: 0x00000031
RLC feature version: 1, firmware version: 0x11530506
RLCP feature version: 1, firmware version: 0x11530506
MEC feature version: 35, firmware version: 0x00000022
IMU feature version: 0, firmware version: 0x0b352300
SOS feature version: 0, firmware version: 0x00000000
ASD feature version: 553648393, firmware version: 0x21000109
TA HDCP feature version: 0x00000000, firmware version: 0x1700004d
TA DTM feature version: 0x00000000, firmware version: 0x1200001d
SMC feature version: 0, program: 10, firmware version: 0x0a640600 (100.6.0)
SDMA0 feature version: 60, firmware version: 0x00000012
VCN feature version: 0, firmware version: 0x09118010
DMCUB feature version: 0, firmware version: 0x09004100
TOC feature version: 0, firmware version: 0x0000000b
MES_KIQ feature version: 6, firmware version: 0x0000006f
MES feature version: 1, firmware version: 0x00000086
VPE feature version: 60, firmware version: 0x00000017
VBIOS version: 113-STRXLGEN-001
"""
"""``amdgpu_firmware_info`` of `FRAMEWORK`, without most rows of zeros."""

FRAMEWORK = {
    # Derived: a BAR of 512M, and gttsize=126976.
    **_gpu("0000:c1:00.0", vram="536870912", gtt="133143986176", **{"iommu_group/type": "identity\n"}),
    "sys/class/iommu/ivhd0/name": "",
    "proc/meminfo": "MemTotal:       131000000 kB\n",  # filled
    "proc/sys/kernel/osrelease": "7.0.0-070000-generic\n",
    "proc/cmdline": "ro iommu=pt amdgpu.gttsize=126976 ttm.pages_limit=32505856 amd_iommu=on amdgpu.cwsr_enable=0\n",
    "etc/os-release": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="26.04"\n',
    "sys/kernel/debug/dri/0000:c1:00.0/amdgpu_firmware_info": FRAMEWORK_FIRMWARE,
    "sys/module/amdgpu/parameters/cwsr_enable": "0\n",
}
"""A Framework Desktop on a mainline kernel: ROCm/legacy-rocm-build#6165."""

LXC = {
    **_gpu("0000:c5:00.0", vram="536870912", gtt="67108864000"),
    "proc/meminfo": "MemTotal:       100663296 kB\n",
    "proc/sys/kernel/osrelease": "6.17.2-1-pve\n",
    "proc/cmdline": "BOOT_IMAGE=/boot/vmlinuz-6.17.2-1-pve root=/dev/mapper/pve-root ro quiet\n",
    "etc/os-release": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="26.04"\n',
    "run/systemd/container": "lxc\n",
}
"""A container of Proxmox VE 9, whose kernel and command line are the host's. Posts have 6.19.2-1-pve
(remsky/Kokoro-FastAPI#454) and 7.0.14-8-pve (Hal0ai/hal0#2213); the kernel here, the sizes and the command line are filled."""

UNPRIVILEGED_LXC = {
    **LXC,
    "proc/self/gid_map": "         0     100000      65536\n",
    "proc/sys/kernel/overflowgid": "65534\n",
    "etc/group": "root:x:0:\nvideo:x:44:\nrender:x:993:\nnogroup:x:65534:\n",
    "dev/kfd": "",
    "dev/dri/renderD128": "",
}
"""The same, unprivileged as Proxmox makes it, with the nodes bind-mounted: they show as nobody:nogroup there. That a container
of Hal0ai/hal0#1954 has render as 993 is posted; the rest is derived from user_namespaces(7)."""

SCLK_AT_WORK = "0: 600Mhz\n1: 2846Mhz *\n2: 2900Mhz\n"
"""``pp_dpm_sclk`` of a Strix Halo under load: genishs/strix-halo-monitor, its test fixtures."""

KFD_PROCESS = {
    "sys/class/kfd/kfd/proc/160210/vram_64506": "3883843584\n",
    "sys/class/kfd/kfd/proc/160210/pasid": "21281\n",
}
"""The KFD's account of one process on a Strix Halo: a public file."""

TWO_GPUS = {
    "sys/class/kfd/kfd/topology/nodes/0/properties": "cpu_cores_count 32\nsimd_count 0\ngfx_target_version 0\nunique_id 0\n",
    "sys/class/kfd/kfd/topology/nodes/1/properties": "cpu_cores_count 0\nsimd_count 128\ngfx_target_version 120001\n"
    "drm_render_minor 129\nunique_id 4625162395894218751\n",
    "sys/class/kfd/kfd/topology/nodes/2/properties": "cpu_cores_count 0\nsimd_count 80\ngfx_target_version 110501\n"
    "drm_render_minor 128\nunique_id 0\n",
}
"""The KFD's nodes of a Strix Halo with a Radeon AI PRO R9700 outside. The forms are those of `TWO_GIB_CARVE_OUT`; that an APU
has no unique id is what `rocminfo` shows as ``GPU-XX`` (ROCm/legacy-rocm-build#6004). Order and ids are filled."""

IDLE_RDNA3 = {
    "temperature_edge": 38,
    "temperature_hotspot": 41,
    "temperature_mem": 57,
    "temperature_vrgfx": 38,
    "temperature_vrsoc": 39,
    "temperature_vrmem": 39,
    "average_gfx_activity": 0,
    "average_umc_activity": 1,
    "average_mm_activity": 0,
    "average_socket_power": 10,
    "energy_accumulator": 0,
    "system_clock_counter": 2748118101619,
    "average_gfxclk_frequency": 5,
    "average_uclk_frequency": 29,
    "current_gfxclk": 5,
    "indep_throttle_status": 1 << 36,
}
"""``gpu_metrics`` 1.3 of an idle Radeon RX 7900, whose hotspot bit is always set: Umio-Yasuno/libdrm-amdgpu-sys-rs#7. RDNA 4 does
the same: ROCm/rocm-systems#11781."""

DMESG_MES_83 = """\
amdgpu 0000:c4:00.0: amdgpu: [gfxhub] page fault (src_id:0 ring:153 vmid:8 pasid:32786)
amdgpu 0000:c4:00.0: amdgpu:  Process python3 pid 3370 thread python3 pid 3370
amdgpu 0000:c4:00.0: amdgpu:   in page starting at address 0x00007fa4808cb000 from client 10
amdgpu 0000:c4:00.0: amdgpu: GCVM_L2_PROTECTION_FAULT_STATUS:0x00800932
amdgpu 0000:c4:00.0: amdgpu:      Faulty UTCL2 client ID: CPF (0x4)"""
"""The kernel's log of a Strix Halo with MES 0x83: ROCm/legacy-rocm-build#5724."""

DMESG_BOOT = """\
amdgpu: unknown parameter 'gtt_size' ignored
amdgpu 0000:c6:00.0: amdgpu: [drm] Configuring gttsize via module parameter is deprecated, please use ttm.pages_limit
amdgpu 0000:01:00.0: amdgpu: [drm] GTT size has been set as 68719476736 but TTM size has been set as 12593328128, this is unusual"""
"""What drivers say of parameters at boot: ROCm/legacy-rocm-build#5595."""
