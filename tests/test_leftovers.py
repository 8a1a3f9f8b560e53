"""What a container may leave in its exchange folder, removed for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.launch.exchange import read_log_tail, trim_exchange
from harness.launch.plan import launches_folder
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
