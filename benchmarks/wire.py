"""The protocol between the host and the guest: the only module that both sides import.

The host writes ``request.json`` into the exchange folder and starts ``python -m benchmarks FOLDER`` from the
folder above this package. The guest answers in ``journal.jsonl``: one JSON object a line, flushed and fsynced
before the guest goes on, so that a native crash loses only the step in which it died.

Every line has ``event`` and ``at`` (Unix seconds). The events:

========== =====================================================================================
``begin``    a stage begins: ``stage``
``end``      it ended well: ``stage``, ``seconds``, ``processor_seconds``, and what that stage found out; of ``load`` also
             its ``parts`` and ``processor_parts``, of ``launch`` its ``variables``: see `benchmarks.variables`
``failed``   it ended in an exception: ``stage``, ``seconds``, ``chain`` (outermost exception first)
``import``   one package: ``name``, ``needed``, ``outcome`` (``trying``, ``ok``, ``absent``, ``failed``), ``version``, ``chain``
``pass``     one call of the pipeline: ``stage`` (``cold`` or ``warm``), ``index``, ``seconds``, ``processor_seconds``,
             ``parts``, ``processor_parts``
``step``     one step of the probe: ``name`` (of `STEPS`), ``outcome`` (of `OUTCOMES`); see below
``result``   one finding of a task, such as a file of a corpus; what is in it is that task's business
``note``     something worth telling that is not a failure: ``text``
``done``     the guest has nothing more to say
========== =====================================================================================

Steps run behind the ``device`` stage, where the request names any, each in a fresh process, and none fails the stage: a step
that crashes costs that step. Each has a first event with outcome ``trying`` and a last one with another. What a computation
found is in ``first_seconds`` (the first call, which compiles), ``best_seconds`` (of a few further calls), ``shape`` and
``difference``: ``max_absolute``, ``max_relative`` (to the largest magnitude of the same computation on the CPU, ``None`` for
what is not finite) and ``tolerance``. ``notes`` are warnings that were printed, and knobs. One that is not ok has ``chain``
(``failed``), ``exit_code``, ``signal`` (a name) and ``tail``, the end of what it printed; a skipped one has its ``reason``.

Standard library alone: this must import in an image where nothing else does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROTOCOL = 1
"""Raised whenever a guest of the old protocol could not serve a host of the new one, or the reverse."""

STAGES = ("launch", "import", "device", "load", "cold", "warm", "verify")
"""In order. The stage that a launch reaches is its row of the compatibility table."""

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
"""Of the probe, in order: each needs more of the GPU's libraries than the one before."""

COMPILING_STEPS = ("conv2d", "lstm", "lstm-dropout-0", "segmentation", "embedding")
"""Steps that call MIOpen, which compiles kernels where it runs and tries them out: the first call may take minutes."""

OUTCOMES = ("trying", "ok", "wrong", "failed", "crashed", "timeout", "skipped")
"""Of a step. ``wrong``: it computed something else than the CPU."""

TASKS = ("calibrate", "ladder", "accuracy", "kernels")
"""What a launch can be asked for in place of diarizing one recording. Each is a stage of its own behind ``device``, run by
the module of its name in this package."""

KNOBS = ("lstm-dropout-0", "miopen-off", "blas-hipblas", "blas-hipblaslt")
"""What `benchmarks.knobs` can switch."""

MEMORY_METERS = (
    "resident_peak_bytes",
    "tree_resident_peak_bytes",
    "cgroup_peak_bytes",
    "cgroup_current_bytes",
    "torch_allocated_peak_bytes",
    "torch_reserved_peak_bytes",
)
"""What `benchmarks.memory` reads at the end of ``cold`` and ``warm``: ``memory`` of that event has those that could be read,
``memory_unavailable`` says why the others could not."""

VARIABLE_PREFIXES = (
    *("HSA_", "HIP_", "ROCR_", "MIOPEN_", "ROCBLAS_", "HIPBLASLT_", "TORCH_", "PYTORCH_", "AMD_", "CUDA_"),
    *("OMP_", "MKL_"),
)
"""Of environment variables that bear on results: ``variables`` of the end of ``launch`` has them."""

MOST_VARIABLES = 100
MOST_VALUE_CHARACTERS = 200

REQUEST = "request.json"
JOURNAL = "journal.jsonl"
STEP_JOURNAL = "step.jsonl"
"""Of the step that runs, written by its process for the guest: its end is repeated in the journal."""

MAX_TEXT_CHARACTERS = 16_000
"""Longer texts (a traceback, an exception's message) keep their end: that is where the cause stands."""

MOST_EXCEPTIONS = 20
"""Kept of one chain."""


