"""When the next launch may begin: the campaign's clock, and the wait until the machine is as cool as at its start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from harness.records.plan import CoolDown

MARGIN_CELSIUS = 3.0
"""How far a thermometer may be above its start: an idle chip's own readings move by a degree or two."""

MOST_COOL_DOWN_SECONDS = 3600


class CampaignClock:
    """The clock and the thermometers of one campaign. ``read`` gives the temperatures of those that can be read, by their names."""

    def __init__(
        self,
        read: Callable[[], Mapping[str, float]],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read = read
        self._clock = clock
        self._wait = wait
        self._start_celsius: dict[str, float] | None = None
        self._begun: float | None = None

    def note_start(self) -> None:
        """Note the temperatures that later launches wait for. It comes before anything is built: a build warms the machine.

        One reading of each is enough: `MARGIN_CELSIUS` allows for how much an idle chip's readings differ, and a start that is high
        by chance shows, because it is recorded with every wait.
        """
        self._start_celsius = dict(self._read())

    def elapsed_seconds(self) -> float:
        """Seconds since the first call, which comes when the first launch begins."""
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        return now - self._begun

    def cool_down(self, most_seconds: float, *, say: Callable[[str], None]) -> CoolDown:
        """Wait at most so long until every thermometer is back at its start; looks each second."""
        if self._start_celsius is None:
            self.note_start()
        start = self._start_celsius or {}
        begun = self._clock()
        before = now = _of(start, self._read())
        while (hot := too_hot(start, now)) and (waited := self._clock() - begun) < most_seconds:
            say("cooling down: " + ", ".join(f"{name} {now[name]:.0f} °C, was {start[name]:.0f}" for name in hot))
            self._wait(min(1.0, most_seconds - waited))
            now = _of(start, self._read())
        return CoolDown(
            outcome="no thermometer" if not now else "time is up" if hot else "cool",
            most_seconds=most_seconds,
            margin_celsius=MARGIN_CELSIUS,
            waited_seconds=self._clock() - begun if too_hot(start, before) else 0.0,
            start_celsius=start,
            before_celsius=before,
            after_celsius=now,
        )


def too_hot(start: Mapping[str, float], now: Mapping[str, float]) -> tuple[str, ...]:
    """The thermometers that are still above their start; one that can no longer be read is not waited for."""
    return tuple(name for name, celsius in now.items() if name in start and celsius > start[name] + MARGIN_CELSIUS)


def _of(start: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """The temperatures of the thermometers that have a start."""
    return {name: celsius for name, celsius in now.items() if name in start}
