"""What a person sees on stderr during a run: a moving line on a terminal, otherwise only one line for each launch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from harness.analysis.intervals import launch_seconds, rate_of
from harness.analysis.stopping import percent, stop_text
from harness.launch.exchange import read_events
from harness.launch.plan import EXCHANGE, Prepared, launches_folder
from harness.records.launch import Launch
from harness.secrets import clean_text
from harness.text import one_line
from harness.workloads.workload import workload_of

LOOKS_A_SECOND = 2
"""Each look reads the journal; more would take time from the processor that is being measured."""

QUIET_SECONDS = 10.0
"""After this long without a word, the time since is shown."""


class Progress:
    """Shows a run on a console. See `harness.campaign.request.Observer`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._saying = ""
        self._said_at = 0.0
        self._lock = threading.RLock()  # builds of several images talk from threads of their own
        self._counted = ""

    def say(self, text: str) -> None:
        with self._lock:
            self._saying, self._said_at = one_line(clean_text(text)).strip(), time.monotonic()
            self._show(lambda: saying_text(self._saying, time.monotonic() - self._said_at))

    def announce(self, text: str) -> None:
        with self._lock:
            self.stop()
            self._console.print(Text(one_line(clean_text(text))), soft_wrap=True)

    def begins(self, prepared: Prepared, number: int, total: int | None) -> None:
        self.stop()
        self._counted = f"[{number}]" if total is None else f"[{number}/{total}]"
        exchange = launches_folder() / prepared.plan.id / EXCHANGE
        begun = time.monotonic()
        title = f"{self._counted} {prepared.plan.cell}"
        self._show(lambda: f"{title}  {_stage(exchange)}  {time.monotonic() - begun:.0f} s")

    def ended(self, launch: Launch) -> None:
        self.stop()
        line = Text(f"{self._counted} {one_line(launch.plan.cell)} ({launch.plan.engine.name})  ".lstrip())
        verdict = launch.verdict
        style = {"pass": "green", "wrong output": "yellow"}.get(verdict.status, "red")
        line.append(verdict.status if verdict.cause is None else f"{verdict.status}: {verdict.cause}", style=style)
        seconds, rate, unit = launch_seconds(launch), rate_of(launch), workload_of(launch.plan).unit
        if seconds is not None and rate is not None and unit is not None and verdict.status != "fail":
            line.append(f"  {seconds:.2f} s for {unit.text(launch.plan.workload.amount)}, {unit.rate_text(rate)}")
        if verdict.summary:
            line.append(f"  in {verdict.stage}: {one_line(verdict.summary)}")
        line.append(progress_text(launch))
        self._counted = ""
        self._console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Remove the moving line."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None

    def _show(self, render: Callable[[], str]) -> None:
        """Show a moving line until the next `stop`, if this is a terminal."""
        if not self._console.is_terminal or self._live is not None:
            return
        spinner = Spinner("dots")

        def moving() -> Spinner:
            spinner.text = Text(render(), overflow="ellipsis", no_wrap=True)
            return spinner

        self._live = Live(get_renderable=moving, console=self._console, refresh_per_second=LOOKS_A_SECOND, transient=True)
        self._live.start()


def saying_text(saying: str, quiet_seconds: float) -> str:
    """What was said last, and how long ago: pip prints nothing while it fetches a wheel of 3 GB."""
    if quiet_seconds < QUIET_SECONDS:
        return saying
    minutes, seconds = divmod(int(quiet_seconds), 60)
    return f"(no output for {f'{minutes} min ' if minutes else ''}{seconds} s) {saying}"


class BuildProgress(Progress):
    """The same for `build`, which says itself what became of an image; a line for each cell would repeat that."""

    def ended(self, launch: Launch) -> None:
        self.stop()


def progress_text(launch: Launch) -> str:
    """How precise the launch's cell is by now, and why it was the last; empty for a fixed number of launches."""
    rule, decision = launch.plan.stopping, launch.decision
    if rule is None or decision is None or (rule.until is None and decision.stop != "budget"):
        return ""
    width = "no interval yet" if decision.half_width is None else f"±{percent(decision.half_width)}"
    end = f"; done: {stop_text(rule, decision)}" if decision.stop else ""
    return f"  ({width}, n = {decision.values}{end})"


def _stage(exchange: Path) -> str:
    """The stage that the guest has reached."""
    stages = [event.get("stage") for event in read_events(exchange) if event.get("event") in ("begin", "pass")]
    return str(stages[-1]) if stages else "starting"
