from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.wire import REQUEST, Request
from harness import places
from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell, Image
from harness.catalog.select import foreign_image
from harness.engines.base import BuiltImage, Engine, Run
from harness.engines.devices import DeviceRequest
from harness.engines.options import container_command
from harness.inputs.audio import Audio
from harness.inputs.launch_inputs import recording_inputs
from harness.inputs.models import Models
from harness.launch.guest_view import container_run, container_user
from harness.launch.plan import PLAN, Origin, Prepared, launches_folder, prepare_launch
from harness.launch.run import conclude, execute, forget, not_launched
from harness.machine.kernel_log import KernelLog
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.records.plan import EngineRecord, Plan, Settings
from harness.tools import OWNER_LABEL, owner
from harness.workloads.host_clock import HostClock
from tests.unit.samples import (
    BEGUN,
    HOST,
    FakeEngine,
    an_audio,
    fails_at_import,
    journal_until,
    no_sampler,
    passes,
    some_models,
    write_journal,
    write_rttm,
)

BUILT = BuiltImage(id="sha256:1234", digests=("registry/x@sha256:1",))
PODMAN = EngineRecord(name="podman", version="5.7.0")
FOR_SELINUX = {"label=disable"}
"""The option that a host with SELinux adds; the tests of `harness.engines.devices` say when it does."""


def a_cell(
    image: Image | None = None, *, variant: str = "cpu", pipeline: str = "embedded", workload: str = "diarization"
) -> Cell:
    known = load_catalog()
    profile = msgspec.structs.replace(known.pipelines[pipeline].profile, workload=workload)
    return Cell(image or known.images["cpu"], known.variants[variant], profile, "sample-30s")


def prepared(
    folder: Path,
    cell: Cell | None = None,
    *,
    engine: EngineRecord = PODMAN,
    audio: Audio | None = None,
    models: Models | None = None,
    folders: Mapping[str, Path] | None = None,
    settings: Settings | None = None,
    built: BuiltImage | None = BUILT,
    **more: Any,
) -> Prepared:
    return prepare_launch(
        cell or a_cell(),
        built,
        engine,
        origin=Origin("campaign-1", more.pop("owned_by", owner()), HOST),
        inputs=recording_inputs(audio or an_audio(folder), models or some_models(folder), folders),
        settings=settings or Settings(),
        **{"family": "cpu", **more},
    )


def launched(ready: Prepared, engine: Engine) -> Launch:
    return execute(ready, engine, sample=no_sampler)


def test_preparing_starts_and_writes_nothing(tmp_path: Path) -> None:
    prepared(tmp_path)
    assert not (tmp_path / "results").exists()


def test_the_commits_of_the_models_are_recorded(tmp_path: Path) -> None:
    models = msgspec.structs.replace(some_models(tmp_path), revisions=("pyannote/segmentation-3.0@" + "5" * 40,))
    assert prepared(tmp_path, models=models).plan.workload.models == models.revisions


def test_a_launch_runs_offline_unprivileged_and_by_the_image_s_id(tmp_path: Path) -> None:
    run = prepared(tmp_path).run
    assert run.network == "none"
    assert run.image == "sha256:1234"
    assert set(run.security_options) - FOR_SELINUX == {"no-new-privileges"}
    assert (run.devices, run.groups) == ((), ())
    assert run.environment["HF_HUB_OFFLINE"] == "1"
    assert run.environment["PYANNOTE_METRICS_ENABLED"] == "0"
    assert run.argv == ("python3", "-m", "benchmarks", "/exchange")


def test_all_that_a_launch_reads_is_mounted_read_only(tmp_path: Path) -> None:
    audio = an_audio(tmp_path, reference=write_rttm(tmp_path / "r.rttm", (0.0, 1.0, "a")))
    mounts = {mount.target: mount for mount in prepared(tmp_path, audio=audio).run.mounts}
    assert [target for target, mount in mounts.items() if mount.writable] == ["/exchange", "/caches"]
    assert mounts["/strixbench/benchmarks"].source == str(places.GUEST)
    assert mounts["/input/audio.wav"].source == str(audio.path)
    assert mounts["/input/models"].source == str(tmp_path / "models")
    assert str(audio.reference) not in {mount.source for mount in mounts.values()}, "the guest never sees what it is scored by"


