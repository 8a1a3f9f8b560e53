"""The guest on a full disk, with damaged requests, and with whatever an image may write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.wire import JOURNAL, MAX_TEXT_CHARACTERS, REQUEST, Request
from tests.guest.runs import skeleton, storable

from .stubs import PIPELINE, Ended, Stubs, exchange_of, run_guest, start_guest


def test_a_message_of_a_megabyte_is_cut_and_keeps_its_end(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"load": "raise RuntimeError('x' * (1 << 20) + ' the cause')"}))
    message = ended.chain()[0]["message"]
    assert len(message) == MAX_TEXT_CHARACTERS
    assert message.endswith("x the cause")
    assert (ended.exchange / JOURNAL).stat().st_size < 100_000
    assert len(ended.verdict().summary) <= 300


@pytest.mark.parametrize(
    "code",
    [
        "raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})()",
        "raise RuntimeError('a path \\udcff that is not UTF-8')",
        "raise RuntimeError('a terminal \\x1b[2J and \\x00')",
        "raise ExceptionGroup('two at once', [ValueError('first'), OSError('second')])",
        "raise StopIteration('out of a context manager')",
        "def deeper(): deeper()\ndeeper()",
    ],
    ids=["cannot be printed", "surrogate", "control characters", "group", "stop iteration", "recursion"],
)
def test_an_exception_of_any_shape_is_journaled_and_can_be_stored(tmp_path: Path, code: str) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"load": code}))
    assert ended.chain()
    assert (ended.verdict().stage, ended.verdict().cause) == ("load", "error")
    assert storable(ended)


def test_a_disk_full_from_the_start_is_a_failure_and_no_exception(tmp_path: Path) -> None:
    exchange_of(tmp_path).mkdir(parents=True)
    (exchange_of(tmp_path) / JOURNAL).symlink_to("/dev/full")
    ended = run_guest(tmp_path)
    assert ended.exit.code not in (0, None)
    assert ended.journal == ()
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "launch", "error")
    assert "No space left on device" in verdict.summary


def test_a_full_disk_is_a_known_failure(tmp_path: Path) -> None:
    exchange_of(tmp_path).mkdir(parents=True)
    (exchange_of(tmp_path) / JOURNAL).symlink_to("/dev/full")
    assert run_guest(tmp_path).verdict().signature == "disk-full"


FILE_LIMIT = """
import resource
size = (EXCHANGE / "journal.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, size + 30))
"""


def test_a_journal_that_is_full_in_the_middle_of_a_line_is_read_up_to_that_line(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"pass 0": FILE_LIMIT}))
    assert not (ended.exchange / JOURNAL).read_text().endswith("\n")
    assert skeleton(ended)[-1] == "begin cold"
    assert ended.exit.code == 1
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "cold", "error")


def test_a_second_run_over_the_same_folder_starts_a_new_journal(tmp_path: Path, whole: Ended) -> None:
    run_guest(tmp_path, Stubs(misbehave={"load": "raise OSError('of the first run')"}))
    assert skeleton(run_guest(tmp_path)) == skeleton(whole)


def hostile(line: str) -> str:
    """Code that puts a line into the guest's own journal."""
    return f"with open(EXCHANGE / 'journal.jsonl', 'a') as journal: journal.write({line!r} + '\\n')"


HOSTILE_LINES = {
    "nested too deep for JSON": "[" * 100_000,
    "nested deep": json.dumps({"event": "note", "text": "."}).replace('"."', "[" * 900 + "]" * 900),
    "a surrogate": '{"event": "note", "text": "\\udcff"}',
    "a surrogate as a key": '{"event": "note", "\\udcff": 1}',
    "a large integer": f'{{"event": "note", "at": 1{"0" * 400}}}',
    "an integer too large to read": f'{{"event": "note", "at": 1{"0" * 5000}}}',
    "not finite": '{"event": "pass", "stage": "warm", "index": 0, "seconds": Infinity, "at": NaN}',
    "a stage that is a list": '{"event": "begin", "stage": ["load"]}',
    "an event that is a list": '{"event": ["begin"]}',
    "a DER of large integers": json.dumps(
        {
            "event": "end",
            "stage": "verify",
            "finite": True,
            "distinct_outputs": 1,
            "der": dict.fromkeys(("missed_seconds", "false_alarm_seconds", "confusion_seconds", "total_seconds"), 10**400),
        }
    ),
    "a chain that is a number": '{"event": "failed", "stage": "load", "chain": 7}',
    "a chain of anything": '{"event": "failed", "stage": "load", "chain": [1, null, {"type": [], "message": {}}]}',
    "an import without a name": '{"event": "import", "outcome": "trying"}',
    "not UTF-8": "\udcff\udcfe",
}


@pytest.mark.parametrize("name", HOSTILE_LINES)
def test_whatever_an_image_writes_into_its_journal_can_be_judged_and_stored(tmp_path: Path, name: str) -> None:
    code = hostile(HOSTILE_LINES[name]).replace("'a')", "'a', errors='surrogateescape')")
    ended = run_guest(tmp_path, Stubs(misbehave={"load": code}))
    assert ended.verdict().status in ("pass", "wrong output", "fail")
    assert storable(ended)


REPLACED = {
    "nothing": "",
    "a directory": "os.mkdir(path)",
    "a pipe": "os.mkfifo(path)",
    "a link to a file of the host": "os.symlink('/etc/passwd', path)",
    "a link to itself": "os.symlink('journal.jsonl', path)",
    "something unreadable": "open(path, 'wb').write(os.urandom(4096))",
}


@pytest.mark.parametrize("name", REPLACED)
def test_whatever_stands_in_the_journals_place_is_no_pass(tmp_path: Path, name: str) -> None:
    code = f"path = EXCHANGE / 'journal.jsonl'\nos.remove(path)\n{REPLACED[name]}"
    ended = run_guest(tmp_path, Stubs(misbehave={"load": code}))
    assert ended.journal == ()
    assert (ended.verdict().status, ended.verdict().stage) == ("fail", "launch")


MEANT = Request("l", "diarization", "cpu", "verify", options=dict(PIPELINE))
GOOD: dict[str, Any] = json.loads(MEANT.to_json())


def changed(**changes: Any) -> bytes:
    """A good request with changes to its fields; ``None`` takes a field away."""
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not None}).encode()


