"""Launches of which every section of the page has something to say, with a text wherever a user or a container may put one.

All numbers are made up; none is a measurement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from harness.records.launch import Launch
from harness.records.outcome import Agreement, CacheRecord, ExitRecord, Telemetry, Verdict
from harness.records.plan import EngineRecord, StoppingRule
from tests.unit.calibrations import a_calibration_launch, made_up_results
from tests.unit.corpora import a_result, an_accuracy_launch, failing
from tests.unit.samples import HOST, WORKLOAD, Event, a_failed_launch, a_launch, a_link, a_plan, a_probe_launch, passing_journal

MARK = "tame"
"""What is replaced by the text"""

_LINK = a_link(f"{MARK}Error", f"no {MARK}", where=MARK)
_HOST = msgspec.structs.replace(HOST, kernel=f"6.18 {MARK}", processor=f"x86 {MARK}", gpus=(f"gpu {MARK}",), boot=MARK)
_BROKEN: Event = {"event": "import", "name": f"codec-{MARK}", "outcome": "failed", "version": MARK, "chain": [_LINK]}
_NOTE: Event = {"event": "note", "text": f"noted {MARK}"}
_FINGERPRINT_OUTPUT = {"sha256": "a" * 64, "values": 9, "not_finite": 0, "mean": 0.0, "sample": [1.0]}


def full_store(text: str = MARK) -> tuple[Launch, ...]:
    """The launches, with this text in them."""
    document = msgspec.json.encode(list(_launches())).decode().replace(MARK, json.dumps(text)[1:-1])
    return tuple(msgspec.json.decode(document, type=list[Launch]))


def _launches() -> Iterator[Launch]:
    """One campaign for each kind, since a campaign's comparisons and rows are its own."""
    yield from _results()
    yield from _on_lengths()
    yield from _arms("result", "base", "threads=2")
    yield from _arms("null", "A", "B")
    yield from _tasks()


def _planned(number: int, image: str, **changes: object) -> Launch:
    plan = a_plan(number, image=f"{image}-{MARK}", variant=f"cpu-{MARK}", **changes)  # type: ignore[arg-type]
    return a_launch(msgspec.structs.replace(plan, engine=EngineRecord(name="podman", version=MARK), host=_HOST))


def _results() -> Iterator[Launch]:
    """One that passes on a GPU, one that is wrong, two that fail, one that is a portable build, and one with random weights."""
    journal = [*passing_journal(torch=f"2 {MARK}", hip=f"6 {MARK}"), _BROKEN, _NOTE]
    for event in journal:
        event |= {"memory_unavailable": {"cgroup_peak_bytes": f"no {MARK}"}} if event.get("stage") == "warm" else {}
    right = _planned(1, "a-right", family="rocm", stopping=StoppingRule(launches=1, until=0.02))
    times = tuple(journal[0]["at"] - 1 + n / 2 for n in range(80))
    series: dict[str, tuple[float | None, ...]] = {
        "socket_power_watts": (50.0,) * len(times),
        "tree_resident_bytes": (2.0**30,) * len(times),
    }
    sampled = Telemetry(hertz=2.0, times=times, series=series, unavailable={f"m-{MARK}": f"no {MARK}"})
    found = Agreement(reference=f"cpu-{MARK}", der=0.001, speakers=2, reference_speakers=2, cosine=1.0, sampled=64)
    yield msgspec.structs.replace(
        right,
        journal=tuple(journal),
        verdict=Verdict(status="pass", stage="verify"),
        caches=CacheRecord(mode="empty", files_before=0),
        wall_seconds=40.0,
        telemetry=sampled,
        agreement=found,
    )
    wrong = _planned(2, "b-wrong")
    yield msgspec.structs.replace(
        wrong, wall_seconds=0.1, verdict=Verdict(status="wrong output", stage="verify", summary=f"wrong {MARK}")
    )
    raised = a_failed_launch(_planned(3, "c-raises").plan, chain=[_LINK])
    known = Verdict(status="fail", stage="import", cause="import", summary=MARK, signature="disk-full")
    yield msgspec.structs.replace(raised, verdict=known)
    yield a_launch(_planned(4, "d-dies").plan, journal=(), exit=ExitRecord(started=True, code=139), log_tail=f"log {MARK}")
    portable = _planned(5, "e-portable").plan
    image = msgspec.structs.replace(portable.image, portable_of=f"rocm62 {MARK}")
    yield a_launch(msgspec.structs.replace(portable, image=image))
    synthetic = msgspec.structs.replace(WORKLOAD, profile="synthetic", truth_sha256=None, highest_error=None)
    taken = {"torch": f"2 {MARK}", "device": "cpu", "threads": 1, "cpu_capability": f"AVX {MARK}"}
    fingerprint = {**taken, "segmentation": _FINGERPRINT_OUTPUT, "embedding": _FINGERPRINT_OUTPUT}
    yield a_launch(_planned(6, "f-random", workload=synthetic).plan, journal=passing_journal(fingerprint=fingerprint))


