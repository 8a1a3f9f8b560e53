"""Campaigns over a fake engine: `tests.unit.samples.FakeEngine` starts nothing, and a `Guest` writes the journal.

No container and no guest runs here; `tests/engines` and `tests/local` do that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.wire import JOURNAL, REQUEST, STEPS
from harness import places
from harness.campaign import (
    DRY_RUN_PREFIX,
    Campaign,
    OpenEngine,
    Request,
    campaign_lock,
    engine_name,
    read_leftovers,
)
from harness.catalog import Catalog, Image, foreign_image, load_catalog
from harness.devices import request_devices
from harness.engines.base import IMAGE_LABEL, LOG, Engine, Run, owner, owner_is_gone
from harness.errors import BuildFailed, CatalogError, EngineError, HostError, StoreError, UsageError
from harness.launch import EXCHANGE, PLAN, Prepared, Settings, launches_folder
from harness.records import EngineRecord, ExitRecord, Launch, Plan
from harness.store import Store
from tests.unit.samples import (
    FakeEngine,
    Guest,
    a_link,
    a_plan,
    an_audio,
    failing_journal,
    fails_at_import,
    guest_of,
    guest_that_raises,
    in_turn,
    journal_until,
    passes,
    passing_journal,
    probing_journal,
    some_models,
    write_journal,
)

CATALOG = load_catalog()
CPU = CATALOG.images["cpu"]
OTHER = msgspec.structs.replace(CPU, name="other")
Opened = Engine | EngineError | dict[str, Engine] | OpenEngine
"""One engine under any name, none, one by its name, or a function of the name."""

HIGHEST_PID = 1 << 22
"""The kernel's own bound: no process has a number above it (proc_sys_kernel(5), pid_max)."""


class Listener:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.announced: list[str] = []
        self.begun: list[str] = []
        self.over: list[Launch] = []

    def say(self, text: str) -> None:
        """A line that the next one takes the place of."""

    def announce(self, text: str) -> None:
        self.announced.append(text)

    def begins(self, prepared: Prepared, number: int, total: int) -> None:
        self.begun.append(f"{number}/{total} {prepared.plan.cell}")

    def ended(self, launch: Launch) -> None:
        self.over.append(launch)


