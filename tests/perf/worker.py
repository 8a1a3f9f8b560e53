"""Run by the local environment's Python: diarizes the sample once for each line on stdin, ``naive`` or ``batched``.

Naive is what one writes first with the same pieces: batches of one, and an embedding model that takes one item after
another. Prints one JSON object a line.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
warnings.simplefilter("ignore")

import torch  # noqa: E402
from pyannote.database.util import load_rttm  # noqa: E402
from pyannote.metrics.diarization import DiarizationErrorRate  # noqa: E402

from benchmarks import meter  # noqa: E402
from benchmarks.workloads.diarization import embedded  # noqa: E402
from benchmarks.workloads.diarization.diarize import read_waveform  # noqa: E402


class OneByOne(embedded.CampPlus):
    """The same network and the same features, an item at a time."""

    def forward(self, waveforms, weights=None):
        if weights is None:
            return super().forward(waveforms)
        rows = []
        for waveform, weight in zip(waveforms, weights, strict=True):
            features = embedded._filter_bank(waveform)
            mask = torch.nn.functional.interpolate(weight[None, None], size=len(features), mode="nearest")[0, 0] > 0.5
            speech = features[mask]
            if len(speech) < embedded.SHORTEST_FRAMES:
                rows.append(torch.full((embedded.DIMENSION,), float("nan")))
            else:
                rows.append(self.network((speech - speech.mean(dim=0, keepdim=True))[None])[0])
        return torch.stack(rows)


def main(models: Path) -> None:
    samples = read_waveform(str(models / "sample.wav"))
    file = {"waveform": torch.frombuffer(samples, dtype=torch.float32)[None], "sample_rate": 16_000, "uri": "sample"}
    naive = embedded.load_pipeline(models)
    naive._embedding.model_ = OneByOne(embedded.load_network(models))
    batched = embedded.load_pipeline(models)
    batched.segmentation_batch_size, batched.embedding_batch_size = 32, 96
    (reference,) = load_rttm(models / "sample.rttm").values()
    pipelines = {"naive": naive, "batched": batched}
    default_threads = torch.get_num_threads()
    for line in sys.stdin:
        name = line.strip()
        torch.set_num_threads(default_threads if name == "naive" else meter.usable_processors())
        begun = time.perf_counter()
        output = pipelines[name](file)
        seconds = time.perf_counter() - begun
        hypothesis = getattr(output, "speaker_diarization", output)
        print(json.dumps({"seconds": seconds, "der": abs(DiarizationErrorRate()(reference, hypothesis))}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