def test_nothing_of_the_caller_s_environment_reaches_a_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 30)
    monkeypatch.setenv("STRIXBENCH_TEST_SECRET", "hf_" + "a" * 30)
    for engine, image in ((PODMAN, "cpu"), (EngineRecord(name="local"), "local-cpu")):
        found = prepared(tmp_path, a_cell(load_catalog().images[image]), engine=engine)
        assert b"hf_aaa" not in msgspec.json.encode(msgspec.structs.asdict(found.plan))
        assert "hf_aaa" not in str(found.run)


def test_the_guest_is_told_the_paths_inside_the_container(tmp_path: Path) -> None:
    audio = an_audio(tmp_path, reference=write_rttm(tmp_path / "r.rttm", (0.0, 1.0, "a")))
    request = prepared(tmp_path, audio=audio).request
    assert request.inputs == {"audio": "/input/audio.wav", "models": "/input/models"}
    assert (request.device, request.workload, request.last_stage) == ("cpu", "diarization", "verify")
    assert request.options == {"pipeline": "embedded", "segmentation_batch_size": 32, "embedding_batch_size": 96}
    assert str(audio.reference) not in request.to_json()


def test_a_guest_that_is_a_process_is_told_this_host_s_paths(tmp_path: Path) -> None:
    audio = an_audio(tmp_path)
    cell = a_cell(load_catalog().images["local-cpu"])
    found = prepared(tmp_path, cell, engine=EngineRecord(name="local"), audio=audio)
    assert found.request.inputs == {"audio": str(audio.path), "models": str(tmp_path / "models")}
    assert found.run.working_directory == str(places.ROOT)
    assert found.run.argv[-1] == str(found.run.exchange)
    assert found.run.environment["HOME"] == str(found.run.exchange)


def test_the_variant_s_variables_are_set_and_recorded(tmp_path: Path) -> None:
    found = prepared(tmp_path, a_cell(variant="gfx1100"))
    assert found.run.environment["HSA_OVERRIDE_GFX_VERSION"] == "11.0.0"
    assert found.plan.environment == {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}
    assert "HSA_OVERRIDE_GFX_VERSION" not in prepared(tmp_path).run.environment


def test_the_models_variables_point_to_where_they_are_inside(tmp_path: Path) -> None:
    found = prepared(tmp_path, models=Models(folder=tmp_path, environment=("HF_HUB_CACHE", "PYANNOTE_CACHE")))
    assert found.run.environment["HF_HUB_CACHE"] == found.run.environment["PYANNOTE_CACHE"] == "/input/models"


def test_every_container_can_be_found_by_its_owner_and_one_of_a_pasted_line_by_none(tmp_path: Path) -> None:
    assert prepared(tmp_path).run.labels[OWNER_LABEL] == owner()
    assert OWNER_LABEL not in prepared(tmp_path, owned_by="").run.labels


def test_two_launches_of_one_cell_have_names_and_folders_of_their_own(tmp_path: Path) -> None:
    first, second = prepared(tmp_path), prepared(tmp_path)
    assert first.run.name != second.run.name
    assert first.run.exchange != second.run.exchange


def test_the_plan_says_what_will_run(tmp_path: Path) -> None:
    plan = prepared(tmp_path, settings=Settings(warm_passes=5, label="before", memory_limit_bytes=1 << 33)).plan
    assert plan.cell == "cpu/cpu/embedded/sample-30s"
    assert (plan.image.id, plan.image.digests) == (BUILT.id, BUILT.digests)
    assert plan.image.recipe
    assert (plan.label, plan.warm_passes, plan.memory_limit_bytes) == ("before", 5, 1 << 33)
    assert plan.workload.amount == 30.0
    assert plan.host == HOST


