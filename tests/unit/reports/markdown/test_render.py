from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

import markdown_it
import msgspec
import pytest

from harness.analysis.intervals import Estimate
from harness.analysis.rows import rows_of
from harness.records.launch import Launch
from harness.records.outcome import CacheRecord, ExitRecord
from harness.records.plan import EngineRecord, WorkloadRecord
from reports.markdown.escape import code_block, code_span, escape_text
from reports.markdown.render import render_benchmarks
from reports.markdown.write import write_page
from reports.sections.failures import chain_text
from reports.sections.reproduction import reproduction
from reports.values import format_factor, format_gib, format_percent, format_seconds, format_spread
from tests.unit.samples import (
    HOST,
    WORKLOAD,
    Event,
    a_failed_launch,
    a_launch,
    a_link,
    a_plan,
    a_wrong_launch,
    failing_journal,
    passing_journal,
)

HOSTILE = (
    "a|b",
    "a\\|b",
    "|",
    "\\",
    "`code`",
    "``` text",
    "a\n```\n# heading",
    "````\n</details>\n````",
    "line\nline",
    "line\r\n\r\nparagraph",
    "x\n| --- | --- |\n| a | b |",
    "# heading",
    "\n# heading\n",
    "- item",
    "1. item",
    "> quote",
    "---",
    "===",
    "    indented",
    "<script>alert(1)</script>",
    "<!-- comment",
    "-->",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp; &#35;",
    "[link](https://example.org)",
    "![image](https://example.org/x.png)",
    "[label]: https://example.org",
    "https://example.org/path?a=b&c=d",
    "www.example.org",
    "<https://example.org>",
    "somebody@example.org",
    "@somebody",
    "#1",
    "**bold** __bold__ *i* _i_ ~~struck~~",
    "$x^2$ $$y$$",
    "{% raw %}{{ rows }}{% endraw %}",
    "{{ 7 * 7 }}",
    "'; rm -rf / #",
    "$(touch x) `touch x`",
    "é 会議 ✅ \u202e reversed",
    "red \x1b[31mand\x1b[0m \x1b]0;title\x07 \x00\x07\x08 \x9b2J",
    "\t",
)


def tamed(text: str) -> str:
    """A hostile text without what commands a terminal or turns the direction of writing."""
    for sign in ("\u202e", "\x1b[31m", "\x1b[0m", "\x1b]0;title\x07", "\x00", "\x07", "\x08", "\x9b"):
        text = text.replace(sign, "")
    return text


def parsed(page: str) -> list[markdown_it.token.Token]:
    """The page as GitHub's Markdown has it, without bare addresses becoming links."""
    return markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)


def shape(page: str) -> list[str]:
    """What the page is made of, without its words: a text that broke out of its place would change it."""
    kinds = []
    for token in parsed(page):
        kinds.append(token.type)
        kinds += [f"  {child.type}" for child in token.children or () if child.type not in ("text", "text_special")]
    return kinds


def prose(page: str) -> str:
    """What a reader sees of the page outside code blocks."""
    return "\n".join(child.content for token in parsed(page) for child in token.children or ())


def number_of_cells(line: str) -> int:
    """Cells of a table's line: a bar that is not escaped parts two, in code as well."""
    return line.replace("\\\\", "").replace("\\|", "").count("|") - 1


