"""The protocol between the host and the guest: the only module that both sides import.

The host writes ``request.json`` into the exchange folder and starts ``python -m benchmarks FOLDER`` from the
folder above this package. The guest answers in ``journal.jsonl``: one JSON object on each line, flushed and fsynced
before the guest goes on, so that a native crash loses only the step in which it happens.

Every line has ``event`` and ``at`` (Unix seconds). The events:

========== =====================================================================================
``begin``    a stage begins: ``stage``
``end``      it ended well: ``stage``, ``seconds``, ``processor_seconds``, and what that stage found out; for ``load`` also
             its ``parts`` and ``processor_parts``, for ``launch`` its ``variables`` (see `benchmarks.stack`)
``failed``   it ended in an exception: ``stage``, ``seconds``, ``chain`` (outermost exception first)
``import``   one package: ``name``, ``needed``, ``outcome`` (``trying``, ``ok``, ``absent``, ``failed``), ``version``, ``chain``
``pass``     one pass of a measured workload: ``stage`` (``cold`` or ``warm``), ``index``, ``seconds``, ``processor_seconds``,
             ``parts``, ``processor_parts``
``step``     one step of the probe: ``name`` (one of `STEPS`), ``outcome`` (one of `OUTCOMES`); see below
``result``   one finding of a workload, such as a file of a corpus; its module in `benchmarks.workloads` describes the fields
``note``     something worth telling that is not a failure: ``text``
``done``     the guest has nothing more to say
========== =====================================================================================

Steps run in the stage ``probe``. Each runs in a fresh process, and none fails the stage: a crash costs only its own step. Each has
a first event with outcome ``trying`` and a last one with another outcome. The last one tells what the computation found:
``first_seconds`` (the first call, which compiles), ``best_seconds`` (of a few further calls), ``shape`` and ``difference``:
``max_absolute``, ``max_relative`` (relative to the largest magnitude of the same computation on the CPU; ``None`` for what is not
finite) and ``tolerance``. ``notes`` are knobs, and warnings that were printed. A step that is not ok has ``chain`` (``failed``),
``exit_code``, ``signal`` (a name) and ``tail``, the end of its output; a skipped step has its ``reason``.

Only the standard library: this module must import in an image where nothing else does.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROTOCOL = 2
"""Incremented whenever a guest of the old protocol could not serve a host of the new one, or the reverse."""

COMMON_STAGES = ("launch", "import", "device")
"""What every launch goes through before its workload's own stages."""

MEASURED_STAGES = ("load", "cold", "warm", "verify")
"""Those of a workload that is timed in passes. Any other has one stage, of its own name."""

STAGES = (*COMMON_STAGES, *MEASURED_STAGES)
"""The stages in order. The compatibility table shows how far a launch came."""

STEPS = (
    "device-op",
    "gemm",
    "conv2d",
    "lstm",
    "lstm-dropout-0",
    "lstm-miopen-off",
    "conv2d-miopen-off",
    "checkpoint",
    "segmentation",
    "embedding",
)
"""The probe's steps in order: each needs more of the GPU's libraries than the one before."""

COMPILING_STEPS = ("conv2d", "lstm", "lstm-dropout-0", "segmentation", "embedding")
"""Steps that call MIOpen, which compiles kernels where it runs and tries them out: the first call may take minutes."""

OUTCOMES = ("trying", "ok", "wrong", "failed", "crashed", "timeout", "skipped")
"""The outcomes of a step. ``wrong``: its result differs from the CPU's."""

KNOBS = ("lstm-dropout-0", "miopen-off", "blas-hipblas", "blas-hipblaslt")
"""The knobs that `benchmarks.knobs` can switch"""

MEMORY_METERS = (
    "resident_peak_bytes",
    "tree_resident_peak_bytes",
    "cgroup_peak_bytes",
    "cgroup_current_bytes",
    "torch_allocated_peak_bytes",
    "torch_reserved_peak_bytes",
)
"""The meters that `benchmarks.memory` reads at the end of ``cold`` and ``warm``. ``memory`` of that event has those that could be
read; ``memory_unavailable`` says why the others could not."""

