from __future__ import annotations

import time

import pytest

from harness.failures import MOST_CHARACTERS, recognise, signatures
from harness.records import ExceptionRecord

KNOWN: dict[str, tuple[str, ...]] = {
    "torchaudio-other-index": (
        "OSError: libc10_cuda.so: cannot open shared object file: No such file or directory",
        "builtins.OSError: libcudart.so.13: cannot open shared object file: No such file or directory",
        "ImportError: libtorch_cuda.so: cannot open shared object file: No such file or directory",
    ),
    "torchaudio-library-not-loadable": (
        "OSError: Could not load this library: /opt/venv/lib/python3.12/site-packages/torchaudio/lib/libtorchaudio.so",
    ),
    "torchaudio-undefined-symbol": (
        "OSError: /opt/venv/lib/python3.12/site-packages/torchaudio/lib/libtorchaudio.so: undefined symbol: _ZNK5torch8autograd4Node4nameEv",
        "OSError: /usr/lib/python3.11/site-packages/torchaudio/lib/_torchaudio.abi3.so: undefined symbol: aoti_torch_abi_version",
    ),
    "torchvision-mismatch": (
        "RuntimeError: operator torchvision::nms does not exist",
        "AttributeError: partially initialized module 'torchvision' has no attribute 'extension' (most likely due to a circular import)",
    ),
    "hub-offline": (
        "huggingface_hub.errors.LocalEntryNotFoundError: An error happened while trying to locate the file on the Hub and we cannot find the requested files in the local cache.",
        "huggingface_hub.errors.OfflineModeIsEnabled: Cannot reach https://huggingface.co/pyannote/segmentation-3.0: offline mode is enabled.",
        "LocalEntryNotFoundError: Cannot find the requested files in the disk cache and outgoing traffic has been disabled.",
    ),
    "gated": (
        "huggingface_hub.errors.GatedRepoError: 403 Client Error. Cannot access gated repo for url https://huggingface.co/pyannote/x",
        "HTTPError: Access to model pyannote/segmentation-3.0 is restricted. Cannot access gated repo.",
    ),
    "host-out-of-memory": (
        "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 107352000 bytes. Error code 12 (Cannot allocate memory)",
        "ImportError: pandas/_libs/pandas_parser.cpython-311-x86_64-linux-gnu.so: failed to map segment from shared object",
        "OSError: [Errno 12] Cannot allocate memory",
    ),
    "gpu-out-of-memory": (
        "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 62.47 GiB",
        "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB",
        "torch.cuda.OutOfMemoryError: Allocation on device 0 would exceed allowed memory.",
    ),
    "gpu-page-fault": (
        "Memory access fault by GPU node-1 (Agent handle: 0x5581) on address 0x7f1c. Reason: Page not present or supervisor privilege.",
    ),
    "no-code-for-gpu": (
        "RuntimeError: HIP error: invalid device function",
        'hipErrorNoBinaryForGpu: "Unable to find code object for all current devices!"',
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    "disk-full": ("OSError: [Errno 28] No space left on device: '/tmp/miopen/cache.db'",),
}
"""Texts as users met them; a signature without one is not kept."""

UNRELATED = (
    "ModuleNotFoundError: No module named 'torchaudio'",
    "ImportError: cannot import name 'is_oom_error' from 'lightning.pytorch.utilities.memory' (unknown location)",
    "SyntaxError: positional argument follows keyword argument (cloud_io.py, line 59)",
    "AttributeError: module 'torchaudio' has no attribute 'AudioMetaData'",
    "TypeError: hf_hub_download() got an unexpected keyword argument 'use_auth_token'",
    "_pickle.UnpicklingError: Weights only load failed. Unsupported global: GLOBAL torch.torch_version.TorchVersion",
    "AttributeError: 'DiarizeOutput' object has no attribute 'itertracks'",
    "OSError: libavutil.so.58: cannot open shared object file: No such file or directory",
    "RuntimeError: Could not load libtorchcodec. Likely causes: 1. FFmpeg is not properly installed",
    "OSError: Could not load this library: /opt/site-packages/torchcodec/libtorchcodec_image.so",
    "OSError: /opt/site-packages/numpy/core/_multiarray.so: undefined symbol: PyObject_Whatever",
    "RuntimeError: miopenStatusUnknownError",
    "MemoryError: Unable to allocate 3.40 GiB for an array with shape (4000, 589, 50) and data type float64",
    "FileNotFoundError: [Errno 2] No such file or directory: '/models/segmentation-3.0.bin'",
    "writing the aggregated report of 12 launches",
    "benchmarks.probe.DeviceUnavailable: torch 2.9.1 (hip 6.4, cuda None) sees no GPU",
    "KeyError: 'memory'",
    "",
)


@pytest.mark.parametrize("name", signatures())
def test_every_signature_has_a_text_that_it_is_known_by(name: str) -> None:
    assert KNOWN.get(name), f"add a real-looking text of {name} to KNOWN"


def test_every_known_text_belongs_to_a_signature() -> None:
    assert set(KNOWN) <= set(signatures())


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in KNOWN.items() for text in texts], ids=lambda each: each[:40]
)
def test_a_known_text_is_recognised_in_an_exception_and_in_a_log(name: str, text: str) -> None:
    kind, _, message = text.partition(": ")
    in_chain = recognise((ExceptionRecord(type=kind, message=message),), "")
    in_log = recognise((), f"loading\n{text}\nAborted\n")
    assert in_chain is not None
    assert in_log is not None
    assert (in_chain.id, in_log.id) == (name, name)


@pytest.mark.parametrize("text", UNRELATED, ids=lambda text: text[:40])
def test_an_unrelated_text_is_recognised_by_none(text: str) -> None:
    kind, _, message = text.partition(": ")
    assert recognise((ExceptionRecord(type=kind, message=message),), "") is None
    assert recognise((), text) is None


def test_every_signature_says_what_to_do_and_where_that_is_from() -> None:
    for signature in signatures().values():
        assert signature.explanation
        assert signature.fix
        assert signature.source


def test_the_root_cause_is_asked_before_what_it_caused() -> None:
    chain = (
        ExceptionRecord(type="RuntimeError", message="operator torchvision::nms does not exist"),
        ExceptionRecord(type="OSError", message="[Errno 28] No space left on device"),
    )
    found = recognise(chain, "Memory access fault by GPU node-1")
    assert found is not None
    assert found.id == "disk-full"


def test_the_log_is_asked_last() -> None:
    chain = (ExceptionRecord(type="RuntimeError", message="HIP error: unspecified launch failure"),)
    found = recognise(chain, "Memory access fault by GPU node-1 on address (nil). Reason: Unknown.")
    assert found is not None
    assert found.id == "gpu-page-fault"


def test_the_end_of_a_long_text_is_searched() -> None:
    text = "x" * (2 * MOST_CHARACTERS) + "RuntimeError: HIP out of memory"
    assert recognise((ExceptionRecord(type="RuntimeError", message=text),), "") is not None
    assert recognise((), "HIP out of memory" + "x" * MOST_CHARACTERS) is None


def test_a_long_hostile_text_does_not_hold_up_the_search() -> None:
    texts = ("torchaudio" * 2_000, "Could not load this library: " * 700, "lib" * 7_000)
    begun = time.process_time()
    for text in texts:
        assert recognise((), text) is None
    assert time.process_time() - begun < 5