class Bench:
    """What a test needs of one `bench`: the store, the engine, and the campaign over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(places.store_url())
        self.listener = Listener()

    def campaign(
        self,
        engine: Opened | None = None,
        *,
        images: Iterable[Image] = (CPU,),
        launches: int = 1,
        settings: Settings | None = None,
        catalog: Catalog = CATALOG,
        preference: str = "podman",
        store: Store | None = None,
        **more: Any,
    ) -> Campaign:
        request = Request(
            images=tuple(images),
            gfx=None,
            pipeline=catalog.pipelines["embedded"],
            audio=an_audio(self.folder / "audio"),
            models=some_models(self.folder),
            engine=preference,
            launches=launches,
            settings=settings or Settings(),
            **more,
        )
        opener = opener_of(engine if engine is not None else FakeEngine())
        return Campaign(request, catalog, store or self.store, open_engine=opener, observer=self.listener)

    def run(self, engine: Opened | None = None, **more: Any) -> Campaign:
        campaign = self.campaign(engine, **more)
        campaign.run()
        return campaign

    def leftover(self, plan: Plan, *, journal: Iterable[dict[str, Any]] = ()) -> Path:
        """The folder of a launch that is not in the store."""
        folder = launches_folder() / plan.id
        (folder / EXCHANGE).mkdir(parents=True)
        (folder / PLAN).write_bytes(msgspec.json.encode(plan))
        write_journal(folder / EXCHANGE, journal)
        return folder

    @property
    def passes_first(self) -> list[Launch]:
        """What is stored, so ordered since ids of one second say nothing about time."""
        return sorted(self.store.launches(), key=lambda launch: launch.verdict.status != "pass")

    @property
    def folders(self) -> list[str]:
        """Launch folders that are there."""
        return sorted(path.name for path in launches_folder().glob("*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def opener_of(engine: Opened) -> OpenEngine:
    """What opens this engine under any name, or refuses as an absent one does."""

    def open_engine(name: str) -> Engine:
        if isinstance(engine, EngineError):
            raise engine
        return engine[name] if isinstance(engine, dict) else engine  # type: ignore[return-value]

    return engine if callable(engine) else open_engine


def outcome(launch: Launch) -> tuple[str, str, str | None]:
    return launch.verdict.status, launch.verdict.stage, launch.verdict.cause


def an_owner(*, pid: int | None = None, place: str | None = None) -> str:
    """An owner like this process, but for a part."""
    own_pid, started, own_place = owner().split(":", 2)
    return f"{pid or own_pid}:{started}:{place or own_place}"


def a_dead_plan(number: int = 1, **changes: Any) -> Plan:
    """A plan whose harness is gone."""
    return a_plan(number, owner=an_owner(pid=HIGHEST_PID + 1), **changes)


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
    assert {launch.plan.campaign for launch in campaign.launches} == {campaign.id}
    assert bench.folders == []


def test_launches_of_two_images_are_interleaved(bench: Bench) -> None:
    engine = FakeEngine()
    bench.run(engine, images=(CPU, OTHER), launches=3)
    assert [run.labels[IMAGE_LABEL] for run in engine.runs] == ["cpu", "other"] * 3
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
    assert any(line.startswith("building cpu with podman, which takes minutes; log: ") for line in bench.listener.announced)


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


def test_a_finished_launch_of_a_dead_harness_is_recovered_as_what_it_was(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.leftover(plan, journal=passing_journal())
    campaign = bench.run()
    recovered = next(launch for launch in bench.store.launches() if launch.id == plan.id)
    assert outcome(recovered) == ("pass", "verify", None)
    assert recovered.exit.interrupted
    assert recovered.start_seconds is None
    assert plan.id not in [launch.id for launch in campaign.launches], "it is no launch of this campaign"
    assert any(plan.id in line for line in bench.listener.announced)
    assert bench.folders == []


def test_half_a_launch_of_a_dead_harness_is_recovered_as_interrupted(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.leftover(plan, journal=journal_until("warm"))
    bench.run()
    recovered = next(launch for launch in bench.store.launches() if launch.id == plan.id)
    assert outcome(recovered) == ("fail", "warm", "interrupted")
    assert recovered.journal == journal_until("warm")


def test_a_failed_launch_of_a_dead_harness_is_recovered_with_its_cause(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.leftover(plan, journal=failing_journal("load", a_link("ValueError", "no")))
    bench.run()
    recovered = next(launch for launch in bench.store.launches() if launch.id == plan.id)
    assert outcome(recovered) == ("fail", "load", "error")


def test_what_a_dead_harness_left_running_is_swept_before_its_launch_is_recovered(bench: Bench) -> None:
    swept_when_stored: list[int] = []

    class Watched(FakeEngine):
        """A fake that looks into the store when it is swept."""

        def sweep(self) -> int:
            swept_when_stored.append(len(bench.store.launches()))
            return super().sweep()

    bench.leftover(a_dead_plan(engine="docker"), journal=passing_journal())
    docker = Watched(name="docker")
    bench.run({"docker": docker, "podman": FakeEngine()})
    assert swept_when_stored == [0]
    assert docker.is_closed


def test_an_engine_that_is_gone_does_not_keep_a_dead_harness_s_launch_from_being_recovered(bench: Bench) -> None:
    plan = a_dead_plan()
    bench.leftover(plan, journal=passing_journal())
    bench.run(EngineError("no Podman"))
    assert plan.id in [launch.id for launch in bench.store.launches()]
    assert any("cannot sweep" in line for line in bench.listener.announced)


def test_a_launch_of_a_living_harness_is_left_alone(bench: Bench) -> None:
    plan = a_plan(owner=owner())
    bench.leftover(plan, journal=passing_journal())
    bench.run()
    assert plan.id not in [launch.id for launch in bench.store.launches()]
    assert bench.folders == [plan.id]


def test_an_interruption_leaves_the_launch_of_another_living_harness_alone(bench: Bench) -> None:
    boot = owner().split(":", 2)[2].split(":")[0]
    elsewhere = a_plan(owner=an_owner(place=f"{boot}:1"))
    assert not owner_is_gone(elsewhere.owner), "a process of another pid namespace cannot be judged"
    bench.leftover(elsewhere, journal=journal_until("warm"))
    with pytest.raises(KeyboardInterrupt):
        bench.run(FakeEngine(guest_that_raises(KeyboardInterrupt())))
    assert elsewhere.id not in [launch.id for launch in bench.store.launches()]


def test_a_recovery_that_was_itself_cut_off_may_be_repeated(bench: Bench) -> None:
    plan = a_dead_plan()
    folder = bench.leftover(plan, journal=passing_journal())
    bench.run()
    assert not folder.exists()
    bench.leftover(plan, journal=journal_until("warm"))
    bench.run()
    recovered = [launch for launch in bench.store.launches() if launch.id == plan.id]
    assert [outcome(launch) for launch in recovered] == [("pass", "verify", None)]
    assert bench.folders == []


def test_a_folder_without_a_plan_is_removed_and_a_dry_run_s_is_kept(bench: Bench) -> None:
    (launches_folder() / "20261121T100000-00000a" / EXCHANGE).mkdir(parents=True)
    (launches_folder() / f"{DRY_RUN_PREFIX}cpu" / EXCHANGE).mkdir(parents=True)
    bench.run()
    assert bench.folders == [f"{DRY_RUN_PREFIX}cpu"]


def test_a_plan_that_cannot_be_read_is_left_for_a_person_to_look_at_and_stops_nothing(bench: Bench) -> None:
    folder = bench.leftover(a_dead_plan())
    (folder / PLAN).write_text('{"id": "half')
    bench.run()
    assert len(bench.store.launches()) == 1
    assert folder.exists()


def a_folder_for_a_journal(run: Run) -> ExitRecord:
    (run.exchange / JOURNAL).mkdir()
    return ExitRecord(started=True, code=0)


def a_folder_for_a_log(run: Run) -> ExitRecord:
    (run.exchange / LOG).mkdir()
    return passes(run)


def a_link_for_a_journal(run: Run) -> ExitRecord:
    (run.exchange / JOURNAL).symlink_to("/etc/passwd")
    return ExitRecord(started=True, code=0)


def a_file_name_that_is_no_text(run: Run) -> ExitRecord:
    write_journal(run.exchange, failing_journal("load", a_link("FileNotFoundError", "no such file: 'caf\udce9.wav'")))
    return ExitRecord(started=True, code=1)


def a_number_beyond_all_floats(run: Run) -> ExitRecord:
    journal = [
        {**event, "seconds": 10**400, "at": 10**400} if event["event"] == "pass" else event for event in passing_journal()
    ]
    write_journal(run.exchange, journal)
    return ExitRecord(started=True, code=0)


def a_deep_nesting(run: Run) -> ExitRecord:
    (run.exchange / JOURNAL).write_text('{"event": "note", "text": ' + "[" * 50_000 + "]" * 50_000 + "}\n")
    return ExitRecord(started=True, code=0)


def files_that_may_not_be_removed(run: Run) -> ExitRecord:
    (run.exchange / "kept").mkdir()
    (run.exchange / "kept" / "file").touch()
    (run.exchange / "kept").chmod(0)
    return passes(run)


def no_request_left(run: Run) -> ExitRecord:
    shutil.rmtree(run.exchange)
    return ExitRecord(started=True, code=0)


HOSTILE = (
    a_folder_for_a_journal,
    a_folder_for_a_log,
    a_link_for_a_journal,
    a_file_name_that_is_no_text,
    a_number_beyond_all_floats,
    a_deep_nesting,
    files_that_may_not_be_removed,
    no_request_left,
)
"""Guests of a hostile or a broken image."""


@pytest.mark.parametrize("guest", HOSTILE)
def test_a_hostile_image_is_a_result_and_no_end_of_the_campaign(bench: Bench, guest: Guest) -> None:
    campaign = bench.run(FakeEngine(in_turn(guest, passes)), launches=2)
    assert len(bench.store.launches()) == len(campaign.launches) == 2
    assert campaign.launches[1].verdict.status == "pass"


@pytest.mark.parametrize("guest", HOSTILE)
def test_what_a_hostile_image_left_behind_does_not_keep_the_next_campaign_from_running(bench: Bench, guest: Guest) -> None:
    plan = a_dead_plan()
    folder = bench.leftover(plan)
    (folder / EXCHANGE / JOURNAL).unlink()
    guest(Run(name="x", image="x", argv=(), environment={}, mounts=(), working_directory="/", exchange=folder / EXCHANGE))
    bench.run()
    assert len(bench.store.launches()) == 2


def test_a_second_campaign_is_refused_while_one_runs(bench: Bench) -> None:
    refused: list[HostError] = []

    def guest(run: Run) -> ExitRecord:
        with pytest.raises(HostError) as caught:
            bench.run()
        refused.append(caught.value)
        return passes(run)

    bench.run(FakeEngine(guest))
    assert refused[0].exit_code == 3
    assert f"another strixbench runs (process {os.getpid()}): wait for its end" in str(refused[0])
    assert len(bench.store.launches()) == 1


def test_the_lock_is_free_again_after_a_campaign_however_it_ended(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.run(FakeEngine(guest_that_raises(KeyboardInterrupt())))
    with campaign_lock():
        pass


def test_a_results_folder_that_cannot_be_made_is_the_host_s_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "file"))
    monkeypatch.setenv("STRIXBENCH_STORE", f"sqlite:///{tmp_path}/launches.db")
    with pytest.raises(HostError):
        Bench(tmp_path).run()


def test_a_launch_that_the_store_refuses_keeps_its_folder_and_is_recovered_at_the_next_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    place = tmp_path / "disk" / "launches.db"
    store = Store(f"sqlite:///{place}")

    def guest(run: Run) -> ExitRecord:
        shutil.rmtree(place.parent)
        place.parent.write_text("the disk is gone")
        return passes(run)

    with pytest.raises(StoreError):
        bench.run(FakeEngine(guest), store=store)
    (left,) = bench.folders
    place.parent.unlink()

    (launches_folder() / left / PLAN).write_bytes(msgspec.json.encode(died(read_plan(left))))
    again = Store(f"sqlite:///{place}")
    bench.run(store=again)
    recovered = next(launch for launch in again.launches() if launch.id == left)
    assert outcome(recovered) == ("pass", "verify", None)
    assert bench.folders == []


def test_a_full_disk_keeps_the_launch_for_the_next_start(bench: Bench) -> None:
    """No disk is filled here: a trigger refuses the row in SQLite's own words for that."""
    with contextlib.closing(sqlite3.connect(places.results() / "strixbench.db")) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON launches BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(StoreError, match="database or disk is full") as caught:
        bench.run()
    assert caught.value.exit_code == 3
    (left,) = bench.folders
    assert json.loads((launches_folder() / left / PLAN).read_text())["id"] == left


