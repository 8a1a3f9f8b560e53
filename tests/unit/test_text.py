from __future__ import annotations

from harness.text import counted


def test_one_is_told_in_the_singular_and_all_else_is_not() -> None:
    assert [counted(number, "recording") for number in (0, 1, 2)] == ["0 recordings", "1 recording", "2 recordings"]
    assert [counted(number, "launch", "launches") for number in (1, 3)] == ["1 launch", "3 launches"]
