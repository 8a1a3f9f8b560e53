"""The protocol: requests, the journal's lines, exception chains, and reading what is left of a journal."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.wire import (
    MAX_TEXT_CHARACTERS,
    PROTOCOL,
    Journal,
    ProtocolError,
    Request,
    StageFailed,
    exception_chain,
    read_journal,
)
from harness import places

REQUEST = Request(
    launch="a-launch",
    workload="diarization",
    device="cpu",
    last_stage="verify",
    warm_passes=3,
    options={"pipeline": "embedded", "segmentation_batch_size": 32, "embedding_batch_size": 16},
    inputs={"audio": "/input/a ü.wav", "models": "/models"},
)


def raised(code: str) -> BaseException:
    """The exception that a piece of code ends in."""
    try:
        exec(compile(code, "<code>", "exec"), {"__name__": "code"})  # noqa: S102 - the tests' own text
    except BaseException as error:
        return error
    raise AssertionError("the code ended well")


# The request


@pytest.mark.parametrize("threads", [None, 4])
def test_a_request_comes_back_as_it_was_sent(threads: int | None) -> None:
    request = dataclasses.replace(REQUEST, threads=threads, knobs=("miopen-off",), unset=("HSA_A",))
    assert Request.from_json(request.to_json()) == request


def test_a_request_is_ascii_so_that_no_locale_can_misread_it() -> None:
    assert REQUEST.to_json().isascii()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not JSON"),
        ("[1]", f"not of protocol {PROTOCOL}"),
        ('{"protocol": 99}', f"not of protocol {PROTOCOL}"),
        (REQUEST.to_json().replace('"device"', '"devise"'), "devise"),
        (REQUEST.to_json().replace('"launch"', '"lunch"'), "lunch"),
        (dataclasses.replace(REQUEST, workload="diarisation").to_json(), "no workload 'diarisation': there are accuracy, "),
        (dataclasses.replace(REQUEST, last_stage="diarization").to_json(), "no stage 'diarization'"),
        (dataclasses.replace(REQUEST, knobs=("miopen-on",)).to_json(), "no knob 'miopen-on'"),
        (REQUEST.to_json().replace('"knobs": []', '"knobs": 7'), "not iterable"),
    ],
)
def test_a_request_that_is_not_one_is_refused_and_the_reason_named(text: str, named: str) -> None:
    with pytest.raises(ProtocolError, match=named):
        Request.from_json(text)


# Writing the journal


def test_an_event_can_be_read_by_another_as_soon_as_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for count in range(3):
        journal.write("note", text=f"{count}\nü")
        assert [event["text"] for event in read_journal((tmp_path / "journal").read_text())] == [
            f"{number}\nü" for number in range(count + 1)
        ]


def test_a_new_journal_leaves_nothing_of_the_last_one(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").write("note", text="of an earlier run")
    Journal(tmp_path / "journal").write("done")
    assert [event["event"] for event in read_journal((tmp_path / "journal").read_text())] == ["done"]


def test_a_child_process_does_not_inherit_the_journal(tmp_path: Path) -> None:
    Journal(tmp_path / "journal")
    opened = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name)]
    assert str(tmp_path / "journal") in opened
    child = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE, check=True)
    assert str(tmp_path).encode() not in child.stdout


def _is_open(name: str) -> bool:
    """Whether a descriptor is still open, which the one that listed the folder is not."""
    return os.path.lexists(f"/proc/self/fd/{name}")


def test_a_stage_that_ends_well_tells_its_seconds_and_what_it_found(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal").stage("load") as found:
        found["threads"] = 2
    begin, end = read_journal((tmp_path / "journal").read_text())
    assert (begin["event"], begin["stage"]) == ("begin", "load")
    assert (end["event"], end["stage"], end["threads"]) == ("end", "load", 2)
    assert 0 <= end["seconds"] < 60


def test_a_stage_that_raises_is_journaled_and_ends_the_guest(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="load"), Journal(tmp_path / "journal").stage("load"):
        raise ValueError("not this one")
    _, failed = read_journal((tmp_path / "journal").read_text())
    assert (failed["event"], failed["stage"], failed["chain"][0]["message"]) == ("failed", "load", "not this one")


@pytest.mark.parametrize("found", [float("nan"), float("inf"), {1, 2}, b"bytes"], ids=repr)
def test_a_stage_whose_findings_cannot_be_written_fails_like_any_other(tmp_path: Path, found: object) -> None:
    with pytest.raises(StageFailed), Journal(tmp_path / "journal").stage("load") as findings:
        findings["value"] = found
    assert [event["event"] for event in read_journal((tmp_path / "journal").read_text())] == ["begin", "failed"]


def test_an_event_of_many_megabytes_is_written_whole(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").write("note", text="x" * (8 << 20))
    (event,) = read_journal((tmp_path / "journal").read_text())
    assert len(event["text"]) == 8 << 20


FULL_FOR_A_WHILE = """
import resource, sys
from benchmarks.wire import Journal
journal = Journal(sys.argv[1])
journal.write("note", text="before")
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    journal.write("note", text="x" * 200)
except OSError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.write("failed", stage="cold", chain=[])
"""


def test_an_event_after_one_that_a_full_disk_cut_short_is_not_lost_with_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    subprocess.run([sys.executable, "-c", FULL_FOR_A_WHILE, str(path)], cwd=places.ROOT, check=True)
    assert [event["event"] for event in read_journal(path.read_text())] == ["note", "failed"]


# Exceptions


def test_a_chain_runs_from_the_outermost_exception_to_its_root() -> None:
    chain = exception_chain(raised("try:\n  1 / 0\nexcept Exception as e:\n  raise OSError('outer') from e"))
    assert [(link["type"], link["message"]) for link in chain] == [
        ("OSError", "outer"),
        ("ZeroDivisionError", "division by zero"),
    ]


def test_an_exception_in_a_handler_keeps_what_it_handled() -> None:
    chain = exception_chain(raised("try:\n  1 / 0\nexcept Exception:\n  {}['a']"))
    assert [link["type"] for link in chain] == ["KeyError", "ZeroDivisionError"]


def test_from_none_ends_a_chain() -> None:
    chain = exception_chain(raised("try:\n  1 / 0\nexcept Exception:\n  raise OSError('alone') from None"))
    assert [link["type"] for link in chain] == ["OSError"]


def test_a_chain_that_bites_its_tail_ends() -> None:
    error = raised("a, b = OSError('a'), OSError('b')\na.__cause__, b.__cause__ = b, a\nraise a")
    assert [link["message"] for link in exception_chain(error)] == ["a", "b"]


def test_a_long_chain_is_bounded_and_keeps_its_root() -> None:
    error: BaseException = ValueError("the root")
    for number in range(100):
        outer = OSError(f"retry {number}")
        outer.__context__ = error
        error = outer
    chain = exception_chain(error)
    assert len(chain) <= 25
    assert chain[0]["message"] == "retry 99"
    assert chain[-1]["message"] == "the root"


def test_an_exceptions_type_is_qualified_by_its_module() -> None:
    assert exception_chain(raised("class Odd(Exception): pass\nraise Odd"))[0]["type"] == "code.Odd"
    assert exception_chain(ProtocolError("x"))[0]["type"] == "benchmarks.wire.ProtocolError"


def test_where_is_the_deepest_frame() -> None:
    (link,) = exception_chain(raised("def inner():\n  raise OSError\ninner()"))
    assert link["where"] == "<code>:2 in inner"
    assert "in inner" in link["traceback"]


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    (link,) = exception_chain(OSError("made, not raised"))
    assert (link["where"], link["traceback"]) == ("", "")


def test_a_syntax_errors_place_is_the_file_that_does_not_parse() -> None:
    (link,) = exception_chain(raised("compile('x =', '/site-packages/lightning_fabric/fabric.py', 'exec')"))
    assert link["where"] == "/site-packages/lightning_fabric/fabric.py:1"


def test_long_texts_keep_their_end() -> None:
    (link,) = exception_chain(
        raised("def deeper(n): raise OSError('x' * 50_000 + 'end') if n == 0 else deeper(n - 1)\ndeeper(600)")
    )
    assert len(link["message"]) == MAX_TEXT_CHARACTERS
    assert link["message"].endswith("xend")
    assert len(link["traceback"]) <= MAX_TEXT_CHARACTERS


@pytest.mark.parametrize("method", ["__str__ = lambda self: 1 / 0", "__len__ = lambda self: 0"])
def test_a_cause_that_cannot_be_printed_or_counts_as_false_is_in_the_chain(method: str) -> None:
    code = f"class Odd(Exception):\n  {method}\ntry:\n  raise Odd\nexcept Odd as odd:\n  raise OSError from odd"
    assert [link["type"] for link in exception_chain(raised(code))] == ["OSError", "code.Odd"]


# Reading


def test_a_journal_cut_anywhere_gives_the_events_before_the_cut(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for stage in ("launch", "import", "device"):
        with journal.stage(stage) as found:
            found["text"] = 'a "quoted" {brace} \\ and a number'
            found["number"] = -1.5e300
    journal.write("done", numbers=[1, 23, 456])
    text = (tmp_path / "journal").read_text()
    whole = read_journal(text)
    assert len(whole) == 7
    for cut in range(len(text) + 1):
        complete = sum(len(line) <= cut for line in _heads(text))
        assert read_journal(text[:cut]) == whole[:complete]


def _heads(text: str) -> list[str]:
    """The text up to the end of each of its lines, without that line's newline."""
    return [text[:index] for index, character in enumerate(text) if character == "\n"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "null",
        "7",
        '"text"',
        "[]",
        "{}",
        '{"event": 7}',
        '{"stage": "load"}',
        "{'event': 'done'}",
        "\x00",
        "[" * 100_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_a_line_that_is_no_event_is_left_out_and_the_others_stay(line: str) -> None:
    begin, done = json.dumps({"event": "begin", "stage": "load"}), json.dumps({"event": "done"})
    assert [event["event"] for event in read_journal(f"{begin}\n{line}\n{done}\n")] == ["begin", "done"]


def test_the_signs_that_unicode_takes_for_line_ends_are_text(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").write("note", text="a\u2028b\u0085c\r\nd")
    (event,) = read_journal((tmp_path / "journal").read_text())
    assert event["text"] == "a\u2028b\u0085c\r\nd"
