"""Which engine is found, on real sockets: one that listens, one that was left behind, and one that may not be opened."""

from __future__ import annotations

import contextlib
import grp
import importlib
import itertools
import os
import pwd
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from harness.catalog.load import load_catalog
from harness.commands.arguments import parse_engine
from harness.commands.catalog_table import cell_rows, image_rows
from harness.commands.opening import open_engine
from harness.engines.about import ask_engines
from harness.engines.devices import CDI_SINCE, WAYS, obstacles_to
from harness.engines.discovery import Answer, EngineName, Found, Refusal, answer_of, find_engine, refusal_text, search_engine
from harness.engines.fetch_progress import KEPT
from harness.engines.node_groups import GROUPS
from harness.errors import EngineError
from harness.images.build_plan import image_lines, need_data
from harness.images.disk_space import MOVE_STORE, PRUNE_MORE

NOBODY = 65_534
NOBODYS_GROUP = 1
"""`daemon`, on every Linux; nobody is in it."""

Listen = Callable[..., str]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are closed."""
    path = Path(tempfile.mkdtemp(prefix="strixbench-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def listen(folder: Path) -> Iterator[Listen]:
    """Puts a socket there that listens; returns its path."""
    with contextlib.ExitStack() as open_sockets:

        def one(name: str, *, mode: int = 0o666, listens: bool = True) -> str:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            opened = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
            opened.bind(str(path))
            path.chmod(mode)
            if listens:
                opened.listen()
            return str(path)

        yield one


@contextlib.contextmanager
def as_a_user() -> Iterator[None]:
    """This process without root's right to open everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(autouse=True)
