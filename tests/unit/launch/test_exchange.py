"""A container may put anything into the exchange folder. No container runs here: the tests put it there."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.wire import JOURNAL, MOST_JOURNAL_BYTES, REQUEST, Request
from harness.analysis.rows import rows_of
from harness.engines.base import LOG
from harness.launch.exchange import MOST_LOG_BYTES, is_trimmed, make_exchange, read_events, read_log_tail, trim_exchange
from harness.records.outcome import ExitRecord
from harness.records.store import Store
from harness.secrets import clean_text
from reports.markdown.render import render_benchmarks
from tests.unit.samples import Event, a_launch, a_link, a_plan, failing_journal, is_root, judged, passing_journal

SECRET = "root:x:0:0:this line is a secret of the host\n"
TOKEN = "hf_" + "AbCdEfGhIj0123456789KlMnOpQrStUv"

DEEP = "DEEP"
"""Stands for a nesting that `json.dumps` itself cannot write."""

NASTY: dict[str, Any] = {
    "null": None,
    "true": True,
    "text": "12",
    "empty text": "",
    "list": [1, "a", None],
    "empty list": [],
    "list of dictionaries": [{"type": 1}, {"message": [2]}, 3],
    "dictionary": {"a": {"b": []}},
    "negative": -1,
    "zero": 0,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "beyond 64 bits": 2**70,
    "beyond a float": 10**400,
    "nested": json.loads("[" * 480 + "]" * 480),
    "deeply nested": DEEP,
    "half a character": "\ud800",
    "undecodable file name": "caf\udce9.wav",
    "NUL": "a\0b",
    "long": "x" * 20_000,
}


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    folder = tmp_path / "launch" / "exchange"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(json.dumps({"event": "note", "text": SECRET}) + "\n")
    return path


def write_lines(exchange: Path, *lines: str) -> None:
    (exchange / JOURNAL).write_text("".join(f"{line}\n" for line in lines))


def written(event: Event) -> str:
    """An event as a line of a journal."""
    return json.dumps(event).replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000)


def with_each_value_replaced(events: tuple[Event, ...], value: object) -> list[tuple[Event, ...]]:
    """Journals that differ from a good one in one value each; what all events have is replaced once a kind of event."""
    journals = []
    seen = set()
    for number, event in enumerate(events):
        for key, old in event.items():
            place = (event["event"], key, None if key in ("at", "event", "needed", "seconds") else event.get("stage"))
            if place in seen:
                continue
            seen.add(place)
            inner = old if isinstance(old, dict) else {}
            mutants = [{**event, key: new} for new in (value, *({**old, name: value} for name in inner))]
            journals += [(*events[:number], mutant, *events[number + 1 :]) for mutant in mutants]
    return journals


@contextlib.contextmanager
def ended_after(*, seconds: int) -> Iterator[None]:
    """Fails the test where the body would wait for ever; `Failed` is nothing that the code under test catches."""

    def fail(*_: object) -> None:
        pytest.fail(f"it still waits after {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_the_request_can_be_read_by_any_user_of_the_container(exchange: Path) -> None:
    request = Request("id", "calibrate", "cpu", "calibrate", 3, {"sizes_bytes": [1]}, {"audio": "/a.wav"})
    make_exchange(exchange, request)
    assert Request.from_json((exchange / REQUEST).read_text()) == request
    assert stat.S_IMODE((exchange / REQUEST).stat().st_mode) == 0o644


@pytest.mark.parametrize("left", ["link", "dangling link", "folder"])
def test_a_request_replaces_what_a_container_left_in_its_place_and_follows_no_link(
    exchange: Path, secret: Path, left: str
) -> None:
    """A pasted line of ``--dry-run`` leaves its exchange folder, and the next dry run writes into it."""
    if left == "folder":
        (exchange / REQUEST / "full").mkdir(parents=True)
    else:
        (exchange / REQUEST).symlink_to(secret if left == "link" else secret.with_name("made"))
    before = secret.read_text()
    request = Request("id", "calibrate", "cpu", "calibrate", 3, {"sizes_bytes": [1]}, {"audio": "/a.wav"})
    make_exchange(exchange, request)
    assert Request.from_json((exchange / REQUEST).read_text()) == request
    assert not (exchange / REQUEST).is_symlink()
    assert secret.read_text() == before
    assert not secret.with_name("made").exists()


def test_a_journal_within_the_bound_is_left_as_it_is_and_a_longer_one_keeps_its_beginning(exchange: Path) -> None:
    write_lines(exchange, '{"event": "done"}')
    before = (exchange / JOURNAL).stat()
    trim_exchange(exchange)
    after = (exchange / JOURNAL).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    os.truncate(exchange / JOURNAL, 2 * MOST_JOURNAL_BYTES)
    trim_exchange(exchange)
    assert (exchange / JOURNAL).stat().st_size == MOST_JOURNAL_BYTES
    assert read_events(exchange) == ({"event": "done"},)
    assert is_trimmed(exchange)
    assert [path.name for path in exchange.parent.iterdir()] == ["exchange"]


def test_a_folder_without_a_journal_has_no_events_and_no_log(exchange: Path) -> None:
    assert read_events(exchange) == ()
    assert read_log_tail(exchange) == ""
    assert read_events(exchange / "none") == ()


def test_a_good_journal_is_read_as_it_was_written(exchange: Path) -> None:
    write_lines(exchange, *(written(event) for event in passing_journal()))
    assert read_events(exchange) == passing_journal()


@pytest.mark.parametrize("name", [JOURNAL, LOG])
def test_a_link_to_a_file_of_this_host_is_not_followed(exchange: Path, secret: Path, name: str) -> None:
    (exchange / name).symlink_to(secret)
    assert read_events(exchange) == ()
    assert read_log_tail(exchange) == ""


@pytest.mark.parametrize("name", [JOURNAL, LOG])
def test_a_link_that_goes_round_in_circles_is_nothing(exchange: Path, name: str) -> None:
    (exchange / name).symlink_to(exchange / name)
    assert read_events(exchange) == ()
    assert read_log_tail(exchange) == ""


@pytest.mark.parametrize("name", [JOURNAL, LOG])
def test_a_pipe_that_nobody_writes_to_does_not_make_us_wait(exchange: Path, name: str) -> None:
    os.mkfifo(exchange / name)
    with ended_after(seconds=10):
        assert read_events(exchange) == ()
        assert read_log_tail(exchange) == ""


@pytest.mark.parametrize("name", [JOURNAL, LOG])
def test_a_folder_in_the_place_of_a_file_is_nothing(exchange: Path, name: str) -> None:
    (exchange / name).mkdir()
    assert read_events(exchange) == ()
    assert read_log_tail(exchange) == ""


@pytest.mark.skipif(not is_root(), reason="only root makes device nodes")
@pytest.mark.parametrize("name", [JOURNAL, LOG])
def test_a_device_is_not_read(exchange: Path, name: str) -> None:
    try:
        os.mknod(exchange / name, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("this container may not make device nodes")
    assert read_events(exchange) == ()
    assert read_log_tail(exchange) == ""


def test_a_file_that_may_not_be_opened_is_nothing(exchange: Path) -> None:
    write_lines(exchange, '{"event": "done"}')
    (exchange / JOURNAL).chmod(0)
    assert read_events(exchange) == (({"event": "done"},) if is_root() else ())


def test_of_a_log_of_100_megabytes_the_end_is_kept(exchange: Path) -> None:
    with (exchange / LOG).open("wb") as log:
        log.truncate(100 << 20)
        log.seek(0, os.SEEK_END)
        log.write(b"the last word\n")
    tail = read_log_tail(exchange)
    assert tail.endswith("the last word\n")
    assert len(tail) <= MOST_LOG_BYTES


def test_a_log_that_is_cut_inside_a_character_is_still_text(exchange: Path) -> None:
    (exchange / LOG).write_text("é" * MOST_LOG_BYTES + "x")
    tail = read_log_tail(exchange)
    assert tail.endswith("éx")
    assert len(tail) <= MOST_LOG_BYTES


def test_a_journal_without_end_is_read_up_to_a_bound(exchange: Path) -> None:
    with (exchange / JOURNAL).open("wb") as journal:
        journal.write(b'{"event": "done"}\n')
        journal.truncate(200 << 20)
    assert read_events(exchange) == ({"event": "done"},)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b[?25lhidden", "hidden"),
        ("50%\r100%", "50%100%"),
        ("bell\x07 back\x08 delete\x7f", "bell back delete"),
        ("\x9b31mred", "31mred"),
        ("a\0b", "ab"),
        ("one\ttwo\nthree", "one\ttwo\nthree"),
        ("Müller, 会議, ✅", "Müller, 会議, ✅"),
    ],
)
def test_terminal_sequences_and_control_characters_are_removed(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_a_title_of_the_terminal_cannot_be_set() -> None:
    assert "\x1b" not in clean_text("\x1b]0;title\x07\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\")
    assert "\x07" not in clean_text("\x1b]0;title\x07")


@pytest.mark.parametrize(
    "text",
    [
        f"token={TOKEN}",
        f"Authorization: Bearer {TOKEN}",
        f"https://user:{TOKEN}@huggingface.co/x",
        f"'{TOKEN}'",
        f"HF_TOKEN_{TOKEN}",
        f"{TOKEN}_",
        f"hf_\x1b[0m{TOKEN[3:]}",
        f"hf_\0{TOKEN[3:]}",
    ],
)
def test_a_token_is_removed(text: str) -> None:
    cleaned = clean_text(text)
    assert TOKEN[3:] not in cleaned
    assert "hf_[removed]" in cleaned


def test_what_only_begins_like_a_token_is_kept() -> None:
    text = "hf_hub_download() in hf_transfer, hf_xet"
    assert clean_text(text) == text


def test_every_text_of_an_event_is_cleaned_at_any_depth(exchange: Path) -> None:
    write_lines(exchange, json.dumps({"event": "note", f"\x1b[1m{TOKEN}": [{"deep": ["\x1b[31m", TOKEN]}]}))
    (event,) = read_events(exchange)
    assert event == {"event": "note", "hf_[removed]": [{"deep": ["", "hf_[removed]"]}]}


def test_the_log_is_cleaned(exchange: Path) -> None:
    (exchange / LOG).write_text(f"\x1b[31mwarning\x1b[0m {TOKEN}\n")
    assert read_log_tail(exchange) == "warning hf_[removed]\n"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "not json",
        '{"event": "no',
        "[]",
        "3",
        "null",
        '"event"',
        "{}",
        '{"event": 3}',
        '{"event": null}',
        '{"event": ["begin"]}',
        "[" * 100_000 + "]" * 100_000,
        '{"event": "note", "text": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"event": "note", "text": ' + "9" * 5_000 + "}",
    ],
    ids=lambda line: line[:24] or "empty",
)
def test_a_line_that_is_no_event_is_left_out_and_its_neighbours_are_kept(exchange: Path, line: str) -> None:
    write_lines(exchange, '{"event": "begin", "stage": "launch"}', line, '{"event": "done"}')
    assert [event["event"] for event in read_events(exchange)] == ["begin", "done"]


def test_bytes_that_are_no_text_do_not_hide_the_lines_around_them(exchange: Path) -> None:
    (exchange / JOURNAL).write_bytes(b'{"event": "begin"}\n\xff\xfe\x00\n{"event": "done"}\n')
    assert [event["event"] for event in read_events(exchange)] == ["begin", "done"]


@pytest.mark.parametrize("value", NASTY.values(), ids=NASTY)
def test_no_value_in_any_place_of_a_journal_keeps_a_launch_from_being_read_judged_stored_and_shown(
    exchange: Path, tmp_path: Path, value: object
) -> None:
    """Each journal goes the whole way: file, events, verdict, properties, store, rows, page."""
    links = (a_link("ImportError", "outer"), a_link("OSError", "root"))
    broken = {
        "event": "import",
        "at": 1.0,
        "name": "x",
        "needed": False,
        "outcome": "failed",
        "version": "1",
        "chain": [*links],
    }
    note = {"event": "note", "at": 1.0, "text": "a note"}
    store = Store(f"sqlite:///{tmp_path}/launches.db")
    launches = []
    base = a_launch()
    good = (*passing_journal(), broken, note)
    journals = [*with_each_value_replaced(good, value), *with_each_value_replaced(failing_journal("import", *links), value)]
    for number, journal in enumerate(journals):
        write_lines(exchange, *(written(event) for event in journal))
        events = read_events(exchange)
        plan = a_plan(number, image=f"image-{number}", family="rocm" if number % 2 else "cpu")
        ended = ExitRecord(started=True, code=number % 3)
        verdict = judged(events, ended, family=plan.image.family, last_stage="verify", highest_der=0.08, log_tail="")
        launch = msgspec.structs.replace(base, plan=plan, exit=ended, verdict=verdict, journal=events)
        read_all_properties(launch)
        launches.append(launch)
    store.add(launches[0])
    assert len(store.launches()) == 1
    kept = tuple(msgspec.json.decode(msgspec.json.encode(launch), type=type(launch)) for launch in launches)
    assert len(rows_of(kept)) == len(journals)
    assert render_benchmarks(kept)
    assert rows_of(launches)


def read_all_properties(launch: object) -> None:
    """Ask a launch for everything that it can tell."""
    for name in dir(type(launch)):
        if isinstance(getattr(type(launch), name), property):
            getattr(launch, name)
    for stage in ("cold", "warm"):
        launch.pass_seconds(stage)  # type: ignore[attr-defined]


def test_what_turns_writing_round_or_sets_a_title_does_not_pass() -> None:
    assert clean_text("a\u202eb\u2066c\x1b]0;title\x07d\x1b]8;;http://x\x1b\\e") == "abcde"
