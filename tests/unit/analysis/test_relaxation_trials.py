"""What the launches of `strixbench flags` say together; the launches are made up."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import pytest

from harness.analysis.relaxation_trials import Flags, arrangements, judge_relaxations
from harness.engines.relaxations import COMPAT
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord, Verdict
from tests.unit.samples import a_launch, a_plan

PASS = Verdict(status="pass", stage="device")
FAIL = Verdict(status="fail", stage="device", cause="gpu fault", summary="Memory critical error by agent node-0")


def launches(
    needed: Collection[str], *, applicable: Collection[str] = tuple(COMPAT), variants: Collection[str] = ("native",)
) -> dict[Flags, list[Launch]]:
    """Launches of an image that passes where any of ``needed`` is given, or always where it is empty; a variant named
    ``broken`` never does."""
    found: dict[Flags, list[Launch]] = {}
    for number, flags in enumerate(arrangements()):
        for variant in variants:
            relaxations = tuple(f"{name}: reason (source)" for name in flags if name in applicable)
            plan = a_plan(number, image="rocm64", family="rocm", variant=variant, relaxations=relaxations)
            passes = variant != "broken" and (not needed or bool(set(needed) & set(flags)))
            launch = a_launch(plan, journal=(), exit=ExitRecord(started=True, code=0), verdict=PASS if passes else FAIL)
            found.setdefault(flags, []).append(launch)
    return found


def needs(found: dict[Flags, list[Launch]]) -> dict[str, str]:
    return {trial.flags: trial.need for trial in judge_relaxations(found)}


def test_all_all_but_one_and_none_are_launched() -> None:
    tried = arrangements()
    assert (tried[0], tried[-1]) == (tuple(COMPAT), ())
    assert sorted(map(len, tried[1:-1])) == [len(COMPAT) - 1] * len(COMPAT)
    assert len(set(tried)) == len(COMPAT) + 2


def test_an_image_that_needs_nothing() -> None:
    assert needs(launches(())) == {**dict.fromkeys(COMPAT, "not needed"), "least": "passes"}


@pytest.mark.parametrize("name", list(COMPAT))
def test_one_relaxation_without_which_it_fails_is_needed_and_no_other(name: str) -> None:
    found = launches((name,))
    assert needs(found) == {**dict.fromkeys(COMPAT, "not needed"), name: "needed", "least": "fails"}
    (trial,) = [trial for trial in judge_relaxations(found) if trial.flags == name]
    assert "Memory critical error" in trial.because
    assert len(trial.launches) == 1


def test_two_that_can_stand_in_for_each_other_are_seen_by_the_least_alone() -> None:
    found = needs(launches(("ipc=host", "seccomp=unconfined")))
    assert (found["ipc=host"], found["seccomp=unconfined"], found["least"]) == ("not needed", "not needed", "fails")


def test_an_image_that_fails_with_the_whole_set_says_nothing_of_a_part_of_it() -> None:
    trials = judge_relaxations(launches((), variants=("broken",)))
    assert {trial.need for trial in trials} == {"fails even with all"}
    assert all("Memory critical error" in trial.because for trial in trials)


def test_a_variant_that_never_works_does_not_hide_one_that_does() -> None:
    assert needs(launches(("ipc=host",), variants=("native", "broken")))["ipc=host"] == "needed"
    assert needs(launches((), variants=("native", "broken")))["ipc=host"] == "not needed"


def test_a_relaxation_that_the_image_never_got_does_not_apply() -> None:
    applicable = [name for name in COMPAT if name != "/dev/dri"]
    assert needs(launches((), applicable=applicable))["/dev/dri"] == "does not apply"


def test_what_the_host_forces_is_not_called_needless() -> None:
    found = launches(())
    forced = {
        flags: [
            msgspec.structs.replace(
                each,
                plan=msgspec.structs.replace(each.plan, relaxations=(*each.plan.relaxations, "label=disable: SELinux (x)")),
            )
            for each in tried
        ]
        for flags, tried in found.items()
    }
    assert needs(forced)["label=disable"] == "forced here"
    assert needs(forced)["ipc=host"] == "not needed"
