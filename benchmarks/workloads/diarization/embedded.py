"""The pipeline that needs no token: real segmentation-3.0 and CAM++ weights from a pinned package.

The weights are trained, so its output can be scored. It is not one of pyannote's published pipelines:
the embedding is CAM++ (https://arxiv.org/abs/2303.00332) in place of WeSpeaker's ResNet34.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import torch
from pyannote.audio import Model
from pyannote.audio.pipelines import SpeakerDiarization

SEGMENTATION = "segmentation-3.0.bin"
EMBEDDING = "campplus.pt"
EMBEDDING_CODE = "camplusplus.py"

DIMENSION = 192
MEL_BINS = 80
SHORTEST_FRAMES = 20
"""Speech shorter than this (0.2 s) gets NaN in place of an embedding, and pyannote's clustering leaves it out."""

FRAMES_STEP = 100
"""Speech is lengthened to a multiple of this many frames (1 s) before it goes through CAM++."""

CLUSTERING_THRESHOLD = 0.7
MINIMUM_CLUSTER_SIZE = 12

try:
    from pyannote.audio.core.plda import PLDA
except ImportError:  # pyannote.audio 3.x has none
    PLDA = object


class UnusedPLDA(PLDA):
    """Satisfies pyannote.audio 4's constructor where the clustering does not use a PLDA; calling it is an error."""

    def __init__(self) -> None:
        pass

    def __call__(self, embeddings: Any) -> Any:
        raise RuntimeError("this pipeline's clustering was said not to use a PLDA, and asked for it")


class CampPlus(Model):
    """CAM++ with pyannote's embedding interface.

    ``forward`` takes waveforms ``(items, 1, samples)`` and masks ``(items, frames)`` and gives embeddings ``(items, 192)``.
    The frames under the mask are cut out and put end to end, as in speaker verification.

    pyannote sends each chunk of audio once for each speaker, and a loop over the items would run CAM++ at batch size 1. So
    features are computed once for each chunk, speech is repeated cyclically up to the next whole second, and all speech of one
    length goes through as one batch. On the sample with two processor cores that is 1.8 times as fast as the loop, at
    the same DER (`make perf` prints both). It also leaves ten shapes to a GPU's kernel search in place of a thousand.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__(sample_rate=16_000, num_channels=1, task=None)
        self.network = network

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return DIMENSION

    def forward(self, waveforms: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Embeddings, NaN where there is too little speech; raises where the audio is shorter than one frame."""
        chunks, chunk_of_item = _distinct(waveforms)
        features = torch.stack([_filter_bank(chunk) for chunk in chunks])
        if weights is None:
            return self.network(features - features.mean(dim=1, keepdim=True))
        masks = torch.nn.functional.interpolate(weights[:, None], size=features.shape[1], mode="nearest")[:, 0] > 0.5
        embeddings = torch.full((len(waveforms), DIMENSION), float("nan"), device=waveforms.device)
        for items, speech in _batches_of_one_length(features, chunk_of_item, masks):
            embeddings[items] = self.network(speech)
        return embeddings


def load_pipeline(models: Path) -> SpeakerDiarization:
    """The pipeline on the CPU, from the folder that `strixbench models fetch embedded` filled and verified."""
    parameters: dict[str, Any] = {"plda": UnusedPLDA()} if PLDA is not object else {}
    pipeline = SpeakerDiarization(
        segmentation=Model.from_pretrained(str(models / SEGMENTATION)),
        embedding=CampPlus(load_network(models)),
        clustering="AgglomerativeClustering",
        embedding_exclude_overlap=True,
        **parameters,
    )
    return pipeline.instantiate(
        {
            "segmentation": {"min_duration_off": 0.0},
            "clustering": {
                "method": "centroid",
                "min_cluster_size": MINIMUM_CLUSTER_SIZE,
                "threshold": CLUSTERING_THRESHOLD,
            },
        }
    )


def load_network(models: Path) -> torch.nn.Module:
    """CAM++ with its weights, in evaluation mode. Its code comes with the weights and is hash-checked like them."""
    specification = importlib.util.spec_from_file_location("camplusplus", models / EMBEDDING_CODE)
    if specification is None or specification.loader is None:
        raise FileNotFoundError(models / EMBEDDING_CODE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    network: torch.nn.Module = module.CAMPPlus(feat_dim=MEL_BINS, embedding_size=DIMENSION)
    network.load_state_dict(torch.load(models / EMBEDDING, map_location="cpu", weights_only=True))
    return network.eval()


def _distinct(waveforms: torch.Tensor) -> tuple[list[torch.Tensor], list[int]]:
    """The waveforms without repeated neighbours, and for each item the index of its waveform."""
    chunks = [waveforms[0]]
    chunk_of_item = [0]
    for waveform in waveforms[1:]:
        if not torch.equal(waveform, chunks[-1]):
            chunks.append(waveform)
        chunk_of_item.append(len(chunks) - 1)
    return chunks, chunk_of_item


def _filter_bank(waveform: torch.Tensor) -> torch.Tensor:
    """Kaldi's log mel filter bank ``(frames, 80)`` of a waveform ``(1, samples)``."""
    import torchaudio.compliance.kaldi as kaldi

    compute = functools.partial(kaldi.fbank, num_mel_bins=MEL_BINS, sample_frequency=16_000, dither=0.0)
    features: torch.Tensor = compute(waveform)
    return features


def _batches_of_one_length(
    features: torch.Tensor, chunk_of_item: list[int], masks: torch.Tensor
) -> list[tuple[list[int], torch.Tensor]]:
    """Items with enough speech, with that speech ``(items, frames, 80)``, grouped by its lengthened number of frames."""
    groups: dict[int, tuple[list[int], list[torch.Tensor]]] = {}
    for item, chunk in enumerate(chunk_of_item):
        speech = features[chunk][masks[item]]
        frames = len(speech)
        if frames < SHORTEST_FRAMES:
            continue
        speech = speech - speech.mean(dim=0, keepdim=True)
        lengthened = -(-frames // FRAMES_STEP) * FRAMES_STEP
        items, speeches = groups.setdefault(lengthened, ([], []))
        items.append(item)
        speeches.append(speech[torch.arange(lengthened, device=speech.device) % frames])
    return [(items, torch.stack(speeches)) for items, speeches in groups.values()]
