"""What a dead harness left, and one campaign at a time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness import places
from harness.campaign.recovery import campaign_lock
from harness.campaign.request import engine_name
from harness.catalog.rows import Image
from harness.catalog.select import foreign_image
from harness.engines.base import Run
from harness.errors import EngineError, HostError, RecordError, StoreError, UsageError
from harness.launch.leftovers import find_leftovers
from harness.launch.plan import DRY_RUN_PREFIX, EXCHANGE, PLAN, launches_folder
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.records.plan import Plan
from harness.records.store import Store
from harness.tools import owner, owner_is_gone
from tests.unit.campaigns import (
    CATALOG,
    CPU,
    HIGHEST_PID,
    Bench,
    a_dead_plan,
    an_owner,
    outcome,
)
from tests.unit.samples import (
    FakeEngine,
    a_link,
    a_plan,
    failing_journal,
    guest_that_raises,
    journal_until,
    passes,
    passing_journal,
)


def test_a_finished_launch_of_a_dead_harness_is_recovered_as_what_it_was(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.unstored(plan, journal=passing_journal())
    campaign = bench.run()
    recovered = next(launch for launch in bench.store.launches() if launch.id == plan.id)
    assert outcome(recovered) == ("pass", "verify", None)
    assert recovered.exit.interrupted
    assert recovered.start_seconds is None
    assert plan.id not in [launch.id for launch in campaign.launches], "it is no launch of this campaign"
    assert any(plan.id in line for line in bench.listener.announced)
    assert bench.folders == []


def test_a_dead_harness_whose_launch_cannot_be_stored_stops_no_later_one(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.unstored(plan, journal=passing_journal())

    class FullStore(Store):
        """A store that takes every launch but that one."""

        def add(self, launch: Launch) -> None:
            if launch.id == plan.id:
                raise RecordError(f"launch {plan.id} is not stored")
            super().add(launch)

    assert [outcome(launch)[0] for launch in bench.run(store=FullStore(places.store_url())).launches] == ["pass"]
    assert f"launch {plan.id} is not stored; its folder stays, {launches_folder() / plan.id}" in bench.listener.announced
    assert bench.folders == [plan.id]


def test_half_a_launch_of_a_dead_harness_is_recovered_as_interrupted(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.unstored(plan, journal=journal_until("warm"))
    bench.run()
    recovered = next(launch for launch in bench.store.launches() if launch.id == plan.id)
    assert outcome(recovered) == ("fail", "warm", "interrupted")
    assert recovered.journal == journal_until("warm")


def test_a_failed_launch_of_a_dead_harness_is_recovered_with_its_cause(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.unstored(plan, journal=failing_journal("load", a_link("ValueError", "no")))
    bench.run()
    recovered = next(launch for launch in bench.store.launches() if launch.id == plan.id)
    assert outcome(recovered) == ("fail", "load", "error")


def test_what_a_dead_harness_left_running_is_swept_before_its_launch_is_recovered(bench: Bench) -> None:
    swept_when_stored: list[int] = []

    class Watched(FakeEngine):
        """A fake that looks into the store when it is swept."""

        def sweep(self) -> int:
            swept_when_stored.append(len(bench.store.launches()))
            return super().sweep()

    bench.unstored(a_dead_plan(engine="docker"), journal=passing_journal())
    docker = Watched(name="docker")
    bench.run({"docker": docker, "podman": FakeEngine()})
    assert swept_when_stored == [0]
    assert docker.is_closed


def test_an_engine_that_is_gone_does_not_keep_a_dead_harness_s_launch_from_being_recovered(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.unstored(plan, journal=passing_journal())
    bench.run(EngineError("no Podman"))
    assert plan.id in [launch.id for launch in bench.store.launches()]
    assert any("cannot sweep" in line for line in bench.listener.announced)


def test_a_launch_of_a_living_harness_is_left_alone(bench: Bench) -> None:
    plan = a_plan(owner=owner())
    bench.unstored(plan, journal=passing_journal())
    bench.run()
    assert plan.id not in [launch.id for launch in bench.store.launches()]
    assert bench.folders == [plan.id]


def test_an_interruption_leaves_the_launch_of_another_living_harness_alone(bench: Bench) -> None:
    boot = owner().split(":", 2)[2].split(":")[0]
    elsewhere = a_plan(owner=an_owner(place=f"{boot}:1"))
    assert not owner_is_gone(elsewhere.owner), "a process of another pid namespace cannot be judged"
    bench.unstored(elsewhere, journal=journal_until("warm"))
    with pytest.raises(KeyboardInterrupt):
        bench.run(FakeEngine(guest_that_raises(KeyboardInterrupt())))
    assert elsewhere.id not in [launch.id for launch in bench.store.launches()]


def test_a_recovery_that_was_itself_cut_off_may_be_repeated(bench: Bench) -> None:
    plan = a_dead_plan()
    folder = bench.unstored(plan, journal=passing_journal())
    bench.run()
    assert not folder.exists()
    bench.unstored(plan, journal=journal_until("warm"))
    bench.run()
    recovered = [launch for launch in bench.store.launches() if launch.id == plan.id]
    assert [outcome(launch) for launch in recovered] == [("pass", "verify", None)]
    assert bench.folders == []


def test_a_folder_without_a_plan_is_removed_and_a_dry_run_s_is_kept(bench: Bench) -> None:
    (launches_folder() / "20261121T100000-00000a" / EXCHANGE).mkdir(parents=True)
    (launches_folder() / f"{DRY_RUN_PREFIX}cpu" / EXCHANGE).mkdir(parents=True)
    bench.run()
    assert bench.folders == [f"{DRY_RUN_PREFIX}cpu"]


def test_a_plan_that_cannot_be_read_is_left_for_a_person_to_look_at_and_stops_nothing(bench: Bench) -> None:
    folder = bench.unstored(a_dead_plan())
    (folder / PLAN).write_text('{"id": "half')
    bench.run()
    assert len(bench.store.launches()) == 1
    assert folder.exists()


def test_a_second_campaign_is_refused_while_one_runs(bench: Bench) -> None:
    refused: list[HostError] = []

    def guest(run: Run) -> ExitRecord:
        with pytest.raises(HostError) as caught:
            bench.run()
        refused.append(caught.value)
        return passes(run)

    bench.run(FakeEngine(guest))
    assert refused[0].exit_code == 3
    assert f"another strixbench runs (process {os.getpid()}): wait for its end" in str(refused[0])
    assert len(bench.store.launches()) == 1


def test_campaigns_with_different_results_are_one_at_a_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with campaign_lock():
        monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "others"))
        with pytest.raises(HostError, match="another strixbench runs"), campaign_lock():
            pass


@pytest.mark.parametrize("cache", ["results", "file"])
def test_a_cache_that_is_the_results_folder_or_cannot_be_written_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / cache))
    with campaign_lock(), pytest.raises(HostError, match="another strixbench runs"), campaign_lock():
        pass


def test_the_lock_is_free_again_after_a_campaign_however_it_ended(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.run(FakeEngine(guest_that_raises(KeyboardInterrupt())))
    with campaign_lock():
        pass


@pytest.mark.parametrize("folder", ["results", "cache"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_lock_that_is_another_name_of_a_user_s_file_is_refused_and_the_file_stays(
    tmp_path: Path, folder: str, link: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "thesis").write_text("chapter 1\n")
    (tmp_path / folder).mkdir()
    link(tmp_path / "thesis", tmp_path / folder / "lock")
    if folder == "results":
        with pytest.raises(HostError, match="is a link or no plain file, and is not written to: remove it"), campaign_lock():
            pass
    else:  # a cache that cannot be used is no hindrance
        with campaign_lock():
            pass
    assert (tmp_path / "thesis").read_text() == "chapter 1\n"


def test_a_lock_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    os.mkfifo(tmp_path / "results" / "lock")
    with pytest.raises(HostError, match="remove it"), campaign_lock():
        pass


def test_a_results_folder_that_cannot_be_made_is_the_host_s_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "file"))
    monkeypatch.setenv("STRIXBENCH_STORE", f"sqlite:///{tmp_path}/launches.db")
    with pytest.raises(HostError):
        Bench(tmp_path).run()


def test_a_launch_that_the_store_refuses_keeps_its_folder_and_is_recovered_at_the_next_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    place = tmp_path / "disk" / "launches.db"
    store = Store(f"sqlite:///{place}")

    def guest(run: Run) -> ExitRecord:
        shutil.rmtree(place.parent)
        place.parent.write_text("the disk is gone")
        return passes(run)

    with pytest.raises(StoreError):
        bench.run(FakeEngine(guest), store=store)
    (left,) = bench.folders
    place.parent.unlink()

    (launches_folder() / left / PLAN).write_bytes(msgspec.json.encode(died(read_plan(left))))
    again = Store(f"sqlite:///{place}")
    bench.run(store=again)
    recovered = next(launch for launch in again.launches() if launch.id == left)
    assert outcome(recovered) == ("pass", "verify", None)
    assert bench.folders == []


def test_a_full_disk_keeps_the_launch_for_the_next_start(bench: Bench) -> None:
    """No disk is filled here: a trigger refuses the row in SQLite's own words for that."""
    with contextlib.closing(sqlite3.connect(places.results() / "strixbench.db")) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON launches BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(StoreError, match="database or disk is full") as caught:
        bench.run()
    assert caught.value.exit_code == 3
    (left,) = bench.folders
    assert json.loads((launches_folder() / left / PLAN).read_text())["id"] == left