def section(page: str, title: str) -> str:
    """One section of the page."""
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def launches_with(text: str) -> tuple[Launch, ...]:
    """Launches in which a text stands wherever a user or a container may put one: one passes, one has wrong output, one
    raises, one dies without a word."""
    workload = msgspec.structs.replace(WORKLOAD, input=f"{text}-30s")
    host = msgspec.structs.replace(HOST, kernel=text, distribution=text, processor=text, gpus=(text,))
    link = a_link(text, text, where=text)
    said: tuple[Event, ...] = (
        {"event": "import", "name": text, "outcome": "failed", "version": text, "chain": [link]},
        {"event": "note", "text": text},
    )
    ends: tuple[tuple[str, tuple[Event, ...], int], ...] = (
        ("right", (*passing_journal(torch=text, hip=text, cuda=text), *said), 0),
        ("wrong", (*passing_journal(torch=text, der=0.5), *said), 0),
        ("raises", (*failing_journal("import", link, torch=text), *said), 1),
        ("dies", (), 1),
    )
    launches = []
    for number, (name, journal, code) in enumerate(ends):
        plan = a_plan(number, image=f"{name}{text}", variant=text, workload=workload, host=host)
        plan = msgspec.structs.replace(plan, engine=EngineRecord(name="podman", version=text))
        launches.append(a_launch(plan, journal=journal, exit=ExitRecord(started=True, code=code), log_tail=text))
    return tuple(launches)


@cache
def page_with(text: str) -> str:
    """The page of `launches_with` a text."""
    return render_benchmarks(launches_with(text))


@cache
def tame_shape() -> list[str]:
    """The shape of the page where the text is harmless."""
    return shape(page_with("tame"))


def test_an_empty_store_is_a_page_that_says_so() -> None:
    page = render_benchmarks(())
    assert "No launch is in the store yet" in page
    assert "|" not in page


def test_a_store_of_nothing_but_probes_does_not_say_that_it_is_empty() -> None:
    probe = a_launch(a_plan(last_stage="device"), journal=passing_journal(last_stage="device"))
    assert "No launch is in the store yet" not in render_benchmarks([probe])


def test_a_page_shows_what_was_measured_with_its_n_and_its_audio_s_length() -> None:
    made = (a_launch(a_plan(number), journal=passing_journal(warm=(2.0,))) for number in (1, 2, 3))
    launches = [msgspec.structs.replace(each, caches=CacheRecord(mode="empty", files_before=0)) for each in made]
    page = render_benchmarks(launches)
    assert "1 of 1 configurations pass" in page
    assert "at **15.0x** realtime, 2.00 s (2.00, 2.00) for 30.0 s, n = 3, DER 5.0%" in page
    assert "30.0 s of audio" in section(page, "Results")
    row = next(line for line in section(page, "Results").splitlines() if line.startswith("| cpu |"))
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "cpu",
        "podman",
        "2.13.0",
        "cpu",
        "2.00 s (2.00, 2.00)",
        "15.0x",
        "3",
        "3.00 s",
        "0.70 s",
        "2",
        "5.0%",
        "1.50 GiB (VmHWM, not calibrated)",
        "PASS",
    ]


def test_six_launches_have_an_interval_and_five_only_their_extremes() -> None:
    six = [a_launch(a_plan(number), journal=passing_journal(warm=(float(number),))) for number in range(1, 7)]
    assert "3.50 s [1.00, 6.00]" in render_benchmarks(six)
    assert "3.00 s (1.00, 5.00)" in render_benchmarks(six[:5])


def test_wrong_output_is_struck_through_and_is_never_the_fastest() -> None:
    right = a_launch(a_plan(1, image="right"), journal=passing_journal(warm=(5.0,)))
    wrong = a_wrong_launch(a_plan(2, image="wrong"), warm=(0.5,))
    page = render_benchmarks([right, wrong])
    row = next(line for line in section(page, "Results").splitlines() if line.startswith("| wrong |"))
    assert "~~0.50 s~~" in row
    assert "~~60.0x~~" in row
    assert "~~0.70 s~~" in row, "the load"
    summary = section(page, "Executive summary")
    assert "**Fastest that is right**: right (podman) at **6.0x**" in summary
    assert "**Wrong output**: wrong (podman): DER 40.0%" in summary
    assert "60.0x" not in summary
    assert summary.count("that is right") == 1, "a single right one is not also the slowest"


def test_where_the_time_of_wrong_output_goes_is_struck_through() -> None:
    wrong = msgspec.structs.replace(a_wrong_launch(warm=(0.5, 0.5)), wall_seconds=60.0)
    lines = [line for line in section(render_benchmarks([wrong]), "Where the time goes").splitlines() if "| cpu |" in line]
    assert ["~~60.00 s~~" in line for line in lines] == [True, False]
    assert all(line.count("~~") == 2 for line in lines)


