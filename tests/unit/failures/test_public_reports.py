"""What `explain` makes of texts that people pasted into public reports: see ``public.toml``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.failures.signature import signatures
from harness.verdict.explain import explain_text
from reports.terminal.explanation import explanation_lines

TEXTS = Path(__file__).parent
ANSWERS: dict[str, dict[str, Any]] = tomllib.loads((TEXTS / "public.toml").read_text(encoding="utf-8"))
FAILURES = {name: answer for name, answer in ANSWERS.items() if "harmless" not in answer}
HARMLESS = {name: answer for name, answer in ANSWERS.items() if "harmless" in answer}

UNSET, SET = r"(unset|without|remove) LD_LIBRARY_PATH", r"(on|(?<!un)set|into|missing on|in) LD_LIBRARY_PATH"


def text_of(name: str) -> str:
    return (TEXTS / "public" / f"{name}.txt").read_text(encoding="utf-8")


def test_each_text_has_an_answer_with_its_source() -> None:
    assert {path.stem for path in (TEXTS / "public").glob("*.txt")} == set(ANSWERS)
    assert all(answer["source"].startswith("https://") for answer in ANSWERS.values())


@pytest.mark.parametrize("name", FAILURES)
def test_a_reported_failure_is_told_with_its_true_cause_and_fix(name: str) -> None:
    answer, explanation = FAILURES[name], explain_text(text_of(name))
    assert explanation.match is not None
    assert explanation.match.signature.id == answer["signature"]
    said = f"{explanation.match.signature.explanation}\n{explanation.match.signature.fix}"
    assert [words for words in answer["says"] if not re.search(words, said)] == []
    assert [words for words in answer.get("never", []) if re.search(words, said)] == []


@pytest.mark.parametrize("name", HARMLESS)
def test_a_reported_text_of_warnings_alone_is_no_failure(name: str) -> None:
    explanation = explain_text(text_of(name))
    assert (explanation.failed, explanation.match) == (False, None)
    assert [each.id for each in explanation.warnings] == HARMLESS[name]["harmless"]
    assert "nothing in it failed" in explanation_lines(explanation)[0]


@pytest.mark.parametrize("name", FAILURES)
def test_nobody_is_told_both_to_set_and_to_unset_the_library_path(name: str) -> None:
    match = explain_text(text_of(name)).match
    assert match is not None
    assert not (re.search(UNSET, match.signature.fix) and re.search(SET, match.signature.fix))


@pytest.mark.parametrize("name", signatures())
def test_no_signature_tells_both_either_nor_to_edit_the_source(name: str) -> None:
    fix = signatures()[name].fix
    assert not (re.search(UNSET, fix) and re.search(SET, fix))
    assert "signatures.toml" not in fix
    assert "harness/" not in fix