def read_plan(launch_id: str) -> Plan:
    return msgspec.json.decode((launches_folder() / launch_id / PLAN).read_bytes(), type=Plan)


def died(plan: Plan) -> Plan:
    """The plan as it is once its harness has ended."""
    return msgspec.structs.replace(plan, owner=an_owner(pid=HIGHEST_PID + 1))


def test_launches_to_recover_are_those_of_dead_harnesses_alone(bench: Bench) -> None:
    dead, alive = a_dead_plan(1), a_plan(2, owner=owner())
    bench.unstored(dead)
    bench.unstored(alive)
    assert find_leftovers().plans == (dead, alive)
    assert [owner_is_gone(plan.owner) for plan in find_leftovers().plans] == [True, False]


@pytest.mark.parametrize(
    ("image", "preference", "engine"),
    [(CATALOG.images["local-cpu"], "auto", "local"), (CPU, "auto", "auto"), (CPU, "docker", "docker")],
)
def test_an_image_runs_on_the_engine_that_is_asked_for_or_that_it_needs(image: Image, preference: str, engine: str) -> None:
    assert engine_name(image, preference) == engine


def test_an_image_and_an_engine_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="--engine local, not docker"):
        engine_name(CATALOG.images["local-cpu"], "docker")
    with pytest.raises(UsageError, match="softab:1 is a container image: --engine local cannot run it"):
        engine_name(foreign_image("softab:1", family=None), "local")


def test_an_owner_is_gone_when_its_process_its_start_or_its_boot_is() -> None:
    pid, started, place = owner().split(":", 2)
    assert not owner_is_gone(owner())
    assert owner_is_gone(f"{HIGHEST_PID + 1}:{started}:{place}")
    assert owner_is_gone(f"{pid}:{int(started) + 1}:{place}"), "the number was given to another process"
    assert owner_is_gone(f"{pid}:{started}:another-boot:1")
    assert owner_is_gone("")
