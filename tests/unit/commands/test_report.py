"""`report`, `show` and `explain`."""

from __future__ import annotations

import fcntl
import io
import json
import os
import sqlite3
import sys
from pathlib import Path

import msgspec
import pytest

from harness import places
from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from tests.unit.command_line import Outcome, Strixbench, stored
from tests.unit.samples import a_failed_launch, a_launch, a_link, a_plan, passing_journal


def test_show_prints_a_launch_for_a_person(strixbench: Strixbench) -> None:
    launch = a_failed_launch(
        chain=[a_link("ImportError", "outer"), a_link("OSError", "libc10_cuda.so: cannot open shared object file")]
    )
    stored(launch)
    outcome = strixbench("show", launch.id)
    assert outcome.code == 0
    for words in (
        launch.id,
        "cpu/cpu/embedded/sample-30s",
        "fail: import in import",
        "ImportError: outer",
        "caused by OSError: libc10",
    ):
        assert words in outcome.out


def test_show_takes_the_beginning_of_an_id(strixbench: Strixbench) -> None:
    launch = a_launch()
    stored(launch)
    outcome = strixbench("show", launch.id[:-3])
    assert outcome.code == 0
    assert "2.00 s, 2.10 s, 2.20 s" in outcome.out
    assert "5.0%" in outcome.out


def test_show_as_json_is_the_record_itself(strixbench: Strixbench) -> None:
    launch = a_launch()
    stored(launch)
    assert msgspec.convert(json.loads(strixbench("show", launch.id, "--json").out), Launch) == launch


def test_show_refuses_a_beginning_that_several_launches_have(strixbench: Strixbench) -> None:
    stored(a_launch(a_plan(1)), a_launch(a_plan(2)))
    outcome = strixbench("show", "2026")
    assert outcome.code == 2
    assert "'2026' is the beginning of 2 launches: 202611" in outcome.err


def test_show_makes_no_store(strixbench: Strixbench, tmp_path: Path) -> None:
    strixbench("show", "2026")
    assert not (tmp_path / "results").exists()


def test_report_writes_the_page_of_the_store(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch())
    page = tmp_path / "page.md"
    outcome = strixbench("report", "--output", page)
    assert (outcome.code, outcome.out) == (0, f"{page}\n")
    assert "1 of 1 configurations pass" in page.read_text(encoding="utf-8")


def test_a_damaged_record_costs_the_page_one_row_and_a_warning(strixbench: Strixbench, tmp_path: Path) -> None:
    one, other = a_launch(a_plan(1)), a_launch(a_plan(2, image="seed-rocm62"))
    stored(one, other)
    with sqlite3.connect(places.results() / "strixbench.db") as database:
        database.execute("UPDATE launches SET record = '{}' WHERE id = ?", (other.id,))
    database.close()
    page = tmp_path / "page.md"
    outcome = strixbench("report", "--output", page)
    assert outcome.code == 0
    assert outcome.err.startswith(f"warning: left out: launch {other.id} in the store is damaged: ")
    assert len(outcome.err.splitlines()) == 1
    assert "1 of 1 configurations pass" in page.read_text(encoding="utf-8")
    assert strixbench("show", one.id[:4]).code == 0, "the beginning of both leaves the one that can be read"
    outcome = strixbench("show", other.id)
    assert (outcome.code, outcome.out) == (3, "")
    assert "sqlite3" in outcome.err


def test_report_check_tells_a_fresh_page_from_a_stale_one(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch(a_plan(1)))
    page = tmp_path / "page.md"
    assert strixbench("report", "--output", page, "--check").code == 1, "a page that is not there is stale"
    strixbench("report", "--output", page)
    assert strixbench("report", "--output", page, "--check") == Outcome(0, "", "")
    fresh = page.read_text(encoding="utf-8")
    stored(a_launch(a_plan(2), journal=passing_journal(warm=(9.0,))))
    outcome = strixbench("report", "--output", page, "--check")
    assert (outcome.code, outcome.out) == (1, "")
    assert "is stale: run `make report`" in outcome.err
    assert page.read_text(encoding="utf-8") == fresh, "a check writes nothing"


def test_a_page_that_is_not_utf_8_is_stale(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch())
    page = tmp_path / "page.md"
    page.write_bytes(b"caf\xe9\n")
    outcome = strixbench("report", "--output", page, "--check")
    assert (outcome.code, outcome.out) == (1, "")
    assert "is stale" in outcome.err


def test_report_refuses_a_file_where_a_folder_is_needed(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch())
    (tmp_path / "file").touch()
    for below in ("x.md", "deeper/x.md"):
        outcome = strixbench("report", "--output", tmp_path / "file" / below)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err == f"strixbench: --output {tmp_path}/file/{below} cannot be written: {tmp_path}/file is no folder\n"
    assert strixbench("report", "--output", tmp_path).code == 2


