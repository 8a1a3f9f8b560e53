"""Speaker diarization: pyannote.audio's pipelines, with the differences between 3.x and 4.x hidden.

`benchmarks.measured` drives it for the workload ``diarization``. ``accuracy`` runs it on many recordings, and ``ladder`` takes its
networks.
"""

from __future__ import annotations

import array
import dataclasses
import importlib.metadata
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import knobs, meter
from benchmarks.wire import Journal, ProtocolError, Request
from benchmarks.workloads import positive_integers
from benchmarks.workloads.diarization import chunk, fingerprint, output
from benchmarks.workloads.diarization.chunk import SAMPLE_RATE_HERTZ

HUB_NAMES = {"3.1": "pyannote/speaker-diarization-3.1", "community-1": "pyannote/speaker-diarization-community-1"}

PIPELINES = ("embedded", "synthetic", *HUB_NAMES)

# The pipeline calls its hook with a step's artefact when that step is done, under these names in 3.1 to 4.0
# (pyannote/audio/pipelines/speaker_diarization.py).
PART_OF_STEP = {"segmentation": "segmentation", "speaker_counting": "speaker counting", "embeddings": "embeddings"}

# Clustering has no such call, and 4.x reconstructs once more after the last one. So these callables of the pipeline are
# timed directly. `to_annotation` turns what `reconstruct` gives into turns.
PART_OF_CALLABLE = {"clustering": "clustering", "reconstruct": "reconstruction", "to_annotation": "reconstruction"}


class WrongDevice(Exception):  # noqa: N818 - the name is what a person reads in the report
    """A model is on another device than the one asked for."""


class ModelsMissing(Exception):  # noqa: N818 - likewise
    """The mounted cache lacks a model of this pipeline, or this pyannote.audio cannot run it."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What a request may choose."""

    pipeline: str
    """One of `PIPELINES`"""
    segmentation_batch_size: int
    embedding_batch_size: int


def read_options(options: dict[str, Any]) -> Options:
    """The options of a request; those of other workloads are left alone. Raises `ProtocolError`."""
    pipeline = options.get("pipeline")
    if pipeline not in PIPELINES:
        raise ProtocolError(f"no pipeline {pipeline!r}: there are {', '.join(PIPELINES)}")
    return Options(pipeline, **positive_integers(options, "segmentation_batch_size", "embedding_batch_size"))