def test_nothing_is_called_the_fastest_where_nothing_is_right() -> None:
    summary = section(
        render_benchmarks([a_wrong_launch(a_plan(1)), a_failed_launch(a_plan(2, image="x"))]), "Executive summary"
    )
    assert "Fastest" not in summary
    assert "0 of 2 configurations pass" in summary


def test_a_failure_shows_its_whole_chain_its_signature_and_the_fix() -> None:
    chain = [
        a_link("builtins.ImportError", "cannot import name 'is_oom_error'", where="/opt/lightning/memory.py:3 in <module>"),
        a_link("builtins.RuntimeError", "operator torchvision::nms does not exist", where="/opt/torch/library.py:9 in fail"),
    ]
    page = render_benchmarks([a_failed_launch(chain=chain)])
    details = section(page, "Error details")
    assert "in stage `import`" in details
    assert "**Known as** `torchvision-mismatch`" in details
    assert "- **Fix**: uninstall torchvision" in details
    assert "- **Source**: " in details
    block = "builtins.ImportError: cannot import name 'is_oom_error'\n    at /opt/lightning/memory.py:3 in <module>\n"
    assert block + "caused by builtins.RuntimeError: operator torchvision::nms does not exist\n" in details
    assert "**Fails**: cpu (podman) in `import`, import: " in section(page, "Executive summary")


def test_a_failure_that_nobody_knows_says_so() -> None:
    details = section(render_benchmarks([a_failed_launch(chain=[a_link("ValueError", "no")])]), "Error details")
    assert "No known failure signature matches." in details


def test_a_death_without_an_exception_shows_the_end_of_its_log() -> None:
    exit_ = ExitRecord(started=True, code=139)
    page = render_benchmarks([a_launch(journal=(), exit=exit_, log_tail="Fatal Python error: Segmentation fault\n")])
    assert "Fatal Python error: Segmentation fault" in section(page, "Error details")


def test_the_compatibility_table_marks_the_stage_that_was_reached() -> None:
    page = render_benchmarks([a_launch(a_plan(1, image="right")), a_failed_launch(a_plan(2, image="broken"), stage="import")])
    lines = section(page, "Image compatibility").splitlines()
    assert "| right | podman | cpu | ✅ | ✅ | ✅ | ✅ | ✅ | ✅ | ✅ | - |" in lines
    assert "| broken | podman | cpu | ✅ | ❌ | · | · | · | · | · | import |" in lines


def test_what_ran_is_told_by_its_id_and_versions_and_not_by_a_tag() -> None:
    launch = a_launch(a_plan(family="rocm"), journal=passing_journal(torch="2.9.1+rocm6.4", hip="6.4.43484"))
    row = next(line for line in section(render_benchmarks([launch]), "What ran").splitlines() if line.startswith("| cpu |"))
    assert "| cccccccccccc | rocm | 3.12.1 | 2.9.1+rocm6.4 | 6.4.43484 | - | 4.0.7 |" in row


def test_memory_of_the_gpu_is_shown_where_there_is_one() -> None:
    journal = [
        {**event, "peak_reserved_bytes": 2 << 30} if event["event"] == "end" and event["stage"] == "warm" else event
        for event in passing_journal()
    ]
    page = render_benchmarks([a_launch(journal=journal)])
    assert "1.50 GiB (VmHWM, not calibrated) + 2.00 GiB (torch peak reserved, not calibrated)" in page
    assert "torch peak reserved" not in render_benchmarks([a_launch()])


def test_an_import_that_fails_without_harm_is_a_note() -> None:
    broken = {"event": "import", "name": "torchcodec", "outcome": "failed", "chain": [a_link("OSError", "libavutil.so.58: no")]}
    notes = section(render_benchmarks([a_launch(journal=(*passing_journal(), broken))]), "Notes")
    assert "import `torchcodec` fails, and pyannote.audio does without it: OSError: libavutil.so.58: no" in notes


