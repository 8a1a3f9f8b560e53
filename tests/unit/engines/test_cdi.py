from __future__ import annotations

from pathlib import Path

import pytest

from harness.engines.devices import declared_devices

AMD_JSON = '{"cdiVersion": "0.6.0", "kind": "amd.com/gpu", "devices": [{"name": "0"}, {"name": "all"}]}'
NVIDIA_YAML = """---
cdiVersion: 0.5.0
containerEdits:
  hooks:
  - hookName: createContainer
    path: /usr/bin/nvidia-ctk
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
- name: all  # every one
  containerEdits: {}
kind: nvidia.com/gpu
"""


def a_specification(root: Path, place: str, text: str) -> None:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(text)


@pytest.mark.parametrize("place", ["etc/cdi/amd.json", "var/run/cdi/whatever.json"])
def test_a_json_specification_declares_its_devices_whatever_its_name(tmp_path: Path, place: str) -> None:
    a_specification(tmp_path, place, AMD_JSON)
    assert declared_devices(tmp_path) == {"amd.com/gpu=0", "amd.com/gpu=all"}


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_a_yaml_specification_declares_its_devices(tmp_path: Path, suffix: str) -> None:
    a_specification(tmp_path, f"etc/cdi/x.{suffix}", NVIDIA_YAML)
    assert declared_devices(tmp_path) == {"nvidia.com/gpu=0", "nvidia.com/gpu=all"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[" * 200_000, '{"kind": 3, "devices": []}', '{"kind": "amd.com/gpu", "devices": [1]}']
)
def test_a_file_that_is_no_specification_declares_nothing(tmp_path: Path, text: str) -> None:
    a_specification(tmp_path, "etc/cdi/amd.json", text)
    a_specification(tmp_path, "etc/cdi/amd.yaml", text)
    a_specification(tmp_path, "etc/cdi/amd.txt", AMD_JSON)
    (tmp_path / "etc/cdi/folder.json").mkdir()
    assert declared_devices(tmp_path) == frozenset()


def test_a_host_without_the_folders_declares_nothing(tmp_path: Path) -> None:
    assert declared_devices(tmp_path) == frozenset()
