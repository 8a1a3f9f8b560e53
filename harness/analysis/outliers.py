"""What is odd about a cell's launches: values far from the rest, and two heaps instead of one. Flagged, never dropped.

Both rules are chosen by how often they speak of clean data; `tests.unit.test_spread` simulates that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import msgspec

LEAST_SHARE = 0.02
"""Of the median: what lies nearer is never flagged. Launches of one image spread by some 1%, and less than 2% is no claim."""

FEWEST_FOR_OUTLIERS = 6

MOST_Z = 6.0
"""Modified z-score above which a value is an outlier.

The usual 3.5 (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993) is for tens of values: of six normal ones it
flags at least one in 15% of all samples, of twelve in 11%. At 6.0 that is 4% and 1%."""

FEWEST_FOR_HEAPS = 10
"""Below that, normal samples fall into two heaps too often by chance: 8% of six, 6% of eight."""

FEWEST_IN_A_HEAP = 3


class Heaps(msgspec.Struct, frozen=True):
    """Two groups of values with nothing between them."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Positions of the values that lie far from the rest; none of fewer than six values.

    Far is a modified z-score, 0.6745 (x - median) / MAD, above `MOST_Z`, and more than `LEAST_SHARE` of the median away.
    Where more than half of the values are the same the MAD is 0, and the second alone decides.
    """
    if len(values) < FEWEST_FOR_OUTLIERS:
        return ()
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    scale = median(distances)
    return tuple(
        position
        for position, distance in enumerate(distances)
        if distance > LEAST_SHARE * abs(middle) and 0.6745 * distance > MOST_Z * scale
    )


def heaps(values: Sequence[float]) -> Heaps | None:
    """The two heaps that the values lie in; ``None`` where it is one, or fewer than ten values.

    The rule of the largest gap: two heaps of at least three values and a quarter of all, and between them a gap wider than
    the wider heap (and than `LEAST_SHARE` of the median). Of ten normal values it sees two heaps in 3% of all samples, of
    twelve in 1%, of twenty in none of 10,000; of ten evenly spread ones, its hardest case, in 8%. Two normal heaps of
    equal size that lie eight of their standard deviations apart it sees in 9 of 10 samples. Hartigan's dip test (Annals of
    Statistics 13, 1985) needs tables of its own for so few values; this rule a reader can check by eye.
    """
    count = len(values)
    if count < FEWEST_FOR_HEAPS:
        return None
    ordered = sorted(values)
    fewest = max(FEWEST_IN_A_HEAP, math.ceil(count / 4))
    at = max(range(fewest, count - fewest + 1), key=lambda each: ordered[each] - ordered[each - 1])
    low, high = ordered[:at], ordered[at:]
    gap = high[0] - low[-1]
    if gap <= max(low[-1] - low[0], high[-1] - high[0], LEAST_SHARE * abs(median(ordered))):
        return None
    return Heaps(tuple(low), tuple(high))


def spread_flags(values: Sequence[float]) -> tuple[str, ...]:
    """What is odd, in a few words to stand beside a spread: ``1 outlier``, ``two heaps``."""
    far = outliers(values)
    said = [f"{len(far)} outlier{'' if len(far) == 1 else 's'}"] if far else []
    return (*said, "two heaps") if heaps(values) is not None else tuple(said)
