"""The matrix of images and steps, on the terminal and on the page. The journals are made up: nothing was computed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.wire import STEPS
from harness.analysis.probe_rows import COLUMNS, Probe, probes_of
from harness.analysis.rows import rows_of
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.records.plan import ImageRecord
from reports.markdown.render import render_benchmarks
from reports.sections.probes import cell_text, format_step_seconds
from reports.terminal.tasks import print_probes
from tests.unit.probe_steps import MIOPEN, NAN, SEGFAULT, SKIPPED, TIMEOUT
from tests.unit.samples import (
    Event,
    a_failed_launch,
    a_launch,
    a_link,
    a_plan,
    a_probe_launch,
    journal_until,
    probing_journal,
)

ROCM: dict[str, Any] = {"image": "rocm64", "family": "rocm", "variant": "gfx1100"}


def only_probe(*launches: Launch) -> Probe:
    (probe,) = probes_of(launches)
    return probe


def texts(probe: Probe) -> dict[str, str]:
    return {cell.step: cell_text(cell) for cell in probe.cells}


def test_a_cell_says_in_a_word_how_its_step_went() -> None:
    steps = {"gemm": MIOPEN, "conv2d": SEGFAULT, "lstm": NAN, "lstm-miopen-off": SKIPPED, "embedding": TIMEOUT}
    found = texts(only_probe(a_probe_launch(steps=steps)))
    assert tuple(found) == COLUMNS
    assert found["import"] == found["device"] == "ok"
    assert found["device-op"] == "ok 12 ms"
    assert found["gemm"] == "failed (RuntimeError)"
    assert found["conv2d"] == "crashed (SIGSEGV)"
    assert found["lstm"] == "wrong numbers"
    assert found["lstm-miopen-off"] == "skipped"
    assert found["embedding"] == "timeout"


@pytest.mark.parametrize(("seconds", "text"), [(0.00035, "0.35 ms"), (0.0123, "12 ms"), (3.508, "3.51 s")])
def test_a_step_s_time_is_bearable(seconds: float, text: str) -> None:
    assert format_step_seconds(seconds) == text


def test_behind_a_broken_import_nothing_was_reached() -> None:
    plan = a_plan(last_stage="device", steps=STEPS)
    found = texts(only_probe(a_failed_launch(plan, stage="import")))
    assert found["import"] == "failed (import)"
    assert set(found.values()) - {found["import"]} == {"not reached"}


def test_a_guest_that_died_in_a_step_reached_no_later_one() -> None:
    journal = probing_journal({"conv2d": {"outcome": "trying"}}, asked=STEPS[:3])[:-1]
    launch = a_launch(a_plan(last_stage="device", steps=STEPS), journal=journal, exit=ExitRecord(started=True, code=139))
    found = texts(only_probe(launch))
    assert (launch.verdict.stage, found["conv2d"], found["lstm"]) == ("conv2d", "failed (crash)", "not reached")


def test_the_latest_probe_speaks_and_an_interrupted_one_does_not() -> None:
    first, second = a_probe_launch(1, {"lstm": SEGFAULT}), a_probe_launch(2)
    interrupted = a_launch(
        a_plan(3, last_stage="device", steps=STEPS),
        journal=journal_until("device"),
        exit=ExitRecord(started=True, interrupted=True),
    )
    assert only_probe(second, first, interrupted).launch is second
    assert only_probe(interrupted).launch is interrupted


def test_a_benchmark_is_no_probe_and_a_probe_s_steps_no_benchmark() -> None:
    bench, probe = a_launch(a_plan(1)), a_probe_launch(2, {"lstm": SEGFAULT})
    assert only_probe(bench, probe).launch is probe
    (row,) = rows_of([bench, probe])
    assert row.status == "pass"


def fixed(number: int, fix: str, steps: dict[str, Event] | None = None, **plan: Any) -> Launch:
    """The probe of the same image under a fix."""
    return a_probe_launch(number, steps, **{**ROCM, "variant": f"gfx1100+{fix}", "fixes": (fix,), **plan})


def test_a_step_that_a_fix_mends_says_so() -> None:
    broken = a_probe_launch(1, {"lstm": MIOPEN, "conv2d": SEGFAULT}, **ROCM)
    dropout = fixed(2, "lstm-dropout-0", {"conv2d": SEGFAULT})
    off = fixed(3, "miopen-off")
    probe = next(each for each in probes_of([broken, dropout, off]) if each.launch is broken)
    assert texts(probe)["lstm"] == "failed (RuntimeError); passes with lstm-dropout-0 or miopen-off"
    assert texts(probe)["conv2d"] == "crashed (SIGSEGV); passes with miopen-off"


@pytest.mark.parametrize("other", [{"image": "rocm72"}, {"engine": "docker"}, {"variant": "native+miopen-off"}], ids=str)
def test_a_fix_of_another_image_engine_or_variant_mends_nothing_here(other: dict[str, Any]) -> None:
    broken = a_probe_launch(1, {"lstm": MIOPEN}, **ROCM)
    probe = next(each for each in probes_of([broken, fixed(2, "miopen-off", **other)]) if each.launch is broken)
    assert texts(probe)["lstm"] == "failed (RuntimeError)"


def test_a_fix_of_the_image_as_it_was_built_before_mends_nothing_here() -> None:
    broken = a_probe_launch(1, {"lstm": MIOPEN}, **ROCM)
    older = fixed(2, "miopen-off")
    image = ImageRecord(name="rocm64", family="rocm", id="sha256:older")
    older = msgspec.structs.replace(older, plan=msgspec.structs.replace(older.plan, image=image))
    probe = next(each for each in probes_of([broken, older]) if each.launch is broken)
    assert texts(probe)["lstm"] == "failed (RuntimeError)"


def test_the_page_shows_the_matrix_and_below_it_the_evidence() -> None:
    event = {**MIOPEN, "chain": [a_link("torch.OutOfMemoryError", "HIP out of memory. Tried to allocate 2 GiB")]}
    launches = [a_probe_launch(1, {"lstm": event, "conv2d": SEGFAULT}, **ROCM), fixed(2, "miopen-off")]
    page = render_benchmarks(launches)
    matrix = page[page.index("## Probe: image x step") :]
    assert "| Image | Engine | Variant | import | device | device-op |" in matrix
    assert "| rocm64 | podman | gfx1100 | ok | ok | ok 12 ms |" in matrix
    assert "crashed (SIGSEGV); passes with miopen-off" in matrix
    assert "### Probe of rocm64 (podman, gfx1100)" in matrix
    assert "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2 GiB **Known as** `gpu-out-of-memory`" in matrix
    assert "**Fix**: lower the batch sizes" in matrix
    assert "```text\nFatal Python error: Segmentation fault\n```" in matrix
    lines = [line for line in matrix.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 4}


def test_a_store_of_probes_alone_shows_them() -> None:
    page = render_benchmarks([a_probe_launch()])
    assert "No launch in the store says how fast an image is" in page
    assert "## Probe: image x step" in page


def test_a_store_without_a_probe_has_no_matrix() -> None:
    assert "Probe" not in render_benchmarks([a_launch()])


HOSTILE = "evil | <script>alert(1)</script> [a](http://x) `b` @you\n# Title"


def hostile_launch() -> Launch:
    """A probe whose journal says hostile things wherever it can."""
    steps: dict[str, Event] = {
        "gemm": {"outcome": "failed", "chain": [a_link(HOSTILE, HOSTILE, where=HOSTILE)], "tail": HOSTILE, "notes": [HOSTILE]},
        "conv2d": {"outcome": "crashed", "signal": HOSTILE, "tail": f"```\n{HOSTILE}", "notes": HOSTILE},
        "lstm": {"outcome": "crashed", "exit_code": {"a": [HOSTILE]}, "tail": ["x"]},
        "segmentation": {"outcome": "wrong", "difference": {"max_relative": HOSTILE}},
        "embedding": {"outcome": "ok", "best_seconds": HOSTILE},
    }
    launch = a_probe_launch(1, steps)
    odd = ({"event": "step"}, {"event": "step", "name": {"a": 1}, "outcome": "ok"}, {"event": "step", "name": HOSTILE})
    return msgspec.structs.replace(launch, journal=(*launch.journal, *odd))


def test_what_a_container_says_cannot_change_the_page() -> None:
    page = render_benchmarks([hostile_launch()])
    outside = page[: page.index("```")] + page[page.rindex("```") :]
    assert "<script>" not in outside
    assert "http://" not in outside
    assert " @you" not in outside
    assert "\n# Title" not in outside
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(COLUMNS) + 4}


def test_what_a_container_says_cannot_change_the_table_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_probes([hostile_launch()])
    lines = capsys.readouterr().out.splitlines()
    assert not any(line.startswith("# Title") for line in lines)
    matrix = [line for line in lines if line.startswith("| ") and line.split("|")[1].strip() in COLUMNS]
    assert [line.split("|")[1].strip() for line in matrix] == list(COLUMNS)


def test_the_terminal_shows_steps_evidence_and_the_fix_that_helps(capsys: pytest.CaptureFixture[str]) -> None:
    print_probes([a_probe_launch(1, {"lstm": MIOPEN}, **ROCM), fixed(2, "lstm-dropout-0")])
    out = capsys.readouterr().out
    assert "| rocm64 podman gfx1100 " in out
    assert "| rocm64 podman gfx1100+lstm-dropout-0 " in out
    assert "failed (RuntimeError); passes with lstm-dropout-0" in out
    assert "Probe of rocm64 (podman, gfx1100)" in out
    assert "- lstm: failed (RuntimeError); passes with lstm-dropout-0. builtins.RuntimeError: miopenStatusUnknownError" in out
    assert "Use what helps: --fix lstm-dropout-0" in out
    assert "in memory" in out


def test_a_probe_without_steps_has_no_matrix_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_probes([a_launch(a_plan(last_stage="device"))])
    assert "steps" not in capsys.readouterr().out


def test_warnings_are_listed_once_and_are_no_failure() -> None:
    note = "Attempting to use hipBLASLt on an unsupported architecture"
    probe = only_probe(a_probe_launch(steps={"gemm": {"notes": [note]}, "lstm": {"notes": [note]}}))
    assert probe.notes == (note,)
    assert probe.bad == ()
    assert f"cpu (cpu) said: {note}" in render_benchmarks([probe.launch])
    other = a_probe_launch(2, image="other", steps={"gemm": {"notes": [note]}})
    assert f"- cpu (cpu), other (cpu) said: {note}" in render_benchmarks([probe.launch, other])


@pytest.mark.parametrize("stage", ["launch", "import", "device"])
def test_a_probe_that_failed_before_its_steps_is_on_the_page(stage: str) -> None:
    """Without anything that a step printed."""
    plan = a_plan(last_stage="device", steps=STEPS)
    launch = a_failed_launch(plan, stage=stage)
    page = render_benchmarks([launch])
    assert "## Probe: image x step" in page
    assert "cannot import name" in page
    unlaunched = a_launch(plan, journal=(), exit=ExitRecord(started=False, message="no /dev/kfd"))
    assert "no /dev/kfd" in render_benchmarks([unlaunched])


def test_a_portable_probe_is_marked_among_the_others() -> None:
    launch = a_probe_launch()
    plan = msgspec.structs.replace(launch.plan, image=msgspec.structs.replace(launch.plan.image, portable_of="rocm62"))
    page = render_benchmarks([msgspec.structs.replace(launch, plan=plan)])
    (row,) = (line for line in page.splitlines() if "(portable, no GPU)" in line)
    assert " ms" not in row
    assert "| ok |" in row
