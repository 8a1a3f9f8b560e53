"""The pipeline that needs nothing at all: pyannote's own networks in the shapes of 3.1, with weights made here.

The weights are random, so the work is real but the output means nothing: **no accuracy**.

They come from the seed and the tensor's name by `benchmarks.seeded`, and so have the same bits everywhere.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
import torchaudio  # noqa: F401 - what `torchaudio_names` lends to

from benchmarks import seeded, torchaudio_names

torchaudio_names.lend()  # for a step that imports only this module; in a whole launch the import stage did it, and said so

from pyannote.audio import Model  # noqa: E402 - needs those names
from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: E402
from pyannote.audio.models.embedding import WeSpeakerResNet34  # noqa: E402
from pyannote.audio.models.segmentation import PyanNet  # noqa: E402
from pyannote.audio.pipelines import SpeakerDiarization  # noqa: E402

SAMPLE_RATE_HERTZ = 16_000
CHUNK_SECONDS = 10.0

PARAMETERS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7045654963945799},
}
"""The parameters of pyannote/speaker-diarization-3.1"""

LOWEST_HERTZ = 30.0
HIGHEST_HERTZ = 7_900.0
"""SincNet's bands lie between these before training (asteroid_filterbanks/param_sinc_fb.py)."""


def build_segmentation(seed: int = 0) -> Model:
    """pyannote/segmentation-3.0's network (1.5 M weights) on the CPU, in evaluation mode, with weights of this seed."""
    model = PyanNet(
        sincnet={"stride": 10},
        lstm={"hidden_size": 128, "num_layers": 4, "bidirectional": True, "monolithic": True, "dropout": 0.5},
        linear={"hidden_size": 128, "num_layers": 2},
    )
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=CHUNK_SECONDS,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.build()
    return _with_weights(model, f"segmentation/{seed}")


def build_embedding(seed: int = 0) -> Model:
    """WeSpeaker's ResNet34 (6.6 M weights) on the CPU, in evaluation mode, with weights of this seed."""
    model = WeSpeakerResNet34()
    # 3.1 asks even an embedding for its specifications (UnknownSpecificationsError otherwise).
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=CHUNK_SECONDS, classes=["speaker"]
    )
    return _with_weights(model, f"embedding/{seed}")


def load_pipeline(scratch: Path, *, seed: int = 0) -> SpeakerDiarization:
    """The 3.1 pipeline on the CPU, its models written to a folder in ``scratch`` and read back as trained ones would be."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="synthetic-") as folder:
        files = Path(folder)
        save_checkpoint(build_segmentation(seed), files / "segmentation.bin")
        save_checkpoint(build_embedding(seed), files / "embedding.bin")
        parameters: dict[str, Any] = {}
        if _has_plda():
            save_plda(files / "plda", seed)
            parameters["plda"] = str(files / "plda")
        pipeline = SpeakerDiarization(
            segmentation=load_checkpoint(files / "segmentation.bin"),
            embedding=load_checkpoint(files / "embedding.bin"),
            clustering="AgglomerativeClustering",
            embedding_exclude_overlap=True,
            **parameters,
        )
    return pipeline.instantiate(PARAMETERS)


def save_checkpoint(model: Model, path: Path) -> None:
    """Write a checkpoint as pyannote's training does: 5.9 MB for the segmentation, 26.7 MB for the embedding.

    Like the published ones it holds pyannote's and torch's own classes beside the weights: a torch that refuses
    those (``weights_only``) fails here too.
    """
    checkpoint: dict[str, Any] = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.5.6",
        "epoch": 0,
        "global_step": 0,
    }
    model.on_save_checkpoint(checkpoint)
    checkpoint["pyannote.audio"]["versions"]["torch"] = torch.__version__
    torch.save(checkpoint, path)


def load_checkpoint(path: Path) -> Model:
    """A model read by pyannote itself, on the CPU and in evaluation mode."""
    return Model.from_pretrained(str(path)).eval()


def save_plda(folder: Path, seed: int = 0) -> None:
    """Write a PLDA in community-1's shapes: pyannote.audio 4 loads one even for a clustering that does not use it.

    See https://github.com/pyannote/pyannote-audio/issues/2044.
    """
    import numpy

    folder.mkdir()
    lda = make_tensor(f"plda/{seed}/lda", torch.zeros(256, 128)).numpy()
    numpy.savez(folder / "xvec_transform.npz", mean1=numpy.zeros(256), mean2=numpy.zeros(128), lda=lda)
    numpy.savez(folder / "plda.npz", mu=numpy.zeros(128), tr=numpy.eye(128), psi=numpy.linspace(2.0, 0.1, 128))


def _has_plda() -> bool:
    """Whether this pyannote.audio has PLDAs: 4 does, 3 does not."""
    return importlib.util.find_spec("pyannote.audio.core.plda") is not None


def _with_weights(model: Model, stream: str) -> Model:
    """The model with each tensor of its state replaced by one made here."""
    state = {name: make_tensor(f"{stream}/{name}", tensor) for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()


def make_tensor(path: str, like: torch.Tensor) -> torch.Tensor:
    """A tensor in the shape and type of another; its name decides its kind.

    Matrices and kernels are uniform with a variance of one over their number of inputs, so that activations keep their size
    from layer to layer. Scales and variances lie around 1, offsets around 0.
    """
    shape = tuple(like.shape)
    kind = path.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.zeros(shape, dtype=like.dtype)
    if kind in _SINCNET:
        values = torch.tensor(_SINCNET[kind](like.numel()), dtype=torch.float64)
        return values.to(torch.float32).reshape(shape)
    uniform = seeded.uniform(path, *shape)
    if len(shape) > 1:
        gain = next((gain for part, gain in _GAINS.items() if part in path), 1.0)
        return uniform * (gain * math.sqrt(3.0 / math.prod(shape[1:])))
    if kind in ("weight", "running_var"):
        return 1.0 + uniform * 0.125
    return uniform * 0.125


# With a gain of one throughout, an LSTM's gates hardly move and the segmentation gives the same for every frame. With these
# gains it changes about 75 times in a chunk of speech, and still does not blow up a difference in the last bit: a relative
# change of 1e-6 in the sound becomes 1e-4 in the output. (Measured on seeds 0 to 2; with gains 1.5 times as large it becomes 1e-3.)
_GAINS = {"lstm.weight_ih": 2.0, "/linear.": 1.5, "/classifier.": 4.0}


def _band_edges(bands: int) -> list[float]:
    """The edges of bands of equal width on the mel scale; rounded, since libraries differ in the last bit of a power."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST_HERTZ, HIGHEST_HERTZ))
    return [round(700 * (10 ** ((low + (high - low) * edge / bands) / 2595) - 1), 2) for edge in range(bands + 1)]


def _band_widths(bands: int) -> list[float]:
    """The hertz from each band's lower edge to the next band's."""
    edges = _band_edges(bands)
    return [upper - lower for lower, upper in itertools.pairwise(edges)]


# Values in SincNet's checkpoint that are not weights: see asteroid_filterbanks/param_sinc_fb.py.
_SINCNET: dict[str, Any] = {
    "low_hz_": lambda bands: _band_edges(bands)[:-1],
    "band_hz_": _band_widths,
    "window_": lambda half: [round(0.54 - 0.46 * math.cos(math.pi * index / half), 6) for index in range(half)],
    "n_": lambda half: [2 * math.pi * (index - half) / SAMPLE_RATE_HERTZ for index in range(half)],
}
