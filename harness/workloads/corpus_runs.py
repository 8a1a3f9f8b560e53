"""Which recording of a corpus a further launch begins with, where one died. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.records.launch import Launch
from harness.workloads.accuracy import events_of, planned_files

MOST_RELAUNCHES = 5
"""Relaunches of one cell in one run. An image that dies more often is known well enough."""


def next_index(launch: Launch) -> int | None:
    """The recording at which another launch continues after one that ended early; ``None``: none is left, or it would end the same.

    A launch that died before its first recording shows that the image cannot do it at all; one that a person ended is not
    started again.
    """
    tried = [index for index, _ in events_of(launch)]
    if launch.verdict.status == "pass" or launch.verdict.cause in ("interrupted", "engine") or not tried:
        return None
    following = tried[-1] + 1
    return following if following < len(planned_files(launch.plan)) else None


def run_to_the_end(
    launch_all: Callable[[], Sequence[Launch]], launch_again: Callable[[Launch, int], Sequence[Launch]]
) -> tuple[Launch, ...]:
    """All launches of a run: each cell that died is launched again from where it ended, at most `MOST_RELAUNCHES` times.

    ``launch_again`` takes the launch that ended early and the index to begin with.
    """
    launches = list(launch_all())
    for ended in tuple(launches):
        last = ended
        for _ in range(MOST_RELAUNCHES):
            index = next_index(last)
            if index is None:
                break
            again = launch_again(last, index)
            launches += again
            if not again:
                break
            last = again[-1]
    return tuple(launches)
