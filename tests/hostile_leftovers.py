"""What a container or an accident may leave in the folder of a launch whose harness was killed, and then a campaign that finds it. For
`tests/test_hostile_leftovers.py`, which runs it as a program: ``python -m tests.hostile_leftovers FOLDER``.

Permissions do not bind root. So each campaign runs in a child that has become another user, where this process may do that. What is
real: the campaign, its recovery, the files, the store and the page; engine and guest are fakes of `tests.unit.samples`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness import places
from harness.launch.plan import EXCHANGE, PLAN, TELEMETRY, TRUTH, launches_folder
from harness.records.launch import Launch
from harness.records.store import Store
from reports.markdown.render import render_benchmarks
from tests.finished_launches import in_child, use
from tests.unit.campaigns import Bench, a_dead_plan
from tests.unit.samples import passing_journal

NOBODY = 65534
MOST_SECONDS = 60
LARGE_BYTES = 1 << 30
DEEP = "[" * 200_000 + "]" * 200_000
ID = "20261121T100000-000000-000a"
"""Another launch's"""


def is_root() -> bool:
    return os.getuid() == 0


# Each is given the launch's folder, and may put what it likes into `user_data`.


def user_data(launch: Path) -> Path:
    """A folder of the user's, outside of what is ours. ``kept`` in it must stay as it is."""
    return launch.parents[2] / "user"


def a_closed_exchange(launch: Path) -> None:
    (launch / EXCHANGE).chmod(0)


def a_closed_journal(launch: Path) -> None:
    (launch / EXCHANGE / "journal.jsonl").chmod(0)


def a_closed_launch_folder(launch: Path) -> None:
    launch.chmod(0)


def a_folder_full_of_files(launch: Path) -> None:
    full = launch / EXCHANGE / "full"
    full.mkdir()
    for number in range(2000):
        (full / str(number)).touch()
    closed = full / "closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0)


def kernel_caches_full_of_files(launch: Path) -> None:
    full = launch / "caches" / "full"
    full.mkdir(parents=True)
    (full / "file").touch()
    full.chmod(0)


def folders_for_the_journal_and_the_log(launch: Path) -> None:
    (launch / EXCHANGE / "journal.jsonl").unlink()
    for name in ("journal.jsonl", "log"):
        (launch / EXCHANGE / name).mkdir()
        (launch / EXCHANGE / name / "file").touch()


def a_link_for_the_exchange(launch: Path) -> None:
    (launch / EXCHANGE).rename(launch / "moved")
    (launch / EXCHANGE).symlink_to(user_data(launch))


def deep_telemetry(launch: Path) -> None:
    (launch / TELEMETRY).write_text(f'{{"hertz": 2}}\n{{"values": {DEEP}}}\n')


def a_pipe_for_telemetry(launch: Path) -> None:
    os.mkfifo(launch / TELEMETRY)


def a_closed_truth(launch: Path) -> None:
    (launch / TRUTH).chmod(0)


def a_deep_plan(launch: Path) -> None:
    (launch / PLAN).write_text(f'{{"id": {DEEP}}}')


def a_pipe_for_a_plan(launch: Path) -> None:
    (launch / PLAN).unlink()
    os.mkfifo(launch / PLAN)


def a_link_for_a_plan(launch: Path) -> None:
    (launch / PLAN).rename(user_data(launch) / PLAN)
    (launch / PLAN).symlink_to(user_data(launch) / PLAN)


def a_folder_for_a_plan(launch: Path) -> None:
    (launch / PLAN).unlink()
    (launch / PLAN).mkdir()


def a_large_plan(launch: Path) -> None:
    os.truncate(launch / PLAN, LARGE_BYTES)


def an_empty_plan(launch: Path) -> None:
    os.truncate(launch / PLAN, 0)


def a_closed_plan(launch: Path) -> None:
    (launch / PLAN).chmod(0)


def a_plan_of_odd_values(launch: Path) -> None:
    (launch / PLAN).write_text('{"workload": {"pipeline": 1}, "options": [1], "steps": 3}')


def a_forged_plan(launch: Path) -> None:
    plan = json.loads((launch / PLAN).read_text())
    (launch / PLAN).write_text(json.dumps({**plan, "id": "../../user"}))


def a_plan_with_a_forged_cache(launch: Path) -> None:
    plan = json.loads((launch / PLAN).read_text())
    (launch / PLAN).write_text(json.dumps({**plan, "caches": "keep", "cache_key": "../../user"}))


def a_plan_of_an_engine_that_is_none(launch: Path) -> None:
    plan = json.loads((launch / PLAN).read_text())
    (launch / PLAN).write_text(json.dumps({**plan, "engine": {"name": "\x1b[31mwarp"}}))


def a_folder_of_the_user_s(launch: Path) -> None:
    user_data(launch).rename(launch.parent / "notes")
    user_data(launch).symlink_to(launch.parent / "notes")


