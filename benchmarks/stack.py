"""What this image has: each import of the pyannote stack, tried on its own; torch's flavour; the device; its variables."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

from benchmarks import knobs, torchaudio_names
from benchmarks.wire import MOST_VALUE_CHARACTERS, MOST_VARIABLES, VARIABLE_PREFIXES, Journal, Request, exception_chain

# (module, attribute or None, distribution). The order makes the true cause of a break show first: `import pyannote.audio`
# runs lightning before torchaudio, and lightning would otherwise get the blame for a broken torch package.
STACK: tuple[tuple[str, str | None, str], ...] = (
    ("torch", None, "torch"),
    ("torchaudio", None, "torchaudio"),
    ("torchcodec", None, "torchcodec"),
    ("torchvision", None, "torchvision"),
    ("lightning", None, "lightning"),
    ("asteroid_filterbanks", None, "asteroid-filterbanks"),
    ("huggingface_hub", None, "huggingface-hub"),
    ("speechbrain", None, "speechbrain"),
    ("pyannote.core", None, "pyannote.core"),
    ("pyannote.metrics", None, "pyannote.metrics"),
    ("pyannote.pipeline", None, "pyannote.pipeline"),
    ("pyannote.database", None, "pyannote.database"),
    ("pyannote.audio", None, "pyannote.audio"),
    ("pyannote.audio", "Pipeline", "pyannote.audio"),
)

SECRET_WORDS = ("TOKEN", "KEY", "SECRET", "PASSWORD")
"""A variable whose name contains one of these is never told."""

MOST_IDENTITY_CHARACTERS = 8_000
MOST_WARNINGS = 8
MOST_WARNING_CHARACTERS = 300


class DeviceUnavailable(Exception):  # noqa: N818 - the name is what a person reads in the report
    """The device that was asked for is not there. Nothing falls back to another."""


class MaliciousRelease(Exception):  # noqa: N818 - likewise
    """A package that acts against its user when it is imported. It is not imported."""


MALICIOUS = (("lightning", ("2.6.2", "2.6.3"), "GHSA-w37p-236h-pfx3"),)
"""(distribution, versions, advisory)"""


def refuse_malicious() -> None:
    """Raise `MaliciousRelease` for a release known to be malware; only versions are looked at, and nothing is imported."""
    for name, versions, advisory in MALICIOUS:
        if _version(name) in versions:
            raise MaliciousRelease(f"{name} {_version(name)} is malware ({advisory}) and was not imported")


def try_imports(journal: Journal, *, needed: Collection[str]) -> dict[str, Any]:
    """Try and journal each package of `STACK`, whatever the workload; returns the ``import`` stage's findings.

    ``needed`` are the names of those without which the workload cannot run, torch among them. Raises the exception of the first of
    these that failed, once all have been tried.
    """
    refuse_malicious()
    first_failure: Exception | None = None
    for module, attribute, distribution in STACK:
        name = f"{module}.{attribute}" if attribute else module
        journal.write("import", name=name, needed=name in needed, outcome="trying")
        begun = time.perf_counter()
        outcome, chain, error = _try_import(module, attribute)
        journal.write(
            "import",
            name=name,
            needed=name in needed,
            outcome=outcome,
            seconds=time.perf_counter() - begun,
            version=_version(distribution),
            chain=chain,
        )
        if name in needed and error is not None and first_failure is None:
            first_failure = error
        if module == "torchaudio" and (lent := torchaudio_names.lend()) is not None:
            journal.write("note", text=lent)
    if first_failure is not None:
        raise first_failure
    return {"python": platform.python_version(), "torch": torch_identity(), "packages": installed_packages()}


def variables_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that bear on results, including an image's own ENV, which no plan knows: by name, escaped so that they can be
    encoded, and cut to what a journal can hold."""
    names = sorted(
        name
        for name in environment
        if name.startswith(VARIABLE_PREFIXES) and not any(word in name.upper() for word in SECRET_WORDS)
    )

    def cut(text: str) -> str:
        return text.encode("utf-8", "backslashreplace").decode()[:MOST_VALUE_CHARACTERS]

    return {cut(name): cut(environment[name]) for name in names[:MOST_VARIABLES]}


