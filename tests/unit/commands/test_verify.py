"""`verify` as far as it comes without an engine."""

from __future__ import annotations

from pathlib import Path

from tests.unit.command_line import Strixbench


def test_an_empty_list_of_batches_is_no_whole_ladder(strixbench: Strixbench, recording: Path) -> None:
    outcome = strixbench("verify", "local-cpu", "--ladder", "--batches", "", "--audio", recording)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--batches ''" in outcome.err