def test_each_row_can_be_run_again_from_its_line() -> None:
    page = render_benchmarks([a_launch(a_plan(image="softab:rocm 62"))])
    line = next(line for line in section(page, "How to reproduce").splitlines() if line.startswith("make bench"))
    assert "ENGINE=podman" in line
    assert "  # softab:rocm 62/cpu/embedded/sample-30s" in line


def test_the_same_store_gives_the_same_bytes_in_whatever_order_it_is_read() -> None:
    launches = [
        *(
            a_launch(a_plan(number, image=f"image-{number % 3}", engine=("podman", "docker")[number % 2]))
            for number in range(12)
        ),
        a_failed_launch(a_plan(12, image="broken")),
        a_wrong_launch(a_plan(13, image="wrong")),
        a_launch(a_plan(14, host=msgspec.structs.replace(HOST, kernel="6.17.1"), image="elsewhere")),
    ]
    pages = {render_benchmarks([*launches[at:], *launches[:at]]) for at in range(len(launches))}
    pages |= {render_benchmarks(tuple(reversed(launches)))}
    assert len(pages) == 1


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_no_text_breaks_out_of_its_place(text: str) -> None:
    assert shape(page_with(text)) == tame_shape()


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_every_line_of_a_table_has_as_many_cells_as_its_head(text: str) -> None:
    page = page_with(text)
    for title in ("Results", "Image compatibility", "What ran"):
        lines = section(page, title).splitlines()
        head = next(number - 1 for number, line in enumerate(lines) if line.startswith("| --- |"))
        table = lines[head : head + 6]
        assert not "".join(lines[head + 6 :]).startswith("|"), f"{title}: four launches are four rows"
        assert {number_of_cells(line) for line in table} == {number_of_cells(table[0])}


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_reader_sees_the_text_as_it_was_given(text: str) -> None:
    seen = "".join(child.content for token in parsed(f"x{escape_text(text)}x") for child in token.children or ())
    assert seen == re.sub(r"\s+", " ", f"x{tamed(text)}x")


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_no_sign_that_a_terminal_obeys_reaches_the_page(text: str) -> None:
    page = page_with(text)
    assert [sign for sign in page if unicodedata.category(sign) in ("Cc", "Cf") and sign not in "\n\t"] == []


@pytest.mark.parametrize("filter_of_a_page", [escape_text, code_span, code_block])
def test_a_name_that_is_no_text_can_be_written(filter_of_a_page: Callable[[object], str]) -> None:
    name = "caf\udce9\x1b[2J\u202e.wav"  # as Python reads a file's name that is no UTF-8
    assert "caf" in filter_of_a_page(name).encode("utf-8").decode()
    assert not set(filter_of_a_page(name)) & set("\udce9\x1b\u202e")


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_no_address_becomes_a_link_by_itself(text: str) -> None:
    escaped = escape_text(text)
    assert "://" not in escaped
    assert "www." not in escaped
    assert "@" not in escaped


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_block_holds_its_text_whole(text: str) -> None:
    (fence,) = parsed(code_block(text))
    assert fence.type == "fence"
    assert fence.content.rstrip() == tamed(text).replace("\r\n", "\n").rstrip()


@pytest.mark.parametrize("name", ["evil:1\n```\n# heading", "evil:`x`", "evil:1\r# heading", "evil:$(touch x)", "evil:1 # x"])
def test_the_lines_to_run_again_hold_whatever_an_image_is_called(name: str) -> None:
    page = render_benchmarks([a_launch(a_plan(image=name))])
    tame = render_benchmarks([a_launch(a_plan(image="tame"))])
    assert shape(page) == shape(tame)
    fence = next(token for token in parsed(page) if token.type == "fence")
    (line,) = fence.content.splitlines()
    command = line.split("  # ")[0]
    assert shlex.split(command)[:2] == ["make", "bench"]
    assert len(shlex.split(command)) == 4


