"""The base of a build, fetched by a real engine from a registry of this test's own that is slow, silent, or cut off.

Docker speaks plain HTTP to any registry on 127.0.0.0/8; Podman is told to by a registries.conf that only a service of the test's own
reads. Nothing of the host is changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engines.base import Recipe
from harness.engines.connection import SILENCE_VARIABLE
from harness.engines.container import ContainerEngine
from harness.engines.discovery import Found, find_engine
from harness.engines.fetch_progress import KEPT
from harness.errors import BuildFailed, EngineError
from tests.engines.slow_registry import SlowRegistry

SMALL, SLOW, LAST = 0, 1, 2
LAYER_BYTES = (300_000, 4_000_000, 200_000)
BUILT_ON = "ARG BASE\nFROM ${BASE}\nCOPY some /some\n"
OFFLINE_BASE = "localhost/strixbench-offline-base:bookworm"


@pytest.fixture
def registry() -> Iterator[SlowRegistry]:
    """Layers that no other run of the tests has left in an engine's store."""
    with SlowRegistry(LAYER_BYTES, seed=int.from_bytes(os.urandom(6))) as serving:
        yield serving


@contextlib.contextmanager
def an_engine(name: str, folder: Path, registries: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerEngine]:
    """A connection of the test's own. ``registries`` is Podman's registries.conf."""
    (folder / "registries.conf").write_text(registries)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(folder / "registries.conf"))
    opened = ContainerEngine(Found("podman", None) if name == "podman" else find_engine(name))
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def fetching(
    engine_name: str, registry: SlowRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ContainerEngine]:
    """An engine that fetches from the registry, and keeps nothing of it afterwards."""
    insecure = f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
    with an_engine(engine_name, tmp_path, insecure, monkeypatch) as opened:
        yield opened
        drop(opened, base_of(registry).arguments["BASE"])


def base_of(registry: SlowRegistry, *, at: str | None = None, tag: str = "1", pinned: bool = True) -> Recipe:
    """What is built of the registry's image; ``at`` is another name of the registry."""
    digest = f"@{registry.digest}" if pinned else ""
    return a_recipe(f"{at or registry.host}/slow/base:{tag}{digest}", BUILT_ON, registry.total_bytes)


def a_recipe(base: str, containerfile: str, base_bytes: int | None = None) -> Recipe:
    return Recipe(
        image="fetch-test",
        hash="d" * 64,
        containerfile=containerfile,
        arguments={"BASE": base},
        files={"some": Path(__file__)},
        base_bytes=base_bytes,
    )


def built(engine: ContainerEngine, recipe: Recipe, log: Path) -> list[str]:
    """Build it, and throw the image away; returns what was said."""
    said: list[str] = []
    engine.build(recipe, log=log, say=said.append)
    drop(engine, recipe.tag)
    return said


def drop(engine: ContainerEngine, reference: str) -> None:
    if engine.find_reference(reference) is not None:
        engine.connection.api.remove_image(reference, force=True)


def times_asked(registry: SlowRegistry) -> list[int]:
    """For each layer."""
    return [registry.asked[layer] for layer in registry.layers]


def test_a_slow_base_is_fetched_with_progress_and_once(
    fetching: ContainerEngine, registry: SlowRegistry, tmp_path: Path
) -> None:
    registry.bytes_per_second[registry.layers[SLOW]] = 1_000_000
    fetching.connection.silence_seconds = 3.0  # less than the layer takes: what comes slowly is no silence
    said = built(fetching, base_of(registry), tmp_path / "log")
    shown = [float(match[1]) for line in said if (match := re.search(r"slow/base:1: (\d\.\d) of 4\.5 MB, ", line))]
    assert len(set(shown)) >= 3
    assert shown == sorted(shown)
    log = (tmp_path / "log").read_text()
    assert log.count("Downloading") <= len(LAYER_BYTES)
    assert "Downloading (4.0 MB)" in log
    asked = len(registry.paths)
    assert not any("slow/base" in line and "of 4.5 MB" in line for line in built(fetching, base_of(registry), tmp_path / "log"))
    assert len(registry.paths) == asked  # the build after the fetch, and the second build, ask the registry for nothing


def test_a_silence_that_is_shorter_than_the_limit_ends_well(
    fetching: ContainerEngine, registry: SlowRegistry, tmp_path: Path
) -> None:
    registry.silent_after[registry.layers[SLOW]] = 2_000_000
    fetching.connection.silence_seconds = 30.0
    speaker = threading.Timer(2.0, registry.speak.set)
    speaker.start()
    built(fetching, base_of(registry), tmp_path / "log")
    speaker.join()
    assert times_asked(registry) == [1, 1, 1]
    silent_step = a_recipe(OFFLINE_BASE, "ARG BASE\nFROM ${BASE}\nRUN echo quiet now; sleep 2; echo again\n")
    assert "again" in "\n".join(built(fetching, silent_step, tmp_path / "log"))


