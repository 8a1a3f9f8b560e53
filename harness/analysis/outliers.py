"""What is odd about a cell's launches: values far from the rest, and two heaps instead of one. Flagged, never dropped.

Both rules are chosen by how often they flag clean data; `tests.unit.analysis.test_outliers` simulates that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

LEAST_SHARE = 0.02
"""A share of the median: nothing nearer to it is flagged. Launches of one image spread by some 1%, so less than 2% means nothing."""

FEWEST_FOR_OUTLIERS = 6

MOST_Z = 6.0
"""Modified z-score above which a value is an outlier.

The usual 3.5 (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993) is meant for tens of values: it flags at least one of
six normal values in 15% of all samples, and of twelve in 11%. With 6.0 these are 4% and 1%."""

FEWEST_FOR_HEAPS = 10
"""Smaller normal samples fall into two heaps too often by chance: 8% of samples of six values, 6% of samples of eight."""

FEWEST_IN_A_HEAP = 3


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Positions of the values that lie far from the rest; empty for fewer than six values.

    A value is far when its modified z-score, 0.6745 (x - median) / MAD, is above `MOST_Z` and it lies more than `LEAST_SHARE`
    of the median away. Where more than half of the values are equal, the MAD is 0 and only the second condition decides.
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


def heaps(values: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The lower and the higher heap that the values lie in; ``None`` where they lie in one, or are fewer than ten.

    The rule looks at the largest gap. Each heap has at least three values and a quarter of all, and the gap between them is wider
    than the wider heap (and than `LEAST_SHARE` of the median). The rule sees two heaps in 3% of all samples of ten normal values,
    in 1% of twelve, in none of 10,000 samples of twenty, and in 8% of ten uniformly spread values, its hardest case. It sees two
    normal heaps of equal size, eight of their standard deviations apart, in 9 of 10 samples. Hartigan's dip test (Annals of
    Statistics 13, 1985) needs tables of its own for so few values; a reader can check this rule by eye.
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
    return tuple(low), tuple(high)


def oddities_of(values: Sequence[float]) -> tuple[str, ...]:
    """What is odd about the values, in a few words to stand beside them: ``1 outlier``, ``two heaps``."""
    far = outliers(values)
    said = [f"{len(far)} outlier{'' if len(far) == 1 else 's'}"] if far else []
    return (*said, "two heaps") if heaps(values) is not None else tuple(said)