def torch_identity() -> dict[str, Any]:
    """Which torch this really is: a ROCm image whose torch was replaced by pip shows here.

    ``architectures`` are those that it has kernels for, which needs no GPU to tell; ``blas`` is what it was built with.
    """
    torch: Any = sys.modules["torch"]
    flags = _told(lambda: torch._C._cuda_getArchFlags())
    blas = re.search(r"BLAS_INFO=(\w+)", _told(lambda: torch.__config__.show()) or "")
    return {
        "version": str(torch.__version__),
        "hip": getattr(torch.version, "hip", None),
        "cuda": getattr(torch.version, "cuda", None),
        "architectures": flags.split() if flags else [],
        "blas": blas[1] if blas else None,
    }


def gpu_libraries() -> dict[str, Any]:
    """Which libraries torch computes with on a GPU; ``None`` where this torch does not tell."""
    torch: Any = sys.modules["torch"]
    library = "miopen" if getattr(torch.version, "hip", None) else "cudnn"
    return {
        "preferred_blas": _told(lambda: torch.backends.cuda.preferred_blas_library()),
        library: _told(lambda: torch.backends.cudnn.version()),
    }


def installed_packages() -> list[str]:
    """``name==version`` of every distribution, sorted: what pip freeze would print, without needing pip."""
    pairs = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for distribution in importlib.metadata.distributions():
            try:
                pairs.add((distribution.metadata["Name"] or "?", distribution.version or "?"))
            except Exception:  # the damaged metadata of one package says nothing about the others
                pairs.add(("?", "?"))
    return sorted((f"{name}=={version}" for name, version in pairs), key=str.lower)


def use_device(request: Request) -> dict[str, Any]:
    """Do one real operation on the device that was asked for and describe it; raises `DeviceUnavailable`."""
    import torch

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        described = _use_device(torch, request)
    texts = dict.fromkeys(" ".join(str(each.message).split())[:MOST_WARNING_CHARACTERS] for each in seen)
    return {"device": request.device, **described, "warnings": list(texts)[:MOST_WARNINGS]}


def _use_device(torch: Any, request: Request) -> dict[str, Any]:
    """The description of the device, once a product computed on it is right."""
    if request.device == "cpu":
        value = float((torch.ones(8, 8) @ torch.ones(8, 8)).sum())
        described: dict[str, Any] = {"name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    else:
        if not torch.cuda.is_available():
            identity = torch_identity()
            raise DeviceUnavailable(f"torch {identity['version']} (hip {identity['hip']}, cuda {identity['cuda']}) sees no GPU")
        knobs.apply(knob for knob in request.knobs if knob in knobs.OF_TORCH)
        value = float((torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda")).sum())
        properties = torch.cuda.get_device_properties(0)
        described = {
            "name": properties.name,
            "gfx_target": getattr(properties, "gcnArchName", None),
            "total_memory_bytes": properties.total_memory,
            "architectures": list(torch.cuda.get_arch_list()),
            **gpu_libraries(),
        }
    if value != 512.0:
        raise ArithmeticError(f"an 8 x 8 product of ones sums to {value} on {request.device}, not to 512")
    return described


def _try_import(module: str, attribute: str | None) -> tuple[str, list[dict[str, str]], Exception | None]:
    """The outcome, the chain and the exception of one import."""
    try:
        loaded = importlib.import_module(module)
        if attribute is not None:
            getattr(loaded, attribute)
    except Exception as error:  # whatever an image's package raises is what we are here to record
        # A package that is there but lacks something of its own has failed; only one that is not there is "absent".
        absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        return ("absent" if absent else "failed"), exception_chain(error), error
    return "ok", [], None


def _told(ask: Callable[[], Any]) -> str | None:
    """What torch says about itself; ``None`` where this version of it cannot say."""
    try:
        answer = ask()
    except Exception:  # a torch that cannot tell this is not broken
        return None
    return None if answer is None else str(answer)[:MOST_IDENTITY_CHARACTERS]


def _version(distribution: str) -> str | None:
    """A distribution's version without importing it; ``None`` where it has no metadata."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
