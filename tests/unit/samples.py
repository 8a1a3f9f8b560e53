"""Builders of what the tests need: records, journals as a guest writes them, small recordings, and a fake engine.

All numbers here are made up; none is a measurement.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.wire import JOURNAL, STAGES, STEPS
from harness.engines.base import BuiltImage, GiveUp, Recipe, Run, Storage, StoredImage, never
from harness.errors import BuildFailed, EngineError
from harness.inputs.audio import Audio
from harness.inputs.models import Models
from harness.machine.kernel_log import KernelLog
from harness.records.fields import Fields, number
from harness.records.host import HostRecord
from harness.records.journal import read
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord, Verdict
from harness.records.plan import EngineRecord, ImageRecord, Plan, WorkloadRecord
from harness.text import Say
from harness.verdict.judge import judge
from harness.workloads.workload import Evidence

if TYPE_CHECKING:
    import numpy

Event = dict[str, Any]
Link = dict[str, str]

HOST = HostRecord(
    kernel="6.18.4",
    distribution="Fedora Linux 43",
    processor="AMD RYZEN AI MAX+ 395 w/ Radeon 8060S",
    processors=32,
    memory_bytes=128 << 30,
    gpus=("0x1002:0x1586", "gfx1151"),
)

WORKLOAD = WorkloadRecord(
    name="diarization",
    profile="embedded",
    input="sample-30s",
    amount=30.0,
    input_sha256="a" * 64,
    truth_sha256="b" * 64,
    highest_error=0.08,
    numbers={"segmentation_batch_size": 32, "embedding_batch_size": 96},
)

RTTM = (
    "SPEAKER sample 1 6.690 0.430 <NA> <NA> speaker90 <NA> <NA>\nSPEAKER sample 1 7.550 0.800 <NA> <NA> speaker91 <NA> <NA>\n"
)


def an_id(number: int, *, campaign: int = 1) -> str:
    """A launch's id; a greater number is a later launch."""
    return f"202611{campaign:02d}T{number:06d}-00000a"


def a_plan(
    number: int = 1,
    *,
    campaign: int = 1,
    image: str = "cpu",
    family: str | None = "cpu",
    variant: str = "cpu",
    engine: str = "podman",
    workload: WorkloadRecord = WORKLOAD,
    task: str = "",
    steps: Sequence[str] = (),
    last_stage: str = "",
    **changes: Any,
) -> Plan:
    """A plan of a launch; ``changes`` are fields of `Plan`. ``task`` names another workload than diarization, ``steps`` are those of a
    probe."""
    name = task or ("probe" if steps or last_stage not in ("", STAGES[-1]) else workload.name)
    workload = msgspec.structs.replace(workload, name=name)
    if steps:
        changes["options"] = {"steps": list(steps), **changes.get("options", {})}
    plan = Plan(
        id=an_id(number, campaign=campaign),
        campaign=f"campaign-{campaign}",
        owner="1:1:somewhere:1",
        cell=f"{image}/{variant}/{workload.profile}/{workload.input}",
        planned_at=f"2026-11-{campaign:02d}T10:00:{number:02d}Z",
        image=ImageRecord(name=image, family=family, id=f"sha256:{'c' * 64}"),
        variant=variant,
        workload=workload,
        engine=EngineRecord(name=engine, version="5.7.0"),
        host=HOST,
        device="cpu" if family in ("cpu", None) else "cuda",
        last_stage=last_stage if last_stage not in ("", "device") else task or ("probe" if steps else last_stage or STAGES[-1]),
        timeout_seconds=1200.0,
    )
    return msgspec.structs.replace(plan, **changes)


