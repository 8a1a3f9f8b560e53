"""A campaign whose guests finish, in a process that dies at the n-th change of a disk after the first guest's end; and then
another one, which recovers. For `tests/test_lost_launches.py`, which runs it as a program: ``python -m tests.finished_launches FOLDER
ENDING LEFT``.

What is real: the campaign, the exchange folder, the store and its recovery. The engine and its guest are fakes of
`tests.unit.samples`. The guest, when it has finished, appends its launch's id to a ledger where the harness writes nothing, and so what
the guests finished can be compared with what the store has.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from benchmarks.wire import JOURNAL, MOST_JOURNAL_BYTES
from harness import places
from harness.engines.base import LOG, Run
from harness.launch.exchange import MOST_LOG_BYTES
from harness.launch.plan import launches_folder
from harness.records.outcome import ExitRecord
from harness.records.store import Store
from tests.faults import Faults, arm
from tests.unit.campaigns import Bench
from tests.unit.samples import FakeEngine, passes

MOST_POINTS = 500
"""More than there are between a guest's end and that of the campaign."""


def short(run: Run) -> None:
    """What most guests leave: some libraries' output."""
    (run.exchange / LOG).write_text("a warning\n")


def much(run: Run) -> None:
    """A journal and a log that are longer than what is kept of them, and files and folders beside them."""
    with (run.exchange / JOURNAL).open("a") as journal:
        journal.truncate(MOST_JOURNAL_BYTES + 4096)
    (run.exchange / LOG).write_text("x" * (2 * MOST_LOG_BYTES))
    (run.exchange / "step.jsonl").touch()
    (run.exchange / "folder").mkdir()
    (run.exchange / "folder" / "file").touch()


LEFT: dict[str, Callable[[Run], None]] = {"short": short, "much": much}


class Place:
    """A folder with results, a ledger, and notes of the points that were reached."""

    def __init__(self, folder: Path, left: Callable[[Run], None]) -> None:
        folder.mkdir(parents=True)
        self.folder, self._left = folder, left
        self.results, self._ledger, self.noted = folder / "results", folder / "ledger", folder / "noted"

    def bench(self, faults: Faults | None = None) -> None:
        """Run a campaign of one launch."""
        use(self.folder)

        def guest(run: Run) -> ExitRecord:
            with faults.paused() if faults is not None else contextlib.nullcontext():
                ended = passes(run)
                self._left(run)
                descriptor = os.open(self._ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.write(descriptor, f"{run.name.removeprefix('strixbench-')}\n".encode())
                os.fsync(descriptor)
                os.close(descriptor)
            if faults is not None:
                faults.begin()
            return ended

        Bench(self.folder).run(FakeEngine(guest))

    def ledger(self) -> list[str]:
        return self._ledger.read_text().split() if self._ledger.exists() else []

    def points(self) -> list[str]:
        return self.noted.read_text().splitlines() if self.noted.exists() else []

    def outcome(self, ended: list[int]) -> dict[str, Any]:
        """What is there after the last campaign, and how each process ended."""
        use(self.folder)
        stored = {launch.id: launch.verdict.status for launch in Store(places.store_url()).launches()}
        left = sorted(path.name for path in launches_folder().glob("*"))
        return {"point": self.points()[-1:], "ended": ended, "ledger": self.ledger(), "stored": stored, "left": left}


def use(folder: Path) -> None:
    """Make results, cache and home this folder's own."""
    for name in ("STRIXBENCH_STORE", "STRIXBENCH_CATALOG", "STRIXBENCH_PINS"):
        os.environ.pop(name, None)
    os.environ |= {
        "STRIXBENCH_RESULTS": str(folder / "results"),
        "STRIXBENCH_CACHE": str(folder / "cache"),
        "HOME": str(folder),
        "HF_HOME": str(folder),
    }


def in_child(act: Callable[[], object], *, errors: TextIO = sys.stderr) -> int:
    """Run it in a child process; returns how that ended: 0, 1 for an exception, or less than 0 for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                act()
            code = 0
        except BaseException:
            traceback.print_exc(file=errors)
        finally:
            errors.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_campaign(place: Place, at: int, **how: Any) -> None:
    """A campaign in which a fault is armed, counted from its guest's end."""
    place.results.mkdir()
    faults = Faults(place.results, place.noted, at=at, **how)
    arm(faults)
    place.bench(faults)


def dying_recovery(place: Place, at: int) -> None:
    """A campaign that dies at a point counted from its start."""
    faults = Faults(place.results, place.noted, at=at)
    arm(faults)
    faults.begin()
    place.bench(faults)


def faults_after_a_guest(folder: Path, left: Callable[[Run], None], **how: Any) -> list[dict[str, Any]]:
    """A campaign with a fault at each point after its guest's end, each followed by one without."""
    outcomes = []
    for at in range(1, MOST_POINTS):
        place = Place(folder / str(at), left)
        ended = [in_child(lambda: dying_campaign(place, at, **how)), in_child(place.bench)]  # noqa: B023 - it is run now
        outcomes.append(place.outcome(ended))
        if len(place.points()) < at:
            return outcomes
    raise AssertionError(f"the campaign did not come to its end within {MOST_POINTS} points")


def deaths_of_recovery(folder: Path, left: Callable[[Run], None]) -> list[dict[str, Any]]:
    """A campaign that dies when its guest has ended, then a recovery that dies at each of its points, then one that does not."""
    outcomes = []
    for at in range(1, MOST_POINTS):
        place = Place(folder / str(at), left)
        first = in_child(lambda: dying_campaign(place, 1))  # noqa: B023 - likewise
        place.noted.unlink()
        second = in_child(lambda: dying_recovery(place, at))  # noqa: B023 - likewise
        outcomes.append(place.outcome([first, second, in_child(place.bench)]))
        if len(place.points()) < at:
            return outcomes
    raise AssertionError(f"the recovery did not come to its end within {MOST_POINTS} points")


def main() -> None:
    folder, ending, left = Path(sys.argv[1]), sys.argv[2], LEFT[sys.argv[3]]
    with contextlib.redirect_stdout(io.StringIO()):
        Place(folder / "first", short).bench()  # what is imported late is imported here, once for all children
    if ending == "recovery":
        outcomes = deaths_of_recovery(folder, left)
    else:
        outcomes = faults_after_a_guest(
            folder, left, ending=ending.removeprefix("lasting "), lasting=ending.startswith("lasting ")
        )
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
