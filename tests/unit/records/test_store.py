from __future__ import annotations

import shlex
import sqlite3
from pathlib import Path

import msgspec
import pytest

from harness import places
from harness.errors import RecordError, StoreError
from harness.records.launch import SCHEMA, Launch
from harness.records.store import Store, store_exists
from tests.unit.samples import a_failed_launch, a_launch, a_plan


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "launches.db"


@pytest.fixture
def store(database: Path) -> Store:
    return Store(f"sqlite:///{database}")


def stored(store: Store, *launches: Launch) -> Store:
    for launch in launches:
        store.add(launch)
    return store


def test_what_was_added_is_there_for_another_process(store: Store, database: Path) -> None:
    launch = a_launch()
    store.add(launch)
    assert Store(f"sqlite:///{database}").launches() == (launch,)


def test_a_failure_is_kept_like_a_pass(store: Store) -> None:
    launches = (a_launch(a_plan(1)), a_failed_launch(a_plan(2), log_tail="the end"))
    assert stored(store, *launches).launches() == launches


def test_launches_come_in_the_order_of_time(store: Store) -> None:
    first, second, third = (a_launch(a_plan(number)) for number in (1, 2, 3))
    assert stored(store, third, first, second).launches() == (first, second, third)


def test_a_launch_is_written_once_and_never_changed(store: Store) -> None:
    launch = a_launch()
    stored(store, launch, msgspec.structs.replace(launch, log_tail="other"))
    assert store.launches() == (launch,)


def test_cells_are_selected_by_pattern(store: Store) -> None:
    one, other = a_launch(a_plan(1, image="rocm62")), a_launch(a_plan(2, image="cpu"))
    assert stored(store, one, other).launches(cell_like="rocm%") == (one,)


def test_a_launch_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    one, other = a_launch(a_plan(1, campaign=1)), a_launch(a_plan(1, campaign=2))
    stored(store, one, other)
    assert store.find(one.id[:10]) == (one,)
    assert store.find("2026") == (one, other)
    assert store.find("2027") == ()


def test_a_pattern_s_own_signs_in_an_id_find_nothing(store: Store) -> None:
    stored(store, a_launch())
    assert store.find("%") == ()
    assert store.find("2026_") == ()


def test_readers_do_not_wait_for_a_writer(store: Store, database: Path) -> None:
    stored(store, a_launch())
    with sqlite3.connect(database) as writer:
        assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        writer.execute("BEGIN IMMEDIATE")
        assert len(store.launches()) == 1
    writer.close()


def test_a_record_of_a_later_schema_is_refused_with_what_to_do(store: Store) -> None:
    launch = msgspec.structs.replace(a_launch(), schema=SCHEMA + 1)
    with pytest.raises(
        StoreError, match=f"launch {launch.id} has schema {SCHEMA + 1}; this strixbench knows up to {SCHEMA}: upgrade"
    ):
        stored(store, launch).launches()


def damage(database: Path, launch: Launch, record: str | bytes = "{") -> None:
    with sqlite3.connect(database) as other:
        other.execute("UPDATE launches SET record = ? WHERE id = ?", (record, launch.id))
    other.close()


def test_a_damaged_record_is_refused_with_its_id_where_nobody_would_hear_of_it(store: Store, database: Path) -> None:
    launch = a_launch()
    stored(store, launch)
    damage(database, launch)
    with pytest.raises(RecordError, match=launch.id):
        store.launches()


@pytest.mark.parametrize(
    "record", ["{", "{}", "", "[" * 100_000, b"\xff\xfe", b'{"id": "\xff"}'], ids=lambda record: repr(record[:9])
)
def test_a_damaged_record_costs_its_own_row_and_is_told_of_once(database: Path, record: str | bytes) -> None:
    said: list[str] = []
    store = Store(f"sqlite:///{database}", warn=said.append)
    one, other, third = (a_launch(a_plan(number)) for number in (1, 2, 3))
    stored(store, one, other, third)
    damage(database, other, record)
    assert store.launches() == store.launches() == (one, third)
    assert store.find("2026") == (one, third)
    (line,) = said
    assert line.startswith(f"left out: launch {other.id} in the store is damaged: ")


def test_a_damaged_record_comes_with_the_command_that_shows_it(store: Store, database: Path) -> None:
    launch = a_launch()
    stored(store, launch)
    damage(database, launch, "{ not JSON")
    with pytest.raises(RecordError, match="damaged") as caught:
        Store(f"sqlite:///{database}", warn=lambda text: None).find(launch.id)
    program, path, statement = shlex.split(str(caught.value).split("`")[1])
    assert (program, path) == ("sqlite3", str(database))
    with sqlite3.connect(path) as other:
        assert other.execute(statement).fetchall() == [("{ not JSON",)]
    other.close()


def nested(levels: int) -> object:
    found: object = "found"
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize("found", [object(), nested(100_000)], ids=["no JSON", "deep"])
def test_a_launch_whose_findings_cannot_be_written_is_refused_alone(store: Store, found: object) -> None:
    one, other = a_launch(a_plan(1)), msgspec.structs.replace(a_launch(a_plan(2)), findings={"odd": found})
    with pytest.raises(RecordError, match=f"launch {other.id} is not stored"):
        store.add(other)
    store.add(one)
    assert store.launches() == (one,)


def test_a_launch_that_could_not_be_read_again_is_not_stored(store: Store) -> None:
    one, other = a_launch(a_plan(1)), a_launch(a_plan(2))
    unreadable = msgspec.structs.replace(other, plan=msgspec.structs.replace(other.plan, timeout_seconds=float("nan")))
    with pytest.raises(RecordError, match=f"launch {other.id} is not stored.*timeout_seconds") as caught:
        stored(store, one, unreadable)
    assert caught.value.exit_code == 3
    assert store.launches() == (one,)


def test_the_store_s_folder_is_made(database: Path, store: Store) -> None:
    assert database.exists()


def test_a_place_that_cannot_hold_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used") as caught:
        Store(f"sqlite:///{tmp_path}/file/launches.db")
    assert caught.value.exit_code == 3


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "launches.db").write_text("not a database, but long enough to be taken for one\n" * 20)
    with pytest.raises(StoreError, match="not a database"):
        Store(f"sqlite:///{tmp_path}/launches.db")


def test_a_store_that_goes_away_refuses_to_add(store: Store, database: Path) -> None:
    for path in database.parent.iterdir():
        path.unlink()
    database.parent.rmdir()
    with pytest.raises(StoreError, match="unable to open database file"):
        store.add(a_launch())


@pytest.mark.parametrize("url", ["results.db", "mysql", "postgresql+nothing://host/name", "://"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(StoreError):
        Store(url)


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(StoreError) as caught:
        Store("postgresql+nothing://somebody:hunter2@host/name")
    assert "hunter2" not in str(caught.value)
    assert "somebody:***@host" in str(caught.value)


def test_whether_there_is_a_store_is_seen_without_making_one(tmp_path: Path) -> None:
    assert not store_exists(places.store_url())
    assert not (tmp_path / "results").exists()
    Store(places.store_url())
    assert store_exists(places.store_url())
    assert store_exists("postgresql://host/name")


@pytest.mark.parametrize("url", ["sqlite", "sqlite.db", "sqlite:launches.db"])
def test_a_mistyped_url_is_refused_and_no_bug(url: str) -> None:
    with pytest.raises(StoreError):
        store_exists(url) and Store(url)
