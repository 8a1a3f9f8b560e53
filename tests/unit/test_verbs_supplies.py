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
