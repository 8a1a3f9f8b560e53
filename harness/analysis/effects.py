"""Launches -> what knobs change, and what a cell against itself says about a machine. It decides which launches are a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from harness.analysis.compare import FEWEST_PAIRS, Comparison, NullTest, compare_pairs, null_test, share, with_holm
from harness.analysis.intervals import Interval, launch_seconds
from harness.records.launch import Launch
from harness.records.plan import BASE, NULL_ARMS, without_knobs
from harness.workloads.workload import workload_of

_AS_DATA = {"profile": "pipeline", "input": "audio", "input_sha256": "audio_sha256"}
"""What some fields are called in ``bench --json``, from when diarization was all there was"""


class Subject(msgspec.Struct, frozen=True, rename=_AS_DATA):
    """What was launched in several arms, on one host."""

    image: str
    engine: str
    variant: str
    """Without the knobs that were varied"""
    profile: str
    input: str
    input_sha256: str
    passes: int
    host: tuple[str, ...]
    """The parts of a host's record that decide how noisy it is"""

    @property
    def cell(self) -> str:
        return f"{self.image}/{self.variant}/{self.profile}/{self.input}"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a ``--vary`` against the base, in one campaign."""

    subject: Subject
    campaign: str
    arm: str
    """``segmentation-batch=64``"""
    against: str
    """What the base has in its place: ``segmentation-batch=32``"""
    comparison: Comparison | None
    """``None``: no complete pair"""
    left_out: int
    """Incomplete pairs"""
    reasons: tuple[str, ...] = ()
    """Why they are incomplete: ``segmentation-batch=128: 6 x wrong output``"""
    remark: str = ""
    """Why the knob may not have been switched at all; empty: nothing suggests it"""
    null: NullTest | None = None
    """The latest null test of the same subject; ``None``: none was run"""


class Null(msgspec.Struct, frozen=True, kw_only=True):
    """A subject's latest null test, and the trials of all of them."""

    subject: Subject
    campaign: str
    test: NullTest | None
    """``None``: no complete pair"""
    left_out: int
    reasons: tuple[str, ...] = ()
    claims: int
    trials: int
    rate: Interval | None
    """The rate over all null tests of this subject in the store"""


def effects_of(launches: Iterable[Launch]) -> tuple[Effect, ...]:
    """Each arm's latest comparison, with Holm's correction over all comparisons of its campaign."""
    launches = tuple(launches)
    nulls = {null.subject: null.test for null in nulls_of(launches)}
    latest: dict[tuple[Subject, str, str], Effect] = {}
    for of_campaign in _campaigns(launches, purpose="result"):
        for effect in _effects(of_campaign):
            latest[effect.subject, effect.arm, effect.against] = msgspec.structs.replace(effect, null=nulls.get(effect.subject))
    return tuple(latest.values())


def nulls_of(launches: Iterable[Launch]) -> tuple[Null, ...]:
    """The latest null test of each subject that was compared with itself, with the trials of all its null tests."""
    found: dict[Subject, Null] = {}
    for of_campaign in _campaigns(launches, purpose="null"):
        for subject, arms in _by_subject(of_campaign).items():
            pairs, left_out, reasons = _pairs(*(arms.get(name, ()) for name in NULL_ARMS))
            test = null_test(pairs, left_out=left_out)
            counted = [each for each in (found.get(subject), test) if each is not None]
            claims, trials = sum(each.claims for each in counted), sum(each.trials for each in counted)
            found[subject] = Null(
                subject=subject,
                campaign=of_campaign[0].plan.campaign,
                test=test,
                left_out=left_out,
                reasons=reasons,
                claims=claims,
                trials=trials,
                rate=share(claims, trials),
            )
    return tuple(found.values())


def compared_data(launches: Sequence[Launch]) -> dict[str, Any]:
    """Effects and null tests as plain data; empty where nothing was compared."""
    effects = [{**msgspec.to_builtins(effect), "says": says(effect.comparison)} for effect in effects_of(launches)]
    nulls = msgspec.to_builtins(nulls_of(launches))
    return {"effects": effects, "nulls": nulls} if effects or nulls else {}


