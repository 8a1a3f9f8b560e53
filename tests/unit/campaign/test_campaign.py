"""Campaigns over a fake engine: `tests.unit.samples.FakeEngine` starts nothing, and a `Guest` writes the journal.

No container and no guest runs here; `tests/engines` and `tests/local` do that.
"""

from __future__ import annotations

import msgspec
import pytest

from harness.catalog.rows import Image
from harness.catalog.select import foreign_image
from harness.engines.base import IMAGE_LABEL, Engine, Run
from harness.engines.devices import request_devices
from harness.errors import BuildFailed, CatalogError, EngineError, UsageError
from harness.records.outcome import ExitRecord
from harness.records.plan import EngineRecord
from tests.unit.campaigns import (
    CATALOG,
    CPU,
    OTHER,
    Bench,
    outcome,
)
from tests.unit.samples import (
    FakeEngine,
    Guest,
    fails_at_import,
    guest_of,
    guest_that_raises,
    in_turn,
    journal_until,
    passes,
    passing_journal,
)


def a_gpu_image_that_this_machine_lacks_the_devices_of() -> Image:
    engine = EngineRecord(name="podman")
    for family in ("rocm", "cuda"):
        if request_devices(family, engine).missing:
            return msgspec.structs.replace(CPU, name=f"{family}-image", family=family, variants=("native",))
    pytest.skip("this machine has both kinds of GPU")


def test_a_passing_image_is_launched_as_often_as_asked_and_stored(bench: Bench) -> None:
    campaign = bench.run(launches=3)
    assert [outcome(launch) for launch in bench.store.launches()] == [("pass", "verify", None)] * 3
    assert len(campaign.launches) == len(bench.listener.over) == 3
    assert campaign.environment_error is None
    assert len({launch.plan.campaign for launch in campaign.launches}) == 1
    assert bench.folders == []


def test_launches_of_two_images_are_interleaved_in_rounds_that_alternate_their_direction(bench: Bench) -> None:
    engine = FakeEngine()
    bench.run(engine, images=(CPU, OTHER), launches=3)
    assert [run.labels[IMAGE_LABEL] for run in engine.runs] == ["cpu", "other", "other", "cpu", "cpu", "other"]
    assert bench.listener.begun[0] == "1/6 cpu/cpu/embedded/sample-30s"
    assert bench.listener.begun[-1] == "6/6 other/cpu/embedded/sample-30s"


def test_the_variants_of_one_image_are_cells_of_their_own(bench: Bench) -> None:
    both = msgspec.structs.replace(CPU, variants=("cpu", "native"))
    bench.run(images=(both,), launches=2)
    cells = [launch.plan.cell.split("/")[1] for launch in bench.store.launches()]
    assert sorted(cells) == ["cpu", "cpu", "native", "native"]


def test_each_launch_is_in_the_store_before_the_next_one_starts(bench: Bench) -> None:
    stored_before: list[int] = []

    def guest(run: Run) -> ExitRecord:
        stored_before.append(len(bench.store.launches()))
        return passes(run)

    bench.run(FakeEngine(guest), launches=3)
    assert stored_before == [0, 1, 2]


def test_an_image_that_fails_does_not_keep_the_others_from_being_launched(bench: Bench) -> None:
    def guest(run: Run) -> ExitRecord:
        return fails_at_import(run) if run.labels[IMAGE_LABEL] == "cpu" else passes(run)

    bench.run(FakeEngine(guest), images=(CPU, OTHER), launches=2)
    by_image = {launch.image: outcome(launch) for launch in bench.store.launches()}
    assert by_image == {"cpu": ("fail", "import", "import"), "other": ("pass", "verify", None)}


def test_an_image_that_is_not_built_is_built_once(bench: Bench) -> None:
    engine = FakeEngine(has_image=False)
    bench.run(engine, launches=3)
    assert len(engine.builds) == 1
    (line,) = (line for line in bench.listener.announced if line.startswith("building cpu with podman, which takes minutes: "))
    assert "it fetches " in line
    assert "; log: " in line


def test_what_an_engine_could_not_do_for_a_launch_is_said_once_and_on_record(bench: Bench) -> None:
    def guest(run: Run) -> ExitRecord:
        return msgspec.structs.replace(passes(run), remark="the Podman service may lack groups")

    campaign = bench.run(FakeEngine(guest), launches=2)
    assert bench.listener.announced.count("the Podman service may lack groups") == 1
    assert [launch.exit.remark for launch in campaign.launches] == ["the Podman service may lack groups"] * 2


def test_a_build_that_fails_is_stored_with_the_end_of_its_log_and_the_others_go_on(bench: Bench) -> None:
    failing = FakeEngine(has_image=False, build_failure=BuildFailed("`pip install` ended with exit 1", "no matching version\n"))
    local = CATALOG.images["local-cpu"]
    campaign = bench.run({"auto": failing, "local": FakeEngine(name="local")}, images=(CPU, local), preference="auto")
    failed, passed = campaign.launches
    assert outcome(failed) == ("fail", "launch", "build")
    assert failed.log_tail == "no matching version\n"
    assert "`pip install` ended with exit 1" in failed.verdict.summary
    assert outcome(passed) == ("pass", "verify", None)
    assert campaign.environment_error is None, "an image that cannot be built is a result, not the host's fault"
    assert failing.runs == []