def a_launch(
    plan: Plan | None = None,
    *,
    journal: Iterable[Event] | None = None,
    exit: ExitRecord | None = None,  # noqa: A002 - the record's own name
    verdict: Verdict | None = None,
    log_tail: str = "",
) -> Launch:
    """A launch, by default one that passed; its verdict is the judge's own where none is given."""
    plan = plan or a_plan()
    events = timed(journal) if journal is not None else passing_journal()
    ended = exit or ExitRecord(started=True, code=0)
    return Launch(
        plan=plan,
        exit=ended,
        verdict=verdict
        or judge(
            as_told(plan, events), ended, Evidence(journal=read(events), log_tail=log_tail, findings=Fields(found_in(events)))
        ),
        start_seconds=0.4,
        journal=events,
        findings=found_in(events),
        log_tail=log_tail,
    )


def found_in(journal: Sequence[Event]) -> dict[str, Any]:
    """What the host is to have found out about a made-up output: the errors and speakers that `passing_journal` was told."""
    output = next((event for event in journal if event.get("event") == "end" and event.get("stage") == "verify"), {})
    return {name: output[name] for name in ("speakers", "der") if output.get(name) is not None}


def as_told(plan: Plan, journal: Sequence[Event]) -> Plan:
    """The plan, with as many warm passes as a journal tells of."""
    told = sum(event.get("event") == "pass" and event.get("stage") == "warm" for event in journal)
    return msgspec.structs.replace(plan, warm_passes=told)


def judged(
    journal: Iterable[Event],
    exit: ExitRecord | None = None,  # noqa: A002 - the record's own name
    *,
    family: str | None = "cpu",
    highest_der: float | None = None,
    warm_passes: int | None = None,
    log_tail: str = "",
    kernel_log: str = "",
    **plan: Any,
) -> Verdict:
    """The judge's verdict on a launch; ``plan`` are fields of `a_plan`. As many warm passes were asked for as the journal tells of,
    unless their number is given."""
    events = timed(journal)
    workload = msgspec.structs.replace(WORKLOAD, highest_error=highest_der)
    made = as_told(a_plan(family=family, workload=workload, **plan), events)
    if warm_passes is not None:
        made = msgspec.structs.replace(made, warm_passes=warm_passes)
    evidence = Evidence(journal=read(events), log_tail=log_tail, kernel_log=kernel_log, findings=Fields(found_in(events)))
    return judge(made, exit or ExitRecord(started=True, code=0), evidence)


def a_failed_launch(
    plan: Plan | None = None, *, stage: str = "import", log_tail: str = "", chain: Sequence[Link] = ()
) -> Launch:
    """A launch that ended in an exception."""
    links = chain or [a_link("builtins.ImportError", "cannot import name 'Pipeline'")]
    return a_launch(plan, journal=failing_journal(stage, *links), exit=ExitRecord(started=True, code=1), log_tail=log_tail)


def a_wrong_launch(plan: Plan | None = None, **changes: Any) -> Launch:
    """A launch that ran to its end with an output that is not right."""
    return a_launch(plan, journal=passing_journal(der=0.4, **changes))


