from __future__ import annotations

import pytest

from harness.failures.traceback_text import read_chain

PYTEST = """
_______________ test_it _______________
tests/test_x.py:12: in test_it
    load()
/venv/lib/site-packages/pyannote/audio/io.py:60: in load
    decode()
E   RuntimeError: Could not load libtorchcodec
E     and more
=============== short test summary info ===============
FAILED tests/test_x.py::test_it - RuntimeError
"""
RICH = """
╭───────────────── Traceback (most recent call last) ─────────────────╮
│ /app/main.py:12 in main                                             │
│                                                                     │
│    9 │                                                              │
│ ❱ 12 │   load()                                                     │
│                                                                     │
│ /venv/lib/site-packages/torch/hub.py:60 in load                     │
╰─────────────────────────────────────────────────────────────────────╯
OSError: libx.so.1: cannot open shared object file

The above exception was the direct cause of the following exception:

╭───────────────── Traceback (most recent call last) ─────────────────╮
│ /app/main.py:20 in run                                              │
╰─────────────────────────────────────────────────────────────────────╯
RuntimeError: it did not load
"""
JOINED = "Traceback (most recent call last):  File \"/app/x.py\", line 273, in <module>\n    import y\nKeyError: 'a'\n"
HEADLESS = '  File ".../pyannote/pipelines/x.py", line 401, in reconstruct\nValueError: negative dimensions\n'
NESTED = """
  + Exception Group Traceback (most recent call last):
  |   File "/app/serve.py", line 9, in <module>
  |     run()
  | ExceptionGroup: several (1 sub-exception)
  +-+---------------- 1 ----------------
    | Exception Group Traceback (most recent call last):
    |   File "/app/serve.py", line 4, in work
    |     raise group
    | ExceptionGroup: inner (1 sub-exception)
    +-+---------------- 1 ----------------
      | Traceback (most recent call last):
      |   File "/app/deep.py", line 2, in deep
      |     load()
      | ImportError: libz.so.9: cannot open shared object file
      +------------------------------------
"""


@pytest.mark.parametrize(
    ("text", "types", "where"),
    [
        (PYTEST, ["RuntimeError"], "/venv/lib/site-packages/pyannote/audio/io.py:60 in load"),
        (RICH, ["RuntimeError", "OSError"], "/venv/lib/site-packages/torch/hub.py:60 in load"),
        (JOINED, ["KeyError"], "/app/x.py:273 in <module>"),
        (HEADLESS, ["ValueError"], ".../pyannote/pipelines/x.py:401 in reconstruct"),
        (NESTED, ["ExceptionGroup", "ExceptionGroup", "ImportError"], "/app/deep.py:2 in deep"),
    ],
)
def test_a_traceback_in_another_dress_is_read(text: str, types: list[str], where: str) -> None:
    chain = read_chain(text)
    assert [each.type for each in chain] == types
    assert chain[-1].where == where


def test_a_traceback_with_a_prefix_that_lost_its_header_is_read() -> None:
    prefix = "(Worker pid=9817) "
    (found,) = read_chain("".join(f"{prefix}{line}\n" for line in HEADLESS.splitlines()))
    assert (found.type, found.message) == ("ValueError", "negative dimensions")


@pytest.mark.parametrize(
    "after",
    [
        "2026-11-28 10:00:01 - app - INFO - shutting down",
        "INFO:app:shutting down",
        "[rank0]:[W106 12:41:43.8 x.cpp:1] Warning: not destroyed",
        "Killed",
        "Aborted (core dumped)",
        "Memory access fault by GPU node-1",
        "====================== short test summary info",
    ],
)
def test_a_log_that_goes_on_is_no_part_of_the_message(after: str) -> None:
    (found,) = read_chain(f"{JOINED}{after}\n")
    assert found.message == "'a'"


@pytest.mark.parametrize(
    "text", ["Error: Process completed with exit code 1.", 'x\nError: building at STEP "RUN x": exit status 1']
)
def test_what_a_program_says_of_another_one_s_end_is_no_exception(text: str) -> None:
    assert read_chain(text) == ()


def test_the_error_line_of_a_program_is_read() -> None:
    (found,) = read_chain("Error: setting up CDI devices: unresolvable CDI devices x\n")
    assert (found.type, found.message) == ("Error", "setting up CDI devices: unresolvable CDI devices x")