def read_plan(launch_id: str) -> Plan:
    return msgspec.json.decode((launches_folder() / launch_id / PLAN).read_bytes(), type=Plan)


def died(plan: Plan) -> Plan:
    """The plan as it is once its harness has ended."""
    return msgspec.structs.replace(plan, owner=an_owner(pid=HIGHEST_PID + 1))


def test_leftovers_are_those_of_dead_harnesses_alone(bench: Bench) -> None:
    dead, alive = a_dead_plan(1), a_plan(2, owner=owner())
    bench.leftover(dead)
    bench.leftover(alive)
    assert read_leftovers() == [dead]
    assert read_leftovers(of_this_process=True) == [alive]


@pytest.mark.parametrize(
    ("image", "preference", "engine"),
    [(CATALOG.images["local-cpu"], "auto", "local"), (CPU, "auto", "auto"), (CPU, "docker", "docker")],
)
def test_an_image_runs_on_the_engine_that_is_asked_for_or_that_it_needs(image: Image, preference: str, engine: str) -> None:
    assert engine_name(image, preference) == engine


def test_an_image_and_an_engine_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="--engine local, not docker"):
        engine_name(CATALOG.images["local-cpu"], "docker")
    with pytest.raises(UsageError, match="softab:1 is a container image: --engine local cannot run it"):
        engine_name(foreign_image("softab:1", family=None), "local")


