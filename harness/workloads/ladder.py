"""What the workload ``ladder`` found -> its rungs, the batch from which a stack is wrong, the rule that explains it, the verdict. Pure.

The rungs come out of a container: see `benchmarks.workloads.ladder` for what they say. None of it is trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from harness.errors import UsageError
from harness.failures.recognise import recognise
from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.likeness import HASHES, key_of
from harness.records.outcome import Verdict
from harness.records.plan import Plan, Settings
from harness.text import nearest
from harness.workloads.diarization import pipeline_options
from harness.workloads.limits import Limits, limits_of
from harness.workloads.workload import Evidence, Workload

MODELS = ("segmentation", "embedding")
BATCHES = (1, 8, 32, 64, 111, 112, 128)
MOST_BATCH = 4096

RUNG_SECONDS = 600.0
"""Time for one rung, with its compilation on a GPU"""

MOST_ROWS = 65_535
"""The largest second dimension of a grid on AMD's RDNA GPUs. To add an LSTM's bias, MIOpen before ROCm 10 puts batch x frames there,
rounded up to 64, and does not check whether that was refused (https://github.com/ROCm/rocm-libraries/issues/10551, where one
card takes 65,536). For 589 frames it makes no difference: 111 is the last right batch."""

LEAST_COSINE = 0.999
MOST_DIFFERENCE = {"segmentation": 1e-3, "embedding": 1e-2}
"""As in `benchmarks.workloads.ladder`, which gives the reasons: what the guest calls right is checked again here."""

Outcome = Literal["ok", "wrong", "failed", "unfinished"]


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One network at one batch."""

    model: str
    batch: int
    outcome: Outcome
    """``unfinished``: it began, and then the guest died or was killed"""
    seconds: float | None = None
    """Time of one call, the first at this batch; ``None``: it did not end"""
    frames: int | None = None
    """Frames of the LSTM for one item; ``None``: the network has no LSTM, or it is not known"""
    difference: float | None = None
    """The largest difference; ``None``: something is not finite, or it did not end, as for the next two"""
    relative_difference: float | None = None
    cosine: float | None = None
    wrong_items: int = 0
    said: str = ""
    """Why it failed"""

    @property
    def rows(self) -> int | None:
        """Batch x frames"""
        return self.batch * self.frames if self.frames is not None else None