def _on_lengths() -> Iterator[Launch]:
    for number, seconds in enumerate((11.0, 30.0, 120.0)):
        name = f"sample-fitted-{seconds:.0f}s"
        workload = msgspec.structs.replace(WORKLOAD, input=name, amount=seconds, input_sha256=f"{seconds:064.0f}")
        plan = _planned(10 + number, "g-lengths", campaign=2, workload=workload).plan
        yield a_launch(plan, journal=passing_journal(warm=(1 + seconds / 20,)))


def _arms(purpose: str, *arms: str) -> Iterator[Launch]:
    """Six pairs of two arms."""
    for number in range(6):
        for place, arm in enumerate(arms):
            campaign = 3 if purpose == "result" else 4
            plan = _planned(20 + 2 * number + place, "h-arms", campaign=campaign, purpose=purpose, arm=arm, round=number).plan
            knobs = {"threads": str(place + 1)} if purpose == "result" else {}
            variant = "+".join([plan.variant, *(f"{name}={value}" for name, value in knobs.items())])
            plan = msgspec.structs.replace(plan, knobs=knobs, variant=variant)
            yield a_launch(plan, journal=passing_journal(warm=(2.0 + place * 0.1 + number * 0.001,)))


def _tasks() -> Iterator[Launch]:
    """What has no passes."""
    begun = passing_journal(last_stage="device")[:-1]
    said = f"{MARK} said"
    rung: Event = {"event": "result", "model": "segmentation", "batch": 4, "rows": 2356, "outcome": "failed", "chain": [_LINK]}
    ladder = a_plan(40, image=f"ladder-{MARK}", task="ladder", options={"models": ["segmentation"], "batches": [4]}, campaign=5)
    yield a_launch(ladder, journal=(*begun, {"event": "begin", "stage": "ladder"}, rung), exit=ExitRecord(started=True, code=1))
    results = made_up_results({"vm_hwm_bytes": float}, unavailable={"cgroup_peak_bytes": said})
    yield a_calibration_launch(41, results=results, image=f"calibrated-{MARK}", campaign=5)
    step: Event = {"outcome": "failed", "chain": [_LINK], "tail": f"printed {MARK}", "notes": [f"note {MARK}"]}
    yield a_probe_launch(42, {"gemm": step}, image=f"probed-{MARK}", campaign=5)
    yield an_accuracy_launch(43, [a_result(0), failing(1, said)], files=2, name=MARK, image=f"scored-{MARK}", campaign=5)
    kernel: Event = {
        "event": "result",
        "kernel": f"gemm {MARK}",
        "shape": MARK,
        "outcome": "ok",
        "seconds": [0.5],
        "first_seconds": 1.0,
    }
    bad: Event = {"event": "result", "kernel": f"lstm {MARK}", "outcome": "failed", "chain": [_LINK]}
    counted = {**kernel, "flop": 10**9, "bytes": 10**9}
    kernels = a_plan(44, image=f"timed-{MARK}", task="kernels", campaign=5)
    yield msgspec.structs.replace(
        a_launch(kernels, journal=(counted, bad, {"event": "end", "stage": "kernels", "seconds": 1.0})),
        verdict=Verdict(status="pass", stage="kernels"),
    )