def test_an_owner_is_gone_when_its_process_its_start_or_its_boot_is() -> None:
    pid, started, place = owner().split(":", 2)
    assert not owner_is_gone(owner())
    assert owner_is_gone(f"{HIGHEST_PID + 1}:{started}:{place}")
    assert owner_is_gone(f"{pid}:{int(started) + 1}:{place}"), "the number was given to another process"
    assert owner_is_gone(f"{pid}:{started}:another-boot:1")
    assert owner_is_gone("")


PROBE = Settings(last_stage="device", steps=STEPS, step_timeout_seconds=7.0)
SEGFAULT = {"outcome": "crashed", "signal": "SIGSEGV"}
FIXES = tuple(variant for variant in CATALOG.variants.values() if variant.mends)


def probing_guest(run: Run) -> ExitRecord:
    """A guest whose LSTM dies without a knob, as it asks for in its request."""
    knobs = json.loads((run.exchange / REQUEST).read_text())["knobs"]
    write_journal(run.exchange, probing_journal({} if knobs else {"lstm": SEGFAULT}))
    return ExitRecord(started=True, code=0)


def test_a_probe_asks_for_its_steps_and_keeps_that_in_the_record(bench: Bench) -> None:
    engine = FakeEngine(guest_of(probing_journal()))
    (launch,) = bench.run(engine, settings=PROBE).launches
    assert outcome(launch) == ("pass", "device", None)
    assert (launch.plan.steps, launch.plan.fixes) == (STEPS, ())


