"""`strixbench bench` in real containers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.wire import read_journal
from harness.engines.base import BuiltImage, Recipe
from harness.engines.container import ContainerEngine
from harness.engines.container_runs import labelled_containers
from harness.workloads.diarization import der_of
from tests.commands import REPOSITORY, Workplace, wait_until

ONE = ("--launches", "1", "--passes", "1")
SHORT = (*ONE, "--audio-seconds", "10")


def test_the_sample_is_diarized_right_in_a_container(workplace: Workplace, engine_name: str, cpu_image: BuiltImage) -> None:
    done = workplace.bench("cpu", "--engine", engine_name, *ONE)
    assert done.code == 0, done.stderr
    (launch,) = workplace.stored()
    assert launch.verdict.status == "pass"
    assert launch.plan.image.id == cpu_image.id
    assert launch.plan.workload.amount == 30.0
    assert launch.said.found("verify").count("speakers") == 2
    assert der_of(launch) is not None
    assert der_of(launch) <= 0.08
    assert launch.start_seconds is not None
    assert 0 < launch.start_seconds < 30
    assert "--network=none" in launch.plan.command
    assert f"| cpu | {engine_name}" in workplace.page.read_text()


def test_an_image_that_somebody_else_built_is_run_as_it_is(
    workplace: Workplace, engine_name: str, engine: ContainerEngine, cpu_image: BuiltImage
) -> None:
    reference = "localhost/somebody/else:diarizer"
    engine.connection.api.tag(cpu_image.id, "localhost/somebody/else", "diarizer")
    try:
        done = workplace.bench(reference, "--engine", engine_name, *SHORT)
    finally:
        engine.connection.api.remove_image(reference, noprune=True)
    assert done.code == 0, done.stderr
    (launch,) = workplace.stored()
    assert launch.image == reference
    assert launch.plan.image.family == "cpu"
    assert launch.plan.image.recipe is None
    assert launch.verdict.status == "pass"


def test_a_dry_run_line_pasted_into_a_shell_does_the_same_run(
    workplace: Workplace, engine_name: str, cpu_image: BuiltImage
) -> None:
    line = workplace.run("bench", "cpu", "--engine", engine_name, "--passes", "1", "--dry-run").stdout
    assert line.startswith(f"{engine_name} run ")
    subprocess.run(["bash", "-c", line], check=True, timeout=300)
    (journal,) = workplace.journals()
    events = read_journal(journal.read_text())
    assert events[-1]["event"] == "done"
    verified = next(e for e in events if e["event"] == "end" and e["stage"] == "verify")
    assert verified["speakers"] == 2


@pytest.mark.once
def test_an_image_whose_torchaudio_is_of_another_index_fails_at_import_and_the_others_are_measured(
    workplace: Workplace, tmp_path: Path, engine_name: str, cpu_image: BuiltImage, recipe: Recipe
) -> None:
    overlay = tmp_path / "broken.toml"
    overlay.write_text(
        f"""[images.broken-torchaudio]
