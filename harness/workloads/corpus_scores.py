"""The turns that a guest found in the recordings of a corpus -> what the host keeps of each as its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.inputs.corpus_folder import Reference
from harness.records.fields import Fields
from harness.workloads.diarization.scoring import FullScore, score_in_full
from harness.workloads.diarization.turns import Turns, comparisons, own_overlaps, read_turns, why_not_scored
from harness.workloads.error_rates import scores_of
from harness.workloads.failed import NOT_TRUE

MOST_COMPARISONS = 1_500_000_000
"""Of the turns of one launch, which takes half an hour. 100 hours of meetings, 1,000 turns each on both sides, need a quarter."""

MOST_NAMED = 10
"""How many recordings a remark names."""


def score_corpus(
    hypotheses: Mapping[int, str | None],
    references: Sequence[Reference],
    *,
    collar_seconds: float,
    most: int = MOST_COMPARISONS,
) -> dict[str, Any]:
    """The findings about the recordings by index: ``recordings`` has, as a text, the index of each, and its `FullScore` or
    ``why_not``. ``remarks`` say in which references a speaker's own turns were merged.

    ``hypotheses`` came out of a container and may be anything. After ``most`` comparisons of turns nothing more is scored.
    """
    found: dict[str, Any] = {}
    merged: list[str] = []
    left = most
    for index, text in sorted(hypotheses.items()):
        pair = _pair_of(text, references[index]) if index < len(references) else "it has no reference"
        if isinstance(pair, str):
            found[str(index)] = {"why_not": pair}
            continue
        hypothesis, reference = pair
        left -= comparisons(hypothesis, reference)
        if left < 0:
            found[str(index)] = {"why_not": "all turns of this launch together would take too long to score"}
            continue
        scores = score_in_full(
            reference=reference, hypothesis=hypothesis, regions=references[index].regions, collar_seconds=collar_seconds
        )
        found[str(index)] = msgspec.to_builtins(scores)
        merged += [references[index].name] if own_overlaps(reference) else []
    named = f"{', '.join(merged[:MOST_NAMED])}{' and more' if len(merged) > MOST_NAMED else ''}"
    remarks = [f"turns of the reference that overlap another of the same speaker were merged: {named}"] if merged else []
    return {"recordings": found, **({"remarks": remarks} if remarks else {})}


def score_of(findings: Fields, index: int, event: Fields) -> FullScore | str:
    """A recording's score, or why it has none. In records from before the host scored there are no findings, and the guest's event
    has it."""
    score = _found(findings, index) if findings else _journaled(event)
    if isinstance(score, str):
        return score
    if score.strict.total_seconds == 0:
        return "nothing was scored: the reference has no speech there"
    if any(each.missed_seconds + each.confusion_seconds > each.total_seconds * 1.001 for each in (score.strict, score.collar)):
        return f"{NOT_TRUE}: more of the reference was missed or confused than there is"
    return score


def _journaled(event: Fields) -> FullScore | str:
    """The score that a guest computed."""
    jaccard = event.fields("jaccard")
    strict, collar, error = scores_of(event.fields("strict")), scores_of(event.fields("collar")), jaccard.number("error")
    speakers, reference_speakers = event.count("speakers"), event.count("reference_speakers")
    jaccard_speakers = jaccard.count("speakers")
    if (
        (strict is None or collar is None)
        or (error is None or error < 0)
        or (speakers is None or reference_speakers is None or jaccard_speakers is None)
    ):
        return f"{NOT_TRUE}: numbers are missing or below zero"
    return FullScore(
        strict=strict,
        collar=collar,
        jaccard_error=error,
        jaccard_speakers=jaccard_speakers,
        speakers=speakers,
        reference_speakers=reference_speakers,
    )


def _found(findings: Fields, index: int) -> FullScore | str:
    """What the host found out about a recording."""
    found = findings.fields("recordings").fields(str(index))
    if not found:
        return "it was not scored"
    try:
        return found.text("why_not") or msgspec.convert(found.raw, FullScore)
    except msgspec.ValidationError as error:  # one damaged record must not cost the whole page
        return f"its score in the store is damaged: {error}"


def _pair_of(text: str | None, reference: Reference) -> tuple[Turns, Turns] | str:
    """The turns of a hypothesis and of its reference, or why they are not scored."""
    hypothesis = read_turns(text) if text is not None else "there are none"
    if isinstance(hypothesis, str):
        return f"its turns cannot be scored: {hypothesis}"
    turns = tuple((start, start + duration, speaker) for start, duration, speaker in reference.turns)
    why = why_not_scored(turns)
    return f"its reference cannot be scored by: {why}" if why else (hypothesis, turns)
