"""What a build asserts at its end. Here torch is a stub of a few lines, and pip's report is written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FINISH = Path(__file__).resolve().parents[2] / "containers" / "finish.py"


class Environment:
    """A folder with a stub torch, metadata of whatever else is to be installed, and pip's report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.site.mkdir()

    def install(self, name: str, version: str) -> None:
        """Write only its metadata: `importlib.metadata` reads nothing else."""
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def install_torch(
        self, version: str, *, module: str | None = None, hip: str | None = None, cuda: str | None = None
    ) -> None:
        """A torch whose metadata says ``version``; ``module`` is what it says of itself where that differs."""
        self.install("torch", version)
        package = self.site / "torch"
        package.mkdir()
        (package / "__init__.py").write_text(
            f"__version__ = {(module or version)!r}\nfrom torch import version\n"
            "class zeros:\n    def __init__(self, size): ...\n    def numpy(self): ...\n"
        )
        (package / "version.py").write_text(f"hip = {hip!r}\ncuda = {cuda!r}\n")

    def install_torchaudio(self, code: str) -> Path:
        """A torchaudio with a compiled part; returns its path."""
        library = self.site / "torchaudio" / "lib" / "_torchaudio.so"
        library.parent.mkdir(parents=True)
        library.write_bytes(b"")
        (self.site / "torchaudio" / "__init__.py").write_text(code)
        return library

    def report(self, *wheels: tuple[str, str, str]) -> None:
        """pip's installation report of (name, version, SHA-256)."""
        install: list[dict[str, Any]] = [
            {
                "metadata": {"name": name, "version": version},
                "download_info": {
                    "url": f"https://index.example/{name}-{version.replace('+', '%2B')}-cp312.whl",
                    "archive_info": {"hashes": {"sha256": digest}},
                },
            }
            for name, version, digest in wheels
        ]
        (self.folder / "torch.json").write_text(json.dumps({"version": "1", "install": install}))

    def finish(self, family: str, version: str, expected: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, str(FINISH), family, version, expected),
            cwd=self.folder,
            env={"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


@pytest.mark.parametrize(
    ("family", "version", "expected", "torch"),
    [
        ("cpu", "2.13.0", "", {"version": "2.13.0+cpu"}),
        ("rocm", "2.5.1+rocm6.2", "6.2", {"version": "2.5.1+rocm6.2", "hip": "6.2.41133"}),
        # AMD's wheels have `.lw.` in their metadata and file name alone (rocm72-amd); its images print the second string.
        (
            "rocm",
            "2.7.1+rocm7.2.0.lw.git262e50d5",
            "7.2",
            {
                "version": "2.7.1+rocm7.2.0.lw.git262e50d5",
                "module": "2.7.1+rocm7.2.0.git262e50d5",
                "hip": "7.2.26015-fc0010cf6a",
            },
        ),
        ("rocm", "2.9.1", "7.2", {"version": "2.9.1+rocm7.2.0.git7e1940d4", "hip": "7.2.26015"}),
        ("rocm", "2.7.1", "6.4", {"version": "2.7.1+git99ccf24", "hip": "6.4.43484"}),
        ("therock", "2.13.0+rocm10.0.0", "7.15", {"version": "2.13.0+rocm10.0.0", "hip": "7.15.26333"}),
        ("cuda", "2.9.1+cu128", "12.8", {"version": "2.9.1+cu128", "cuda": "12.8"}),
        ("portable", "2.9.1", "", {"version": "2.9.1+cu128", "cuda": "12.8"}),
        ("portable", "2.9.1", "", {"version": "2.9.1+cpu"}),
    ],
)
def test_the_torch_that_was_meant_passes(
    environment: Environment, family: str, version: str, expected: str, torch: dict[str, Any]
) -> None:
    environment.install_torch(**torch)
    done = environment.finish(family, version, expected)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"torch {torch.get('module', torch['version'])}, hip ")