def passing_journal(
    *,
    warm: Sequence[float] = (2.0, 2.1, 2.2),
    cold: float = 3.0,
    der: float | None = 0.05,
    speakers: int = 2,
    torch: str = "2.13.0",
    hip: str | None = None,
    cuda: str | None = None,
    last_stage: str = "verify",
    **verify: Any,
) -> tuple[Event, ...]:
    """What a guest writes that comes to its end; ``verify`` changes what the last stage found."""
    parts = (
        {"missed_seconds": der * 20, "false_alarm_seconds": 0.0, "confusion_seconds": 0.0, "total_seconds": 20.0}
        if der
        else None
    )
    end = {"event": "end", "seconds": 1.0}
    output = {"rttm": RTTM, "distinct_outputs": 1, "speakers": speakers, "speech_seconds": 18.0, "finite": True, "der": parts}
    of_stage: dict[str, list[Event]] = {
        "launch": [{**end, "python": "3.12.1"}],
        "import": [
            {"event": "import", "name": "torch", "needed": True, "outcome": "trying"},
            {"event": "import", "name": "torch", "needed": True, "outcome": "ok", "version": torch, "chain": []},
            {"event": "import", "name": "pyannote.audio", "needed": True, "outcome": "trying"},
            {"event": "import", "name": "pyannote.audio", "needed": True, "outcome": "ok", "version": "4.0.7", "chain": []},
            {
                **end,
                "python": "3.12.1",
                "torch": {"version": torch, "hip": hip, "cuda": cuda},
                "packages": [f"torch=={torch}", "pyannote.audio==4.0.7"],
            },
        ],
        "device": [{**end, "device": "cpu", "name": "x86_64", "threads": 2}],
        "load": [{**end, "seconds": 0.7, "audio_seconds": 30.0, "pyannote": "4.0.7"}],
        "cold": [
            {"event": "pass", "index": 0, "seconds": cold},
            {**end, "seconds": cold + 0.01, "peak_resident_bytes": 1 << 30},
        ],
        "warm": [
            *({"event": "pass", "index": index, "seconds": seconds} for index, seconds in enumerate(warm)),
            {
                **end,
                "seconds": sum(number(each) or 0.0 for each in warm) + 0.01,
                "peak_resident_bytes": 3 << 29,
                "peak_allocated_bytes": None,
                "peak_reserved_bytes": None,
            },
        ],
        "verify": [{**end, **output, **verify}],
    }
    events: list[Event] = []
    for stage in STAGES[: STAGES.index(last_stage) + 1]:
        events += [{"event": "begin", "stage": stage}, *({"stage": stage, **event} for event in of_stage[stage])]
    return timed([*events, {"event": "done", "peak_resident_bytes": 3 << 29}])


def probing_journal(
    steps: Mapping[str, Event] | None = None, *, asked: Sequence[str] = STEPS, **passing: Any
) -> tuple[Event, ...]:
    """What a guest writes that was asked for steps; ``steps`` are the last words on those that are not ok."""
    events = [*passing_journal(last_stage="device", **passing), {"event": "begin", "stage": "probe"}]
    done = {name: value for name, value in events.pop(-2).items() if name != "at"}
    for name in asked:
        events.append({"event": "step", "name": name, "outcome": "trying"})
        near = {"max_absolute": 1e-6, "max_relative": 1e-6, "tolerance": 1e-4}
        last = {
            "outcome": "ok",
            "first_seconds": 0.35,
            "best_seconds": 0.012,
            "difference": near,
            "notes": [],
            **(steps or {}).get(name, {}),
        }
        if last["outcome"] != "trying":
            events.append({"event": "step", "name": name, **last})
    return timed([*events, {"event": "end", "stage": "probe", "seconds": 1.0}, done])


def a_probe_launch(number: int = 1, steps: Mapping[str, Event] | None = None, **plan: Any) -> Launch:
    """A probe with all steps; ``plan`` is of `a_plan`."""
    planned = a_plan(number, last_stage="device", steps=STEPS, **plan)
    of_family = {"hip": "6.4"} if planned.image.family == "rocm" else {}
    return a_launch(planned, journal=probing_journal(steps, **of_family))


def failing_journal(stage: str, *chain: Link, **passing: Any) -> tuple[Event, ...]:
    """What a guest writes in which a stage ends in an exception; ``chain`` is outermost first."""
    return timed(
        [
            *journal_until(stage, **passing),
            {"event": "failed", "stage": stage, "seconds": 0.5, "chain": list(chain)},
            {"event": "done", "peak_resident_bytes": 1 << 28},
        ]
    )


def journal_until(stage: str, **passing: Any) -> tuple[Event, ...]:
    """What a guest has written when a stage has just begun."""
    events = passing_journal(**passing)
    begun = next(number for number, event in enumerate(events) if event["event"] == "begin" and event["stage"] == stage)
    return events[: begun + 1]


def a_link(kind: str, message: str, *, where: str = "/opt/site-packages/thing.py:7 in load") -> Link:
    """One exception of a chain."""
    return {"type": kind, "message": message, "where": where, "traceback": f'  File "{where}"\n    thing()\n'}


def write_journal(exchange: Path, events: Iterable[Event]) -> None:
    """Write a journal as the guest does, one JSON object a line; NaN and infinity as Python writes them."""
    (exchange / JOURNAL).write_text("".join(json.dumps(event) + "\n" for event in events))


