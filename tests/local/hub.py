"""Run by the local environment's Python: a Hugging Face cache with the gated pipelines' files, of the true shapes, names
and layout, and random weights. A stand-in for what no test machine may download: nothing made of it is a measurement.
"""

import sys
from pathlib import Path

import numpy
import torch
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import WeSpeakerResNet34
from pyannote.audio.models.segmentation import PyanNet

REVISION = "0" * 40

CONFIG_31 = """version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    segmentation: pyannote/segmentation-3.0
    segmentation_batch_size: 32
params:
  clustering:
    method: centroid
    min_cluster_size: 12
    threshold: 0.7045654963945799
  segmentation:
    min_duration_off: 0.0
"""

CONFIG_COMMUNITY = """dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""


def main(cache: Path) -> None:
    torch.manual_seed(0)
    write(repository(cache, "speaker-diarization-3.1") / "config.yaml", CONFIG_31)
    save(segmentation(), repository(cache, "segmentation-3.0"))
    save(WeSpeakerResNet34(), repository(cache, "wespeaker-voxceleb-resnet34-LM"))
    community = repository(cache, "speaker-diarization-community-1")
    write(community / "config.yaml", CONFIG_COMMUNITY)
    save(segmentation(), community / "segmentation")
    save(WeSpeakerResNet34(), community / "embedding")
    save_plda(community / "plda")


def repository(cache: Path, name: str) -> Path:
    """The snapshot's folder of a repository whose main branch points to it."""
    folder = cache / f"models--pyannote--{name}"
    write(folder / "refs" / "main", REVISION)
    return folder / "snapshots" / REVISION


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def segmentation() -> PyanNet:
    """segmentation-3.0's shape."""
    model = PyanNet(
        sincnet={"stride": 10},
        lstm={"hidden_size": 128, "num_layers": 4, "bidirectional": True, "monolithic": True, "dropout": 0.5},
        linear={"hidden_size": 128, "num_layers": 2},
    )
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["1", "2", "3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.build()
    return model


def save(model: torch.nn.Module, folder: Path) -> None:
    """A checkpoint as pyannote writes them."""
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.5.6",
        "epoch": 0,
        "global_step": 0,
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    if not hasattr(model, "_specifications"):
        model.specifications = Specifications(
            problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=["1"]
        )
    model.on_save_checkpoint(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def save_plda(folder: Path) -> None:
    """A PLDA of community-1's shape that transforms as little as one can."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = numpy.random.default_rng(0)
    lda = numpy.linalg.qr(generator.standard_normal((256, 128)))[0]
    numpy.savez(folder / "xvec_transform.npz", mean1=numpy.zeros(256), mean2=numpy.zeros(128), lda=lda)
    numpy.savez(folder / "plda.npz", mu=numpy.zeros(128), tr=numpy.eye(128), psi=numpy.linspace(2, 0.1, 128))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
