"""What a container may leave in its exchange folder, removed for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.launch.exchange import read_log_tail, trim_exchange
from harness.launch.plan import PLAN, launches_folder
from harness.launch.run import forget


def test_folders_in_folders_without_end_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path))
    folder = launches_folder() / "20261121T100000-000000-000a"
    folder.mkdir(parents=True)
    back = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.fchdir(back)
        os.close(back)
    assert forget(folder.name)
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    ["..", "../../data", "", ".", "notes", "dry-run-cpu", "20261121T100000-000000-000a/..", "20261121T100000-000000-000a\n"],
)
def test_only_what_bears_the_id_of_a_launch_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "a" / "b"))
    launches_folder().mkdir(parents=True)
    for data in (tmp_path / "a" / "data", launches_folder() / "notes", launches_folder() / "dry-run-cpu"):
        data.mkdir()
    with pytest.raises(ValueError, match="is no launch's id"):
        forget(name)
    assert (tmp_path / "a" / "data").exists()
    assert sorted(path.name for path in launches_folder().iterdir()) == ["dry-run-cpu", "notes"]


def test_of_a_link_in_a_launch_s_place_the_link_alone_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    launches_folder().mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / PLAN).write_text("a user's")
    (launches_folder() / "20261121T100000-000000-000a").symlink_to(tmp_path / "data")
    assert forget("20261121T100000-000000-000a")
    assert (tmp_path / "data" / PLAN).read_text() == "a user's"
    assert list(launches_folder().iterdir()) == []


def test_what_filled_the_disk_is_freed_before_the_record_is_stored(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not of the container")
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    (exchange / "big").write_bytes(bytes(1 << 20))
    (exchange / "link").symlink_to(secret)
    (exchange / "log").write_text("x" * (1 << 20) + "the end")
    (exchange / "journal.jsonl").write_text('{"event": "begin", "stage": "launch"}\n')
    trim_exchange(exchange)
    assert sorted(path.name for path in exchange.iterdir()) == ["journal.jsonl", "log"]
    assert (exchange / "log").stat().st_size == 64 << 10
    assert read_log_tail(exchange).endswith("the end")
    assert secret.read_text() == "not of the container"