class Diarization:
    """pyannote.audio's speaker diarization of one file."""

    def __init__(self, request: Request, journal: Journal) -> None:
        self._request = request
        self._options = read_options(request.options)
        self._journal = journal
        self._synchronise = meter.synchroniser(request.device)
        self._pipeline: Any = None
        self._file: dict[str, Any] = {}
        self._hypotheses: list[Any] = []
        self.samples = array.array("f")
        """The recording that is diarized"""

    def load(self) -> dict[str, Any]:
        """Read the recording and the models, and move the models to the device; returns what the journal should know, with
        ``parts``."""
        watch = self._begin()
        audio = self._request.inputs["audio"]
        audio_seconds = self.read(audio, name=Path(audio).stem)
        watch.border("decode")
        return {**self._load_models(watch), "audio_seconds": audio_seconds}

    def load_models(self) -> dict[str, Any]:
        """The same without a recording."""
        return self._load_models(self._begin())

    def _begin(self) -> meter.Stopwatch:
        import torch

        torch.set_num_threads(self._request.threads or meter.usable_processors())
        return meter.Stopwatch(self._synchronise)

    def _load_models(self, watch: meter.Stopwatch) -> dict[str, Any]:
        import torch

        self._pipeline = self._load_pipeline()
        self._pipeline.segmentation_batch_size = self._options.segmentation_batch_size
        self._pipeline.embedding_batch_size = self._options.embedding_batch_size
        for note in knobs.apply(self._request.knobs, *self.networks):
            self._journal.write("note", text=note)
        watch.border("models")
        self._pipeline.to(torch.device(self._request.device))
        self._refuse_another_device()
        watch.border("to device")
        return {
            "parts": watch.parts,
            "processor_parts": watch.processor_parts,
            "pyannote": importlib.metadata.version("pyannote.audio"),
            "threads": torch.get_num_threads(),
        }

    def run(self) -> dict[str, Any]:
        """One pass, timed by `meter.Stopwatch`; returns its ``seconds``, ``processor_seconds`` and ``parts``: those of `PART_OF_STEP`
        and `PART_OF_CALLABLE`, and ``rest``."""
        watch = meter.Stopwatch(self._synchronise)

        def hook(step: str, artefact: Any, file: Any = None, total: int | None = None, completed: int | None = None) -> None:
            # A call with `completed` reports progress inside a step; one without it says that the step is done.
            if completed is None and step in PART_OF_STEP:
                watch.border(PART_OF_STEP[step])

        with timed_callables(self._pipeline, watch):
            output = self._pipeline(self._file, hook=hook)
        measured = watch.stop()
        # 4.x returns a DiarizeOutput, 3.x the annotation itself.
        self._hypotheses.append(getattr(output, "speaker_diarization", output))
        self._refuse_another_device()
        return measured

    def verify(self) -> dict[str, Any]:
        """What came out of the passes, described by the modules `output`, `chunk` and `fingerprint` beside this one."""
        found = output.describe(self._hypotheses)
        request, networks = self._request, self.networks
        batches = (self._options.segmentation_batch_size, self._options.embedding_batch_size)
        found["chunk"] = chunk.take(*networks, self.samples, device=request.device, batches=batches)
        taken = [found["chunk"]]
        if self._options.pipeline == "synthetic":
            found["fingerprint"] = fingerprint.take(*networks, device=request.device)
            taken.append(found["fingerprint"])
        # The clustering silently leaves out NaN embeddings; here they are an error.
        found["finite"] = found["finite"] and not any(
            each[name]["not_finite"] for each in taken for name in fingerprint.OUTPUTS
        )
        return found

    @property
    def networks(self) -> tuple[Any, Any]:
        """The segmentation and the embedding network of the loaded pipeline."""
        return self._pipeline._segmentation.model, self._pipeline._embedding.model_

    def read(self, path: str, *, name: str) -> float:
        """Read the recording to diarize, in place of the one before; returns its seconds."""
        import torch

        self.samples = read_waveform(path)
        waveform = torch.frombuffer(self.samples, dtype=torch.float32)[None]
        self._file = {"waveform": waveform, "sample_rate": SAMPLE_RATE_HERTZ, "uri": name}
        return len(self.samples) / SAMPLE_RATE_HERTZ

    def take_output(self) -> Any:
        """The output of the last pass, which is not kept any longer: a corpus has many recordings."""
        return self._hypotheses.pop()

    def _load_pipeline(self) -> Any:
        """The instantiated pipeline, still on the CPU."""
        from pyannote.audio import Pipeline

        name = self._options.pipeline
        if name == "embedded":
            from benchmarks.workloads.diarization import embedded

            return embedded.load_pipeline(Path(self._request.inputs["models"]))
        if name == "synthetic":
            from benchmarks.workloads.diarization import synthetic

            # The host gives every launch a home of its own, which is removed with it.
            return synthetic.load_pipeline(Path.home())
        version = importlib.metadata.version("pyannote.audio")
        modern = int(version.split(".")[0]) >= 4
        if name == "community-1" and not modern:
            raise ModelsMissing(f"the community-1 pipeline needs pyannote.audio 4; this image has {version}")
        if name == "3.1" and modern:
            checkpoint: Any = self._config_31_for_pyannote_4()
        else:
            checkpoint = HUB_NAMES[name]
        pipeline = Pipeline.from_pretrained(checkpoint)
        if pipeline is None:  # 3.x's answer when the hub refused
            raise ModelsMissing(f"{HUB_NAMES[name]} is not in the mounted cache: run `strixbench models fetch {name}`")
        return pipeline

    def _config_31_for_pyannote_4(self) -> dict[str, Any]:
        """The 3.1 pipeline's own configuration with a stand-in for community-1's PLDA.

        pyannote.audio 4.0's constructor always loads a PLDA, by default from the gated community-1 repository. But only VBx
        clustering uses it, and 3.1 clusters agglomeratively (https://github.com/pyannote/pyannote-audio/issues/2044).
        """
        import yaml
        from huggingface_hub import hf_hub_download

        from benchmarks.workloads.diarization.embedded import UnusedPLDA

        config: dict[str, Any] = yaml.safe_load(Path(hf_hub_download(HUB_NAMES["3.1"], "config.yaml")).read_text())
        config.pop("version", None)  # 4.x takes it for the version of a dependency and refuses it
        config["pipeline"].setdefault("params", {})["plda"] = UnusedPLDA()
        self._journal.write(
            "note",
            text="pyannote.audio 4 wants community-1's PLDA to construct the 3.1 pipeline, which does not use it: "
            "a stand-in that cannot be called was passed",
        )
        return config

    def _refuse_another_device(self) -> None:
        """Raise `WrongDevice` unless both models are on the device that was asked for: nothing falls back to the CPU in silence."""
        for name, model in zip(("segmentation", "embedding"), self.networks, strict=True):
            kinds = sorted({parameter.device.type for parameter in model.parameters()})
            if kinds != [self._request.device]:
                raise WrongDevice(f"the {name} model is on {', '.join(kinds)}; {self._request.device} was asked for")


class TimedCallable:
    """A stand-in for a callable attribute, whose calls are timed as one part; everything else goes to the original."""

    def __init__(self, timed: Any, call: Callable[..., Any]) -> None:
        self._timed = timed
        self._call = call

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The call itself, timed."""
        return self._call(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """Any other attribute, from the original."""
        return getattr(self._timed, name)


@contextmanager
def timed_callables(pipeline: Any, watch: meter.Stopwatch) -> Iterator[None]:
    """Within this context, each callable of `PART_OF_CALLABLE` that the pipeline has is timed.

    The stand-in is set on the instance only. There it comes before the class's method, and before pyannote.pipeline's
    ``__getattr__``, which finds a sub-pipeline such as ``clustering`` in a registry that is left as it is.
    """
    own = vars(pipeline)
    kept = {name: own[name] for name in PART_OF_CALLABLE if name in own}
    timed = [name for name in PART_OF_CALLABLE if callable(getattr(pipeline, name, None))]
    for name in timed:
        original = getattr(pipeline, name)
        own[name] = TimedCallable(original, watch.timed(PART_OF_CALLABLE[name], original))
    try:
        yield
    finally:
        for name in timed:
            del own[name]
        own.update(kept)


def read_waveform(path: str) -> array.array[float]:
    """The samples of a 16 kHz mono 16-bit PCM WAV, as floats in [-1, 1).

    It uses only the standard library, so that a broken torchcodec or FFmpeg does not hide whether the GPU works.
    """
    with wave.open(path, "rb") as file:
        layout = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if layout != (SAMPLE_RATE_HERTZ, 1, 2):
            raise ValueError(
                f"{path} has {layout[0]} Hz, {layout[1]} channels, {8 * layout[2]} bits; the host normalises to 16 kHz mono 16 bits"
            )
        integers = array.array("h", file.readframes(file.getnframes()))
    if sys.byteorder == "big":
        integers.byteswap()
    return array.array("f", (value / 32768.0 for value in integers))
