"""Which container engine to use, and the socket it listens on, found without asking the engine anything.

Imports nothing heavy, so that `--dry-run` can name the engine at once.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from harness.errors import EngineError

EngineName = Literal["podman", "docker"]

Answer = Literal["listens", "refused", "absent"]
"""What connecting to a socket gives: ``refused`` where this user may not open it, ``absent`` where nothing listens."""

_INSTALL_PODMAN = "install it (`apt install podman`, `dnf install podman`)"
_START_DOCKER = "its daemon does not listen on DOCKER_HOST, $XDG_RUNTIME_DIR/docker.sock or /var/run/docker.sock"
_ADVICE = {
    "podman": f"Podman is not to be found: {_INSTALL_PODMAN}",
    "docker": f"Docker is not to be found: {_START_DOCKER}",
    "auto": f"neither Podman nor Docker is to be found: {_INSTALL_PODMAN}; `make bench` alone needs no engine",
}
_VARIABLES: dict[EngineName, str] = {"podman": "CONTAINER_HOST", "docker": "DOCKER_HOST"}


class Found(msgspec.Struct, frozen=True):
    """An engine that could be used."""

    name: EngineName
    socket: str | None
    """``None``: none listens, and the program is there to start one."""
    remark: str = ""
    """What the caller named, and why it is not used; empty where nothing was passed over."""


class Refusal(msgspec.Struct, frozen=True):
    """A socket that this user may not open."""

    engine: EngineName
    path: str
    named_by: str = ""
    """The variable that names it; empty: none does."""
    owner: str | None = None
    """The user that it belongs to; ``None``: its folder is closed, so that nobody can tell."""
    group: str | None = None
    """The group whose members may open it; ``None``: no group may, or its folder is closed."""
    is_member: bool = False
    """Whether this user has joined the group, and this login is older than that."""

    @property
    def text(self) -> str:
        """``permission denied on /var/run/docker.sock, which DOCKER_HOST names``."""
        return f"permission denied on {self.path}{f', which {self.named_by} names' if self.named_by else ''}"


def answer_of(path: str) -> Answer:
    """What connecting to a Unix socket gives. Nothing listens on a socket that a dead process left, whoever may open it."""
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect(path)
        except OSError as error:  # also where the path is too long for a socket
            return "refused" if error.errno in (errno.EACCES, errno.EPERM) else "absent"
        except ValueError:  # the path has a NUL in it
            return "absent"
    return "listens"


def find_engine(
    preference: str, *, environment: Mapping[str, str] | None = None, knock: Callable[[str], Answer] = answer_of
) -> Found:
    """The engine of a preference: ``podman``, ``docker``, or ``auto`` (Podman first: it needs no daemon and no root).

    A socket that ``CONTAINER_HOST`` or ``DOCKER_HOST`` names and that refuses is an error: who names one wants that one. A
    named socket that nothing listens on is passed over with a remark. ``knock`` stands for `answer_of` in tests. Raises
    `EngineError`, which says what is missing and how to get it.
    """
    variables = os.environ if environment is None else environment
    names: tuple[EngineName, ...] = ("podman", "docker")
    names = names if preference == "auto" else tuple(name for name in names if name == preference)
    searches = [search_engine(name, environment=variables, knock=knock) for name in names]
    decisive = [each for each in searches if isinstance(each, Found) or (each is not None and each.named_by)]
    for found in (*decisive, *searches):
        if isinstance(found, Found):
            return found
        if found is not None:
            raise EngineError(refusal_text(found))
    unusable = [_passed_over(name, variables) for name in names if named_socket(name, variables) == ""]
    raise EngineError("; ".join((_ADVICE.get(preference, f"there is no engine {preference!r}"), *unusable)))


def search_engine(
    name: EngineName, *, environment: Mapping[str, str], knock: Callable[[str], Answer] = answer_of
) -> Found | Refusal | None:
    """The engine on the first socket that listens, else a Podman that we can start, else the socket that refused."""
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if name == "docker":
        usual: tuple[str, ...] = (f"{runtime}/docker.sock", "/var/run/docker.sock")
    else:
        usual = (f"{runtime}/podman/podman.sock" if is_rootless() else "/run/podman/podman.sock",)
    named, refusal = named_socket(name, environment), None
    remark = ""
    if named is not None:
        remark = f"{_passed_over(name, environment)}; using this host's other {name.capitalize()}"
    for path in filter(None, (named, *usual)):
        answer = knock(path)
        if answer == "listens":
            return Found(name, path, "" if path == named else remark)
        if answer == "refused" and refusal is None:
            refusal = _refusal(name, path, _VARIABLES[name] if path == named else "")
            if refusal.named_by:
                return refusal
    if name == "podman" and shutil.which("podman"):
        return Found(name, None, "" if named in usual else remark)
    return refusal


def refusal_text(refusal: Refusal) -> str:
    """Which socket may not be opened, whose it is, and what to do."""
    if refusal.group is not None and refusal.is_member:
        return f"{refusal.text}: you are in the group {refusal.group}, but this login is older than that: log in again"
    if refusal.group is not None:
        return (
            f"{refusal.text}: it belongs to the group {refusal.group}: `sudo usermod -aG {refusal.group} $USER` "
            "(anyone who can open it can become root), then log in again"
        )
    whose = f"only {refusal.owner} may open it" if refusal.owner else "its folder is closed to you"
    own = {
        "podman": "unset CONTAINER_HOST for a Podman of your own, or run strixbench as a user who may",
        "docker": "name a socket of yours in DOCKER_HOST, or use --engine podman",
    }
    return f"{refusal.text}: {whose}: {own[refusal.engine]}"


def named_socket(name: EngineName, variables: Mapping[str, str]) -> str | None:
    """What the engine's variable names: a path where it names a socket, empty where it names something else; ``None``:
    it is not set."""
    text = variables.get(_VARIABLES[name], "")
    if not text:
        return None
    path = text.removeprefix("unix://").removeprefix("unix:")
    return path if path.startswith("/") else ""


def is_rootless() -> bool:
    """Whether an engine started by us would be rootless."""
    return os.getuid() != 0


def _passed_over(name: EngineName, variables: Mapping[str, str]) -> str:
    """Why what a variable names is not used."""
    variable = _VARIABLES[name]
    if named_socket(name, variables):
        return f"{variable} is {variables[variable]}, and nothing listens there"
    # The scheme alone: an address may hold a user, a host or a password, and a record may be published.
    scheme, is_address, _ = variables[variable].partition("://")
    what = f"is {scheme}://..." if is_address and scheme.isalnum() else "names no address that is known"
    return f"{variable} {what}, and strixbench talks only to Unix sockets"


def _refusal(name: EngineName, path: str, named_by: str) -> Refusal:
    """Who may open a socket that we may not."""
    try:
        status = os.stat(path)
    except OSError:
        return Refusal(name, path, named_by)
    opens_to_group = status.st_mode & 0o060 == 0o060 and status.st_gid != 0
    return Refusal(
        engine=name,
        path=path,
        named_by=named_by,
        owner=_user_name(status.st_uid),
        group=group_name(status.st_gid) if opens_to_group else None,
        is_member=opens_to_group and _has_us(status.st_gid),
    )


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _has_us(gid: int) -> bool:
    """Whether the host's files list this user in a group, whatever groups this login has."""
    import grp
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name in grp.getgrgid(gid).gr_mem
    except KeyError:
        return False