class ProtocolError(Exception):
    """The request is missing, damaged, or of another protocol."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the host wants of one launch. Paths are paths inside the image."""

    launch: str
    pipeline: str
    """``embedded``, ``synthetic``, ``3.1`` or ``community-1``"""
    device: str
    """``cpu`` or ``cuda`` (ROCm's torch answers to that name too)"""
    last_stage: str
    """The guest stops after this one: ``device`` is what ``strixbench probe`` asks for."""
    audio: str
    reference: str | None
    """An RTTM; ``None``: this audio has none."""
    models: str
    """A folder; empty where the pipeline needs no files."""
    warm_passes: int
    segmentation_batch_size: int
    embedding_batch_size: int
    threads: int | None = None
    """CPU threads for torch; ``None``: as many as this process may use."""
    steps: tuple[str, ...] = ()
    """Of `STEPS`, to be run behind the ``device`` stage."""
    step_timeout_seconds: float = 300.0
    compiling_step_timeout_seconds: float | None = None
    """For `COMPILING_STEPS`, until one of them took so long; ``None``: like the others."""
    first_pass_seconds: float | None = None
    """What the first pass may take, whatever the limit of a pass is; ``None``: no more than that limit."""
    knobs: tuple[str, ...] = ()
    """Of `KNOBS`, to be switched in every process."""
    unset: tuple[str, ...] = ()
    """Environment variables to be taken away, whoever set them."""
    task: str = ""
    """Of `TASKS`, to be run behind the ``device`` stage, which is then the last one; empty: diarization, in stages."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The task's own."""
    folders: dict[str, str] = dataclasses.field(default_factory=dict)
    """What the task reads besides, by a name that it knows."""
    protocol: int = PROTOCOL

    def to_json(self) -> str:
        """The text of ``request.json``."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Read ``request.json``; raises `ProtocolError`, naming what is wrong."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise ProtocolError(f"{REQUEST} is not JSON: {error}") from error
        if not isinstance(fields, dict) or fields.get("protocol") != PROTOCOL:
            raise ProtocolError(f"{REQUEST} is not of protocol {PROTOCOL}")
        try:
            fields |= {name: tuple(fields[name]) for name in ("steps", "knobs", "unset") if name in fields}
            request = cls(**fields)
        except TypeError as error:
            raise ProtocolError(f"{REQUEST}: {error}") from error
        if request.last_stage not in STAGES:
            raise ProtocolError(f"{REQUEST}: no stage {request.last_stage!r}: there are {', '.join(STAGES)}")
        tasks = (request.task,) if request.task else ()
        for kind, asked, known in (("step", request.steps, STEPS), ("knob", request.knobs, KNOBS), ("task", tasks, TASKS)):
            unknown = [name for name in asked if name not in known]
            if unknown:
                raise ProtocolError(f"{REQUEST}: no {kind} {unknown[0]!r}: there are {', '.join(known)}")
        return request


class StageFailed(Exception):  # noqa: N818 - it tells what happened; the error itself is in the journal
    """A stage failed, and the journal says how: the guest ends here."""


class Journal:
    """Appends events to ``journal.jsonl``; each is on disk when the call returns."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # Truncated, not appended to: a pasted `--dry-run` line may be run twice over the same folder.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._cut_short = False

    def write(self, event: str, **fields: Any) -> None:
        """Append one event. Raises OSError when the disk is full, and ValueError or TypeError for what is no JSON."""
        self._append(_line(event, fields))

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Journal a stage's begin and its end; what the body puts into the yielded dictionary goes with the end.

        Raises `StageFailed` after journaling any exception of the body.
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
        """Write a line and wait for the disk. One that a full disk cut short does not take the next one with it."""
        data = (f"\n{line}" if self._cut_short else line).encode()
        self._cut_short = True
        while data:
            data = data[os.write(self._descriptor, data) :]
        self._cut_short = False
        os.fsync(self._descriptor)


def processor_seconds() -> float:
    """Of this process and of its children that ended, all threads, since it began."""
    times = os.times()  # the children's, which time.process_time() leaves out
    return time.process_time() + times.children_user + times.children_system


def exception_chain(error: BaseException) -> list[dict[str, str]]:
    """The exception and all that caused it, outermost first, root cause last; of a very long chain both ends.

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
    """One exception, in texts that can be encoded and are not too long."""
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
    """What it says, where it can say anything."""
    try:
        return str(error)
    except Exception as failure:  # a library's own __str__ is as broken as the rest of it may be
        return f"(its message cannot be printed: {type(failure).__name__})"


def _line(event: str, fields: dict[str, Any]) -> str:
    """One event as a line of the journal."""
    return json.dumps({"event": event, "at": time.time(), **fields}, allow_nan=False) + "\n"


def read_journal(text: str) -> list[dict[str, Any]]:
    """The events of a journal. A last line that a crash or a full disk cut short is left out, and so is any other
    line that is not a JSON object: the journal comes from inside a container and may hold anything."""
    events: list[dict[str, Any]] = []
    for line in text.split("\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
    return events
