"""Images that leave what they should not."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.wire import JOURNAL
from harness.engines.base import LOG, Run
from harness.launch.plan import EXCHANGE
from harness.records.outcome import ExitRecord
from tests.unit.campaigns import (
    Bench,
    a_dead_plan,
)
from tests.unit.samples import (
    FakeEngine,
    Guest,
    a_link,
    failing_journal,
    in_turn,
    passes,
    passing_journal,
    write_journal,
)


def a_folder_for_a_journal(run: Run) -> ExitRecord:
    (run.exchange / JOURNAL).mkdir()
    return ExitRecord(started=True, code=0)


def a_folder_for_a_log(run: Run) -> ExitRecord:
    (run.exchange / LOG).mkdir()
    return passes(run)


def a_link_for_a_journal(run: Run) -> ExitRecord:
    (run.exchange / JOURNAL).symlink_to("/etc/passwd")
    return ExitRecord(started=True, code=0)


def a_file_name_that_is_no_text(run: Run) -> ExitRecord:
    write_journal(run.exchange, failing_journal("load", a_link("FileNotFoundError", "no such file: 'caf\udce9.wav'")))
    return ExitRecord(started=True, code=1)


def a_number_beyond_all_floats(run: Run) -> ExitRecord:
    journal = [
        {**event, "seconds": 10**400, "at": 10**400} if event["event"] == "pass" else event for event in passing_journal()
    ]
    write_journal(run.exchange, journal)
    return ExitRecord(started=True, code=0)


def a_deep_nesting(run: Run) -> ExitRecord:
    (run.exchange / JOURNAL).write_text('{"event": "note", "text": ' + "[" * 50_000 + "]" * 50_000 + "}\n")
    return ExitRecord(started=True, code=0)


def files_that_may_not_be_removed(run: Run) -> ExitRecord:
    (run.exchange / "kept").mkdir()
    (run.exchange / "kept" / "file").touch()
    (run.exchange / "kept").chmod(0)
    return passes(run)


def no_request_left(run: Run) -> ExitRecord:
    shutil.rmtree(run.exchange)
    return ExitRecord(started=True, code=0)


HOSTILE = (
    a_folder_for_a_journal,
    a_folder_for_a_log,
    a_link_for_a_journal,
    a_file_name_that_is_no_text,
    a_number_beyond_all_floats,
    a_deep_nesting,
    files_that_may_not_be_removed,
    no_request_left,
)


"""Guests of a hostile or a broken image."""


@pytest.mark.parametrize("guest", HOSTILE)
def test_a_hostile_image_is_a_result_and_no_end_of_the_campaign(bench: Bench, guest: Guest) -> None:
    campaign = bench.run(FakeEngine(in_turn(guest, passes)), launches=2)
    assert len(bench.store.launches()) == len(campaign.launches) == 2
    assert campaign.launches[1].verdict.status == "pass"


@pytest.mark.parametrize("guest", HOSTILE)
def test_what_a_hostile_image_left_does_not_keep_the_next_campaign_from_running(bench: Bench, guest: Guest) -> None:
    plan = a_dead_plan()
    folder = bench.unstored(plan)
    (folder / EXCHANGE / JOURNAL).unlink()
    guest(Run(name="x", image="x", argv=(), environment={}, mounts=(), working_directory="/", exchange=folder / EXCHANGE))
    bench.run()
    assert len(bench.store.launches()) == 2