def a_tone(seconds: float = 2.0, *, rate: int = 16_000, hertz: float = 220.0, channels: int = 1) -> numpy.ndarray[Any, Any]:
    """Samples of a tone at half of full scale, float64, frames x channels."""
    import numpy

    wave = 0.5 * numpy.sin(2 * numpy.pi * hertz * numpy.arange(round(seconds * rate)) / rate)
    return numpy.repeat(wave[:, None], channels, axis=1)


def write_audio(path: Path, samples: Any = None, *, rate: int = 16_000, **format_: Any) -> Path:
    """A recording on disk; ``format_`` is soundfile's ``format`` and ``subtype``."""
    import soundfile

    soundfile.write(path, a_tone(rate=rate) if samples is None else samples, rate, **format_)
    return path


def write_rttm(path: Path, *turns: tuple[float, float, str], recording: str = "sample") -> Path:
    """A reference on disk of (start, duration, speaker)."""
    path.write_text("".join(f"SPEAKER {recording} 1 {s:.3f} {d:.3f} <NA> <NA> {who} <NA> <NA>\n" for s, d, who in turns))
    return path


def an_audio(folder: Path, **changes: Any) -> Audio:
    """A recording that is prepared already."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_audio(folder / "sample.wav")
    return msgspec.structs.replace(Audio(name="sample-30s", path=path, seconds=30.0, sha256="a" * 64), **changes)


def some_models(folder: Path) -> Models:
    """A folder of models with nothing in it."""
    return Models(folder=folder / "models", environment=())


Guest = Callable[[Run], ExitRecord]
"""What stands in for a container: writes into the exchange folder and tells how it ended."""


class FakeEngine:
    """A fake of `harness.engines.base.Engine`: no container and no process. A `Guest` writes what a guest would have."""

    def __init__(
        self,
        guest: Guest | None = None,
        *,
        name: str = "podman",
        has_image: bool = True,
        build_failure: BuildFailed | EngineError | None = None,
        refusal: EngineError | None = None,
    ) -> None:
        self.guest = guest or passes
        self.runs: list[Run] = []
        self.builds: list[Recipe] = []
        self.build_log = ""
        self.stats: dict[str, int] = {}
        self.kept: frozenset[str] = frozenset()
        self.removed_names: frozenset[str] = frozenset()
        self.built: tuple[StoredImage, ...] = ()
        self.removal_refusal: EngineError | None = None
        self.stages = 0
        self.keeps = Storage()
        self.is_closed = False
        self.sweeps = 0
        self._record = EngineRecord(name=name, version="fake")
        self._has_image = has_image
        self._build_failure = build_failure
        self._refusal = refusal

    @property
    def record(self) -> EngineRecord:
        return self._record

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        self._refuse()
        return BuiltImage(id=f"sha256:{recipe.hash}") if self._has_image else None

    def find_reference(self, reference: str) -> BuiltImage | None:
        self._refuse()
        return BuiltImage(id="sha256:" + "f" * 64, digests=(f"{reference}@sha256:1",)) if self._has_image else None

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        self.builds.append(recipe)
        if self._build_failure is not None:
            raise self._build_failure
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(self.build_log)
        return BuiltImage(id=f"sha256:{recipe.hash}")

    def remove_stages(self) -> int:
        self.stages, removed = 0, self.stages
        return removed

    def list_built(self) -> tuple[StoredImage, ...]:
        self._refuse()
        return self.built

    def storage(self) -> Storage:
        """Unless a test says otherwise, of a host that cannot be looked at."""
        return self.keeps

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        if self.removal_refusal is not None:
            raise self.removal_refusal
        self.kept, self.removed_names = frozenset(keep), frozenset(names)
        return ("localhost/strixbench/old:0",)

    def command(self, run: Run) -> tuple[str, ...]:
        labels = (f"--label={name}={value}" for name, value in run.labels.items())
        return ("fake-engine", "run", *labels, run.name, run.image, *run.argv)

    @property
    def kernel_log(self) -> KernelLog:
        """One without a line."""
        return KernelLog(device=os.devnull)

    def run(self, run: Run, *, timeout_seconds: float, give_up: GiveUp = never) -> ExitRecord:
        self.runs.append(run)
        return self.guest(run)

    def memory_stats(self, name: str) -> Mapping[str, int]:
        return self.stats

    def sweep(self) -> int:
        self.sweeps += 1
        return 0

    def close(self) -> None:
        self.is_closed = True

    def _refuse(self) -> None:
        if self._refusal is not None:
            raise self._refusal


def no_sampler(exchange: Path, **_: object) -> contextlib.AbstractContextManager[None]:
    """In place of `harness.telemetry.start.sampling`: a unit test starts no process, and there is no host to look at."""
    return contextlib.nullcontext()


def passes(run: Run) -> ExitRecord:
    """A guest that comes to its end."""
    write_journal(run.exchange, passing_journal())
    return ExitRecord(started=True, code=0)


def fails_at_import(run: Run) -> ExitRecord:
    """A guest in whose image pyannote does not import."""
    link = a_link("builtins.OSError", "libc10_cuda.so: cannot open shared object file: No such file or directory")
    write_journal(run.exchange, failing_journal("import", link))
    return ExitRecord(started=True, code=1)


def guest_of(events: Iterable[Event], *, code: int = 0) -> Guest:
    """A guest that writes these events."""
    kept = tuple(events)

    def guest(run: Run) -> ExitRecord:
        write_journal(run.exchange, kept)
        return ExitRecord(started=True, code=code)

    return guest


def guest_that_raises(error: BaseException, *, after: str = "warm") -> Guest:
    """An engine's run that is cut off by an exception while the guest is in a stage."""

    def guest(run: Run) -> ExitRecord:
        write_journal(run.exchange, journal_until(after))
        raise error

    return guest