REFUSED = {
    "missing": None,
    "empty": b"",
    "not JSON": b"{'single': 'quotes'}",
    "cut short": changed()[:-20],
    "not text": b"\xff\xfe\x00\x80",
    "a list": b"[" + changed() + b"]",
    "of another protocol": changed(protocol=1),
    "without a protocol": changed(protocol=None),
    "with a field too few": changed(device=None),
    "with a field too many": changed(colour="red"),
    "of an unknown stage": changed(last_stage="sing"),
    "of another workload's stage": changed(last_stage="ladder"),
    "of an unknown workload": changed(workload="sing"),
    "of a module of ours that is no workload": changed(workload="stack"),
    "of a module of Python": changed(workload="os"),
    "of a module within a workload": changed(workload="diarization.chunk"),
    "of a file elsewhere": changed(workload="../stack"),
    "of the folder itself": changed(workload=""),
    "of its beginning": changed(workload="__init__"),
    "of no text as a workload": changed(workload=["diarization"]),
    "with options that are no object": changed(options=[1]),
    "with inputs that are no object": changed(inputs="audio"),
    "of an unknown pipeline": changed(options={**PIPELINE, "pipeline": "../embedded"}),
    "with a batch of nothing": changed(options={**PIPELINE, "embedding_batch_size": 0}),
    "of an unknown knob": changed(knobs=["sing"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_cannot_be_read_ends_with_2_and_says_why(tmp_path: Path, name: str) -> None:
    data = REFUSED[name]
    exchange_of(tmp_path).mkdir(parents=True)
    if data is not None:
        (exchange_of(tmp_path) / REQUEST).write_bytes(data)
    ended = start_guest(tmp_path, Stubs(), MEANT)
    assert ended.exit.code == 2, ended.log
    assert not (ended.exchange / JOURNAL).exists()
    assert ended.log.startswith("strixbench guest: ")
    assert len(ended.log.splitlines()) == 1
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "launch", "error")
    assert verdict.summary == ended.log.strip()