def a_link_with_the_name_of_a_launch(launch: Path) -> None:
    (launch.parent / ID).symlink_to(user_data(launch))


def a_file_with_the_name_of_a_launch(launch: Path) -> None:
    (launch.parent / ID).write_text("a user's")


def launches_elsewhere(launch: Path) -> None:
    """The user has linked the folder of launches to one in which another harness may make launches now."""
    (launch.parent / ID / EXCHANGE).mkdir(parents=True)
    launch.parent.rename(user_data(launch) / "launches")
    launch.parent.symlink_to(user_data(launch) / "launches")


OWN = (
    *(a_closed_exchange, a_closed_journal, a_closed_launch_folder, a_folder_full_of_files, kernel_caches_full_of_files),
    *(folders_for_the_journal_and_the_log, a_link_for_the_exchange, deep_telemetry, a_pipe_for_telemetry, a_closed_truth),
    *(a_deep_plan, a_pipe_for_a_plan, a_link_for_a_plan, a_folder_for_a_plan, a_large_plan, an_empty_plan, a_closed_plan),
    *(a_plan_of_odd_values, a_forged_plan, a_plan_with_a_forged_cache, a_plan_of_an_engine_that_is_none),
    *(a_folder_of_the_user_s, a_link_with_the_name_of_a_launch, a_file_with_the_name_of_a_launch, launches_elsewhere),
)
"""What the harness's own user can make, as a container's root is where the engine runs without root"""


def an_exchange_of_another_user(launch: Path) -> None:
    (launch / EXCHANGE).chmod(0o700)
    os.chown(launch / EXCHANGE, 0, 0)


def a_full_folder_of_another_user(launch: Path) -> None:
    (launch / EXCHANGE / "full").mkdir(0o700)
    (launch / EXCHANGE / "full" / "file").touch()


OF_ANOTHER = (an_exchange_of_another_user, a_full_folder_of_another_user)
"""What only another user of a container can make"""

ALL = (*OWN, *OF_ANOTHER)


class WatchedStore(Store):
    """A store that notes what lies in the exchange folder and beside it when a launch is to be stored."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.lay: dict[str, list[str]] = {}

    def add(self, launch: Launch) -> None:
        folder = launches_folder() / launch.id
        with contextlib.suppress(OSError):
            names = [*os.listdir(folder), *(f"{EXCHANGE}/{name}" for name in os.listdir(folder / EXCHANGE))]
            self.lay[launch.id] = sorted(names)
        super().add(launch)


def next_start(place: Path, launch: Path, leave: Callable[[Path], None] | None) -> None:
    """A campaign over what was left, as another user; its answer goes into a file. One that waits for ever is ended by a signal."""
    signal.alarm(MOST_SECONDS)
    if is_root():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    if leave is not None:
        leave(launch)
    use(place)
    bench, store = Bench(place), WatchedStore(places.store_url())
    bench.run(store=store)
    left = sorted(path.name for path in launches_folder().iterdir())
    bench.run()
    stored = store.launches()
    answer = {
        "announced": bench.listener.announced,
        "stored": {each.id: msgspec.to_builtins(each.verdict) for each in stored},
        "lay": store.lay,
        "left": left,
        "page": render_benchmarks(stored),
        "kept": (user_data(launch) / "kept").read_text(),
    }
    (place / "answer.json").write_text(json.dumps(answer))


def leave_and_start(folder: Path, leave: Callable[[Path], None]) -> dict[str, Any]:
    """The answer of the campaign after something was left, and how it ended."""
    place = folder / leave.__name__
    (place / "user").mkdir(parents=True)
    (place / "user" / "kept").write_text("a user's")
    use(place)
    plan = a_dead_plan(caches="empty")
    launch = Bench(place).unstored(plan, journal=passing_journal())
    if is_root():
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    if leave in OF_ANOTHER:
        leave(launch)
    error = place / "error"
    with error.open("w") as stream:
        ended = in_child(lambda: next_start(place, launch, leave if leave in OWN else None), errors=stream)
    answer = json.loads((place / "answer.json").read_text()) if ended == 0 else {}
    return {"ended": ended, "error": error.read_text()[-3000:], "launch": plan.id, **answer}


def main() -> None:
    folder = Path(sys.argv[1])
    with contextlib.redirect_stdout(io.StringIO()):
        place = folder / "first"
        place.mkdir()
        use(place)
        bench = Bench(place)
        bench.unstored(a_dead_plan(caches="empty"), journal=passing_journal())
        bench.run()  # what is imported late is imported here, where it can be read, and once for all children
        render_benchmarks(bench.store.launches())
        "".encode("unicode_escape")  # a codec is a module, too
    answers = {leave.__name__: leave_and_start(folder, leave) for leave in (ALL if is_root() else OWN)}
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
