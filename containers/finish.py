"""Run at the end of every build, by the Python of the image that was built.

Asserts that torch is the one that the build began with, of the family and the ROCm or CUDA version that the image claims,
and from the wheel that was first seen under its name; takes out what cannot work beside it.
Usage: ``finish.py FAMILY TORCH_VERSION [EXPECTED]``, in the folder with pip's report.
"""

import glob
import importlib.metadata
import importlib.util
import json
import os
import sys

MALWARE = {"lightning": ("2.6.2", "2.6.3")}
"""Releases that steal credentials when they are imported: GHSA-w37p-236h-pfx3."""

REPORT = "torch.json"
"""What pip installed in the first step: https://pip.pypa.io/en/stable/reference/installation-report/."""

KNOWN = "known-wheels.txt"

BESIDE_THE_BASE = "/opt/packages"
"""Where base.Containerfile puts the default index's torchaudio, for a base that has none."""


def main(family, version, expected=""):
    refuse_malware()
    wheels = wheels_of_report()
    refuse_replaced(wheels)
    refuse_changed(wheels)

    import torch

    refuse_another(family, version, torch.__version__)
    hip, cuda = getattr(torch.version, "hip", None), torch.version.cuda
    if family == "cpu" and (cuda or hip):
        sys.exit(f"torch {torch.__version__} is a GPU build in a CPU image: name a CPU wheel index in torch_index")
    if family in ("rocm", "therock") and not hip:
        sys.exit(f"torch {torch.__version__} has no HIP in a {family} image")
    if family == "cuda" and not cuda:
        sys.exit(f"torch {torch.__version__} has no CUDA in a cuda image")
    found = hip or cuda or ""
    if expected and found != expected and not found.startswith(f"{expected}."):
        sys.exit(f"torch {torch.__version__} was built for {found}; this image is meant to have {expected}")
    try:
        torch.zeros(1).numpy()  # a torch compiled against NumPy 1 only warns at its import
    except RuntimeError as error:
        sys.exit(
            f"torch {torch.__version__} does not work with NumPy {importlib.metadata.version('numpy')}: {error}\n"
            "it may be compiled against NumPy 1: name a lock with that in the image's row, as rocm64-amd-numpy1 does"
        )
    drop_torchaudio_extension(family)
    print(f"torch {torch.__version__}, hip {hip}, cuda {cuda}")


def refuse_another(family, version, module):
    """The distribution is the one that was asked for, exactly where a local part was; the module is of the same release.

    AMD's wheels have ``.lw.`` in the local part of their file name and metadata, and not in ``torch.__version__``: a wheel
    named 2.9.1+rocm7.2.0.lw.git7e1940d4 imports as 2.9.1+rocm7.2.0.git7e1940d4.
    """
    installed = importlib.metadata.version("torch")
    as_asked = installed == version or (("+" not in version or family == "portable") and public(installed) == public(version))
    if not as_asked:
        sys.exit(f"torch {installed} is installed; the build began with {version}")
    if public(module) != public(version):
        sys.exit(f"torch's module says that it is {module}; its metadata say {installed}")


def public(version):
    """A version without its local part: https://packaging.python.org/specifications/version-specifiers/."""
    return version.split("+")[0]


def refuse_malware():
    """Look at the versions alone: these releases act when they are imported."""
    for name, versions in MALWARE.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if found in versions:
            sys.exit(f"{name} {found} is malware (GHSA-w37p-236h-pfx3): this image must not be used")


def wheels_of_report():
    """(distribution, version, file name, SHA-256) of all that the torch step installed; none where the base brought it."""
    try:
        with open(REPORT) as stream:
            installed = json.load(stream)["install"]
    except FileNotFoundError:
        return []
    return [
        (
            each["metadata"]["name"],
            each["metadata"]["version"],
            each["download_info"]["url"].rsplit("/", 1)[-1].replace("%2B", "+"),
            each["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", ""),
        )
        for each in installed
    ]


def refuse_replaced(wheels):
    """torch and what it brought for its device are still what they were; plain Python packages the lock may settle."""
    devices = ("torch", "triton", "pytorch-triton", "nvidia-", "rocm", "amd-torch")
    for name, version, _, _ in wheels:
        if name.lower().replace("_", "-").startswith(devices) and importlib.metadata.version(name) != version:
            sys.exit(f"{name} {importlib.metadata.version(name)} is installed; the build began with {version}")


def refuse_changed(wheels):
    """Print each wheel's hash for the build to remember, and refuse one that was another when it was first seen."""
    known = {}
    if os.path.exists(KNOWN):
        with open(KNOWN) as stream:
            known = dict(line.split() for line in stream if line.strip())
    for _, _, file, digest in wheels:
        if file in known and known[file] != digest:
            sys.exit(f"{file} has SHA-256 {digest}; when it was first seen it had {known[file]}")
        if digest:
            print(f"strixbench wheel: {file} {digest}")


def drop_torchaudio_extension(family):
    """Take out torchaudio's compiled part where it does not load beside this torch, and where that was to be expected: with
    the default index's torchaudio. One that came from torch's own index has to load.

    The default index's torchaudio is linked against CUDA. torchaudio itself takes a missing extension for a
    pure-Python build, which is all that pyannote.audio needs; a present one that does not load is an ImportError.
    """
    specification = importlib.util.find_spec("torchaudio")
    if specification is None or not specification.submodule_search_locations:
        return
    try:
        import torchaudio  # noqa: F401
    except (OSError, RuntimeError) as error:
        folders = list(specification.submodule_search_locations)
        if family not in ("cpu", "portable") and not all(folder.startswith(BESIDE_THE_BASE) for folder in folders):
            sys.exit(f"torchaudio does not load beside torch {importlib.metadata.version('torch')}: {error}")
        print(f"torchaudio's extension is taken out: {error}")
        for folder in folders:
            for library in glob.glob(os.path.join(folder, "lib", "*.so")):
                os.remove(library)


if __name__ == "__main__":
    main(*sys.argv[1:])
