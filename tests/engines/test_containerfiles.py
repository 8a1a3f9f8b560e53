"""Every Containerfile is read by both engines, without building it: an engine reads the file before it asks for the base, and
there is no such base. Docker looks at every instruction by then, Podman at the file's shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import places
from harness.catalog.load import load_catalog
from harness.engines.base import Recipe
from harness.engines.container import ContainerEngine
from harness.errors import BuildFailed

NO_SUCH_BASE = "localhost/strixbench/no-such-base:0"


def failure_of(engine: ContainerEngine, text: str, folder: Path) -> str:
    """How the build of a Containerfile ends where its base is not there."""
    some = folder / "some"
    some.write_text("")
    recipe = Recipe(
        image="parse-only",
        hash="0" * 64,
        containerfile=text,
        arguments={"BASE": NO_SUCH_BASE},
        files=dict.fromkeys(("lock.txt", "finish.py", "recipe.sh"), some),
    )
    with pytest.raises(BuildFailed) as failed:
        engine.build(recipe, log=folder / "build.log", say=lambda line: None)
    return f"{failed.value}\n{failed.value.log_tail}"


@pytest.mark.parametrize("path", sorted(places.CONTAINERS.glob("*.Containerfile")), ids=lambda path: path.stem)
def test_a_containerfile_is_read_to_its_end(engine: ContainerEngine, tmp_path: Path, path: Path) -> None:
    # It got as far as the base, which no file that an engine cannot read does.
    assert re.search(r"step \d+/\d+ ?: FROM", failure_of(engine, path.read_text(), tmp_path), re.IGNORECASE)


def test_one_that_is_broken_is_told_from_it(engine: ContainerEngine, tmp_path: Path) -> None:
    # Docker looks at each instruction before it begins, Podman at the file's shape alone.
    broken = "FROM ${BASE}\nCOPPY a b\n" if engine.record.name == "docker" else "RUN true\n"
    failure = failure_of(engine, f"ARG BASE\n{broken}", tmp_path)
    assert not re.search(r"step \d+/\d+ ?: FROM", failure, re.IGNORECASE), failure


@pytest.mark.parametrize(
    ("before", "found"),
    [("RUN mkdir -p /opt/rocm/lib && cp /lib/x86_64-linux-gnu/libz.so.1 /opt/rocm/lib/", "0"), ("RUN true", "1")],
    ids=["a base with ROCm", "one without"],
)
def test_wheels_find_the_rocm_of_their_base_by_the_loader_s_cache(
    engine: ContainerEngine, tmp_path: Path, before: str, found: str
) -> None:
    text = (places.CONTAINERS / "wheels.Containerfile").read_text()
    guards = [line for line in text.splitlines() if "/opt/rocm/lib ||" in line]
    assert len(guards) == len(re.findall("^FROM ", text, re.MULTILINE)) == 2
    # A library of Debian's stands in for ROCm's; its folder is all that the loader has to know.
    seen = f"RUN ldconfig -p | grep -q ' /opt/rocm/lib/'; test $? = {found}"
    recipe = Recipe(
        image="loader-test",
        hash="0" * 64,
        containerfile="\n".join(("ARG BASE", "FROM ${BASE}", before, guards[0], seen, "")),
        arguments={"BASE": str(load_catalog().images["cpu"].base)},
        files={},
    )
    try:
        engine.build(recipe, log=tmp_path / "build.log", say=lambda line: None)
    finally:
        engine.remove_built(frozenset(), {"loader-test"})