def in_turn(*guests: Guest) -> Guest:
    """The first guest for the first launch, and so on; the last for all that follow."""
    left = list(guests)
    return lambda run: (left.pop(0) if len(left) > 1 else left[0])(run)


BEGUN = 1_795_299_739.0
"""When each made-up launch began, in Unix seconds"""


def timed(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events with the times at which they came, as far as they have none: each stage and each pass takes as long as it says."""
    found: list[Event] = []
    at = begun = BEGUN - 0.001
    for event in events:
        seconds = max(0.0, number(event.get("seconds")) or 0.0)
        is_pass = event["event"] == "pass" or (event["event"] == "result" and event.get("outcome") == "ok")
        at = max(at, begun + seconds if event["event"] == "end" else 0.0) + (seconds if is_pass else 0.0) + 0.001
        found.append({"event": event["event"], "at": at, **event})
        at = number(found[-1]["at"]) or at
        begun = at if event["event"] == "begin" else begun
    return tuple(found)


def is_root() -> bool:
    """Whether permissions do not bind this process."""
    return os.getuid() == 0


def a_gpu(root: Path, node: str, *, pci: str, vendor: str = "0x1002", target: int | None = None) -> Path:
    """A GPU in a made-up tree of sysfs and /dev, where its nodes are plain files; ``target`` is the KFD's number."""
    device = root / "sys/devices" / pci
    (device / "drm" / node).mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "drm" / node / "device").symlink_to(device)
    (root / "sys/class/drm").mkdir(parents=True, exist_ok=True)
    (root / "sys/class/drm" / node).symlink_to(device / "drm" / node)
    (root / "dev/dri").mkdir(parents=True, exist_ok=True)
    for name in ("dev/kfd", f"dev/dri/{node}"):
        (root / name).touch()
        (root / name).chmod(0o660)
    if target is not None:
        topology = root / "sys/class/kfd/kfd/topology/nodes" / node.removeprefix("renderD")
        topology.mkdir(parents=True)
        (topology / "properties").write_text(
            f"cpu_cores_count 0\ngfx_target_version {target}\ndrm_render_minor {node.removeprefix('renderD')}\n"
        )
    return root
