"""`strixbench kernels` as words of a command line; `tests/local/test_kernels.py` runs it."""

from __future__ import annotations

import pytest

from harness.workloads.kernels import parse_only
from tests.unit.command_line import Strixbench


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such-image",), "no-such-image"),
        (("local-cpu", "--engine", "dokcer"), "docker"),
        (("local-cpu", "--seconds", "0"), "between 0.01 and 600"),
        (("local-cpu", "--seconds", "nan"), "between 0.01 and 600"),
        (("local-cpu", "--seconds", "inf"), "between 0.01 and 600"),
        (("local-cpu", "--launches", "0"), "launches"),
        (("local-cpu", "--gfx", "no-such-variant"), "no-such-variant"),
        (("local-cpu", "--timeout", "nan"), "--timeout"),
        (("local-cpu", "--flags", "everything"), "everything"),
        (
            ("local-cpu", "--only", "fbnak"),
            "--only 'fbnak': no kernel matches (did you mean 'fbank'?); there are copy, ",
        ),
        (("local-cpu", "--only", ""), "--only '': no kernel matches; there are"),
        (("local-cpu", "--only", "["), "--only '[': no kernel matches; there are"),
        (("local-cpu", "--only", "fbank", "--only", "nope"), "--only 'nope': no kernel matches"),
    ],
)
def test_words_that_cannot_be_meant_are_refused_before_anything_is_fetched(
    strixbench: Strixbench, words: tuple[str, ...], said: str
) -> None:
    outcome = strixbench("kernels", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert "fetching" not in outcome.err
    assert outcome.out == ""


def test_a_name_or_a_glob_that_matches_is_passed_on_as_it_was_given() -> None:
    assert parse_only(["fbank", "lstm batch *"]) == ["fbank", "lstm batch *"]
    assert parse_only(None) == []
