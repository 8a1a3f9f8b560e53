"""Real containers' ends, isolation and leftovers, below the command line."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from harness.engines.base import CAMPAIGN_LABEL, LOG, BuiltImage, Mount, Recipe, Run
from harness.engines.container import ContainerEngine
from harness.engines.container_runs import create_container, labelled_containers, remove_container
from harness.engines.discovery import find_engine
from harness.errors import BuildFailed
from harness.launch.guest_view import container_user
from harness.tools import OWNER_LABEL, owner

DEAD_OWNER = owner().replace(owner().split(":")[0], "4194301", 1)


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    """A folder that the container may write into."""
    folder = tmp_path / "exchange"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def run_of(
    engine: ContainerEngine,
    image: BuiltImage,
    exchange: Path,
    *argv: str,
    memory_bytes: int | None = None,
    owned_by: str | None = None,
) -> Run:
    """A run of a few words of Python, isolated as a launch is."""
    return Run(
        name=f"strixbench-test-{time.monotonic_ns()}",
        image=image.id,
        argv=argv,
        environment={},
        mounts=(Mount(str(exchange), "/exchange", writable=True),),
        working_directory="/",
        exchange=exchange,
        user=container_user(engine.record),
        security_options=("no-new-privileges",),
        memory_bytes=memory_bytes,
        labels={CAMPAIGN_LABEL: "test", OWNER_LABEL: owned_by or owner()},
    )


def python(code: str) -> tuple[str, ...]:
    return ("python3", "-c", code)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.abort()", 134),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_the_exit_status_tells_how_it_died(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path, code: str, status: int
) -> None:
    ended = engine.run(run_of(engine, cpu_image, exchange, *python(code)), timeout_seconds=60)
    assert (ended.started, ended.code, ended.timed_out) == (True, status, False)


def test_a_program_that_is_not_there_is_told_from_one_that_failed(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path
) -> None:
    ended = engine.run(run_of(engine, cpu_image, exchange, "no-such-program"), timeout_seconds=60)
    assert ended.code == 127
    assert "not found" in (exchange / LOG).read_text()


def test_an_image_that_is_not_there_was_never_started(engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path) -> None:
    run = run_of(engine, BuiltImage(id="sha256:" + "0" * 64), exchange, *python("pass"))
    ended = engine.run(run, timeout_seconds=60)
    assert not ended.started
    assert ended.message


def test_a_mount_that_is_not_there_is_refused_and_not_made(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path, tmp_path: Path
) -> None:
    import msgspec

    run = run_of(engine, cpu_image, exchange, *python("pass"))
    missing = Mount(str(tmp_path / "missing"), "/missing")
    ended = engine.run(msgspec.structs.replace(run, mounts=(*run.mounts, missing)), timeout_seconds=60)
    assert not ended.started
    assert not (tmp_path / "missing").exists()


def test_a_hang_is_killed_in_time_and_removed(engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path) -> None:
    hang = python("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()")
    run = run_of(engine, cpu_image, exchange, *hang)
    begun = time.monotonic()
    ended = engine.run(run, timeout_seconds=2)
    assert (ended.timed_out, ended.code) == (True, 137)
    assert time.monotonic() - begun < 30
    assert not names(engine, run)


def test_more_memory_than_the_limit_is_killed_or_the_limit_refused_by_name(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path
) -> None:
    hungry = python("x = bytearray(600 << 20); x[::4096] = b'1' * len(x[::4096])")
    ended = engine.run(run_of(engine, cpu_image, exchange, *hungry, memory_bytes=200 << 20), timeout_seconds=60)
    if engine.record.rootless and not ended.started:
        assert "cannot limit memory" in ended.message
    else:
        assert ended.code == 137


def test_the_network_is_off(engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path) -> None:
    listing = python("import os; open('/exchange/links', 'w').write(' '.join(sorted(os.listdir('/sys/class/net'))))")
    assert engine.run(run_of(engine, cpu_image, exchange, *listing), timeout_seconds=60).code == 0
    assert (exchange / "links").read_text() == "lo"


def test_nothing_but_the_exchange_and_tmp_can_be_written(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path
) -> None:
    code = """
import errno
for path in ('/etc/x', '/x', '/opt/venv/x', '/usr/x'):
    try:
        open(path, 'w')
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES), error
    else:
        raise SystemExit(path)
open('/tmp/x', 'w'); open('/exchange/x', 'w')
"""
    ended = engine.run(run_of(engine, cpu_image, exchange, *python(code)), timeout_seconds=60)
    assert ended.code == 0, (exchange / LOG).read_text()


def test_no_capability_is_left_and_none_can_be_had(engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path) -> None:
    code = "open('/exchange/status', 'w').write(open('/proc/self/status').read())"
    assert engine.run(run_of(engine, cpu_image, exchange, *python(code)), timeout_seconds=60).code == 0
    status = dict(line.split(":\t", 1) for line in (exchange / "status").read_text().splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_code_can_be_compiled_into_tmp_and_run(engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path) -> None:
    code = """
