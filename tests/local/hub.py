"""Run by the local environment's Python: a Hugging Face cache with the gated pipelines' files, of the true shapes, names
and layout, and random weights. A stand-in for what no test machine may download: nothing made of it is a measurement.
"""

import sys
from pathlib import Path

from pyannote.audio import Model

from benchmarks.workloads.diarization import synthetic

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
    write(repository(cache, "speaker-diarization-3.1") / "config.yaml", CONFIG_31)
    segmentation, embedding = synthetic.build_segmentation(), synthetic.build_embedding()
    save(segmentation, repository(cache, "segmentation-3.0"))
    save(embedding, repository(cache, "wespeaker-voxceleb-resnet34-LM"))
    community = repository(cache, "speaker-diarization-community-1")
    write(community / "config.yaml", CONFIG_COMMUNITY)
    save(segmentation, community / "segmentation")
    save(embedding, community / "embedding")
    synthetic.save_plda(community / "plda")


def repository(cache: Path, name: str) -> Path:
    """The snapshot's folder of a repository whose main branch points to it."""
    folder = cache / f"models--pyannote--{name}"
    write(folder / "refs" / "main", REVISION)
    return folder / "snapshots" / REVISION


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def save(model: Model, folder: Path) -> None:
    """A checkpoint under the name that pyannote asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    synthetic.save_checkpoint(model, folder / "pytorch_model.bin")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