def test_a_page_goes_into_a_pipe_alone(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch())
    page = tmp_path / "page.md"
    strixbench("report", "--output", page)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)  # so that nobody need read meanwhile
    outcome = strixbench("report", "--output", f"/dev/fd/{writer}")
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        assert stream.read() == page.read_text(encoding="utf-8")
    assert outcome == Outcome(0, "", "")


def test_report_without_a_store_has_nothing_to_say(strixbench: Strixbench, tmp_path: Path) -> None:
    outcome = strixbench("report", "--output", tmp_path / "page.md")
    assert (outcome.code, outcome.out) == (4, "")
    assert "`make bench` makes the first launch" in outcome.err
    assert not (tmp_path / "page.md").exists()
    assert strixbench("report", "--output", tmp_path / "page.md", "--check").code == 0


def test_a_store_that_cannot_be_opened_is_the_environment_s_fault(
    strixbench: Strixbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "launches.db").write_text("no database at all, but long enough to look at\n" * 20)
    monkeypatch.setenv("STRIXBENCH_STORE", f"sqlite:///{tmp_path}/launches.db")
    outcome = strixbench("report", "--output", tmp_path / "page.md")
    assert (outcome.code, outcome.out) == (3, "")
    assert "not a database" in outcome.err


def test_a_url_of_the_store_that_is_none_is_refused(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIXBENCH_STORE", "sqlite.db")
    outcome = strixbench("show", "2026")
    assert (outcome.code, outcome.out) == (3, "")


TRACEBACK = (
    'Traceback (most recent call last):\n  File "/app/x.py", line 3, in <module>\n    import pyannote.audio\n'
    "RuntimeError: operator torchvision::nms does not exist\n"
)


def test_explain_knows_a_pasted_traceback(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "traceback.txt"
    file.write_text(TRACEBACK)
    from_file = strixbench("explain", file)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACEBACK.encode())))
    from_stdin = strixbench("explain", "-")
    assert (from_file.code, from_stdin.code) == (0, 0)
    assert from_file.out == from_stdin.out
    assert "torchvision-mismatch" in from_file.out
    assert json.loads(strixbench("explain", file, "--json").out)["signature"]["id"] == "torchvision-mismatch"


def test_explain_knows_a_launch_of_the_store(strixbench: Strixbench) -> None:
    launch = a_failed_launch(chain=[a_link("OSError", "[Errno 28] No space left on device")])
    stored(launch)
    outcome = strixbench("explain", launch.id)
    assert outcome.code == 0
    assert "disk-full" in outcome.out


def test_explain_ends_with_0_where_a_text_holds_warnings_alone(strixbench: Strixbench, tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    file.write_text("/opt/amdgpu/share/libdrm/amdgpu.ids: No such file or directory\nsegmentation 100%\n")
    outcome = strixbench("explain", file)
    assert outcome.code == 0
    assert "nothing in it failed" in outcome.out
    assert "amdgpu-ids" in outcome.out


def test_explain_ends_with_1_where_nothing_known_fits(strixbench: Strixbench, tmp_path: Path) -> None:
    file = tmp_path / "traceback.txt"
    file.write_text("KeyError: 'new'\n")
    outcome = strixbench("explain", file)
    assert outcome.code == 1
    assert "nothing known fits" in outcome.out


@pytest.mark.parametrize(
    ("content", "said"), [(b"\x7fELF\0\0", "is not text"), (b" \n", "is empty"), (None, "no launch"), ("folder", "is a folder")]
)
def test_explain_refuses_what_is_no_text(content: object, said: str, strixbench: Strixbench, tmp_path: Path) -> None:
    path = tmp_path / "shown"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    outcome = strixbench("explain", path)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_explain_reads_the_end_of_a_long_log(strixbench: Strixbench, tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_text("a line of a log\n" * 700_000 + TRACEBACK)
    outcome = strixbench("explain", file)
    assert outcome.code == 0
    assert "only its last 10 MB" in outcome.err


def test_report_shows_a_cost_where_a_price_is_told(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(msgspec.structs.replace(a_launch(), telemetry=Telemetry(hertz=2.0, times=(1.0,), series={"a_bytes": (1.0,)})))
    page = tmp_path / "page.md"
    assert strixbench("report", "--output", page, "--price-per-hour", 3.6).code == 0
    # The median warm pass takes 2.1 s for 30 s of audio: 0.07 hours of the machine.
    assert "| 0.25200 |" in page.read_text(encoding="utf-8")
    assert strixbench("report", "--output", page).code == 0
    assert "Cost" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["report", "bench"])
@pytest.mark.parametrize("price", ["-1", "nan", "inf", "1e308", "1000001"])
@pytest.mark.parametrize("option", ["--price-per-kwh", "--price-per-hour"])
def test_a_price_that_nobody_asks_is_refused_in_one_line(strixbench: Strixbench, verb: str, option: str, price: str) -> None:
    outcome = strixbench(verb, option, price)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"{option} {float(price):g} is not between 0 and 1000000" in outcome.err
    assert len(outcome.err.splitlines()) == 1
