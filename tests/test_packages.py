"""The package managers of this machine and what strixbench takes from them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.machine.installed_packages import ask_rpm, installed_versions, rpm_versions
from harness.tools import read_output


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no dpkg here")
def test_the_version_in_dpkgs_file_is_the_one_that_dpkg_tells() -> None:
    told = subprocess.check_output(("dpkg-query", "--show", "--showformat", "${Version}", "dpkg"), text=True)
    assert installed_versions(Path("/"), ("dpkg", "not-a-package")) == {"dpkg": told}


@pytest.mark.skipif(shutil.which("rpm") is None, reason="no rpm here")
def test_rpm_understands_the_question(tmp_path: Path) -> None:
    assert rpm_versions(tmp_path, ("linux-firmware",), ask=ask_rpm) == {}
    if (Path("/") / "usr/lib/sysimage/rpm").is_dir():
        assert "rpm" in rpm_versions(Path("/usr/lib/sysimage/rpm"), ("rpm",), ask=ask_rpm)


def test_a_program_that_prints_without_end_or_hangs_is_ended_and_one_that_is_not_here_is_named() -> None:
    assert read_output(("sh", "-c", "echo out; echo err >&2; exit 3"), timeout_seconds=30) == "out\nerr\n"
    assert read_output(("head", "-c", "100000", "/dev/zero"), timeout_seconds=30, most_bytes=10) == "\0" * 10
    with pytest.raises(HostError, match="did not end within 0 s and was killed"):
        read_output(("sleep", "600"), timeout_seconds=0.05)
    with pytest.raises(HostError, match="`no-such-program` is not installed"):
        read_output(("no-such-program",), timeout_seconds=30)


def test_a_program_that_is_asked_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "x" * 20)
    assert "hf_xxx" not in read_output(("env",), timeout_seconds=30)