def test_the_end_of_a_build_s_log_is_stored_without_terminal_sequences_and_tokens(bench: Bench) -> None:
    tail = f"\x1b[31mERROR\x1b[0m: https://user:hf_{'a' * 30}@index/\n"
    bench.run(FakeEngine(has_image=False, build_failure=BuildFailed("\x1b[31mexit 1", tail)))
    (launch,) = bench.store.launches()
    assert launch.log_tail == "ERROR: https://user:hf_[removed]@index/\n"
    assert "\x1b" not in launch.verdict.summary


def test_an_engine_that_is_absent_is_stored_with_every_cell_and_told(bench: Bench) -> None:
    error = EngineError("Podman is not to be found: install it")
    campaign = bench.run(error, images=(CPU, OTHER), launches=3)
    assert [outcome(launch) for launch in bench.store.launches()] == [("fail", "launch", "engine")] * 2
    assert campaign.launches[0].verdict.summary == str(error)
    assert campaign.launches[0].plan.engine.name == "podman"
    assert campaign.environment_error is error


def test_an_absent_engine_does_not_keep_an_image_that_needs_none_from_being_launched(bench: Bench) -> None:
    def open_engine(name: str) -> Engine:
        if name == "local":
            return FakeEngine(name="local")
        raise EngineError("no Podman")

    campaign = bench.run(open_engine, images=(CPU, CATALOG.images["local-cpu"]), preference="auto")
    assert [outcome(launch)[0] for launch in campaign.launches] == ["fail", "pass"]
    assert campaign.environment_error is not None


def test_a_reference_that_the_engine_lacks_is_stored_as_the_engine_s_failure(bench: Bench) -> None:
    campaign = bench.run(FakeEngine(has_image=False), images=(foreign_image("softab:none", family="cpu"),))
    assert outcome(campaign.launches[0]) == ("fail", "launch", "engine")
    assert campaign.launches[0].verdict.summary == "no such image: podman has no softab:none"
    assert campaign.launches[0].plan.image.id is None


def test_a_gpu_image_on_a_host_without_its_devices_fails_at_device_without_being_started(bench: Bench) -> None:
    image = a_gpu_image_that_this_machine_lacks_the_devices_of()
    engine = FakeEngine()
    campaign = bench.run(engine, images=(image, CPU))
    failed, passed = campaign.launches
    assert outcome(failed) == ("fail", "device", "no device")
    assert failed.plan.image.family == image.family
    assert "no /dev/kfd" in failed.verdict.summary or "no CDI specification" in failed.verdict.summary
    assert outcome(passed) == ("pass", "verify", None)
    assert [run.labels[IMAGE_LABEL] for run in engine.runs] == ["cpu"]


@pytest.mark.parametrize(("hip", "cuda", "family"), [("6.2.4", None, "rocm"), (None, "12.8", "cuda"), (None, None, "cpu")])
def test_the_family_of_a_foreign_image_is_found_by_probing_it(
    bench: Bench, hip: str | None, cuda: str | None, family: str
) -> None:
    engine = FakeEngine(guest_of(passing_journal(hip=hip, cuda=cuda)))
    campaign = bench.run(engine, images=(foreign_image("softab:rocm62", family=None),), launches=2)
    assert {launch.plan.image.family for launch in campaign.launches} == {family}
    assert all(launch.plan.last_stage == "verify" for launch in bench.store.launches()), "the probe itself is no result"
    assert bench.folders == []


def test_a_family_that_is_given_is_not_probed_for(bench: Bench) -> None:
    engine = FakeEngine()
    bench.run(engine, images=(foreign_image("softab:rocm62", family="cpu"),))
    assert len(engine.runs) == 1


def test_a_foreign_image_in_which_torch_does_not_import_is_stored_as_that(bench: Bench) -> None:
    engine = FakeEngine(fails_at_import)
    campaign = bench.run(engine, images=(foreign_image("softab:broken", family=None), CPU), launches=3)
    broken = [launch for launch in campaign.launches if launch.image == "softab:broken"]
    assert [outcome(launch) for launch in broken] == [("fail", "import", "import")]
    assert broken[0].plan.image.family is None
    assert len([launch for launch in campaign.launches if launch.image == "cpu"]) == 3


def test_a_foreign_image_that_does_not_tell_its_torch_is_no_pass(bench: Bench) -> None:
    silent = tuple({key: value for key, value in event.items() if key != "torch"} for event in passing_journal())
    campaign = bench.run(FakeEngine(guest_of(silent)), images=(foreign_image("odd:1", family=None),))
    assert [launch.verdict.status for launch in campaign.launches] == ["fail"]