def test_a_foreign_image_has_no_recipe_and_runs_by_its_reference_until_its_id_is_known(tmp_path: Path) -> None:
    cell = a_cell(foreign_image("softab:rocm62", family="cpu"))
    assert prepared(tmp_path, cell).plan.image.recipe is None
    assert prepared(tmp_path, cell, built=None).run.image == "softab:rocm62"
    assert prepared(tmp_path, cell).run.image == BUILT.id


def test_an_image_that_is_not_built_yet_is_named_by_its_tag(tmp_path: Path) -> None:
    assert prepared(tmp_path, built=None).run.image.startswith("localhost/strixbench/cpu:")


def test_the_reference_s_hash_is_recorded(tmp_path: Path) -> None:
    reference = write_rttm(tmp_path / "r.rttm", (0.0, 1.0, "a"))
    first = prepared(tmp_path, audio=an_audio(tmp_path, reference=reference)).plan.workload.truth_sha256
    write_rttm(reference, (0.0, 2.0, "a"))
    assert first != prepared(tmp_path, audio=an_audio(tmp_path, reference=reference)).plan.workload.truth_sha256
    assert prepared(tmp_path).plan.workload.truth_sha256 is None


def test_a_pipeline_without_files_gets_no_models(tmp_path: Path) -> None:
    made = prepared(tmp_path, a_cell(pipeline="synthetic"), models=Models(folder=None, environment=("HF_HUB_CACHE",)))
    assert {mount.target for mount in made.run.mounts} == {"/strixbench/benchmarks", "/exchange", "/caches", "/input/audio.wav"}
    assert "models" not in made.request.inputs
    assert "HF_HUB_CACHE" not in made.run.environment


@pytest.mark.parametrize(
    ("seconds", "passes_", "timeout", "expected"),
    [(30.0, 3, None, 1200.0), (1.0, 1, None, 600.0), (3600.0, 3, None, 144_000.0), (3600.0, 3, 5.0, 5.0)],
)
def test_a_launch_gets_ten_times_its_audio_for_each_pass_and_at_least_ten_minutes(
    tmp_path: Path, seconds: float, passes_: int, timeout: float | None, expected: float
) -> None:
    settings = Settings(warm_passes=passes_, time_limit_seconds=timeout)
    assert prepared(tmp_path, audio=an_audio(tmp_path, seconds=seconds), settings=settings).plan.timeout_seconds == expected


def on_rocm(folder: Path, settings: Settings | None = None, **more: Any) -> Prepared:
    cell = a_cell(load_catalog().images["rocm72"], variant="native")
    return prepared(folder, cell, settings=settings, **{"family": "rocm", **more})


def test_a_first_pass_on_rocm_is_waited_for_an_hour_and_its_kernels_have_a_place_to_stay(tmp_path: Path) -> None:
    found = on_rocm(tmp_path)
    assert (found.plan.first_pass_seconds, found.plan.timeout_seconds) == (3600.0, 1200.0)
    assert found.request.first_pass_seconds == 3600.0
    assert found.plan.cache_key == ""
    kept = on_rocm(tmp_path, Settings(caches="keep")).plan
    assert kept.cache_key == found.plan.keeps_as != ""
    assert kept.keeps_as == ""


def test_a_limit_of_the_user_s_and_a_run_on_the_cpu_know_no_first_pass(tmp_path: Path) -> None:
    for found in (
        on_rocm(tmp_path, Settings(time_limit_seconds=7.0)),
        on_rocm(tmp_path, Settings(purpose="reference")),
        prepared(tmp_path),
    ):
        assert (found.plan.first_pass_seconds, found.request.first_pass_seconds, found.plan.keeps_as) == (None, None, "")