def parse_batches(text: str) -> tuple[int, ...]:
    """The batches in ``1,111,112``, in order and each once. Raises `UsageError`."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or not 1 <= int(word[:9]) <= MOST_BATCH:
            raise UsageError(f"--batches {text!r}: {word!r} is not a number from 1 to {MOST_BATCH}")
    return tuple(sorted({int(word) for word in words}))


def parse_models(text: str | None) -> tuple[str, ...]:
    """The chosen ones of `MODELS`; all where nothing was chosen. Raises `UsageError` with the nearest name."""
    if text is None:
        return MODELS
    names = [word.strip() for word in text.split(",")]
    for name in names:
        if name not in MODELS:
            raise UsageError(f"--models {name!r}{nearest(name, MODELS)}: there are {', '.join(MODELS)}")
    return tuple(name for name in MODELS if name in names)


def ladders_of(launches: Iterable[Launch]) -> tuple[Launch, ...]:
    """The latest ladder of each image, variant, pipeline and engine that was not interrupted."""
    latest: dict[tuple[str, ...], Launch] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        if launch.plan.workload.name == WORKLOAD.name and launch.verdict.cause != "interrupted":
            latest[key_of(launch.plan, without=(*HASHES, "flags", "gpu"))] = launch
    return tuple(launch for _, launch in sorted(latest.items()))


def rungs_of(results: Sequence[Fields]) -> tuple[Rung, ...]:
    """The rung for each network and batch, from its last event, in the order in which they began; other events are left out."""
    last: dict[tuple[str, int], Fields] = {}
    for event in results:
        model, batch = event.text("model"), event.count("batch")
        if model in MODELS and batch is not None and 1 <= batch <= MOST_BATCH:
            last[model, batch] = event
    return tuple(_rung(model, batch, event) for (model, batch), event in last.items())


def first_wrong(rungs: Sequence[Rung], model: str) -> Rung | None:
    """The smallest batch at which a network is wrong; ``None``: at none that was tried."""
    return min((rung for rung in rungs if rung.model == model and rung.outcome == "wrong"), key=lambda r: r.batch, default=None)


def rule_met(rungs: Sequence[Rung], wrong: Rung) -> str:
    """Whether a wrong rung is the known fault at 65,535 rows (right up to there and wrong above), in words."""
    if wrong.frames is None or wrong.rows is None:
        return "no rule is known for it"
    limit = MOST_ROWS // wrong.frames
    frames = f"{wrong.frames} frames x {wrong.batch} = {wrong.rows:,} rows"
    mine = [rung for rung in rungs if rung.model == wrong.model]
    right_above = [rung.batch for rung in mine if rung.outcome == "ok" and rung.batch > limit]
    if wrong.rows <= MOST_ROWS or right_above:
        return f"not the rule of {MOST_ROWS:,} rows: {frames}" + (f", and {right_above[0]} is right" if right_above else "")
    below = [rung.batch for rung in mine if rung.outcome == "ok"]
    known = max(below, default=None)
    exact = "" if known == limit else f"; {limit} would be the last right one, and was not tried"
    return (
        f"{frames}, over {MOST_ROWS:,}: MIOpen before ROCm 10 leaves out the LSTM's bias there (pytorch#177834, "
        f"rocm-libraries#10551){exact}. Keep segmentation batches at {limit} or less"
    )


def judge_ladder(results: Sequence[Fields], asked: Mapping[str, Any]) -> Verdict:
    """The verdict on a ladder that finished: by the first wrong rung of a network, or else the first rung that failed."""
    rungs = rungs_of(results)
    for model in MODELS:
        wrong = first_wrong(rungs, model)
        if wrong is not None:
            below = max(
                (r.batch for r in rungs if r.model == model and r.outcome == "ok" and r.batch < wrong.batch), default=None
            )
            right = f"; {below} is right" if below is not None else ""
            said = f"{model} is wrong from batch {wrong.batch} on{right}: {describe(wrong)}. {rule_met(rungs, wrong)}"
            return Verdict(status="wrong output", stage="ladder", summary=said)
    climbed = {(rung.model, rung.batch) for rung in rungs if rung.outcome != "unfinished"}
    wanted = [(str(model), int(batch)) for model in asked.get("models", MODELS) for batch in asked.get("batches", BATCHES)]
    missing = [f"{model} at {batch}" for model, batch in wanted if (model, batch) not in climbed]
    if missing or not rungs:
        said = f"the journal cannot be true: it ends without {missing[0] if missing else 'any rung'}"
        return Verdict(status="fail", stage="ladder", cause="error", summary=said)
    failed = next((event for event in results if event.text("outcome") == "failed"), None)
    if failed is None:
        return Verdict(status="pass", stage="ladder")
    chain = failed.chain("chain")
    signature = recognise(chain, "")
    rung = next(rung for rung in rungs if rung.outcome == "failed")
    out_of_memory = bool(chain) and chain[-1].type.rsplit(".", 1)[-1] in ("MemoryError", "OutOfMemoryError")
    cause = signature.cause if signature else "out of memory" if out_of_memory else "error"
    summary = f"{rung.model} failed at batch {rung.batch}: {rung.said}"
    return Verdict(status="fail", stage="ladder", cause=cause, summary=summary, signature=signature.id if signature else None)


def describe(rung: Rung) -> str:
    """How far a rung lies from the CPU, in words."""
    if rung.difference is None or rung.relative_difference is None:
        return f"{rung.wrong_items} of {rung.batch} items off, with values that are not finite"
    cosine = "unknown" if rung.cosine is None else f"{rung.cosine:.6f}"
    return (
        f"{rung.wrong_items} of {rung.batch} items off, by up to {rung.difference:.2g} "
        f"({rung.relative_difference:.2g} of the CPU's largest value, at most {MOST_DIFFERENCE[rung.model]:g} is right), cosine {cosine}"
    )


def _rung(model: str, batch: int, event: Fields) -> Rung:
    """One rung from its last event. A rung that claims to be right without the numbers to show it is wrong."""
    outcome = event.text("outcome")
    frames, items = event.count("frames"), event.count("wrong_items")
    if outcome not in ("ok", "wrong"):
        chain = event.chain("chain")
        said = " ".join(f"{chain[-1].type}: {chain[-1].message}".split())[:300] if chain else "it does not say how"
        if outcome != "failed":
            return Rung(model=model, batch=batch, outcome="unfinished")
        return Rung(model=model, batch=batch, outcome="failed", said=said)
    relative, cosine = event.number("relative_difference"), event.number("cosine")
    is_near = relative is not None and 0 <= relative <= MOST_DIFFERENCE[model] and cosine is not None and cosine >= LEAST_COSINE
    return Rung(
        model=model,
        batch=batch,
        outcome="ok" if outcome == "ok" and is_near and event.flag("finite") else "wrong",
        seconds=event.number("seconds"),
        frames=frames if frames is not None and 0 < frames < 1_000_000 else None,
        difference=event.number("max_difference"),
        relative_difference=relative,
        cosine=cosine,
        wrong_items=items if items is not None and items <= batch else 0,
    )


class LadderWorkload(Workload):
    """Both networks at growing batches."""

    name = "ladder"
    stages = ("ladder",)

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """`RUNG_SECONDS` for each rung, and once for the start."""
        rungs = len(settings.options.get("batches", ())) * len(settings.options.get("models", ()))
        return limits_of(
            usual_seconds=RUNG_SECONDS * (1 + rungs),
            family=family,
            device=device,
            time_limit_seconds=settings.time_limit_seconds,
        )

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """Those of diarization, the batches and the networks."""
        return pipeline_options(plan)

    def under_way(self, journal: Journal) -> str:
        """The rung that began and did not end."""
        last = journal.results[-1] if journal.results else None
        is_trying = last is not None and last.text("outcome") == "trying"
        return f"{last.text('model')} at batch {last.count('batch')}" if last is not None and is_trying else ""

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """Wrong from the first rung that is wrong."""
        return judge_ladder(evidence.journal.results, plan.options)


WORKLOAD = LadderWorkload()
