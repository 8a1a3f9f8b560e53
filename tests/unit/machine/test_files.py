"""Files that hang, or are no files."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from harness.machine.files import Tree


def test_what_is_no_file_is_unknown_and_a_value_has_no_white_space(tmp_path: Path) -> None:
    (tmp_path / "value").write_text(" 17 \n")
    (tmp_path / "empty").write_text("\n")
    os.mkfifo(tmp_path / "pipe")
    tree = Tree(tmp_path, patience_seconds=5)
    assert tree.text("value") == "17"
    assert tree.number("value") == 17
    for name in ("empty", "pipe", "none", "value/below", "."):
        assert tree.text(name) is None
        assert tree.number(name) is None
    assert tree.names(".") == ("empty", "pipe", "value")
    assert tree.names("none") is None


@pytest.mark.parametrize("text", ["-1", "\u0663", "1e3", "9" * 30, "x"])
def test_what_is_no_number_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "value").write_text(text)
    assert Tree(tmp_path, patience_seconds=5).number("value") is None


def test_a_driver_that_hangs_costs_no_more_than_the_patience_however_many_files_it_has(tmp_path: Path) -> None:
    never = threading.Event()

    def hang(path: Path) -> str:
        never.wait()
        return ""

    tree = Tree(tmp_path, patience_seconds=0.05, text_of=hang)
    begun = time.monotonic()
    try:
        assert [tree.text(str(number)) for number in range(1000)] == [None] * 1000
    finally:
        never.set()
    assert time.monotonic() - begun < 2