def test_a_page_takes_no_text_for_a_template() -> None:
    page = page_with("{{ 7 * 7 }}")
    assert "49" not in prose(page)


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (format_seconds, None, "-"),
        (format_seconds, 2.046, "2.05 s"),
        (format_percent, None, "-"),
        (format_percent, 0.0516, "5.2%"),
        (format_gib, None, "-"),
        (format_gib, 0, "0.00 GiB"),
        (format_gib, 3 << 29, "1.50 GiB"),
        (format_factor, None, "-"),
        (format_factor, Estimate(14.63, 14.0, 15.0, 3, is_interval=False), "14.6x"),
        (format_spread, None, "-"),
        (format_spread, Estimate(2.0, 2.0, 2.0, 1, is_interval=False), "2.00 s"),
        (format_spread, Estimate(2.0, 1.5, 2.5, 3, is_interval=False), "2.00 s (1.50, 2.50)"),
        (format_spread, Estimate(2.0, 1.5, 2.5, 6, is_interval=True), "2.00 s [1.50, 2.50]"),
    ],
)
def test_a_number_is_shown_with_its_unit_and_an_unknown_one_as_a_dash(
    show: Callable[[object], str], value: object, text: str
) -> None:
    assert show(value) == text


def test_a_chain_is_told_outermost_first() -> None:
    launch = a_failed_launch(chain=[a_link("A", "outer", where=""), a_link("B", "root", where="x.py:1 in f")])
    assert chain_text(launch) == "A: outer\ncaused by B: root\n    at x.py:1 in f"


def test_a_page_is_written_whole_and_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "pages" / "BENCHMARKS.md"
    write_page(path, "old\n")
    write_page(path, "nèw\n")
    assert path.read_text(encoding="utf-8") == "nèw\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_workload_s_own_names_are_no_markup() -> None:
    odd: WorkloadRecord = msgspec.structs.replace(WORKLOAD, profile="`x` <b>")
    tame = shape(render_benchmarks([a_launch(a_plan(workload=msgspec.structs.replace(WORKLOAD, profile="tame")))]))
    assert shape(render_benchmarks([a_launch(a_plan(workload=odd))])) == tame


def test_a_portable_build_has_a_table_of_its_own_and_no_speed() -> None:
    plain = a_launch(a_plan(1, image="cpu"))
    plan = a_plan(2, image="rocm62-portable", campaign=2)
    portable = a_launch(msgspec.structs.replace(plan, image=msgspec.structs.replace(plan.image, portable_of="rocm62")))
    page = render_benchmarks([plain, portable])
    results, rest = page.split("## Portable builds")
    assert "rocm62" not in results
    (line,) = (line for line in rest.splitlines() if line.startswith("| rocm62 |"))
    assert "PASS" in line
    assert "x |" not in line
    assert " s |" not in line


def test_a_store_of_portable_builds_alone_has_no_results() -> None:
    plan = a_plan(1, image="rocm62-portable")
    failed = a_failed_launch(msgspec.structs.replace(plan, image=msgspec.structs.replace(plan.image, portable_of="rocm62")))
    page = render_benchmarks([failed])
    assert "No launch in the store says how fast an image is" in page
    assert "## Results" not in page
    assert "cannot import name 'Pipeline'" in page


def test_a_row_is_reproduced_with_its_flags_and_gpu() -> None:
    (row,) = rows_of([a_launch(a_plan(flags="compat", gpu="0000:c5:00.0"))])
    assert "--flags compat --gpu 0000:c5:00.0" in reproduction(row)


@pytest.mark.parametrize("text", ["2026\n```\n<script>", "<script>alert(1)</script>", "\x1b[2J2026", "a\n\n# heading"])
def test_an_altered_time_of_the_last_launch_is_no_markup(text: str) -> None:
    page = render_benchmarks([a_launch(msgspec.structs.replace(a_plan(), planned_at=text))])
    (line,) = (line for line in page.splitlines() if line.startswith("- **Last launch**"))
    assert line.endswith("1 launch in the store")
    assert "<script>" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("field", ["engine", "pipeline", "gpu", "flags"])
