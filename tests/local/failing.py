"""Produces real failures, several in one interpreter, and prints each as a line of JSON: ``id``, ``chain``, ``text``, ``printed``.

``python -m tests.local.failing ID ...`` in an environment that has torch and pyannote.audio. ``chain`` is what the guest
would have journaled, ``text`` what Python would have printed, ``printed`` what the libraries did print. Standard library, torch and pyannote alone.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from benchmarks.wire import exception_chain

FAILURES: dict[str, Callable[[], Any]] = {}


def failure(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Enters a function that raises the failure of this id, or that returns the text of a warning."""

    def enter(produce: Callable[[], Any]) -> Callable[[], Any]:
        FAILURES[name] = produce
        return produce

    return enter


@failure("torchcodec-warning")
def _() -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import pyannote.audio  # noqa: F401
    return "\n".join(f"{each.category.__name__}: {each.message}" for each in caught)


@failure("pipeline-use-auth-token")
def _() -> None:
    from pyannote.audio import Pipeline

    Pipeline.from_pretrained("pyannote/speaker-diarization-3.1", use_auth_token="no-token")


@failure("revision-in-name")
def _() -> None:
    from pyannote.audio import Pipeline

    Pipeline.from_pretrained("pyannote/speaker-diarization-3.1@main")


@failure("hub-offline")
def _() -> None:
    from pyannote.audio import Model

    with tempfile.TemporaryDirectory() as folder:
        Model.from_pretrained("pyannote/segmentation-3.0", cache_dir=folder)


@failure("hub-repo-id")
def _() -> None:
    from pyannote.audio import Model

    Model.from_pretrained("/models/segmentation/that/is/not/there")


@failure("weights-only")
def _() -> None:
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.ckpt"
        kept = Specifications(Problem.REPRESENTATION, Resolution.CHUNK, 10.0)
        torch.save({"pyannote.audio": {"specifications": kept}}, path)
        torch.load(path)


@failure("torchcodec-unavailable")
def _() -> None:
    from pyannote.audio import Audio

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        Audio()(file.name)


@failure("torchcodec-audiodecoder")
def _() -> None:
    from pyannote.audio import Audio

    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        Audio()(file.name)


@failure("diarize-output")
def _() -> None:
    from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
    from pyannote.core import Annotation

    DiarizeOutput(Annotation(), Annotation()).itertracks(yield_label=True)


@failure("plda-none")
def _() -> None:
    from pyannote.audio.pipelines.utils.getter import get_plda

    get_plda(None)


@failure("pipeline-dependency")
def _() -> None:
    from pyannote.audio.utils.dependencies import check_dependencies

    check_dependencies({"torch": "1.0"}, "Pipeline")


@failure("onnxruntime-embedding")
def _() -> None:
    from pyannote.audio.pipelines.speaker_verification import PretrainedSpeakerEmbedding

    PretrainedSpeakerEmbedding("/models/wespeaker-voxceleb-resnet34-LM.bin")


@failure("unknown-specifications")
def _() -> None:
    from pyannote.audio.core.model import Model

    _ = Model().specifications


@failure("torchaudio-audiometadata")
def _() -> None:
    import torchaudio

    _ = torchaudio.AudioMetaData


@failure("torchaudio-list-backends")
def _() -> None:
    import torchaudio

    torchaudio.list_audio_backends()


@failure("torchaudio-set-backend")
def _() -> None:
    import torchaudio

    torchaudio.set_audio_backend("soundfile")


@failure("torchaudio-backend-common")
def _() -> None:
    import importlib

    importlib.import_module("torchaudio.backend.common")


@failure("numpy-2-nan")
def _() -> None:
    import numpy

    _ = numpy.NaN


@failure("host-out-of-memory")
def _() -> None:
    import torch

    torch.empty(1 << 46)


@failure("host-array-too-large")
def _() -> None:
    import numpy

    numpy.zeros((1 << 30, 589, 50))


@failure("batch-size-out-of-memory")
def _() -> None:
    """The host runs out in segmentation's forward, which pyannote turns into an error of its own."""
    import torch
    from pyannote.audio import Inference
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    class Huge(PyanNet):
        def forward(self, waveforms: Any) -> Any:
            return torch.empty(1 << 46)

    model = Huge()
    model.specifications = Specifications(Problem.BINARY_CLASSIFICATION, Resolution.FRAME, 10.0, classes=["speech"])
    inference = Inference.__new__(Inference)
    inference.model, inference.batch_size, inference.device = model, 32, torch.device("cpu")
    inference.infer(torch.zeros(1, 1, 160000))


@failure("pkg-resources-missing")
def _() -> None:
    import importlib

    importlib.import_module("pkg_resources")


@failure("torch-without-gpu")
def _() -> None:
    import torch

    torch.zeros(1, device="cuda")


@failure("tf32-mixed")
def _() -> None:
    import torch

    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    torch.backends.cudnn.rnn.fp32_precision = "ieee"
    _ = torch.backends.cudnn.allow_tf32


@failure("tf32-disabled")
def _() -> str:
    import torch
    from pyannote.audio.utils.reproducibility import fix_reproducibility

    torch.backends.cuda.matmul.allow_tf32 = True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fix_reproducibility(torch.device("cuda"))
    return "\n".join(f"{each.category.__name__}: {each.message}" for each in caught)


@failure("std-of-one-frame")
def _() -> str:
    import torch
    from pyannote.audio.models.blocks.pooling import StatsPool

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        StatsPool()(torch.ones(1, 4, 1))
    return "\n".join(f"{each.category.__name__}: {each.message}" for each in caught)


