"""Whatever a killed harness or a container left, the next start runs, says what it could not store or remove, and touches nothing of
its user's. As another user, since permissions do not bind root."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import hostile_leftovers
from tests.commands import REPOSITORY

Answers = dict[str, dict[str, Any]]

STORED_AS_PASSED = (
    *("a_closed_exchange", "a_closed_journal", "a_folder_full_of_files", "kernel_caches_full_of_files", "deep_telemetry"),
    *("a_pipe_for_telemetry", "a_plan_of_an_engine_that_is_none", "a_folder_of_the_user_s", "a_link_with_the_name_of_a_launch"),
    *("a_file_with_the_name_of_a_launch", "launches_elsewhere", "a_full_folder_of_another_user"),
)
STORED_AS_INTERRUPTED = ("folders_for_the_journal_and_the_log", "a_link_for_the_exchange", "an_exchange_of_another_user")
LEFT_FOR_A_PERSON = (
    *("a_closed_launch_folder", "a_deep_plan", "a_pipe_for_a_plan", "a_link_for_a_plan", "a_folder_for_a_plan", "a_large_plan"),
    *("an_empty_plan", "a_closed_plan", "a_plan_of_odd_values", "a_forged_plan", "a_plan_with_a_forged_cache"),
)
CANNOT_BE_REMOVED = ("an_exchange_of_another_user", "a_full_folder_of_another_user")


@pytest.fixture(scope="module")
def answers() -> Iterator[Answers]:
    """What the next start did with each leftover. Where another user can read: no folder of pytest's is open to one."""
    folder = Path(tempfile.mkdtemp(prefix="strixbench-test-"))
    folder.chmod(0o755)
    try:
        done = subprocess.run(
            (sys.executable, "-m", "tests.hostile_leftovers", str(folder)),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def answer_of(answers: Answers, name: str) -> dict[str, Any]:
    if name not in answers:
        pytest.skip("only root can make what is another user's")
    answer = answers[name]
    assert answer["ended"] == 0, answer["error"]
    return answer


def verdict_of(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["stored"][answer["launch"]]
    return found


def test_the_names_here_are_all_that_there_are() -> None:
    named = {*STORED_AS_PASSED, *STORED_AS_INTERRUPTED, *LEFT_FOR_A_PERSON, "a_closed_truth"}
    assert named == {each.__name__ for each in hostile_leftovers.ALL}


@pytest.mark.parametrize("name", [each.__name__ for each in hostile_leftovers.ALL])
def test_no_leftover_keeps_the_next_start_and_its_page_from_coming_or_touches_a_user_s_file(
    answers: Answers, name: str
) -> None:
    answer = answer_of(answers, name)
    launched = [verdict for launch_id, verdict in answer["stored"].items() if launch_id != answer["launch"]]
    assert [verdict["status"] for verdict in launched] == ["pass", "pass"]
    assert "| cpu |" in answer["page"]
    assert answer["kept"] == "a user's"


@pytest.mark.parametrize("name", STORED_AS_PASSED)
def test_a_finished_launch_is_recovered_whatever_lies_beside_its_journal(answers: Answers, name: str) -> None:
    assert verdict_of(answer_of(answers, name))["status"] == "pass"


@pytest.mark.parametrize("name", STORED_AS_INTERRUPTED)
def test_a_launch_whose_journal_cannot_be_read_is_recovered_as_interrupted(answers: Answers, name: str) -> None:
    assert verdict_of(answer_of(answers, name))["cause"] == "interrupted"


@pytest.mark.parametrize("name", LEFT_FOR_A_PERSON)
def test_a_plan_that_cannot_be_trusted_is_told_of_and_left(answers: Answers, name: str) -> None:
    answer = answer_of(answers, name)
    assert answer["launch"] not in answer["stored"]
    assert answer["launch"] in answer["left"]
    said = [text for text in answer["announced"] if answer["launch"] in text]
    assert len(said) == 2, "each start says it once"
    assert "is left as it is" in said[0]
    assert said[0].isprintable()


@pytest.mark.parametrize(
    "name", [name for name in (*STORED_AS_PASSED, *STORED_AS_INTERRUPTED) if name not in CANNOT_BE_REMOVED]
)
def test_all_but_journal_and_log_is_freed_before_a_launch_is_stored(answers: Answers, name: str) -> None:
    answer = answer_of(answers, name)
    beside = {"exchange", "exchange/journal.jsonl", "exchange/log", "plan.json", "telemetry.jsonl", "truth", "moved"}
    if name != "a_link_for_the_exchange":  # what is listed there is the user's
        assert set(answer["lay"][answer["launch"]]) <= beside
    assert answer["launch"] not in answer["left"]


@pytest.mark.parametrize("name", CANNOT_BE_REMOVED)
def test_what_is_another_user_s_stays_and_how_to_remove_it_is_said(answers: Answers, name: str) -> None:
    answer = answer_of(answers, name)
    assert answer["launch"] in answer["left"]
    said = [text for text in answer["announced"] if "cannot be removed" in text]
    assert said
    assert all("podman unshare rm -rf" in text for text in said)


def test_an_output_that_we_cannot_score_is_recorded_as_a_fault_of_ours(answers: Answers) -> None:
    verdict = verdict_of(answer_of(answers, "a_closed_truth"))
    assert (verdict["status"], verdict["stage"], verdict["cause"]) == ("fail", "verify", "error")
    assert "could not score its output (PermissionError" in verdict["summary"]


def test_a_user_s_folders_and_links_below_the_launches_stay(answers: Answers) -> None:
    assert "notes" in answer_of(answers, "a_folder_of_the_user_s")["left"]
    for name in ("a_link_with_the_name_of_a_launch", "a_file_with_the_name_of_a_launch", "launches_elsewhere"):
        assert hostile_leftovers.ID in answer_of(answers, name)["left"]
