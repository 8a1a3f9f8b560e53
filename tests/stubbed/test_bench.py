"""`bench` with a guest on stub packages (`tests.stubbed.workplaces`): what the harness makes of its launches.

What the launches measure is looked at in tests/local, where torch and the models are real.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.wire import read_journal
from harness.analysis.cold_and_warm import phase_of
from harness.workloads.diarization import der_of
from tests.guest.stubs import TURNS, Stubs
from tests.stubbed.workplaces import StubbedWorkplace


def test_a_kept_cache_makes_second_launches_and_a_cpu_puts_no_kernel_into_it(tmp_path: Path) -> None:
    place = StubbedWorkplace(tmp_path)
    done = place.bench("--caches", "keep", "--json", launches=2)
    assert [phase_of(launch) for launch in done.launches] == ["cold", "second"]
    assert [launch.caches.files_after for launch in done.launches if launch.caches] == [0, 0]
    assert "no kernel cache on a CPU" in place.real.page.read_text()
    (cache,) = json.loads(place.real.run("caches", "--json").stdout)
    assert (cache["image"], cache["engine"]) == ("local-cpu", "local")
    assert place.real.run("caches", "--clear").code == 0
    assert list((tmp_path / "cache" / "kernels").iterdir()) == []


def test_audio_seconds_repeats_audio_and_reference_and_says_so(tmp_path: Path) -> None:
    said = [(start + at, end + at, speaker) for at in (0.0, 2.0, 4.0) for start, end, speaker in TURNS][:5]
    place = StubbedWorkplace(tmp_path, Stubs(outputs=[said]))
    (launch,) = place.bench("--reference", str(place.reference()), "--audio-seconds", "5", "--json").launches
    assert launch.plan.workload.amount == 5.0
    assert launch.plan.cell.startswith("local-cpu/cpu/3.1/tone")
    assert launch.plan.cell.endswith("-5s")
    assert launch.verdict.status == "pass"
    assert der_of(launch) == pytest.approx(0.0), "of the reference without its repetition it would be 1.5"


def test_output_that_is_wrong_is_not_ranked(tmp_path: Path) -> None:
    place = StubbedWorkplace(tmp_path, Stubs(outputs=[TURNS, [(0.0, 2.0, "STUB_00")]]))
    assert place.bench().code == 1
    (launch,) = place.real.stored()
    assert launch.verdict.status == "wrong output"
    page = place.real.page.read_text()
    assert "0 of 1 configurations pass" in page
    assert "~~" in page
    assert "Fastest" not in page


def test_several_lengths_are_launched_in_turn_and_make_a_line_or_say_why_not(tmp_path: Path) -> None:
    place = StubbedWorkplace(tmp_path)
    done = place.bench("--durations", "2,3,4")
    assert done.code == 0, done.stderr
    assert [launch.plan.workload.amount for launch in place.real.stored()] == [2.0, 3.0, 4.0]
    assert "Fixed and marginal cost" in done.stdout
    assert "2 s x1, 3 s x1, 4 s x1" in place.real.page.read_text()


def test_a_budget_ends_a_campaign_after_the_launch_that_spends_it(tmp_path: Path) -> None:
    place = StubbedWorkplace(tmp_path)
    # No launch of two processes comes in under 6 ms.
    done = place.real.bench(*place.cell, "--passes", "1", "--until", "100%", "--budget", "0.0001", "--cool-down", "1")
    assert done.code == 0, done.stderr
    (launch,) = place.real.stored()
    assert launch.plan.stopping is not None
    assert (launch.plan.stopping.launches, launch.plan.stopping.until) == (50, 1.0)
    assert launch.plan.stopping.budget_seconds == pytest.approx(0.006)
    assert launch.decision is not None
    assert launch.decision.stop == "budget"
    assert launch.decision.elapsed_seconds >= launch.plan.stopping.budget_seconds
    assert launch.plan.cool_down is not None
    assert "the budget of 0.0001 min is spent" in place.real.page.read_text()


def test_a_dry_run_line_pasted_into_a_shell_does_the_same_run(tmp_path: Path) -> None:
    place = StubbedWorkplace(tmp_path)
    line = place.bench("--dry-run").stdout
    subprocess.run(["bash", "-c", line], check=True, timeout=300)
    (journal,) = place.real.journals()
    events = read_journal(journal.read_text())
    assert events[-1]["event"] == "done"
    assert next(e for e in events if e["event"] == "end" and e["stage"] == "verify")["speakers"] == 2


def test_a_token_in_the_environment_reaches_nothing(tmp_path: Path) -> None:
    token = "hf_" + "S3cretS3cretS3cret"
    seen = tmp_path / "environment-of-the-guest"
    look = f"import pathlib; pathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))"
    place = StubbedWorkplace(tmp_path, Stubs(misbehave={"pass 0": look}), {"HF_TOKEN": token, "HUGGING_FACE_HUB_TOKEN": token})
    done = place.bench()
    assert done.code == 0
    assert "HF_HUB_OFFLINE" in seen.read_text()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert token.encode() not in written + done.stdout.encode() + done.stderr.encode()
