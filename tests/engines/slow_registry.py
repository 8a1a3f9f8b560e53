"""A registry of images on this machine: slow, silent or cut off at will, and it counts what it is asked for.

It serves one image of a few layers of random bytes, over plain HTTP
(https://github.com/distribution/distribution/blob/main/docs/content/spec/api.md). It answers as a forward proxy too,
since a proxy is asked for the same paths with the host in front of them.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import random
import re
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CHUNK_BYTES = 50_000


class SlowRegistry:
    """Layers are numbered from 0, in the image's order. Use as a context; ``port`` is free of others."""

    def __init__(self, layer_bytes: Sequence[int], *, seed: int) -> None:
        layers = [_layer(size, seed=seed + number) for number, size in enumerate(layer_bytes)]
        self.layers = tuple(_digest(packed) for _, packed in layers)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [_digest(unpacked) for unpacked, _ in layers]},
                "history": [{"created_by": "slow_registry"} for _ in layers],
            }
        ).encode()
        self._blobs = {_digest(packed): packed for _, packed in layers} | {_digest(config): config}
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": _descriptor("application/vnd.docker.container.image.v1+json", config),
                "layers": [_descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", packed) for _, packed in layers],
            }
        ).encode()
        self.digest = _digest(self._manifest)
        self.asked: Counter[str] = Counter()
        """Requests for each blob."""
        self.sent: Counter[str] = Counter()
        """Bytes of each blob, also of answers that were cut."""
        self.paths: list[str] = []
        """Of all requests, as they were written: a proxy is asked with the host in front."""
        self.bytes_per_second: dict[str, int] = {}
        """A limit on a blob; none: as fast as it goes."""
        self.silent_after: dict[str, int] = {}
        """Fall silent after so many bytes of a blob, with the line open, until `speak` is set."""
        self.cut_once_after: dict[str, int] = {}
        """End the connection after so many bytes of a blob, the first time that it is asked for."""
        self.ranges: list[str] = []
        """Of all requests for a part of a blob."""
        self.speak = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> SlowRegistry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.speak.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def total_bytes(self) -> int:
        """Of all layers, as they travel."""
        return sum(len(self._blobs[layer]) for layer in self.layers)

    def answer(self, path: str) -> tuple[bytes, str] | None:
        """The body and type of a path; ``None``: there is no such thing here."""
        if path in ("/v2", "/v2/"):
            return b"{}", "application/json"
        match = re.fullmatch(r"/v2/.+/(manifests|blobs)/([^/]+)", path)
        if match is None:
            return None
        if match[1] == "manifests":
            return (self._manifest, MANIFEST_TYPE) if match[2] in ("1", self.digest) else None
        return (self._blobs[match[2]], "application/octet-stream") if match[2] in self._blobs else None

    def pieces(self, blob: str, body: bytes, first: int) -> Iterator[bytes]:
        """The body from a byte on, at the blob's pace; ends early where it is to be cut."""
        rate, silent = self.bytes_per_second.get(blob), self.silent_after.get(blob)
        cut = self.cut_once_after.pop(blob, len(body))
        for begin in range(first, len(body), CHUNK_BYTES):
            if silent is not None and begin >= silent:
                self.speak.wait()
            if begin >= cut:
                return
            piece = body[begin : begin + CHUNK_BYTES]
            if rate is not None:
                time.sleep(len(piece) / rate)
            yield piece


def _handler(registry: SlowRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base class
            """Says nothing."""

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            registry.paths.append(self.path)
            path = urlsplit(self.path).path
            found = registry.answer(path)
            body, kind = found or (
                b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}',
                "application/json",
            )
            blob = path.rpartition("/")[2] if "/blobs/" in path else ""
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if blob else None
            first = 0
            if match:
                registry.ranges.append(match[0])
                first = int(match[1])
            self.send_response(404 if found is None else 206 if match else 200)
            if match:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) - first))
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
            if "/manifests/" in path and found is not None:
                self.send_header("Docker-Content-Digest", registry.digest)
            self.end_headers()
            if not with_body:
                return
            if blob:
                registry.asked[blob] += 1
            with contextlib.suppress(OSError):  # whoever asked has left
                sent = first
                for piece in registry.pieces(blob, body, first) if blob else (body,):
                    self.wfile.write(piece)
                    sent += len(piece)
                    registry.sent[blob] += len(piece)
                if sent < len(body):
                    self.close_connection = True

    return Handler


def _layer(size: int, *, seed: int) -> tuple[bytes, bytes]:
    """A layer of one file that cannot be compressed: unpacked, and as it travels."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(f"layer-{seed}")
        member.size = size
        archive.addfile(member, io.BytesIO(random.Random(seed).randbytes(size)))
    return stream.getvalue(), gzip.compress(stream.getvalue(), 1, mtime=0)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(kind: str, data: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": _digest(data)}
