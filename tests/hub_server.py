"""A fake of the Hugging Face hub: made-up files behind the hub's paths, statuses, headers and refusals, on this host alone.

It answers what `huggingface_hub` reads (its `hf_raise_for_status`, `get_hf_file_metadata`): ``/REPOSITORY/resolve/COMMIT/FILE``
with ``X-Repo-Commit``, ``ETag``, ``X-Linked-Etag``, ``X-Linked-Size``, ``X-Error-Code`` and ``X-Error-Message``. A large
file redirects to a second server under another name, as the hub's do to their storage; ranges are honoured there. Nothing
that comes from here is a model of anybody, and nothing made of it is a measurement.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import msgspec

Account = Literal["reader", "fine-grained", "awaiting", "expired"]


class Seen(msgspec.Struct, frozen=True):
    """One request as it came."""

    server: str
    method: str
    path: str
    authorization: str | None
    range: str | None


class FakeRepository(msgspec.Struct, kw_only=True):
    """Files at one commit."""

    commit: str
    files: dict[str, bytes]
    gated: bool = True
    large: tuple[str, ...] = ()
    """Files that lie on the second server."""


class FakeHub:
    """The state of both servers; a test changes it between commands."""

    def __init__(self, repositories: Mapping[str, FakeRepository]) -> None:
        self.repositories = dict(repositories)
        self.accepted: dict[str, set[str]] = {}
        """Gated repositories that each token may read."""
        self.accounts: dict[str, Account] = {}
        self.cuts: list[int] = []
        """The next downloads end after so many bytes, without the rest."""
        self.damaged: set[str] = set()
        """Files that arrive with a wrong first byte."""
        self.shortened: set[str] = set()
        """Files that arrive without their last byte, as if that were all."""
        self.holds: threading.Event | None = None
        """A download of a large file stops half way until this is set; ``None``: it does not."""
        self.status: int | None = None
        """What every request is answered with; ``None``: as it should be."""
        self.status_after = 0
        """So many requests are answered as they should be before."""
        self.offers_xet = False
        """Whether large files can also be had from another kind of storage, as the hub says of all of its own."""
        self.echoes_the_token = False
        """Whether a refusal quotes the header that it refuses."""
        self.seen: list[Seen] = []
        self.hub_url = self.storage_url = ""

    def admit(self, token: str, *repositories: str, account: Account = "reader") -> None:
        """A token, and the repositories whose conditions its account accepted."""
        self.accounts[token] = account
        self.accepted[token] = set(repositories)

    def downloads(self) -> list[Seen]:
        return [each for each in self.seen if each.method == "GET"]

    def refusal(self, name: str, authorization: str | None) -> tuple[int, str, str] | None:
        """Status, ``X-Error-Code``, ``X-Error-Message``, as the hub words them; ``None``: it may be read."""
        repository = self.repositories[name]
        token = (authorization or "").removeprefix("Bearer ")
        account = self.accounts.get(token)
        if authorization and (account is None or account == "expired"):
            return 401, "", "Invalid credentials in Authorization header" + (f": {token}" if self.echoes_the_token else "")
        if not repository.gated:
            return None
        if not authorization:
            said = f"Access to model {name} is restricted. You must have access to it and be authenticated to access it."
            return 401, "GatedRepo", f"{said} Please log in."
        if account == "fine-grained":
            said = "Please enable access to public gated repositories in your fine-grained token settings"
            return 403, "", f"{said} to view this repository."
        if name in self.accepted[token]:
            return None
        if account == "awaiting":
            return 403, "GatedRepo", f"Your request to access model {name} is awaiting a review from the repo authors."
        said = f"Access to model {name} is restricted and you are not in the authorized list."
        return 403, "GatedRepo", f"{said} Visit https://huggingface.co/{name} to ask for access."


class _Handler(BaseHTTPRequestHandler):
    """One request; ``hub`` and ``name`` are of the class that `_serve` makes."""

    hub: FakeHub
    name: str

    def do_HEAD(self) -> None:
        self._respond()

    def do_GET(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _respond(self) -> None:
        authorization = self.headers.get("Authorization")
        self.hub.seen.append(Seen(self.name, self.command, self.path, authorization, self.headers.get("Range")))
        if self.hub.status is not None and len(self.hub.seen) > self.hub.status_after:
            self._send(self.hub.status, {"Retry-After": "86400"}, b"the fake hub is down")
        elif self.name == "storage":
            found = next(
                (content, f"{name}/{file}")
                for name, repository in self.hub.repositories.items()
                for file, content in repository.files.items()
                if hashlib.sha256(content).hexdigest() in self.path
            )
            self._send_file(*found, headers={})
        else:
            self._resolve(authorization)

    def _resolve(self, authorization: str | None) -> None:
        repository_name, _, rest = self.path.lstrip("/").partition("/resolve/")
        commit, _, file = rest.partition("/")
        repository = self.hub.repositories.get(repository_name)
        if repository is None:
            self._send(404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"")
            return
        refusal = self.hub.refusal(repository_name, authorization)
        if refusal is not None:
            status, code, message = refusal
            self._send(status, {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}), message.encode())
            return
        if commit != repository.commit:
            self._send(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {commit}"}, b"")
            return
        content = repository.files.get(file)
        headers = {"X-Repo-Commit": repository.commit}
        if content is None:
            self._send(404, headers | {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, b"")
        elif file in repository.large:
            sha256 = hashlib.sha256(content).hexdigest()
            headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
            if self.hub.offers_xet:
                headers |= {"X-Xet-Hash": sha256, "X-Xet-Refresh-Route": f"{self.hub.hub_url}/api/xet-read-token"}
            self._send(302, headers | {"Location": f"{self.hub.storage_url}/blobs/{sha256}?signature=made-up"}, b"")
        else:
            git = hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
            self._send_file(content, f"{repository_name}/{file}", headers=headers | {"ETag": f'"{git}"'})

    def _send_file(self, content: bytes, name: str, *, headers: dict[str, str]) -> None:
        if name in self.hub.damaged:
            content = bytes([content[0] ^ 1]) + content[1:]
        if name in self.hub.shortened and self.command == "GET":
            content = content[:-1]
        asked = self.headers.get("Range")
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if begin:
            headers = headers | {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        self._send(206 if begin else 200, headers, content[begin:], may_be_cut=True)

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, may_be_cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if may_be_cut and self.hub.cuts:
            body = body[: self.hub.cuts.pop(0)]
        if may_be_cut and self.name == "storage" and self.hub.holds is not None:
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.hub.holds.wait(timeout=60)
            body = body[half:]
        self.wfile.write(body)


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Both servers, until the block ends: the hub as 127.0.0.1, the storage as localhost, another host by name."""
    servers = []
    for name, host in (("hub", "127.0.0.1"), ("storage", "localhost")):
        handler = type("Handler", (_Handler,), {"hub": hub, "name": name})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        setattr(hub, f"{name}_url", f"http://{host}:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