family = "cpu"
variants = ["cpu"]
containerfile = "{REPOSITORY}/tests/engines/broken-torchaudio.Containerfile"
base = "{recipe.tag}"
torch = "2.13.0"
torchaudio = "2.11.0"
lock = "pyannote4.txt"
"""
    )
    done = workplace.bench("broken-torchaudio", "cpu", "--catalog", str(overlay), "--engine", engine_name, *SHORT)
    assert done.code == 1, done.stderr
    broken, right = sorted(workplace.stored(), key=lambda launch: launch.image)
    assert right.verdict.status == "pass"
    assert (broken.verdict.stage, broken.verdict.cause) == ("import", "import")
    assert broken.verdict.signature == "torchaudio-other-index"
    # Which library of CUDA it misses first depends on the order of the image's files.
    missing = re.search(r"lib(c10_cuda|cudart)\.so[.\d]*: cannot open shared object file", broken.chain[-1].message)
    assert missing
    page = workplace.page.read_text()
    assert "| broken-torchaudio | " + right.plan.engine.name in page
    assert "FAIL: import" in page
    assert missing[0].split(":")[0] in page
    assert "✅ | ❌ | ·" in page


@pytest.mark.once
def test_a_build_that_fails_is_recorded_and_the_others_are_measured(
    workplace: Workplace, tmp_path: Path, engine_name: str, cpu_image: BuiltImage
) -> None:
    (tmp_path / "bad.Containerfile").write_text('ARG BASE\nFROM ${BASE}\nRUN echo "it goes wrong here"; exit 7\n')
    overlay = tmp_path / "bad.toml"
    overlay.write_text(
        f'[images.bad]\nfamily = "cpu"\nvariants = ["cpu"]\ncontainerfile = "{tmp_path}/bad.Containerfile"\n'
        f'base = "{cpu_image.id.removeprefix("sha256:")}"\ntorch = "0"\ntorchaudio = "0"\nlock = "pyannote4.txt"\n'
    )
    done = workplace.bench("bad", "cpu", "--catalog", str(overlay), "--engine", engine_name, *SHORT)
    assert done.code == 1
    bad, right = sorted(workplace.stored(), key=lambda launch: launch.image)
    assert bad.verdict.cause == "build"
    assert "it goes wrong here" in bad.log_tail
    assert right.verdict.status == "pass"


def test_an_image_that_the_engine_lacks_is_a_recorded_failure(workplace: Workplace, engine_name: str) -> None:
    done = workplace.bench("localhost/no/such:image", "--engine", engine_name, *ONE)
    assert done.code == 1
    (launch,) = workplace.stored()
    assert (launch.verdict.stage, launch.verdict.cause) == ("launch", "engine")
    assert "no such image" in launch.verdict.summary


def test_a_killed_bench_loses_no_launch_and_leaves_no_container(
    workplace: Workplace, engine_name: str, engine: ContainerEngine, cpu_image: BuiltImage
) -> None:
    process = workplace.start_bench("cpu", "--engine", engine_name, "--launches", "50", "--passes", "1")
    try:
        wait_until(lambda: "[1/50]" in workplace.talk.read_text(), what="one launch")
        wait_until(lambda: any('"cold"' in j.read_text() for j in workplace.journals()), what="a pass that runs")
    finally:
        process.kill()
        process.wait(timeout=30)
    assert containers_of(engine, workplace)
    finished = len(workplace.stored())
    assert finished >= 1
    done = workplace.bench("cpu", "--engine", engine_name, *SHORT)
    assert done.code == 0, done.stderr
    assert not containers_of(engine, workplace)
    statuses = [launch.verdict.cause or launch.verdict.status for launch in workplace.stored()]
    assert statuses == ["pass"] * finished + ["interrupted", "pass"]


@pytest.mark.once
def test_a_full_disk_ends_the_bench_with_its_own_error_and_the_launch_is_kept(
    tmp_path: Path, engine_name: str, engine: ContainerEngine, cpu_image: BuiltImage
) -> None:
    if engine.record.rootless:
        pytest.skip("mounting a small disk needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=True)
    try:
        workplace = Workplace(tmp_path)
        process = workplace.start_bench("cpu", "--engine", engine_name, "--launches", "1", "--passes", "1")
        wait_until(lambda: any('"import"' in j.read_text() for j in workplace.journals()), what="a guest that runs")
        filler = tmp_path / "filler"
        with filler.open("wb", buffering=0) as stream:
            try:
                while True:
                    stream.write(bytes(4096))
            except OSError:
                pass
        assert process.wait(timeout=300) == 3
        talk = workplace.talk.read_text()
        assert "Traceback" not in talk
        assert not containers_of(engine, workplace)
        filler.unlink()
        again = workplace.bench("cpu", "--engine", engine_name, *SHORT)
        assert again.code == 0, again.stderr
        assert [launch.verdict.status for launch in workplace.stored()] == ["fail", "pass"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def containers_of(engine: ContainerEngine, workplace: Workplace) -> list[str]:
    """Containers that mount something of this workplace."""
    found = []
    for container in labelled_containers(engine.connection):
        command = str(engine.connection.api.inspect_container(container["Id"])["HostConfig"])
        if str(workplace.results) in command:
            found.append(container["Id"])
    return found
