"""What a resolver's or NumPy's refusal says: which package, what of it there is, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.failures.libraries import Words
from harness.records.outcome import ExceptionRecord

_REQUIREMENT = re.compile(r"satisfies the requirement ([^\s(]{1,200})[^\n(]{0,200}\(from versions: ([^)\n]{0,20000})\)")
_NO_DISTRIBUTION = re.compile(r"No matching distribution found for ([^\s,]{1,200})")
_NOT_IN_REGISTRY = re.compile(
    r"([\w.\[\]-]{1,100}) was not\s{1,40}found in the (?:package registry|provided package locations)"
)
_NONE_IN_CONFLICT = re.compile(
    r"distributions\s{1,80}available\s{1,80}for\s{1,80}your\s{1,80}environment:\s{1,200}([\w.-]{1,80})"
)
_NO_WHEELS = re.compile(r"(\S{1,100}) has no\s{1,40}(?:usable )?wheels")
_ONE_INDEX = re.compile(
    r"--(?:default-index|index-url|no-index)|\s-i\s|Looking in indexes: (?![^\n]{0,400}pypi)|UV_INDEX_URL|UV_DEFAULT_INDEX|PIP_INDEX_URL|--index-strategy"
)
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|NameResolutionError|Temporary failure in name resolution|Network is unreachable"
)
_PYTHON_TAG = re.compile(r"Ignored the following versions that require a different python|Python ABI tag|Requires-Python")
_OLD_INDEX = "rocm.nightlies.amd.com"
_NUMPY = re.compile(r"compiled using NumPy (\d)\.\w{1,4} cannot be run in\s{1,8}NumPy (\d)")
_NUMPY_SIZE = re.compile(r"size changed, may indicate binary incompatibility\. Expected (\d{1,6}) from C header, got (\d{1,6})")
_NUMPY_API = re.compile(r"compiled against (?:ABI|API) version (0x[0-9a-f]{1,10})[^\n]{0,80}numpy is (0x[0-9a-f]{1,10})")
_PACKAGE = re.compile(r"(?:site|dist)-packages[/\\]([A-Za-z_]\w{0,60})(?:[/\\]|\.py)")


def no_distribution(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A resolver that finds no release, or no wheel, of a package."""
    if missing := _NOT_IN_REGISTRY.search(text) or _NONE_IN_CONFLICT.search(text):
        return _not_in_index(missing[1], text)
    if (wheels := _NO_WHEELS.search(text)) and not _REQUIREMENT.search(text):
        return _no_wheel(wheels[1], "", text)
    said = _REQUIREMENT.search(found) or _REQUIREMENT.search(text)
    if said is None:
        bare = _NO_DISTRIBUTION.search(text)
        return _no_wheel(bare[1], "", text) if bare else None
    requirement, versions = said[1], " ".join(said[2].split())
    if _NETWORK.search(text):
        return (
            f"pip could not reach the index, so it found no release of {requirement}: this is the network, not the package",
            "check the network, the proxy and DNS inside the container or the build, and run it again",
        )
    real = [each for each in versions.split(", ") if each not in ("none", "") and not re.search(r"^0\.0\.0", each)]
    if not real:
        return _no_wheel(requirement, versions, text)
    newest = real[-1]
    return (
        f"this index has {_name(requirement)} for this Python and processor only in other versions (up to {newest}): none satisfies "
        f"{requirement}",
        f"ask for one that is there ({newest} is the last), or take the index or the Python that has {requirement}{_moved(text)}",
    )


def _not_in_index(package: str, text: str) -> Words:
    if _ONE_INDEX.search(text):
        return (
            f"the one index that was named replaces PyPI and does not have {package}, an ordinary package that others depend on",
            f"name PyPI as well, with --extra-index-url (uv: --index for the GPU's index, with "
            f"PyPI left as default, and --index-strategy unsafe-best-match if both have a package){_moved(text)}",
        )
    return (
        f"no index that was asked has {package}: a wrong name, or it is on another index",
        f"check the name, and add the index that has it (--extra-index-url){_moved(text)}",
    )


def _no_wheel(requirement: str, versions: str, text: str) -> Words:
    name = _name(requirement)
    if not versions and not _PYTHON_TAG.search(text) and _ONE_INDEX.search(text) and "+" not in requirement:
        return _not_in_index(name, text)
    placeholder = "only a placeholder release is there" if re.search(r"0\.0\.0", versions) else "no file of it fits"
    reason = "this Python" if _PYTHON_TAG.search(text) else "this processor and system (such as linux/arm64) or this Python"
    without = "; pyannote takes waveforms from memory, so it runs without torchcodec" if name == "torchcodec" else ""
    return (
        f"there is no wheel of {requirement} for {reason}: {placeholder}",
        f"leave {name} out (install the rest with --no-deps), or use a platform and a Python that it has wheels for (linux/amd64){without}"
        f"{_moved(text)}",
    )


def _moved(text: str) -> str:
    """AMD's nightlies moved in August 2026 (ROCm/TheRock#7547)."""
    return (
        "; AMD's nightlies later than 2026-08-22 are at https://nightly.repo.amd.com/rocm/whl-next/"
        if _OLD_INDEX in text
        else ""
    )


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]


def numpy_abi(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A compiled package that was built for another NumPy."""
    files = _PACKAGE.findall(f"{link.traceback}\n{link.where}" if link else "") or _PACKAGE.findall(text)
    outside = [each for each in files if each not in ("numpy", "importlib")]
    package = f"a package under {outside[-1]}" if outside else "a compiled package"
    older, newer = (
        (
            f"{package} was built for NumPy 1, and NumPy 2 is installed: their binary forms differ",
            "pip install 'numpy<2', or a newer build of that package, made for NumPy 2",
        ),
        (
            f"{package} was built for a newer NumPy than the one that is installed: their binary forms differ",
            "pip install --upgrade numpy (2 or later where the package was built for it), or an older build of that package",
        ),
    )
    if _NUMPY.search(text) or "_ARRAY_API not found" in found:
        return older
    if size := _NUMPY_SIZE.search(found):
        return newer if int(size[1]) > int(size[2]) else older
    if api := _NUMPY_API.search(found):
        return newer if int(api[1], 16) > int(api[2], 16) else older
    return None


MISSING_MODULES = {
    "torch": "torch, from the index of your GPU: PyTorch's for ROCm or AMD's own, PyPI for NVIDIA, PyTorch's for the CPU without one",
    "pyannote": "pyannote.audio: `pip install pyannote.audio`, with a constraint on the torch that is there",
    "lightning": "lightning>=2.4,<2.6, which pyannote.audio imports",
    "pytorch_lightning": "pytorch-lightning>=2.4,<2.6",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "torchcodec": "torchcodec of torch's release (beside ROCm, which has no build of it, the one of PyTorch's index for the CPU); or pass a waveform",
}


def missing_module(found: str, text: str, link: ExceptionRecord | None) -> Words | None:
    """A Python package that is not installed."""
    said = re.search(r"No module named '?([\w.]{1,100})'?", found)
    if said is None:
        return None
    name = said[1]
    top = name.split(".", 1)[0]
    what = MISSING_MODULES.get(top, f"the package that has {top}, often of the same name")
    return (
        f"the Python package {name} is not installed for the Python that ran: another environment may have it",
        f"install {what}; `which python` and `python -m pip list` tell which environment this is",
    )


RULES: dict[str, Callable[[str, str, ExceptionRecord | None], Words | None]] = {
    "distribution": no_distribution,
    "numpy": numpy_abi,
    "module": missing_module,
}
"""As `harness.failures.libraries.RULES`."""