@pytest.mark.parametrize(
    ("family", "version", "expected", "torch", "said"),
    [
        ("rocm", "2.5.1+rocm6.2", "6.2", {"version": "2.8.0", "cuda": "12.8"}, "torch 2.8.0 is installed; the build began with 2.5.1"),
        ("rocm", "2.5.1+rocm6.2", "6.2", {"version": "2.5.1+cu124", "cuda": "12.4"}, "the build began with 2.5.1+rocm6.2"),
        ("rocm", "2.9.1", "7.2", {"version": "2.9.1", "cuda": "12.8"}, "has no HIP in a rocm image"),
        ("therock", "2.13.0", "", {"version": "2.13.0"}, "has no HIP in a therock image"),
        ("cuda", "2.9.1", "12.8", {"version": "2.9.1+cpu"}, "has no CUDA in a cuda image"),
        ("cpu", "2.13.0", "", {"version": "2.13.0", "cuda": "13.0"}, "is a GPU build in a CPU image"),
        ("rocm", "2.9.1", "7.2", {"version": "2.9.1", "hip": "7.1.52802"}, "built for 7.1.52802; this image is meant to have 7.2"),
        ("rocm", "2.9.1", "7.1", {"version": "2.9.1", "hip": "7.14.6"}, "built for 7.14.6; this image is meant to have 7.1"),
        (
            "rocm",
            "2.7.1+rocm7.2.0.lw.git262e50d5",
            "7.2",
            {"version": "2.7.1+rocm7.2.0.lw.gitffffffff", "module": "2.7.1+rocm7.2.0.git262e50d5", "hip": "7.2.26015"},
            "torch 2.7.1+rocm7.2.0.lw.gitffffffff is installed; the build began with 2.7.1+rocm7.2.0.lw.git262e50d5",
        ),
        (
            "rocm",
            "2.7.1+rocm7.2.0.lw.git262e50d5",
            "7.2",
            {"version": "2.7.1+rocm7.2.0.lw.git262e50d5", "module": "2.8.0", "hip": "7.2.26015"},
            "torch's module says that it is 2.8.0; its metadata say 2.7.1+rocm7.2.0.lw.git262e50d5",
        ),
        ("portable", "2.9.1", "", {"version": "2.8.0+cpu"}, "torch 2.8.0+cpu is installed; the build began with 2.9.1"),
    ],
)  # fmt: skip
def test_another_torch_is_refused(
    environment: Environment, family: str, version: str, expected: str, torch: dict[str, Any], said: str
) -> None:
    environment.install_torch(**torch)
    done = environment.finish(family, version, expected)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_torch_that_was_compiled_against_another_numpy_is_refused_with_the_way_out(environment: Environment) -> None:
    environment.install_torch("2.7.1+git99ccf24", hip="6.4.43484")
    environment.install("numpy", "2.3.5")
    module = environment.site / "torch" / "__init__.py"
    module.write_text(
        module.read_text().replace("def numpy(self): ...", "def numpy(self): raise RuntimeError('Numpy is not available')")
    )
    done = environment.finish("rocm", "2.7.1", "6.4")
    assert done.returncode == 1
    assert "torch 2.7.1+git99ccf24 does not work with NumPy 2.3.5: Numpy is not available" in done.stderr
    assert "rocm64-amd-numpy1" in done.stderr


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_releases_of_lightning_that_were_malware_are_refused_unimported(environment: Environment, version: str) -> None:
    environment.install_torch("2.13.0+cpu")
    environment.install("lightning", version)
    (environment.site / "lightning.py").write_text("raise SystemExit('it was imported')")
    done = environment.finish("cpu", "2.13.0")
    assert done.returncode == 1
    assert f"lightning {version} is malware (GHSA-w37p-236h-pfx3)" in done.stderr


def test_what_torch_brought_for_its_device_may_not_be_replaced_and_plain_python_may(environment: Environment) -> None:
    environment.install_torch("2.9.1+cu128", cuda="12.8")
    environment.install("nvidia-cublas-cu12", "12.8.4.1")
    environment.install("sympy", "1.14.0")
    environment.report(
        ("torch", "2.9.1+cu128", "a" * 64), ("nvidia-cublas-cu12", "12.8.4.1", "b" * 64), ("sympy", "1.13.3", "c" * 64)
    )
    assert environment.finish("cuda", "2.9.1+cu128").returncode == 0
    environment.report(("torch", "2.9.1+cu128", "a" * 64), ("nvidia-cublas-cu12", "12.8.3.0", "b" * 64))
    done = environment.finish("cuda", "2.9.1+cu128")
    assert "nvidia-cublas-cu12 12.8.4.1 is installed; the build began with 12.8.3.0" in done.stderr


def test_a_wheel_that_changed_under_its_name_is_refused(environment: Environment) -> None:
    environment.install_torch("2.5.1+rocm6.2", hip="6.2.41133")
    environment.report(("torch", "2.5.1+rocm6.2", "a" * 64))
    first = environment.finish("rocm", "2.5.1+rocm6.2")
    line = f"torch-2.5.1+rocm6.2-cp312.whl {'a' * 64}"
    assert f"strixbench wheel: {line}\n" in first.stdout
    known = environment.folder / "known-wheels.txt"
    known.write_text(f"{line}\n")
    assert environment.finish("rocm", "2.5.1+rocm6.2").returncode == 0
    known.write_text(f"torch-2.5.1+rocm6.2-cp312.whl {'b' * 64}\n")
    done = environment.finish("rocm", "2.5.1+rocm6.2")
    assert done.returncode == 1
    assert f"has SHA-256 {'a' * 64}; when it was first seen it had {'b' * 64}" in done.stderr


@pytest.mark.parametrize(
    ("code", "stays"),
    [("", True), ("raise OSError('libcudart.so.13: cannot open')", False), ("raise RuntimeError('different CUDA')", False)],
)
def test_only_an_extension_that_does_not_load_is_taken_out(environment: Environment, code: str, stays: bool) -> None:
    environment.install_torch("2.13.0+cpu")
    library = environment.install_torchaudio(code)
    assert environment.finish("cpu", "2.13.0").returncode == 0
    assert library.exists() == stays