def test_a_launch_that_is_ended_in_its_first_pass_says_so_and_that_its_kernels_are_kept(tmp_path: Path) -> None:
    found = on_rocm(tmp_path)

    def guest(run: Run) -> ExitRecord:
        write_journal(run.exchange, journal_until("cold", hip="7.2.26015"))
        (run.exchange.parent / "caches" / "miopen-kernels" / "a").write_bytes(b"0123456789")
        return ExitRecord(started=True, code=137, timed_out=True, run_seconds=3600.4, ended_because="first pass")

    launch = launched(found, FakeEngine(guest))
    assert (launch.verdict.stage, launch.verdict.cause) == ("cold", "timeout")
    assert launch.verdict.summary == (
        "its first pass did not end within 3,600 s: still in cold, where kernels are compiled; killed. "
        "What was compiled is kept: run again with --caches keep"
    )
    assert launch.caches is not None
    assert launch.caches.kept_as == found.plan.keeps_as
    again = launched(on_rocm(tmp_path, Settings(caches="keep")), FakeEngine(passes))
    assert again.caches is not None
    assert again.caches.files_before == 1


def test_why_the_kernel_s_log_was_not_read_is_recorded(tmp_path: Path) -> None:
    class Closed(FakeEngine):
        """A fake engine on a host whose kernel log is closed."""

        @property
        def kernel_log(self) -> KernelLog:
            return KernelLog(device="/nowhere/kmsg")

    assert launched(prepared(tmp_path), Closed()).kernel_log_refused == "/nowhere/kmsg: No such file or directory"
    assert launched(prepared(tmp_path), FakeEngine()).kernel_log_refused == ""


def test_a_container_never_runs_as_the_host_s_root() -> None:
    assert container_user(EngineRecord(name="podman", rootless=True)) == "0:0"
    user = container_user(PODMAN)
    assert not user.startswith("0:")
    assert user == ("1000:1000" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}")


def test_a_user_that_the_row_names_is_taken(tmp_path: Path) -> None:
    image = msgspec.structs.replace(load_catalog().images["cpu"], user="4711:4711")
    assert prepared(tmp_path, a_cell(image)).run.user == "4711:4711"