def _no_programs(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No Podman to start, and no sockets of this machine's at the usual places."""
    monkeypatch.setenv("PATH", str(folder / "none"))


def nowhere_else(*allowed: str) -> Callable[[str], Answer]:
    """What sockets answer, but for those of this machine, which are not there."""
    return lambda path: answer_of(path) if path in allowed else "absent"


@pytest.mark.parametrize("name", get_args(EngineName))
def test_every_engine_has_a_row_in_each_table_of_engines(name: EngineName) -> None:
    assert {(vendor, name) for vendor in ("amd", "nvidia")} <= WAYS.keys()
    assert {(name, rootless) for rootless in (False, True)} <= GROUPS.keys()
    assert all(name in table for table in (CDI_SINCE, KEPT, MOVE_STORE, PRUNE_MORE))
    assert parse_engine(name) == name
    image = load_catalog().images["cpu"]
    assert name in need_data(image)["room"]
    assert any("the build needs" in line for line in image_lines(image, name))


def test_a_docker_socket_that_refuses_is_told_with_its_path_and_what_opens_it(listen: Listen) -> None:
    closed = listen("docker.sock", mode=0)
    with as_a_user(), pytest.raises(EngineError) as caught:
        find_engine("docker", environment={"DOCKER_HOST": f"unix://{closed}"}, knock=nowhere_else(closed))
    assert f"permission denied on {closed}, which DOCKER_HOST names" in str(caught.value)
    assert "is not to be found" not in str(caught.value)


def test_auto_tells_of_the_refusal_where_nothing_else_is_usable(listen: Listen, folder: Path) -> None:
    closed = listen("docker.sock", mode=0)
    environment = {"XDG_RUNTIME_DIR": str(folder)}  # where a rootless Docker's is looked for
    with as_a_user():
        with pytest.raises(EngineError, match=f"^permission denied on {closed}: "):
            find_engine("auto", environment=environment, knock=nowhere_else(closed))
        with pytest.raises(EngineError, match=r"^Podman is not to be found"):
            find_engine("podman", environment=environment, knock=nowhere_else(closed))


def test_auto_takes_a_podman_that_answers_whatever_docker_refuses(listen: Listen, folder: Path) -> None:
    closed, podman = listen("docker.sock", mode=0), listen("podman/podman.sock")
    environment = {"XDG_RUNTIME_DIR": str(folder), "CONTAINER_HOST": f"unix://{podman}"}
    with as_a_user():
        found = find_engine("auto", environment=environment, knock=nowhere_else(closed, podman))
    assert found == Found("podman", podman)


def test_a_socket_that_the_caller_named_and_may_not_open_is_never_passed_over(listen: Listen, podman: Path) -> None:
    closed = listen("rootful.sock", mode=0)
    for preference in ("podman", "auto"):
        with as_a_user(), pytest.raises(EngineError, match=f"permission denied on {closed}, which CONTAINER_HOST names"):
            find_engine(preference, environment={"CONTAINER_HOST": f"unix://{closed}"}, knock=nowhere_else(closed))
    assert find_engine("podman", environment={}, knock=nowhere_else(closed)) == Found("podman", None)
    assert podman.exists()


def test_a_socket_in_a_closed_folder_is_refused_too(listen: Listen, folder: Path) -> None:
    hidden = listen("hidden/podman.sock")
    (folder / "hidden").chmod(0)
    environment = {"CONTAINER_HOST": f"unix://{hidden}"}
    with as_a_user(), pytest.raises(EngineError, match="its folder is closed to you: unset CONTAINER_HOST"):
        find_engine("podman", environment=environment, knock=nowhere_else(hidden))
    (folder / "hidden").chmod(0o700)


def test_a_named_socket_that_nobody_listens_on_is_passed_over_with_a_remark(listen: Listen, podman: Path) -> None:
    dead = listen("dead.sock", listens=False)
    found = find_engine("podman", environment={"CONTAINER_HOST": f"unix://{dead}"}, knock=nowhere_else(dead))
    assert (found.name, found.socket) == ("podman", None)
    assert found.remark == f"CONTAINER_HOST is unix://{dead}, and nothing listens there; using this host's other Podman"
    assert podman.exists()


@pytest.mark.parametrize(
    ("named", "what"),
    [
        ("tcp://10.0.0.2:2375", "is tcp://..."),
        ("ssh://alice:secret@box", "is ssh://..."),
        ("alice@box", "names no address that is known"),
        ("alice@box://x", "names no address that is known"),
    ],
)
def test_what_is_no_unix_socket_is_passed_over_with_a_remark_or_told_in_the_error(
    listen: Listen, folder: Path, named: str, what: str
) -> None:
    own = listen("docker.sock")
    environment = {"DOCKER_HOST": named, "XDG_RUNTIME_DIR": str(folder)}
    found = find_engine("docker", environment=environment, knock=nowhere_else(own))
    assert found.socket == own
    said = f"DOCKER_HOST {what}, and strixbench talks only to Unix sockets"
    assert found.remark == f"{said}; using this host's other Docker"
    with pytest.raises(EngineError, match=re.escape(said)):
        find_engine("docker", environment=environment, knock=nowhere_else())


def test_the_socket_that_was_named_needs_no_remark(listen: Listen) -> None:
    path = listen("docker.sock")
    assert find_engine("docker", environment={"DOCKER_HOST": f"unix://{path}"}) == Found("docker", path)


@pytest.mark.parametrize("path", ["/none/x.sock", "/dev/null", f"/{'x' * 300}", "/a\0b"])
def test_what_is_no_socket_is_absent(path: str) -> None:
    assert answer_of(path) == "absent"


def test_the_text_of_a_refusal_says_whose_the_socket_is_and_what_to_do() -> None:
    refusal = Refusal("docker", "/var/run/docker.sock", owner="root", group="docker")
    assert refusal_text(refusal) == (
        "permission denied on /var/run/docker.sock: it belongs to the group docker: `sudo usermod -aG docker $USER` "
        "(anyone who can open it can become root), then log in again"
    )
    waiting = Refusal("docker", "/var/run/docker.sock", owner="root", group="docker", is_member=True)
    assert refusal_text(waiting).endswith("you are in the group docker, but this login is older than that: log in again")
    rootful = Refusal("podman", "/run/podman/podman.sock", named_by="CONTAINER_HOST", owner="root")
    assert "only root may open it: unset CONTAINER_HOST" in refusal_text(rootful)


def test_whose_a_closed_socket_is_is_read_from_it(listen: Listen) -> None:
    closed = listen("docker.sock", mode=0o600)
    if os.geteuid() == 0:
        os.chown(closed, 0, NOBODYS_GROUP)
    os.chmod(closed, 0o060 if os.geteuid() == 0 else 0)
    with as_a_user():
        refusal = search_engine("docker", environment={"DOCKER_HOST": f"unix://{closed}"})
    assert isinstance(refusal, Refusal)
    assert refusal.owner == pwd.getpwuid(os.stat(closed).st_uid).pw_name
    # A user cannot give a socket to a group that he is not in.
    assert refusal.group == (grp.getgrgid(NOBODYS_GROUP).gr_name if os.geteuid() == 0 else None)
    assert not refusal.is_member


def test_list_doctor_and_launches_say_permission_denied_and_not_that_there_is_no_engine(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loaded before: the user that this becomes may not read a Python in root's home.
    importlib.import_module("concurrent.futures.thread")
    importlib.import_module("harness.engines.container")
    closed = listen("engine.sock", mode=0)
    for name in ("CONTAINER_HOST", "DOCKER_HOST"):
        monkeypatch.setenv(name, f"unix://{closed}")
    with as_a_user():
        cpu = load_catalog().images["cpu"]
        assert obstacles_to([cpu]) == {"cpu": (f"permission denied on {closed}, see `strixbench doctor`",)}
        for facts, variable in zip(ask_engines(os.environ), ("CONTAINER_HOST", "DOCKER_HOST"), strict=True):
            assert facts.error == f"permission denied on {closed}, which {variable} names"
            assert facts.refusal is not None
        for name in ("auto", "podman", "docker"):
            with pytest.raises(EngineError, match=f"permission denied on {closed}"):
                open_engine(name)


def test_a_list_looks_for_the_engine_once_and_not_once_an_image(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{folder / 'podman.sock'}")
    path = folder / "podman.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        engine.listen(1000)
        engine.setblocking(False)
        for rows in (image_rows, cell_rows):
            rows(load_catalog())
            assert connections(engine) == 1


def connections(listening: socket.socket) -> int:
    """How many came since the last look."""
    for count in itertools.count():
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError


def test_an_engine_that_is_none_is_refused_as_an_engine() -> None:
    with pytest.raises(EngineError, match="there is no engine 'warp'"):
        find_engine("warp", environment={})