@failure("disk-full")
def _() -> None:
    with open("/dev/full", "w") as full:
        full.write("no room")


@failure("lightning-damaged")
def _() -> None:
    """The name is taken away from a whole lightning, and pyannote.audio imported after that."""
    import lightning.pytorch.utilities.memory as memory

    kept = memory.is_oom_error
    del memory.is_oom_error
    forgotten = {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith("pyannote.audio")}
    try:
        import pyannote.audio.core.inference  # noqa: F401
    finally:
        memory.is_oom_error = kept
        sys.modules.update(forgotten)


@failure("lightning-stubbed")
def _() -> None:
    """A module without the name stands in for lightning's, as a test double or a half-installed package does."""
    import types

    for name in ("lightning", "lightning.pytorch", "lightning.pytorch.utilities", "lightning.pytorch.utilities.memory"):
        sys.modules[name] = types.ModuleType(name)
    import pyannote.audio  # noqa: F401


@failure("hip-out-of-memory")
def _() -> None:
    """torch's own class with the words of ROCm, as lightning sees it; there is no GPU to run out of memory here."""
    import torch
    from lightning.pytorch.utilities.memory import is_oom_error

    said = "HIP out of memory. Tried to allocate 2.00 GiB. Set PYTORCH_HIP_ALLOC_CONF to avoid fragmentation."
    raise torch.OutOfMemoryError(f"{said} (is_oom_error says {is_oom_error(torch.OutOfMemoryError(said))})")


@failure("gated")
def _() -> None:
    _from_hub("pyannote/segmentation-3.0", 403, "GatedRepo", "Access to this model is restricted.")


@failure("plda-gated")
def _() -> None:
    _from_hub("pyannote/speaker-diarization-community-1", 403, "GatedRepo", "Access to this model is restricted.")


@failure("hub-token")
def _() -> None:
    _from_hub("pyannote/segmentation-3.0", 401, "", "Invalid user token.")


@failure("lightning-import")
def _() -> None:
    import lightning.pytorch  # noqa: F401


@failure("torchaudio-import")
def _() -> None:
    import torchaudio  # noqa: F401


@failure("torchcodec-import")
def _() -> None:
    import torchcodec  # noqa: F401


@failure("pyannote-import")
def _() -> None:
    import pyannote.audio  # noqa: F401


@failure("hub-use-auth-token")
def _() -> None:
    """The call that pyannote.audio 3 makes for every file."""
    from huggingface_hub import hf_hub_download

    hf_hub_download("pyannote/segmentation-3.0", "config.yaml", use_auth_token=None)


@failure("weights-only-argument")
def _() -> None:
    import torch
    from pyannote.audio import Model

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.ckpt"
        torch.save({"state_dict": {}}, path)
        Model.from_pretrained(path)


@failure("pipeline-token")
def _() -> None:
    _give_torchaudio_back_what_it_lost()
    from pyannote.audio import Pipeline

    Pipeline.from_pretrained("pyannote/speaker-diarization-3.1", token="no-token")


@failure("plda-argument")
def _() -> None:
    _give_torchaudio_back_what_it_lost()
    from pyannote.audio.pipelines import SpeakerDiarization

    SpeakerDiarization(plda="pyannote/speaker-diarization-community-1")


@failure("gated-none")
def _() -> None:
    """First of its interpreter: the hub's address is read once."""
    del os.environ["HF_HUB_OFFLINE"]
    with _hub(403, "GatedRepo", "Access to this model is restricted.") as address:
        os.environ["HF_ENDPOINT"] = address
        _give_torchaudio_back_what_it_lost()
        from pyannote.audio import Pipeline

        with tempfile.TemporaryDirectory() as folder:
            pipeline = Pipeline.from_pretrained("pyannote/speaker-diarization-3.1", cache_dir=folder)
        pipeline.to("cpu")


def _give_torchaudio_back_what_it_lost() -> None:
    """The three names that pyannote.audio 3.4 wants of torchaudio when it is imported."""
    import torchaudio

    torchaudio.AudioMetaData, torchaudio.info = type("AudioMetaData", (), {}), None
    torchaudio.list_audio_backends = lambda: ["soundfile"]


def _from_hub(repository: str, status: int, code: str, message: str) -> None:
    """Asks a server on this machine, which answers as the hub does, for a file of a repository."""
    import huggingface_hub.constants

    with _hub(status, code, message) as address, tempfile.TemporaryDirectory() as folder:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import reset_sessions

        offline, huggingface_hub.constants.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE, False
        reset_sessions()  # one that was made offline stays so
        try:
            hf_hub_download(repository, "config.yaml", endpoint=address, cache_dir=folder)
        finally:
            huggingface_hub.constants.HF_HUB_OFFLINE = offline
            reset_sessions()


@contextmanager
def _hub(status: int, code: str, message: str) -> Iterator[str]:
    """A hub that refuses everything in one way."""

    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", message)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD  # noqa: N815

        def log_message(self, format: str, *values: Any) -> None:  # noqa: A002
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """One line for each id that was asked for; one that does not fail says so."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in sys.argv[1:]:
        told: dict[str, Any] = {"id": name, "chain": [], "text": ""}
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                told["text"] = FAILURES[name]() or ""
        except BaseException as error:
            told["chain"], told["text"] = exception_chain(error), traceback.format_exc()
        told["printed"] = printed.getvalue()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
