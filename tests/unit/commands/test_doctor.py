"""`doctor` on this host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.command_line import Strixbench


def test_doctor_says_what_it_found_and_ends_by_its_problems(
    strixbench: Strixbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no engine's program is started
    monkeypatch.setenv("HF_TOKEN", "hf_never_shown")
    done = strixbench("doctor", "--json")
    findings = json.loads(done.out)
    assert {"subject", "check", "status", "found", "why", "fix", "source"} == set(findings[0])
    assert done.code == int(any(finding["status"] == "problem" for finding in findings))
    assert [finding["status"] for finding in findings if finding["check"] == "token"] == ["ok"]
    told = strixbench("doctor")
    assert told.code == done.code
    assert "a Hugging Face token is configured in a variable" in told.out
    assert "hf_never_shown" not in done.out + done.err + told.out + told.err


def test_the_report_is_text_or_json_and_needs_no_store(
    strixbench: Strixbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no engine's program is started
    monkeypatch.setenv("HF_TOKEN", "hf_never_shown")
    done = strixbench("doctor", "--report")
    assert done.code == 0
    assert done.out.startswith("```text\nstrixbench ")
    assert done.out.endswith("```\n")
    assert not (tmp_path / "results").exists()
    told = json.loads(strixbench("doctor", "--report", "--json").out)
    assert set(told) == {"strixbench", "sections", "questions"}
    assert all(question["answer"] or question["command"] for question in told["questions"])
    assert str(tmp_path) not in done.out + json.dumps(told)
    assert "hf_never_shown" not in done.out + json.dumps(told)


def test_a_store_that_cannot_be_read_costs_the_report_its_launches_alone(
    strixbench: Strixbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "results").mkdir()
    (tmp_path / "results/strixbench.db").write_text("no database at all, and longer than the header of one would be" * 9)
    done = strixbench("doctor", "--report")
    assert done.code == 0
    assert "the report is without launches" in done.err
    assert "launches in the store" in done.out