def test_an_engine_that_stops_answering_is_stored_and_the_next_launch_is_tried(bench: Bench) -> None:
    error = EngineError("podman stopped answering")
    campaign = bench.run(FakeEngine(in_turn(guest_that_raises(error), passes)), launches=2)
    assert [outcome(launch)[::2] for launch in campaign.launches] == [("fail", "engine"), ("pass", None)]
    assert campaign.environment_error is error
    assert bench.folders == []


def test_the_command_on_record_has_no_owner_whose_death_would_sweep_a_pasted_line(bench: Bench) -> None:
    bench.run(FakeEngine(passes))
    (launch,) = bench.store.launches()
    assert launch.plan.owner
    assert launch.plan.owner not in " ".join(launch.plan.command)


def test_what_a_guest_wrote_before_the_engine_stopped_answering_is_kept(bench: Bench) -> None:
    bench.run(FakeEngine(guest_that_raises(EngineError("podman stopped answering"), after="warm")))
    (launch,) = bench.store.launches()
    assert launch.journal == journal_until("warm")
    assert launch.plan.command


@pytest.mark.parametrize(
    "image",
    [CPU, foreign_image("softab:one", family="cpu"), foreign_image("softab:two", family=None)],
    ids=lambda image: image.name,
)
def test_an_engine_that_refuses_to_look_for_one_image_does_not_keep_the_others_from_being_launched(
    bench: Bench, image: Image
) -> None:
    engines: dict[str, Engine] = {
        "auto": FakeEngine(refusal=EngineError("podman failed at looking for an image")),
        "local": FakeEngine(name="local"),
    }
    campaign = bench.run(engines, images=(image, CATALOG.images["local-cpu"]), preference="auto")
    assert [outcome(launch)[::2] for launch in campaign.launches] == [("fail", "engine"), ("pass", None)]
    assert campaign.environment_error is not None


def test_an_engine_that_stops_answering_during_a_build_does_not_keep_the_others_from_being_launched(bench: Bench) -> None:
    engines: dict[str, Engine] = {
        "auto": FakeEngine(has_image=False, build_failure=EngineError("podman stopped answering during the build")),
        "local": FakeEngine(name="local"),
    }
    campaign = bench.run(engines, images=(CPU, CATALOG.images["local-cpu"]), preference="auto")
    assert [outcome(launch)[::2] for launch in campaign.launches] == [("fail", "engine"), ("pass", None)]


def test_an_engine_that_stops_answering_during_a_probe_does_not_keep_the_others_from_being_launched(bench: Bench) -> None:
    def guest(run: Run) -> ExitRecord:
        if run.labels[IMAGE_LABEL] == "softab:one":
            raise EngineError("podman stopped answering")
        return passes(run)

    campaign = bench.run(FakeEngine(guest), images=(foreign_image("softab:one", family=None), CPU))
    assert [outcome(launch)[::2] for launch in campaign.launches] == [("fail", "engine"), ("pass", None)]
    assert bench.folders == []


def test_images_and_engine_that_exclude_each_other_are_refused_before_anything_is_built(bench: Bench) -> None:
    engine = FakeEngine(has_image=False)
    with pytest.raises(UsageError, match="local-cpu is a virtual environment"):
        bench.run(engine, images=(CPU, CATALOG.images["local-cpu"]), preference="podman")
    assert engine.builds == []


def test_a_row_that_cannot_be_built_is_refused_before_anything_is_built(bench: Bench) -> None:
    engine = FakeEngine(has_image=False)
    with pytest.raises(CatalogError, match=r"images\.other: cannot read .*none\.txt"):
        bench.run(engine, images=(CPU, msgspec.structs.replace(OTHER, lock="none.txt")))
    assert engine.builds == []


@pytest.mark.parametrize("guest", [passes, fails_at_import])
def test_engines_are_closed_at_the_end(bench: Bench, guest: Guest) -> None:
    engine = FakeEngine(guest)
    bench.run(engine)
    assert engine.is_closed
    assert engine.sweeps == 1


def test_an_interruption_stores_the_launch_that_it_ended_and_leaves_no_folder(bench: Bench) -> None:
    engine = FakeEngine(in_turn(passes, guest_that_raises(KeyboardInterrupt(), after="cold")))
    with pytest.raises(KeyboardInterrupt):
        bench.run(engine, launches=3)
    assert [outcome(launch) for launch in bench.passes_first] == [("pass", "verify", None), ("fail", "cold", "interrupted")]
    assert bench.folders == []
    assert engine.is_closed


def test_an_interruption_before_the_first_launch_stores_nothing(bench: Bench) -> None:
    def open_engine(name: str) -> Engine:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(open_engine)
    assert bench.store.launches() == ()


def test_a_bug_in_the_middle_is_not_hidden_and_loses_no_launch(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        bench.run(FakeEngine(in_turn(passes, guest_that_raises(ZeroDivisionError()))), launches=2)
    assert [launch.verdict.status for launch in bench.passes_first] == ["pass", "fail"]