def test_a_launch_is_judged_by_its_journal_and_keeps_it(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    launch = launched(found, FakeEngine(passes))
    assert launch.verdict.status == "pass"
    assert launch.journal[-1]["event"] == "done"


def test_an_image_that_does_not_work_is_a_launch_and_no_exception(tmp_path: Path) -> None:
    launch = launched(prepared(tmp_path), FakeEngine(fails_at_import))
    assert (launch.verdict.status, launch.verdict.signature) == ("fail", "torchaudio-other-index")


def test_the_plan_and_the_request_are_on_disk_before_the_container_starts(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    seen: list[Plan | Request] = []

    def guest(run: Run) -> ExitRecord:
        seen.append(msgspec.json.decode((run.exchange.parent / PLAN).read_bytes(), type=Plan))
        seen.append(Request.from_json((run.exchange / REQUEST).read_text()))
        return ExitRecord(started=True, code=0)

    launch = launched(found, FakeEngine(guest))
    assert seen == [launch.plan, found.request]


def test_the_exchange_folder_is_open_to_the_container_and_closed_to_others_on_this_host(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    launched(found, FakeEngine())
    assert found.run.exchange.stat().st_mode & 0o777 == 0o777
    assert found.run.exchange.parent.stat().st_mode & 0o777 == 0o700


def test_the_folder_stays_until_it_is_forgotten(tmp_path: Path) -> None:
    launch = launched(prepared(tmp_path), FakeEngine())
    assert (launches_folder() / launch.id / PLAN).exists()
    forget(launch.id)
    assert not (launches_folder() / launch.id).exists()
    forget(launch.id)


def test_the_start_lasts_until_the_guest_s_first_line(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    launched(found, FakeEngine())
    clock = HostClock(begun=BEGUN - 0.25, ended=BEGUN + 60.0, seconds=60.25)
    assert conclude(found.plan, ExitRecord(started=True, code=0), clock=clock).start_seconds == 0.25
    assert conclude(found.plan, ExitRecord(started=True, code=0)).start_seconds is None


def test_a_guest_that_never_spoke_has_no_start_time(tmp_path: Path) -> None:
    launch = launched(prepared(tmp_path), FakeEngine(lambda _: ExitRecord(started=True, code=139)))
    assert (launch.start_seconds, launch.journal) == (None, ())
    assert (launch.verdict.stage, launch.verdict.cause) == ("launch", "crash")


def test_a_journal_whose_first_line_has_no_time_gives_no_start_time(tmp_path: Path) -> None:
    def guest(run: Run) -> ExitRecord:
        write_journal(run.exchange, [{"event": "begin", "stage": "launch", "at": "noon"}])
        return ExitRecord(started=True, code=1)

    assert launched(prepared(tmp_path), FakeEngine(guest)).start_seconds is None


def test_what_could_not_start_is_recorded_like_any_other(tmp_path: Path) -> None:
    plan = prepared(tmp_path).plan
    launch = not_launched(plan, stage="launch", cause="build", message="exit 1", log_tail="no space\n")
    assert launch.plan == plan
    assert (launch.verdict.status, launch.verdict.cause, launch.verdict.summary) == ("fail", "build", "exit 1")
    assert (launch.exit.started, launch.log_tail) == (False, "no space\n")


def test_the_flags_and_their_relaxations_are_recorded(tmp_path: Path) -> None:
    found = prepared(tmp_path, settings=Settings(flags="ipc=host,seccomp=unconfined"))
    assert (found.run.ipc, found.run.shm_bytes) == ("host", None)
    assert set(found.run.security_options) - FOR_SELINUX == {"no-new-privileges", "seccomp=unconfined"}
    assert found.plan.flags == "ipc=host,seccomp=unconfined"
    recorded = {text.partition(":")[0] for text in found.plan.relaxations}
    assert recorded - FOR_SELINUX == {"ipc=host", "seccomp=unconfined"}
    assert prepared(tmp_path).plan.flags == "least"


def test_a_gpu_made_visible_by_a_variable_is_so_in_the_run_and_in_the_printed_line(tmp_path: Path) -> None:
    found = prepared(tmp_path)
    chosen = DeviceRequest(device="cuda", nodes=("/dev/kfd",), environment={"ROCR_VISIBLE_DEVICES": "1"})
    of_variant = {"HOME": "/tmp", "ROCR_VISIBLE_DEVICES": "0"}
    run = container_run(a_cell(), BUILT, found.plan, found.run.exchange, of_variant, mounts=(), devices=chosen)
    assert run.environment == {"HOME": "/tmp", "ROCR_VISIBLE_DEVICES": "1"}
    assert "ROCR_VISIBLE_DEVICES=1" in " ".join(container_command("podman", run))


def test_a_process_of_this_host_has_no_flags(tmp_path: Path) -> None:
    cell = a_cell(load_catalog().images["local-cpu"])
    plan = prepared(tmp_path, cell, engine=EngineRecord(name="local"), settings=Settings(flags="ipc=host")).plan
    assert (plan.flags, plan.relaxations) == ("", ())


def test_a_task_goes_to_the_guest_and_into_the_record(tmp_path: Path) -> None:
    settings = Settings(options={"batches": [1, 8]}, purpose="reference")
    ready = prepared(tmp_path, a_cell(workload="ladder"), settings=settings)
    assert ready.request.workload == "ladder"
    assert (ready.request.options["pipeline"], ready.request.options["batches"]) == ("embedded", [1, 8])
    assert (ready.plan.workload.name, ready.plan.options, ready.plan.purpose) == ("ladder", {"batches": [1, 8]}, "reference")
    assert ready.plan.last_stage == ready.request.last_stage == "ladder"


def test_a_folder_of_a_task_is_mounted_read_only_and_named_as_the_container_sees_it(tmp_path: Path) -> None:
    ready = prepared(tmp_path, folders={"corpus": tmp_path / "corpus"})
    (mount,) = [mount for mount in ready.run.mounts if mount.source == str(tmp_path / "corpus")]
    assert not mount.writable
    assert ready.request.inputs["corpus"] == mount.target


def test_a_process_of_this_host_reads_a_folder_where_it_is(tmp_path: Path) -> None:
    cell = a_cell(load_catalog().images["local-cpu"])
    local = EngineRecord(name="local", version="3.11")
    ready = prepared(tmp_path, cell, engine=local, folders={"corpus": tmp_path})
    assert ready.request.inputs["corpus"] == str(tmp_path)
    assert ready.run.mounts == ()