def test_a_fix_is_in_the_cell_the_request_and_the_record(bench: Bench) -> None:
    (launch,) = bench.run(FakeEngine(probing_guest), settings=PROBE, fixes=FIXES).launches
    assert launch.plan.cell == "cpu/cpu+lstm-dropout-0+miopen-off+weights-only-off/embedded/sample-30s"
    assert launch.plan.fixes == ("lstm-dropout-0", "miopen-off", "weights-only-off")
    assert launch.plan.environment == {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    assert launch.verdict.status == "pass"


def test_each_fix_that_may_mend_a_failed_step_is_tried_on_its_own(bench: Bench) -> None:
    launches = bench.run(FakeEngine(probing_guest), settings=PROBE, fixes_to_try=FIXES).launches
    assert [(launch.plan.variant, launch.verdict.status) for launch in launches] == [
        ("cpu", "fail"),
        ("cpu+lstm-dropout-0", "pass"),
        ("cpu+miopen-off", "pass"),
    ]


def test_where_nothing_failed_no_fix_is_tried(bench: Bench) -> None:
    assert len(bench.run(FakeEngine(guest_of(probing_journal())), settings=PROBE, fixes_to_try=FIXES).launches) == 1


def test_where_no_fix_bears_on_what_failed_none_is_tried(bench: Bench) -> None:
    assert len(bench.run(FakeEngine(fails_at_import), settings=PROBE, fixes_to_try=FIXES).launches) == 1


def test_a_fix_that_is_set_already_is_not_tried_again(bench: Bench) -> None:
    engine = FakeEngine(guest_of(probing_journal({"lstm": SEGFAULT})))
    launches = bench.run(engine, settings=PROBE, fixes=FIXES[:1], fixes_to_try=FIXES).launches
    assert [launch.plan.variant for launch in launches] == ["cpu+lstm-dropout-0", "cpu+lstm-dropout-0+miopen-off"]


def test_a_probe_for_the_family_runs_no_step(bench: Bench) -> None:
    asked: list[list[str]] = []

    def guest(run: Run) -> ExitRecord:
        request = json.loads((run.exchange / REQUEST).read_text())
        asked.append(request["steps"])
        write_journal(run.exchange, probing_journal(asked=request["steps"]))
        return ExitRecord(started=True, code=0)

    bench.run(FakeEngine(guest), images=[foreign_image("somebody/image:1", family=None)], settings=PROBE)
    assert asked == [[], list(STEPS)]
