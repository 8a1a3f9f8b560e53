from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable

import pytest

from benchmarks.wire import MOST_EXCEPTIONS
from benchmarks.wire import exception_chain as journaled
from harness.failures.traceback_text import read_chain
from harness.records.fields import Fields
from harness.records.outcome import ExceptionRecord


def _fails_alone() -> None:
    raise KeyError("memory")


def _fails_in_consequence() -> None:
    try:
        _fails_alone()
    except KeyError:
        raise RuntimeError("the first of\nthree\n\nlines") from None


def _fails_by_a_cause() -> None:
    try:
        _fails_alone()
    except KeyError as error:
        raise ImportError("no such thing: at all") from error


def _fails_while_handling() -> None:
    try:
        _fails_by_a_cause()
    except ImportError:
        _fails_in_consequence()


def _fails_while_handling_twice() -> None:
    try:
        _fails_by_a_cause()
    except ImportError:
        raise OSError(28, "No space left on device")  # noqa: B904 - an exception that nobody chained on purpose


def _fails_by_what_was_never_raised() -> None:
    raise RuntimeError("a consequence") from OSError("libx.so: cannot open shared object file")


def _fails_by_syntax() -> None:
    compile("f(a=1, 2)\n", "/opt/lightning/cloud_io.py", "exec")


def _fails_without_a_word() -> None:
    raise asyncio.CancelledError


def _fails_deep(depth: int = 200) -> None:
    if depth:
        _fails_deep(depth - 1)
    raise RecursionError("too deep")


FAILING = (
    _fails_alone,
    _fails_in_consequence,
    _fails_by_a_cause,
    _fails_while_handling,
    _fails_while_handling_twice,
    _fails_by_what_was_never_raised,
    _fails_by_syntax,
    _fails_without_a_word,
    _fails_deep,
)


def raised(fails: Callable[[], None]) -> tuple[str, tuple[ExceptionRecord, ...]]:
    """What Python prints of it, and what the guest would have journaled."""
    try:
        fails()
    except BaseException as error:
        return traceback.format_exc(), Fields({"chain": journaled(error)}).chain("chain")
    raise AssertionError("it did not fail")


def same(read: tuple[ExceptionRecord, ...], journal: tuple[ExceptionRecord, ...]) -> None:
    assert [(each.type, each.message, each.where) for each in read] == [
        (each.type, each.message, each.where) for each in journal
    ]


@pytest.mark.parametrize("fails", FAILING)
def test_a_traceback_reads_as_what_the_guest_would_have_journaled(fails: Callable[[], None]) -> None:
    text, chain = raised(fails)
    same(read_chain(text), chain)


@pytest.mark.parametrize(
    "prefix",
    ["2026-11-21T20:45:30.123Z ", "guest_1  | ", "    ", "> ", "[worker-3] 10:00:01 ERROR ", "\t", "2026-11-21 stderr F "],
)
@pytest.mark.parametrize("fails", [_fails_by_a_cause, _fails_by_syntax, _fails_while_handling_twice])
def test_a_prefix_of_each_line_is_looked_through(prefix: str, fails: Callable[[], None]) -> None:
    text, chain = raised(fails)
    later = prefix.replace("30.123", "31.456").replace("10:00:01", "10:00:02")
    lines = text.splitlines()
    same(read_chain("\n".join([prefix + lines[0], *(later + line for line in lines[1:])])), chain)


def test_a_prefix_of_the_first_line_alone_is_looked_through() -> None:
    text, chain = raised(_fails_alone)
    same(read_chain(f"ERROR:root:{text}"), chain)


def test_colours_and_windows_line_ends_are_looked_through() -> None:
    text, chain = raised(_fails_by_a_cause)
    coloured = text.replace("File", "\x1b[1mFile\x1b[0m").replace("ImportError", "\x1b[31;1mImportError\x1b[0m")
    same(read_chain(coloured.replace("\n", "\r\n")), chain)