def _campaigns(launches: Iterable[Launch], *, purpose: str) -> list[list[Launch]]:
    """The launches of arms, by campaign, in order of time."""
    found: dict[str, list[Launch]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        if launch.plan.arm and launch.plan.purpose == purpose and workload_of(launch.plan).is_measured:
            found.setdefault(launch.plan.campaign, []).append(launch)
    return list(found.values())


def _by_subject(launches: Sequence[Launch]) -> dict[Subject, dict[str, list[Launch]]]:
    """One campaign's launches, by what was launched, then by arm."""
    varied = {launch.plan.arm.partition("=")[0] for launch in launches if "=" in launch.plan.arm}
    found: dict[Subject, dict[str, list[Launch]]] = {}
    for launch in launches:
        found.setdefault(_subject(launch, varied), {}).setdefault(launch.plan.arm, []).append(launch)
    return found


def _subject(launch: Launch, varied: Collection[str]) -> Subject:
    plan = launch.plan
    host = plan.host
    return Subject(
        image=plan.image.name,
        engine=plan.engine.title,
        variant=without_knobs(plan.variant, varied),
        profile=plan.workload.profile,
        input=plan.workload.input,
        input_sha256=plan.workload.input_sha256,
        passes=plan.warm_passes,
        host=(host.processor or "", str(host.processors), str(host.memory_bytes), *host.gpus, host.kernel),
    )


def _effects(launches: Sequence[Launch]) -> tuple[Effect, ...]:
    """The effects in one campaign."""
    found: list[Effect] = []
    subjects = _by_subject(launches)
    among = sum(len(set(arms) - {BASE}) for arms in subjects.values())
    for subject, arms in subjects.items():
        base = arms.pop(BASE, [])
        for arm, others in arms.items():
            knob = arm.partition("=")[0]
            value = base[0].plan.knobs.get(knob, "?") if base else "?"
            pairs, left_out, reasons = _pairs(base, others)
            found.append(
                Effect(
                    subject=subject,
                    campaign=others[0].plan.campaign,
                    arm=arm,
                    against=f"{knob}={value}",
                    comparison=compare_pairs(pairs, left_out=left_out, among=among),
                    left_out=left_out,
                    reasons=reasons,
                    remark=_same_blas(base, others) if knob == "hipblaslt" else "",
                )
            )
    corrected = iter(with_holm([effect.comparison for effect in found if effect.comparison is not None]))
    return tuple(
        effect if effect.comparison is None else msgspec.structs.replace(effect, comparison=next(corrected)) for effect in found
    )


def _same_blas(base: Sequence[Launch], others: Sequence[Launch]) -> str:
    """That a knob which should change the library for matrix products did not, where both arms prefer the same one."""
    told = [{str(name) for each in arm if (name := each.ends("device").get("preferred_blas"))} for arm in (base, others)]
    if len(told[0]) == 1 and told[0] == told[1]:
        return f"both arms compute with {told[0].pop()[:60]}: the knob changed no library"
    return ""


def _pairs(base: Sequence[Launch], other: Sequence[Launch]) -> tuple[list[tuple[float, float]], int, tuple[str, ...]]:
    """Seconds of the rounds in which both passed, how many rounds are left out, and why."""
    firsts, seconds = ({launch.plan.round: launch for launch in launches} for launches in (base, other))
    pairs: list[tuple[float, float]] = []
    reasons: Counter[str] = Counter()
    rounds = sorted(firsts.keys() | seconds.keys(), key=lambda number: -1 if number is None else number)
    for number in rounds:
        both = (firsts.get(number), seconds.get(number))
        first, second = map(_value, both)
        if first is not None and second is not None:
            pairs.append((first, second))
            continue
        bad = [launch for launch in both if _value(launch) is None]
        reasons.update(
            f"{launch.plan.arm}: {launch.verdict.cause or launch.verdict.status}" if launch else "a launch is missing"
            for launch in bad
        )
    return pairs, len(rounds) - len(pairs), tuple(f"{count} x {reason}" for reason, count in reasons.items())


def _value(launch: Launch | None) -> float | None:
    """The seconds of a launch that finished with the right output; ``None`` for any other."""
    seconds = launch_seconds(launch) if launch is not None and launch.verdict.status == "pass" else None
    return seconds if seconds is not None and seconds > 0 else None


def says(found: Comparison | None) -> str:
    """What a comparison allows one to claim, in words."""
    if found is None:
        return "no complete pair"
    if found.change == "too few pairs":
        return f"nothing: n = {found.n} is too small, {FEWEST_PAIRS} pairs at least"
    if found.change == "no change":
        return f"no change of more than {percent(found.bound)}"
    return f"{found.change} by {percent(abs(found.ratio - 1))}"


def percent(value: float | None) -> str:
    """``2.3%``; an impossibly large one is not printed digit by digit."""
    if value is None:
        return "-"
    return f"{value:.1%}" if value < 10 else "over 1000%"
