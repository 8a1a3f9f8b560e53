"""Stub packages, and the guest run against them as a real process.

These are stubs. They hold just enough of torch, lightning, pyannote.audio and the rest for `python -m benchmarks` to go
through its stages without any of them installed. Nothing that they make may look like a measurement: torch is 0.0.0+stub,
the GPU is a ``stub GPU`` of one byte, the speakers are ``STUB_00`` and ``STUB_01`` and were never heard. What is real is
the guest, the process, the way it dies, the journal and the verdict.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import wave
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.wire import Request
from harness import places
from harness.engines.base import Run
from harness.engines.local import Local, clean_environment
from harness.launch.exchange import make_exchange, read_events, read_log_tail
from harness.records.journal import read
from harness.records.outcome import ExitRecord, Verdict
from harness.verdict.judge import judge
from harness.workloads.workload import Evidence
from tests.unit.samples import a_plan

AUDIO_SECONDS = 2

Turns = Sequence[tuple[float, float, str]]
"""Start and end in seconds, speaker."""

PIPELINE = {"pipeline": "embedded", "segmentation_batch_size": 1, "embedding_batch_size": 1}
"""The options of all workloads with a pipeline; the others have no use for them."""

TURNS: Turns = ((0.0, 1.0, "STUB_00"), (1.0, 2.0, "STUB_01"))


@dataclasses.dataclass(frozen=True)
class Stubs:
    """Which stub packages there are, and how they misbehave."""

    misbehave: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Moment -> Python to run at it. ``import NAME`` is the first line of a package; ``multiply`` a product on the device,
    ``load`` the pipeline's constructor, ``move`` its ``to``, ``pass 0`` the cold pass, ``pass 1`` the first warm one;
    ``cluster`` each clustering, ``write`` the output as RTTM, ``chunk segmentation`` and ``chunk embedding`` each network on the
    fixed chunk, ``step NAME`` that step's own process. It sees ``os``, ``signal``, ``sys``, ``EXCHANGE`` and what the moment is about."""
    absent: Collection[str] = ()
    """Modules that are not installed"""
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """More files, or replacements: path in the folder -> text"""
    outputs: Sequence[Turns] = (TURNS,)
    """The output of each pass; the last one is that of all later passes too"""
    hip: str | None = None
    cuda: str | None = None
    gpu: bool = False
    """Whether torch sees a GPU"""
    models_on: str | None = None
    """The device on which models end up, whatever was asked for; ``None``: where they were sent"""
    hub_refuses: bool = False
    """Whether ``Pipeline.from_pretrained`` returns None, as pyannote.audio 3 does"""
    pyannote_audio: str = "4.0.0+stub"
    difference: str = "0"
    """How far each step's result seems to lie from the CPU's, as the text of a float"""

    def write(self, folder: Path) -> Path:
        """Write the packages and their metadata; returns the folder, for ``PYTHONPATH``."""
        moments = {f"import {module}" for module in _DISTRIBUTIONS} | {
            *("multiply", "load", "move", "write", "cluster"),
            *("chunk segmentation", "chunk embedding"),
        }
        unknown = {moment for moment in self.misbehave if moment not in moments and not moment.startswith(("pass ", "step "))}
        assert not unknown, f"no stub has the moments {unknown}"
        for module, (distribution, version) in _DISTRIBUTIONS.items():
            if module in self.absent:
                continue
            version = self.pyannote_audio if module == "pyannote.audio" else version
            metadata = f"{distribution.replace('.', '_').replace('-', '_')}-{version}.dist-info/METADATA"
            _write(folder / metadata, f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        for path, text in _FILES.items():
            if not any(f"{path}/".startswith(f"{module.replace('.', '/')}/") for module in self.absent):
                _write(folder / path, text)
        if self.pyannote_audio.startswith("3."):
            (folder / "pyannote/audio/core/plda.py").unlink(missing_ok=True)
        names = ("misbehave", "outputs", "hip", "cuda", "gpu", "models_on", "hub_refuses", "pyannote_audio", "difference")
        settings = {name: getattr(self, name) for name in names}
        _write(folder / "stub_settings.json", json.dumps(settings))
        for path, text in self.files.items():
            _write(folder / path, text)
        return folder


@dataclasses.dataclass(frozen=True)
class Ended:
    """A guest that ended, and what it left behind."""

    exchange: Path
    exit: ExitRecord
    request: Request

    @property
    def journal(self) -> tuple[dict[str, Any], ...]:
        """The journal as the host reads it."""
        return read_events(self.exchange)

    @property
    def log(self) -> str:
        """What the libraries printed, as the host reads it."""
        return read_log_tail(self.exchange)

    def verdict(self, *, family: str | None = None) -> Verdict:
        """The verdict as the host judges it."""
        request = self.request
        plan = a_plan(family=family, warm_passes=request.warm_passes, options=request.options)
        # The stubs compute nothing, so that no physics holds for them.
        workload = msgspec.structs.replace(plan.workload, name=request.workload, highest_error=None, amount=0.01)
        plan = msgspec.structs.replace(plan, workload=workload, last_stage=request.last_stage, device=request.device)
        return judge(plan, self.exit, Evidence(journal=read(self.journal), log_tail=self.log))

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of a kind, with these fields."""
        return [e for e in self.journal if e["event"] == event and all(e.get(k) == v for k, v in fields.items())]

    def end(self, stage: str) -> dict[str, Any]:
        """The ``end`` event of a stage."""
        (event,) = self.events("end", stage=stage)
        return event

    def chain(self) -> list[dict[str, str]]:
        """The exceptions that ended the guest, outermost first."""
        (event,) = self.events("failed")
        chain: list[dict[str, str]] = event["chain"]
        return chain


def make_request(folder: Path, workload: str = "diarization", *, options: Mapping[str, Any] = {}, **fields: Any) -> Request:
    """A request for all stages of a workload with the embedded pipeline on the CPU, with its audio and models in ``folder``.
    ``options`` are added to those."""
    audio = folder / "audio.wav"
    with wave.open(str(audio), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * AUDIO_SECONDS))
    _write(folder / "models" / "camplusplus.py", _CAMPPLUS)
    defaults: dict[str, Any] = {
        "launch": "stub-launch",
        "device": "cpu",
        "last_stage": "verify" if workload == "diarization" else workload,
        "warm_passes": 2,
        "inputs": {"audio": str(audio), "models": str(folder / "models")},
    }
    return Request(workload=workload, options={**PIPELINE, **options}, **{**defaults, **fields})


def run_guest(
    folder: Path,
    stubs: Stubs = Stubs(),
    request: Request | None = None,
    *,
    timeout_seconds: float = 60.0,
    memory_bytes: int | None = None,
    variables: Mapping[str, str] = {},
) -> Ended:
    """Run the guest to its end, as the local engine does it. What the test put into the exchange folder stays there."""
    request = request or make_request(folder)
    make_exchange(exchange_of(folder), request)
    return start_guest(folder, stubs, request, timeout_seconds=timeout_seconds, memory_bytes=memory_bytes, variables=variables)


def start_guest(
    folder: Path,
    stubs: Stubs,
    request: Request,
    *,
    timeout_seconds: float = 60.0,
    memory_bytes: int | None = None,
    variables: Mapping[str, str] = {},
) -> Ended:
    """Run the guest on what is in the exchange folder already, which may be anything but the ``request`` that was meant."""
    exchange = exchange_of(folder)
    exchange.mkdir(exist_ok=True)
    run = Run(
        name=f"stub-{os.getpid()}",  # the engine kills what bears the name: not the guests of a suite beside this one
        image="stub",
        # -S: without this environment's own packages, only the stubs are there.
        argv=(sys.executable, "-S", "-m", "benchmarks", str(exchange)),
        environment=clean_environment(
            {
                "PYTHONPATH": str(stubs.write(folder / "stubs")),
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONUNBUFFERED": "1",
                "HOME": str(exchange),
                **variables,
            }
        ),
        mounts=(),
        working_directory=str(places.ROOT),
        exchange=exchange,
        memory_bytes=memory_bytes,
    )
    return Ended(exchange, Local().run(run, timeout_seconds=timeout_seconds), request)


def exchange_of(folder: Path) -> Path:
    """The folder where a test's guest and host meet."""
    return folder / "launch" / "exchange"


def write_rttm(path: Path, turns: Turns) -> Path:
    """A reference."""
    lines = (f"SPEAKER stub 1 {start:.3f} {end - start:.3f} <NA> <NA> {who} <NA> <NA>\n" for start, end, who in turns)
    path.write_text("".join(lines))
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


_DISTRIBUTIONS = {
    "torch": ("torch", "0.0.0+stub"),
    "torchaudio": ("torchaudio", "0.0.0+stub"),
    "lightning": ("lightning", "0.0.0+stub"),
    "asteroid_filterbanks": ("asteroid-filterbanks", "0.0.0+stub"),
    "huggingface_hub": ("huggingface-hub", "0.0.0+stub"),
    "pyannote.core": ("pyannote.core", "0.0.0+stub"),
    "pyannote.metrics": ("pyannote.metrics", "0.0.0+stub"),
    "pyannote.pipeline": ("pyannote.pipeline", "0.0.0+stub"),
    "pyannote.database": ("pyannote.database", "0.0.0+stub"),
    "pyannote.audio": ("pyannote.audio", ""),
}
"""Module -> distribution, version. torchcodec, torchvision and speechbrain are left out, as in our images."""

_CAMPPLUS = '''"""A stub of CAM++."""
class CAMPPlus:
    def __init__(self, feat_dim, embedding_size):
        pass
    def load_state_dict(self, state):
        pass
    def eval(self):
        return self
'''

_STUB_SETTINGS = '''"""How the stubs are set, and the place where they misbehave."""
import json, os, pathlib, resource, signal, sys
SETTINGS = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())
def at(moment, **seen):
    code = SETTINGS["misbehave"].get(moment)
    if code is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        seen.update(__name__="stub", os=os, signal=signal, sys=sys, EXCHANGE=pathlib.Path(sys.argv[1]))
        exec(compile(code, f"<{moment}>", "exec"), seen)
'''

_TORCH = '''"""A stub of torch."""
import sys
from stub_settings import SETTINGS, at
at("import torch")
from torch import cuda, version
__version__ = "0.0.0+stub"
float32 = "float32"
_threads = 1
class Tensor:
    def __init__(self, rows):
        self.rows = rows
    def __getitem__(self, index):
        return self
    def repeat(self, *times):
        return self
    def to(self, device):
        return self
    def __matmul__(self, other):
        columns = list(zip(*other.rows))
        product = Tensor([[sum(a * b for a, b in zip(row, column)) for column in columns] for row in self.rows])
        at("multiply", tensor=product)
        return product
    def sum(self):
        return sum(map(sum, self.rows))
class device:
    def __init__(self, type):
        self.type = type
def ones(height, width, device="cpu"):
    return Tensor([[1.0] * width for _ in range(height)])
def frombuffer(buffer, dtype):
    return Tensor([list(buffer)])
def set_num_threads(count):
    global _threads
    _threads = count
def get_num_threads():
    return _threads
def load(path, map_location, weights_only):
    return {}
def manual_seed(seed):
    at(f"step {sys.argv[2]}")
class Anything:
    """Whatever a step asks torch for; nothing is computed, every number that comes of it is the settings' own."""
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self
    def __call__(self, *positional, **named):
        return self
    def on_save_checkpoint(self, checkpoint):
        checkpoint["pyannote.audio"] = {"versions": {}}
    def __float__(self):
        return float(SETTINGS["difference"])
    def __iter__(self):
        return iter(())
    def __str__(self):
        return "stub"
    def __exit__(self, *error):
        return None
    __add__ = __sub__ = __mul__ = __truediv__ = __matmul__ = __gt__ = __getitem__ = __call__
    __enter__ = __call__
def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    return Anything()
'''

_TORCH_CUDA = '''"""A stub of torch.cuda: a GPU of one byte."""
import types
from stub_settings import SETTINGS
synchronised = 0
def is_available():
    return SETTINGS["gpu"]
def get_device_properties(index):
    return types.SimpleNamespace(name="stub GPU", gcnArchName="gfx0000", total_memory=1)
def get_arch_list():
    return ["gfx0000"]
def synchronize():
    global synchronised
    synchronised += 1
def max_memory_allocated():
    return 1
def max_memory_reserved():
    return 1
'''

_PYANNOTE_CORE = '''"""A stub of pyannote.core: an annotation drops a turn of no length (or NaN) in silence, as the real one does."""
from stub_settings import at
at("import pyannote.core")
class Segment:
    def __init__(self, start, end):
        self.start, self.end = start, end
    @property
    def duration(self):
        return self.end - self.start
    def __bool__(self):
        return self.end - self.start > 1e-6
class Timeline:
    def __init__(self, turns):
        self._turns = turns
    def support(self):
        merged = []
        for start, end in sorted(self._turns):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return Timeline(merged)
    def duration(self):
        return sum(end - start for start, end in self._turns)
class Annotation:
    def __init__(self, uri=None):
        self.uri = uri
        self._tracks = {}
    def __setitem__(self, key, label):
        segment, track = key
        if segment:
            self._tracks[segment.start, segment.end, track] = label
    def itertracks(self, yield_label=False):
        for (start, end, track), label in sorted(self._tracks.items(), key=lambda item: item[0][:2]):
            yield (Segment(start, end), track, label) if yield_label else (Segment(start, end), track)
    def itersegments(self):
        return (segment for segment, _ in self.itertracks())
    def labels(self):
        return sorted(set(self._tracks.values()))
    def get_timeline(self):
        return Timeline({(start, end) for start, end, _ in self._tracks})
    def write_rttm(self, file):
        at("write", file=file)
        for segment, _, label in self.itertracks(yield_label=True):
            file.write(
                f"SPEAKER {self.uri or '<NA>'} 1 {segment.start:.3f} {segment.end - segment.start:.3f}"
                f" <NA> <NA> {label} <NA> <NA>\\n"
            )
'''

_PYANNOTE_AUDIO = '''"""A stub of pyannote.audio."""
from stub_settings import SETTINGS, at
at("import pyannote.audio")
import types
class Output:
    """What a stub network puts out: zeros, that nothing was computed for."""
    def __init__(self, items):
        self.items = items
    def float(self):
        return self
    def cpu(self):
        return self
    def flatten(self, first):
        return self
    def tolist(self):
        return self.items
class Model:
    def __init__(self, sample_rate=None, num_channels=None, task=None):
        self.device = "cpu"
    @classmethod
    def from_pretrained(cls, path):
        return Model()
    def eval(self):
        return self
    def __call__(self, waveform, weights=None):
        network = "segmentation" if weights is None else "embedding"
        output = Output([[0.0] * 4])
        at(f"chunk {network}", output=output)
        return output
    @property
    def sincnet(self):
        from torch import Anything
        return Anything()
    def modules(self):
        return []
    def parameters(self):
        return [types.SimpleNamespace(device=types.SimpleNamespace(type=self.device))]
class Pipeline:
    @classmethod
    def from_pretrained(cls, checkpoint):
        from pyannote.audio.pipelines import SpeakerDiarization
        if SETTINGS["hub_refuses"]:
            return None
        if SETTINGS["pyannote_audio"].startswith("4.") and checkpoint == "pyannote/speaker-diarization-3.1":
            raise RuntimeError("stub: pyannote.audio 4 would fetch the gated community-1 repository for its PLDA")
        if isinstance(checkpoint, dict) and ("version" in checkpoint or "plda" not in checkpoint["pipeline"]["params"]):
            raise RuntimeError("stub: pyannote.audio 4 would refuse this configuration")
        return SpeakerDiarization(segmentation=Model(), embedding=Model())
'''

_PYANNOTE_AUDIO_PIPELINES = '''"""A stub of pyannote.audio.pipelines."""
import types
from stub_settings import SETTINGS, at
from pyannote.audio import Pipeline
from pyannote.core import Annotation, Segment
class Clustering:
    metric = "stub"
    def __call__(self, metric):
        at("cluster")
class SpeakerDiarization(Pipeline):
    """Its clustering is found by `__getattr__` alone, as pyannote.pipeline keeps sub-pipelines."""
    def __init__(self, segmentation, embedding, **parameters):
        at("load", pipeline=self)
        self._segmentation = types.SimpleNamespace(model=segmentation)
        self._embedding = types.SimpleNamespace(model_=embedding)
        self._passes = 0
        self._pipelines = {"clustering": Clustering()}
    def __getattr__(self, name):
        try:
            return self.__dict__["_pipelines"][name]
        except KeyError:
            raise AttributeError(name) from None
    def instantiate(self, parameters):
        return self
    def reconstruct(self, turns):
        return turns
    def to_annotation(self, turns, uri):
        annotation = Annotation(uri=uri)
        for track, (start, end, speaker) in enumerate(turns):
            annotation[Segment(start, end), track] = speaker
        return annotation
    def to(self, device):
        at("move", pipeline=self)
        for model in (self._segmentation.model, self._embedding.model_):
            model.device = SETTINGS["models_on"] or device.type
        return self
    def __call__(self, file, hook):
        at(f"pass {self._passes}", pipeline=self, file=file)
        turns = SETTINGS["outputs"][min(self._passes, len(SETTINGS["outputs"]) - 1)]
        self._passes += 1
        for step in ("segmentation", "speaker_counting", "embeddings"):
            hook(step, None, file=file, total=1, completed=1)
            hook(step, object(), file=file)
        self.clustering(metric=self.clustering.metric)
        annotation = self.to_annotation(self.reconstruct(turns), uri=file["uri"])
        hook("discrete_diarization", object(), file=file)
        if SETTINGS["pyannote_audio"].startswith("3."):
            return annotation
        self.to_annotation(self.reconstruct(turns), uri=file["uri"])
        return types.SimpleNamespace(speaker_diarization=annotation)
'''

_HUGGINGFACE_HUB = '''"""A stub of huggingface_hub."""
from stub_settings import at
at("import huggingface_hub")
import pathlib
def hf_hub_download(repository, name):
    path = pathlib.Path(__file__).parent / name
    path.write_text('{"version": "3.1.0", "pipeline": {"name": "stub"}}')
    return str(path)
'''


def _plain(module: str) -> str:
    """A package that holds nothing."""
    return f'"""A stub of {module}."""\nfrom stub_settings import at\nat("import {module}")\n'


_FILES = {
    "stub_settings.py": _STUB_SETTINGS,
    "torch/__init__.py": _TORCH,
    "torch/version.py": 'from stub_settings import SETTINGS\nhip, cuda = SETTINGS["hip"], SETTINGS["cuda"]\n',
    "torch/cuda.py": _TORCH_CUDA,
    "torchaudio/__init__.py": _plain("torchaudio") + "import torch\n",
    "lightning/__init__.py": _plain("lightning"),
    "asteroid_filterbanks/__init__.py": _plain("asteroid_filterbanks"),
    "huggingface_hub/__init__.py": _HUGGINGFACE_HUB,
    "yaml.py": '"""A stub of PyYAML: JSON is YAML."""\nfrom json import loads as safe_load\n',
    "pyannote/core/__init__.py": _PYANNOTE_CORE,
    "pyannote/metrics/__init__.py": _plain("pyannote.metrics"),
    "pyannote/pipeline/__init__.py": _plain("pyannote.pipeline"),
    "pyannote/database/__init__.py": _plain("pyannote.database"),
    "pyannote/audio/__init__.py": _PYANNOTE_AUDIO,
    "pyannote/audio/core/__init__.py": "",
    "pyannote/audio/core/plda.py": '"""A stub."""\nclass PLDA:\n    pass\n',
    "pyannote/audio/core/task.py": "from torch import Anything\nProblem = Resolution = Specifications = Anything()\n",
    "pyannote/audio/models/embedding.py": "from torch import Anything\nWeSpeakerResNet34 = Anything()\n",
    "pyannote/audio/models/segmentation.py": "from torch import Anything\nPyanNet = Anything()\n",
    "pyannote/audio/pipelines/__init__.py": _PYANNOTE_AUDIO_PIPELINES,
}