@pytest.mark.parametrize("text", ["a\n```\n# out", "a\r```", "\x1b]0;t\x07", "a\u2028b", "\u202ea"])
def test_no_altered_name_ends_the_line_or_the_fence_of_how_to_reproduce(field: str, text: str) -> None:
    plan = a_plan()
    changes: dict[str, object] = {
        "engine": {"engine": EngineRecord(name=text)},
        "pipeline": {"workload": msgspec.structs.replace(WORKLOAD, profile=text)},
        "gpu": {"gpu": text},
        "flags": {"flags": text},
    }[field]  # type: ignore[assignment]
    launch = a_launch(msgspec.structs.replace(plan, **changes))
    (row,) = rows_of([launch])
    command = reproduction(row)
    assert command.isprintable()
    assert command.startswith("make bench IMAGE=cpu ")
    block, *rest = parsed(section(render_benchmarks([launch]), "How to reproduce").strip())
    assert (block.type, block.info, block.content) == ("fence", "sh", f"{command}\n")
    assert [token.type for token in rest] == ["paragraph_open", "inline", "paragraph_close"]


def test_a_row_is_reproduced_with_the_caches_that_it_kept() -> None:
    kept, empty = (rows_of([a_launch(a_plan(caches=mode))])[0] for mode in ("keep", "empty"))
    assert "--caches keep" in reproduction(kept)
    assert "--caches" not in reproduction(empty)


def test_an_address_of_our_own_table_of_failures_is_a_link() -> None:
    known = a_link("builtins.RuntimeError", "operator torchvision::nms does not exist")
    page = render_benchmarks([a_failed_launch(chain=[known])])
    assert "**Source**: <https://github.com/m-bain/whisperX/issues/1302>" in page


def test_a_launch_whose_imports_failed_shows_the_torch_that_is_installed() -> None:
    events = [
        {"event": "import", "name": "torch", "needed": True, "outcome": "ok", "version": "2.8.0", "chain": []},
        *failing_journal("import", a_link("builtins.ImportError", "no")),
    ]
    assert "| 2.8.0 |" in render_benchmarks([a_launch(journal=events, exit=ExitRecord(started=True, code=1))])


def test_what_rows_of_several_recordings_have_in_common_is_said_once() -> None:
    longer = msgspec.structs.replace(WORKLOAD, input="sample-fitted-60s", amount=60.0, input_sha256="6" * 64)
    page = render_benchmarks([a_launch(a_plan(1)), a_launch(a_plan(2, workload=longer))])
    compatibility = page.split("## Image compatibility")[1].split("## What ran")[0]
    assert compatibility.count("| cpu | podman | cpu |") == 1
    assert page.split("## What ran")[1].split("## ")[0].count("| cpu | podman 5.7.0 |") == 1
    assert page.split("## How to reproduce")[1].count("make bench IMAGE=cpu") == 2


def test_the_summary_of_a_recording_does_not_run_into_the_list_before_it() -> None:
    longer = msgspec.structs.replace(WORKLOAD, input="sample-fitted-60s", amount=60.0, input_sha256="6" * 64)
    page = render_benchmarks([a_launch(a_plan(1)), a_launch(a_plan(2, workload=longer))])
    depth, found = 0, []
    for token in parsed(page.split("## Executive summary")[1].split("\n## ")[0]):
        depth += token.nesting * token.type.startswith("bullet_list")
        if token.type == "inline" and "configurations pass" in token.content:
            found.append(depth)
    assert found == [0, 0]


def test_a_store_of_one_launch_is_told_in_the_singular() -> None:
    assert ", 1 launch in the store\n" in render_benchmarks([a_launch()])
    assert ", 2 launches in the store\n" in render_benchmarks([a_launch(), a_launch(a_plan(2))])