def test_of_several_tracebacks_the_last_one_counts() -> None:
    first, _ = raised(_fails_by_a_cause)
    last, chain = raised(_fails_alone)
    same(read_chain(f"starting\n{first}\ntrying again\n{last}"), chain)


def test_what_python_ignored_at_its_end_does_not_count() -> None:
    text, chain = raised(_fails_alone)
    ignored, _ = raised(_fails_in_consequence)
    same(read_chain(f"{text}Exception ignored in: <function Pool.__del__ at 0x7f>\n{ignored}"), chain)


def test_an_exception_group_is_followed_by_its_first_member() -> None:
    def fails() -> None:
        raise ExceptionGroup("several", [OSError("the first"), KeyError("the second")])

    text, _ = raised(fails)
    found = read_chain(text)
    assert found[0].type == "ExceptionGroup"
    assert {each.message for each in found[1:]} <= {"the first", "'the second'"}


def test_a_traceback_out_of_a_worker_process_is_the_root() -> None:
    inner, _ = raised(_fails_alone)
    text = (
        f'multiprocessing.pool.RemoteTraceback: \n"""\n{inner}"""\n\n'
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  File \"/app/main.py\", line 3, in <module>\n    pool.map(f, x)\nKeyError: 'memory'\n"
    )
    found = read_chain(text)
    assert [each.type for each in found] == ["KeyError", "KeyError"]
    assert "_fails_alone" in found[-1].where
    assert found[-1].message == "'memory'"


def test_a_notebook_s_traceback_is_read() -> None:
    text = (
        "---------------------------------------------------------------------------\n"
        "RuntimeError                              Traceback (most recent call last)\n"
        "<ipython-input-3-1f> in <cell line: 1>()\n----> 1 import pyannote.audio\n\n"
        "/usr/local/lib/python3.11/dist-packages/torch/library.py in impl(self, op)\n"
        "    148             raise\n\nRuntimeError: operator torchvision::nms does not exist\n"
    )
    (found,) = read_chain(text)
    assert (found.type, found.message) == ("RuntimeError", "operator torchvision::nms does not exist")
    assert "torch/library.py" in found.where


def test_a_last_line_alone_is_an_exception_without_a_place() -> None:
    (found,) = read_chain("it said\n  torch.OutOfMemoryError: HIP out of memory. Tried\nmore\n")
    assert (found.type, found.where) == ("torch.OutOfMemoryError", "")
    assert found.message.startswith("HIP out of memory. Tried")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing of that kind\n",
        "Traceback (most recent call last):\n",
        'Traceback (most recent call last):\n  File "/x.py", line 3, in f\n    broken off',
        "UserWarning: no exception",
        "note: this error originates from a subprocess",
    ],
)
def test_a_text_without_a_whole_exception_gives_none(text: str) -> None:
    assert read_chain(text) == ()


def test_a_very_long_chain_keeps_both_ends() -> None:
    link = 'Traceback (most recent call last):\n  File "/x.py", line 3, in f\n    g()\nKeyError: {}\n'
    between = "\nDuring handling of the above exception, another exception occurred:\n\n"
    found = read_chain(between.join(link.format(number) for number in range(100)))
    assert len(found) == MOST_EXCEPTIONS
    assert (found[0].message, found[-1].message) == ("99", "0")


@pytest.mark.parametrize(
    "piece",
    [
        "Traceback (most recent call last):\n",
        '  File "/x.py", line 3, in f\n',
        'Traceback (most recent call last):\n  File "/x.py", line 3, in f\nKeyError: x\n\n'
        "During handling of the above exception, another exception occurred:\n\n",
        "a.",
        "A: ",
        "\x1b[",
        "| ",
        "  +-+-",
        "RuntimeError    ",
        "During handling of the above exception, another exception occurred:\n",
        "\n",
    ],
)
def test_a_long_hostile_text_takes_time_in_proportion(piece: str) -> None:
    text = (piece * 300_000)[:300_000]
    begun = time.process_time()
    read_chain(text)
    read_chain(f"Traceback (most recent call last):\n{text}")
    assert time.process_time() - begun < 5