VARIABLE_PREFIXES = (
    *("HSA_", "HIP_", "ROCR_", "MIOPEN_", "ROCBLAS_", "HIPBLASLT_", "TORCH_", "PYTORCH_", "AMD_", "CUDA_"),
    *("OMP_", "MKL_"),
)
"""The beginnings of the environment variables that bear on results: ``variables`` at the end of ``launch`` has them."""

MOST_VARIABLES = 100
MOST_VALUE_CHARACTERS = 200

REQUEST = "request.json"
JOURNAL = "journal.jsonl"
STEP_JOURNAL = "step.jsonl"
"""The running step's own journal, written by its process for the guest, which repeats its end in the main journal"""

MOST_JOURNAL_BYTES = 16 << 20
"""The host reads no more of a journal. It holds the hypotheses of a whole corpus: see `benchmarks.workloads.accuracy`."""

MAX_TEXT_CHARACTERS = 16_000
"""Longer texts (a traceback, an exception's message) are cut to their end, which is where the cause stands."""

MOST_EXCEPTIONS = 20
"""How many exceptions of one chain are kept"""


class ProtocolError(Exception):
    """The request is missing, damaged, or of another protocol."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the host wants from one launch. Paths are paths inside the image."""

    launch: str
    workload: str
    """One of `workload_names`"""
    device: str
    """``cpu`` or ``cuda`` (ROCm's torch answers to that name too)"""
    last_stage: str
    """The stage after which the guest stops: one of `COMMON_STAGES` or of the workload's own"""
    warm_passes: int = 0
    """For a measured workload"""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The workload's own: its module describes them"""
    inputs: dict[str, str] = dataclasses.field(default_factory=dict)
    """Files and folders that the workload reads, by names that it knows"""
    threads: int | None = None
    """CPU threads for torch; ``None``: as many as this process may use"""
    first_pass_seconds: float | None = None
    """How long the first pass may take, whatever the limit of a pass is; ``None``: no longer than that limit"""
    knobs: tuple[str, ...] = ()
    """Those of `KNOBS` to switch in every process"""
    unset: tuple[str, ...] = ()
    """Environment variables to remove, whoever set them"""
    protocol: int = PROTOCOL

    def to_json(self) -> str:
        """The text of ``request.json``."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The request in a ``request.json``; raises `ProtocolError`, which says what is wrong."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise ProtocolError(f"{REQUEST} is not JSON: {error}") from error
        if not isinstance(fields, dict) or fields.get("protocol") != PROTOCOL:
            raise ProtocolError(f"{REQUEST} is not of protocol {PROTOCOL}")
        try:
            fields |= {name: tuple(fields[name]) for name in ("knobs", "unset") if name in fields}
            fields |= {name: {**fields[name]} for name in ("options", "inputs") if name in fields}
            request = cls(**fields)
        except TypeError as error:
            raise ProtocolError(f"{REQUEST}: {error}") from error
        _refuse_unknown("workload", (request.workload,), workload_names())
        _refuse_unknown("knob", request.knobs, KNOBS)
        own = importlib.import_module(f"benchmarks.workloads.{request.workload}").stages(request)
        _refuse_unknown("stage", (request.last_stage,), (*COMMON_STAGES, *(name for name, _ in own)))
        return request


def workload_names() -> tuple[str, ...]:
    """The workloads that this guest can run: the modules of `benchmarks.workloads`, by name."""
    found = (Path(__file__).parent / "workloads").iterdir()
    names = (path.stem for path in found if path.suffix == ".py" or (path / "__init__.py").is_file())
    return tuple(sorted(name for name in names if re.fullmatch("[a-z][a-z0-9_]*", name)))


def _refuse_unknown(kind: str, asked: Iterable[str], known: Sequence[str]) -> None:
    """Raise `ProtocolError` for the first name that is not known."""
    for name in asked:
        if name not in known:
            raise ProtocolError(f"{REQUEST}: no {kind} {name!r}: there are {', '.join(known)}")


class StageFailed(Exception):  # noqa: N818 - it tells what happened; the error itself is in the journal
    """A stage failed, and the journal says how. The guest ends here."""


class Journal:
    """Appends events to ``journal.jsonl``; each is on disk when the call returns."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.folder = Path(path).parent
        """The exchange folder"""
        # Truncated, not continued: a pasted `--dry-run` line may be run twice over the same folder.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._cut_short = False

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. Raises OSError when the disk is full, and ValueError or TypeError for what JSON cannot hold."""
        self._append(_line(event, fields))

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Journal the begin and the end of a stage; what the body puts into the yielded dictionary goes with the end.

        Any exception of the body is journaled, and then `StageFailed` is raised.
        """
        found: dict[str, Any] = {}
        self.write("begin", stage=name)
        begun, processor_begun = time.perf_counter(), processor_seconds()
        try:
            yield found
            spent = {"seconds": time.perf_counter() - begun, "processor_seconds": processor_seconds() - processor_begun}
            ended = _line("end", {"stage": name, **spent, **found})
        except Exception as error:
            self.write("failed", stage=name, seconds=time.perf_counter() - begun, chain=exception_chain(error))
            raise StageFailed(name) from error
        self._append(ended)

    def _append(self, line: str) -> None:
        """Write a line and wait for the disk. A line that a full disk cut short does not spoil the next one."""
        data = (f"\n{line}" if self._cut_short else line).encode()
        self._cut_short = True
        while data:
            data = data[os.write(self._descriptor, data) :]
        self._cut_short = False
        os.fsync(self._descriptor)


