"""A fake package index on this machine, with pages of the form that AMD's index of nightlies has.

File names are those of its real listing of torchaudio as quoted in https://github.com/Comfy-Org/ComfyUI/pull/16375; links carry a
hash, and ``+`` is written ``%2B`` in them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote


def page(*names: str, yanked: tuple[str, ...] = ()) -> str:
    """A project's page: https://packaging.python.org/specifications/simple-repository-api/."""
    links = "".join(
        f'<a href="../../{quote(name)}#sha256={"0" * 64}"{" data-yanked" if name in yanked else ""}>{name}</a><br/>\n'
        for name in names
    )
    return f"<!DOCTYPE html>\n<html><head><title>Links</title></head>\n<body>\n<h1>Links</h1>\n{links}</body></html>\n"


def wheels(project: str, release: str, *builds: str) -> list[str]:
    """The wheels of nightly builds, also those that are not for us: other Pythons, Windows."""
    return [
        f"{project}-{release}+{build}-{python}-{python}-{system}.whl"
        for build in builds
        for python in ("cp311", "cp312")
        for system in ("linux_x86_64", "win_amd64")
    ]


MOST_TRICKLED_BYTES = 1000
"""At `TRICKLE_SECONDS` each: 10 s."""

TRICKLE_SECONDS = 0.01


class FakeIndex:
    """What it serves by path, such as ``/torch/``: a page, or an HTTP status. ``asked`` are the paths that were asked for.

    With ``trickles`` it sends single bytes until the client goes away, or until `MOST_TRICKLED_BYTES` are sent.
    """

    def __init__(self) -> None:
        self.trickles = False
        self.trickled_bytes = 0
        self.pages: dict[str, str | int] = {}
        self.asked: list[str] = []
        self.address = ""

    def has(self, project: str, *names: str) -> None:
        self.pages[f"/{project}/"] = page(*names)


@contextmanager
def fake_index() -> Iterator[FakeIndex]:
    """The index, listening while the context lasts."""
    index = FakeIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server wants
            index.asked.append(self.path)
            answer = index.pages.get(self.path, 403)  # AMD's indexes refuse what they lack
            status, text = (answer, "") if isinstance(answer, int) else (200, answer)
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if index.trickles:
                self.trickle()
            else:
                self.wfile.write(text.encode())

        def trickle(self) -> None:
            with contextlib.suppress(OSError):  # the client went away
                while index.trickled_bytes < MOST_TRICKLED_BYTES:
                    self.wfile.write(b"x")
                    index.trickled_bytes += 1
                    time.sleep(TRICKLE_SECONDS)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    index.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