def test_a_dead_line_ends_with_an_error_and_the_next_try_fetches_no_more_than_it_must(
    fetching: ContainerEngine, registry: SlowRegistry, tmp_path: Path
) -> None:
    registry.silent_after[registry.layers[SLOW]] = 2_000_000
    fetching.connection.silence_seconds = 2.0
    recipe = base_of(registry)
    with pytest.raises(EngineError) as caught:
        built(fetching, recipe, tmp_path / "log")
    name = fetching.record.name
    assert f"{name} was fetching {recipe.base}, and no data arrived for 2 s ({SILENCE_VARIABLE})" in str(caught.value)
    assert KEPT["podman" if name == "podman" else "docker"] in str(caught.value)
    assert str(caught.value) in (tmp_path / "log").read_text()
    assert times_asked(registry) == [1, 1, 1]
    registry.silent_after.clear()
    built(fetching, recipe, tmp_path / "log")
    if name == "podman":
        assert times_asked(registry)[SMALL] == 1
    else:  # twice: https://github.com/moby/moby/issues/26146; containerd's store keeps what it has
        assert times_asked(registry)[SMALL] in (1, 2)
    assert times_asked(registry)[SLOW] == 2


def test_a_line_that_is_cut_costs_no_finished_layer(fetching: ContainerEngine, registry: SlowRegistry, tmp_path: Path) -> None:
    registry.cut_once_after[registry.layers[SLOW]] = 2_000_000
    recipe = base_of(registry)
    cut = ""
    try:
        built(fetching, recipe, tmp_path / "log")
    except EngineError as error:
        cut = str(error)
    if cut:  # Podman 4.3.1; newer ones reconnect
        assert cut.startswith(f"podman cannot fetch {recipe.base}: ")
        built(fetching, recipe, tmp_path / "log")
    assert times_asked(registry)[SMALL] == 1
    assert times_asked(registry)[SLOW] == 2
    if fetching.record.name == "docker" and not fetching.storage().keeps_compressed:  # containerd's store may begin it anew
        assert registry.ranges == ["bytes=2000000-"]


def test_an_image_that_is_not_there_is_told_from_a_registry_that_is_not(
    fetching: ContainerEngine, registry: SlowRegistry, tmp_path: Path
) -> None:
    with pytest.raises(BuildFailed, match="manifest unknown") as failed:
        built(fetching, base_of(registry, tag="2", pinned=False), tmp_path / "log")
    assert "manifest unknown" in failed.value.log_tail
    nobody = "127.0.0.1:1"
    with pytest.raises(EngineError, match=f"cannot fetch {nobody}/slow/base:1.*connection refused"):
        built(fetching, base_of(registry, at=nobody, pinned=False), tmp_path / "log")


@pytest.mark.parametrize("engine_name", ["podman"], indirect=True)  # Docker's is a setting of its daemon
def test_podman_fetches_from_a_mirror_that_its_registries_conf_names(
    engine_name: str, registry: SlowRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored = (
        f'[[registry]]\nlocation = "registry.example"\n[[registry.mirror]]\nlocation = "{registry.host}"\ninsecure = true\n'
    )
    recipe = base_of(registry, at="registry.example")
    with an_engine(engine_name, tmp_path, mirrored, monkeypatch) as engine:
        built(engine, recipe, tmp_path / "log")
        drop(engine, recipe.base)
    assert times_asked(registry) == [1, 1, 1]


@pytest.mark.parametrize("engine_name", ["podman"], indirect=True)  # Docker's is a setting of its daemon
def test_podman_fetches_through_the_proxy_of_the_caller_s_environment(
    engine_name: str, registry: SlowRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://somebody:s3cret@{registry.host}")
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    recipe = base_of(registry, at="registry.invalid")
    log = tmp_path / "log"
    with an_engine(
        engine_name, tmp_path, '[[registry]]\nlocation = "registry.invalid"\ninsecure = true\n', monkeypatch
    ) as engine:
        engine.build(recipe, log=log, say=lambda line: None)
        history = str(engine.connection.api.history(recipe.tag))
        described = str(engine.connection.api.inspect_image(recipe.tag))
        drop(engine, recipe.tag)
        drop(engine, recipe.base)
    assert {path.split("/slow")[0] for path in registry.paths if "slow" in path} == {"http://registry.invalid/v2"}
    assert "s3cret" not in history + described + log.read_text()


def test_the_proxies_of_docker_s_config_reach_a_build_s_steps_and_no_image(
    engine_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = "http://somebody:s3cret@127.0.0.1:1"
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": proxy}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    # It passes where the variable has the proxy's length, and so tells it to nobody.
    recipe = a_recipe(OFFLINE_BASE, f'ARG BASE\nFROM ${{BASE}}\nRUN test "${{#HTTP_PROXY}}" = {len(proxy)}\n')
    with an_engine(engine_name, tmp_path, "", monkeypatch) as engine:
        engine.build(recipe, log=tmp_path / "log", say=lambda line: None)
        kept = str(engine.connection.api.history(recipe.tag)) + str(engine.connection.api.inspect_image(recipe.tag))
        drop(engine, recipe.tag)
    assert "s3cret" not in kept + (tmp_path / "log").read_text()