def processor_seconds() -> float:
    """Processor seconds of this process since it began, all threads, and of its children that ended."""
    times = os.times()  # has the children's, which time.process_time() leaves out
    return time.process_time() + times.children_user + times.children_system


def exception_chain(error: BaseException) -> list[dict[str, str]]:
    """The exception and all its causes, outermost first, root cause last; a very long chain is cut to its two ends.

    Each has ``type`` (qualified), ``message``, ``where`` (the deepest frame: ``file:line in function``) and
    ``traceback`` (its own frames, without those of its causes).
    """
    chain: list[BaseException] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        chain.append(current)
        cause = current.__cause__
        current = cause if cause is not None or current.__suppress_context__ else current.__context__
    if len(chain) > MOST_EXCEPTIONS:
        chain = chain[: MOST_EXCEPTIONS // 2] + chain[-MOST_EXCEPTIONS // 2 :]
    return [_described(link) for link in chain]


def _described(error: BaseException) -> dict[str, str]:
    """One exception as texts, escaped so that they can be encoded, and cut where they are too long."""
    frames = traceback.extract_tb(error.__traceback__)
    deepest = f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    # A SyntaxError's place is in the exception, not in its frames.
    if isinstance(error, SyntaxError) and error.filename:
        deepest = f"{error.filename}:{error.lineno}"
    kind = type(error)
    texts = {
        "type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        "message": _message(error),
        "where": deepest,
        "traceback": "".join(traceback.format_list(frames)),
    }
    return {name: text.encode("utf-8", "backslashreplace").decode()[-MAX_TEXT_CHARACTERS:] for name, text in texts.items()}


def _message(error: BaseException) -> str:
    """An exception's message, where it can be printed."""
    try:
        return str(error)
    except Exception as failure:  # a broken library's __str__ may be broken too
        return f"(its message cannot be printed: {type(failure).__name__})"


def _line(event: str, fields: dict[str, Any]) -> str:
    """One event as a line of the journal."""
    return json.dumps({"event": event, "at": time.time(), **fields}, allow_nan=False) + "\n"


def read_journal(text: str) -> list[dict[str, Any]]:
    """The events of a journal. A last line that a crash or a full disk cut short is left out, and so is any other
    line that is not a JSON object: the journal comes out of a container and may hold anything."""
    events: list[dict[str, Any]] = []
    for line in text.split("\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
    return events