import os, shutil, subprocess
shutil.copy('/bin/true', '/tmp/copy')
raise SystemExit(subprocess.run(['/tmp/copy']).returncode)
"""
    ended = engine.run(run_of(engine, cpu_image, exchange, *python(code)), timeout_seconds=60)
    assert ended.code == 0, (exchange / LOG).read_text()


def test_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path
) -> None:
    dead = create_container(engine.connection, run_of(engine, cpu_image, exchange, *python("pass"), owned_by=DEAD_OWNER))
    living = create_container(engine.connection, run_of(engine, cpu_image, exchange, *python("pass")))
    try:
        assert engine.sweep() == 1
        left = {container["Id"] for container in labelled_containers(engine.connection)}
        assert living in left
        assert dead not in left
    finally:
        remove_container(engine.connection, living)


def test_a_container_that_runs_is_swept_too(engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path) -> None:
    run = run_of(engine, cpu_image, exchange, *python("import signal; signal.pause()"), owned_by=DEAD_OWNER)
    dead = create_container(engine.connection, run)
    engine.connection.api.start(dead)
    assert engine.sweep() == 1
    assert not names(engine, run)


def test_a_container_that_is_removed_by_another_hand_ends_the_run(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path
) -> None:
    run = run_of(engine, cpu_image, exchange, *python("open('/exchange/up', 'w'); import signal; signal.pause()"))

    def remove() -> None:
        deadline = time.monotonic() + 60
        while not (exchange / "up").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        engine.connection.api.kill(run.name, signal="SIGKILL")

    other = threading.Thread(target=remove)
    other.start()
    ended = engine.run(run, timeout_seconds=120)
    other.join()
    assert (ended.code, ended.timed_out) == (137, False)


def test_a_podman_service_of_ours_that_ended_is_started_again(
    engine: ContainerEngine, cpu_image: BuiltImage, exchange: Path, recipe: Recipe
) -> None:
    if engine.connection.service is None:
        pytest.skip(f"{engine.record.name} listens by itself here")
    engine.connection.service.process.terminate()
    engine.connection.service.process.wait(timeout=30)
    found = engine.find_built(recipe)
    assert found is not None
    assert found.id == cpu_image.id  # its digests tell every name that it was given since


def test_the_caller_s_proxies_with_their_passwords_are_not_handed_in(
    engine_name: str, cpu_image: BuiltImage, exchange: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://user:s3cret@proxy:1"}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    proxied = ContainerEngine(find_engine(engine_name))
    try:
        code = python("import os; open('/exchange/environment', 'w').write(str(dict(os.environ)))")
        assert proxied.run(run_of(proxied, cpu_image, exchange, *code), timeout_seconds=60).code == 0
    finally:
        proxied.close()
    assert "s3cret" not in (exchange / "environment").read_text()


def test_an_image_is_found_by_its_recipe_and_not_by_its_tag(
    engine: ContainerEngine, cpu_image: BuiltImage, recipe: Recipe
) -> None:
    import msgspec

    found = engine.find_built(recipe)
    assert found is not None
    assert found.id == cpu_image.id  # its digests tell every name that it was given since
    other = msgspec.structs.replace(recipe, image="feigned", hash="f" * 64)
    engine.connection.api.tag(cpu_image.id, "localhost/strixbench/feigned", "f" * 12)
    try:
        assert engine.find_built(other) is None
    finally:
        engine.connection.api.remove_image(other.tag, noprune=True)


def test_a_failing_build_tells_its_last_words(engine: ContainerEngine, recipe: Recipe, tmp_path: Path) -> None:
    import msgspec

    failing = msgspec.structs.replace(
        recipe,
        image="failing",
        hash="e" * 64,
        containerfile="ARG BASE\nFROM ${BASE}\nRUN echo last words; exit 9\n",
        files={},
    )
    with pytest.raises(BuildFailed) as caught:
        engine.build(failing, log=tmp_path / "build.log", say=lambda line: None)
    assert "last words" in caught.value.log_tail
    assert "last words" in (tmp_path / "build.log").read_text()


def names(engine: ContainerEngine, run: Run) -> list[str]:
    """Containers of a run that are still there."""
    return [container["Id"] for container in engine.connection.api.containers(all=True, filters={"name": run.name})]


def test_pruning_takes_away_names_of_our_own_giving_alone(
    engine: ContainerEngine, tmp_path: Path, cpu_image: BuiltImage
) -> None:
    name = f"prune-{engine.record.name}"

    def built(containerfile: str, number: int) -> Recipe:
        recipe = Recipe(image=name, hash=str(number) * 64, containerfile=containerfile, arguments={}, files={})
        engine.build(recipe, log=tmp_path / f"{number}.log", say=lambda line: None)
        return recipe

    base = f"FROM {cpu_image.id.removeprefix('sha256:')}\n"
    old, current = built(f"{base}LABEL number=1\n", 1), built(f"{base}LABEL number=2\n", 2)
    api = engine.connection.api
    api.tag(old.tag, "localhost/somebody/else", "mine")
    child = f"localhost/somebody/child-of-{name}:1"
    api.tag(old.tag, child.rpartition(":")[0], "1")
    try:
        assert engine.remove_built({current.hash}, {name}) == (old.tag,)
        assert engine.find_built(current) is not None
        assert engine.find_reference("localhost/somebody/else:mine") is not None
        assert engine.remove_built({current.hash}, {"of-another-catalog"}) == ()
    finally:
        for tag in ("localhost/somebody/else:mine", child, current.tag):
            api.remove_image(tag)
