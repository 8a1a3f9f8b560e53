"""The host's own error rate between two hypotheses beside pyannote.metrics' of the local environment."""

from __future__ import annotations

import json
import random
import subprocess
from typing import Any, Literal

import pytest

from harness.workloads.diarization import error_rate
from tests.local.stacks import local_python

BY_PYANNOTE = """
import json, sys
from pyannote.core import Annotation, Segment
from pyannote.metrics.diarization import DiarizationErrorRate
def annotation(turns):
    made = Annotation()
    for track, (start, end, who) in enumerate(turns):
        made[Segment(start, end), track] = who
    return made.support() if sys.argv[1] == "merged" else made
print(json.dumps([DiarizationErrorRate()(annotation(r), annotation(h)) for r, h in json.load(sys.stdin)]))
"""


def some_turns(generator: random.Random, *, speakers: int, count: int) -> list[tuple[float, float, str]]:
    """Turns that overlap between speakers and not within one, as a pipeline's do."""
    turns = []
    for speaker in range(speakers):
        borders = sorted(round(generator.uniform(0, 60), 3) for _ in range(2 * count))
        turns += [(a, b, f"s{speaker}") for a, b in zip(borders[::2], borders[1::2], strict=True) if b - a > 0.01]
    return turns


def by_pyannote(cases: list[Any], turns: Literal["plain", "merged"]) -> list[float]:
    """pyannote.metrics' rates of (reference, hypothesis), with turns as they are or each speaker's merged where they meet."""
    done = subprocess.run(
        (str(local_python()), "-W", "ignore", "-c", BY_PYANNOTE, turns),
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [float(rate) for rate in json.loads(done.stdout)]


def test_it_is_the_same_number() -> None:
    generator = random.Random(20261122)
    cases: list[Any] = []
    for _ in range(40):
        reference = some_turns(generator, speakers=generator.randint(1, 4), count=5)
        hypothesis = some_turns(generator, speakers=generator.randint(0, 5), count=5)
        cases.append((reference, hypothesis))
    cases += [(reference, reference) for reference, _ in cases[:3]]
    theirs = by_pyannote(cases, "plain")
    ours = [error_rate(reference=reference, hypothesis=hypothesis) for reference, hypothesis in cases]
    assert ours == pytest.approx(theirs, abs=1e-9)
    assert len({round(rate, 2) for rate in theirs}) > 10


def test_a_speaker_s_own_overlapping_turns_count_once_as_they_do_there_only_when_merged() -> None:
    plain = [(0.0, 10.0, "a"), (10.0, 20.0, "b")]
    doubled = [(0.0, 6.0, "a"), (4.0, 10.0, "a"), (10.0, 20.0, "b")]
    cases: list[Any] = [(plain, doubled), (doubled, plain)]
    ours = [error_rate(reference=reference, hypothesis=hypothesis) for reference, hypothesis in cases]
    assert ours == pytest.approx([0.0, 0.0], abs=1e-9)
    assert by_pyannote(cases, "merged") == pytest.approx([0.0, 0.0], abs=1e-9)
    assert min(by_pyannote(cases, "plain")) > 0.05
