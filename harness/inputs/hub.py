"""The gated models from the Hugging Face hub into the user's cache: asked for, downloaded, resumed, checked by hash.

The only module that touches the Hugging Face token. It is read by huggingface_hub's own rules (``HF_TOKEN``, the token
file), sent to the hub in a header, and goes nowhere else: no argument, log, record or error holds it.

huggingface_hub asks and authorises; the bytes are ours to write, since from 1.0 on its own download begins anew in each
process (https://github.com/huggingface/huggingface_hub/pull/4228) and puts a file into the cache before anybody hashed it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from harness.errors import ModelsError
from harness.inputs import hub_cache
from harness.inputs.hub_answers import Answer, is_about_the_token, malformed, malformed_sentence, refusal_sentence, scrubbed
from harness.inputs.hub_cache import Pin
from harness.text import Say

TRIES_WITHOUT_PROGRESS = 4
PAUSE_SECONDS = 0.25
"""Before the second such try; doubled for each further one."""
SPARE_BYTES = 16 << 20
"""Left free on the disk beyond what is downloaded."""


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file to download, as the hub described it."""

    pin: Pin
    name: str
    url: str
    etag: str
    size: int | None
    """Bytes; ``None``: the server does not say."""


class Token:
    """The user's token; shows nothing of itself."""

    def __init__(self, value: str | None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Token(...)" if self.value else "Token(none)"


def fetch_pins(wanted: Sequence[Pin], hub: Path, *, say: Say, show: Callable[[str], None]) -> list[tuple[str, str]]:
    """Get what the cache lacks of these repositories; returns (repository, file) of each that was downloaded.

    Nothing is asked of the network where all is there. ``show`` gets how far it is, often. Raises `ModelsError`.
    """
    lacking = {pin.repository: hub_cache.wrong_files(hub, pin) for pin in wanted}
    missing = [pin for pin in wanted if lacking[pin.repository]]
    fetched: list[tuple[str, str]] = []
    if missing:
        token = _read_token()
        files = _ask(missing, lacking, token)
        _refuse_a_full_disk(hub, files)
        for file in files:
            if _download(file, hub, token, show=show):
                fetched.append((file.pin.repository, file.name))
                say(f"fetched {file.pin.repository} {file.name}")
    for pin in wanted:
        before = hub_cache.point_main(hub, pin)
        if before is not None:
            say(f"{pin.repository} in {hub} meant commit {before} and now means {pin.revision}, which is pinned")
    return fetched


def _library() -> Any:
    """huggingface_hub, told before its import to send no telemetry and to draw no bars."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # else it also fetches a registry of programs to name in its user agent
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # else it prints what servers put into a header
    os.environ.pop("HF_DEBUG", None)  # logs each request as a curl line
    import huggingface_hub

    return huggingface_hub


def _read_token() -> Token:
    """The token by huggingface_hub's own rules. Raises `ModelsError` for one that cannot be a token, and where the
    caller said to stay offline."""
    library = _library()
    import httpx2
    from huggingface_hub.errors import OIDCError

    if library.is_offline_mode():
        raise ModelsError(
            "HF_HUB_OFFLINE is set, so the hub may not be asked: unset it and run this again "
            "(a launch sets it by itself and needs no network)"
        )
    try:
        value = library.get_token()
    except (OSError, ValueError, OIDCError, httpx2.HTTPError) as error:
        # The token file or an identity provider, each with errors of its own; none may show what it read.
        raise ModelsError(f"the Hugging Face token could not be read ({type(error).__name__}): run `hf auth login`") from None
    why = malformed(value) if value else None
    if why is not None:
        raise ModelsError(malformed_sentence(why))
    return Token(value)


def _ask(missing: Sequence[Pin], lacking: Mapping[str, list[str]], token: Token) -> list[_Wanted]:
    """What the hub says of each lacking file. Raises one `ModelsError` for all the repositories that it refuses."""
    files: list[_Wanted] = []
    refused: dict[str, Answer] = {}
    for pin in missing:
        for name in lacking[pin.repository]:
            described = _describe(pin, name, token)
            if isinstance(described, _Wanted):
                files.append(described)
                continue
            refused[pin.repository] = described
            break
        if pin.repository in refused and is_about_the_token(refused[pin.repository], has_token=bool(token.value)):
            break
    if refused:
        pins = {pin.repository: pin for pin in missing}
        raise ModelsError(refusal_sentence(refused, pins, has_token=bool(token.value)))
    return files


def _describe(pin: Pin, name: str, token: Token) -> _Wanted | Answer:
    """A file's size and hash by the hub, or the hub's refusal. Raises `ModelsError` where it is no hub or not reached."""
    library = _library()
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    url = library.hf_hub_url(pin.repository, name, revision=pin.revision)
    try:
        found = library.get_hf_file_metadata(url, token=token.value or False)
    except HfHubHTTPError as error:
        return _answer(error, token)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise _unreachable(error, token) from None
    if found.commit_hash != pin.revision or not found.etag:
        raise ModelsError(
            f"what answers at {_endpoint()} is no Hugging Face hub: it was asked for commit {pin.revision} of "
            f"{pin.repository} and names {scrubbed(str(found.commit_hash), token.value)}; look at HF_ENDPOINT and at proxies"
        )
    sha256 = pin.files[name]
    if not hub_cache.is_checkable(found.etag) or (sha256 and len(found.etag) == 64 and found.etag != sha256):
        raise ModelsError(
            f"{pin.repository} {name} is not the pinned file: the hub's hash is {scrubbed(found.etag, token.value)}, "
            f"pinned is {sha256 or 'none'}. Nothing was downloaded of it"
        )
    return _Wanted(pin=pin, name=name, url=url, etag=found.etag, size=found.size)


def _refuse_a_full_disk(hub: Path, files: Sequence[_Wanted]) -> None:
    """Raise `ModelsError` where the files will not fit."""
    hub.mkdir(parents=True, exist_ok=True)
    needed, free = sum(file.size or 0 for file in files) + SPARE_BYTES, shutil.disk_usage(hub).free
    if free < needed:
        raise ModelsError(f"the models need {needed / 1e6:.0f} MB in {hub} and {free / 1e6:.0f} MB are free")


def _download(file: _Wanted, hub: Path, token: Token, *, show: Callable[[str], None]) -> bool:
    """The file into the cache, whole, verified, or not at all; returns whether anything had to be downloaded.

    What a broken connection left is kept beside it and gone on with, also by a later command.
    """
    blob = hub_cache.repository_folder(hub, file.pin.repository) / "blobs" / file.etag
    sha256 = file.pin.files[file.name]
    is_there = blob.is_file() and all(hub_cache.content_matches(blob, known) for known in (file.etag, sha256) if known)
    if not is_there:
        blob.parent.mkdir(parents=True, exist_ok=True)
        part = blob.with_name(f"{file.etag}.incomplete")
        with part.open("ab") as stream:
            if not _is_ours(stream, part):
                raise ModelsError(f"another command is fetching {file.pin.repository} {file.name}: wait for it")
            _fill(stream, file, part, token, show=show)
            for known in (file.etag, sha256):
                if known and not hub_cache.content_matches(part, known):
                    part.unlink()
                    raise ModelsError(
                        f"{file.pin.repository} {file.name} was damaged on its way: it has not the hash {known}. "
                        "Nothing was kept of it; run this again"
                    )
            os.replace(part, blob)
    hub_cache.place_link(hub, file.pin, file.name, etag=file.etag)
    return not is_there


def _is_ours(stream: BinaryIO, part: Path) -> bool:
    """Whether no other command writes this file, nor finished it since it was opened."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(stream.fileno()), part.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _fill(stream: BinaryIO, file: _Wanted, part: Path, token: Token, *, show: Callable[[str], None]) -> None:
    """Download until the stream holds all of the file; goes on behind a connection that broke. Raises `ModelsError`."""
    _library()
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    if file.size is not None and stream.tell() > file.size:
        stream.truncate(0)
    fruitless = 0
    while file.size is None or stream.tell() < file.size or file.size == 0:
        before = stream.tell()
        try:
            _stream_rest(stream, file, token, show=show)
        except HfHubHTTPError as error:
            refused = {file.pin.repository: _answer(error, token)}
            sentence = refusal_sentence(refused, {file.pin.repository: file.pin}, has_token=bool(token.value))
            raise ModelsError(sentence) from None
        except httpx2.HTTPError as error:
            fruitless = 0 if stream.tell() > before else fruitless + 1
            if fruitless == TRIES_WITHOUT_PROGRESS:
                raise _unreachable(error, token) from None
            time.sleep(PAUSE_SECONDS * 2**fruitless if fruitless else 0)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            part.unlink()
            raise ModelsError(
                f"the disk of {part.parent} is full: {file.name} was not kept; free some and run this again"
            ) from None
        else:
            stream.flush()
            return  # a server that ends early without breaking the connection is found by the hash
    stream.flush()


def _stream_rest(stream: BinaryIO, file: _Wanted, token: Token, *, show: Callable[[str], None]) -> None:
    """One request for what the stream lacks. A redirect to another host goes without the token: httpx2 takes it off."""
    library = _library()
    import httpx2

    headers = {**library.utils.build_hf_headers(token=token.value or False), "Accept-Encoding": "identity"}
    begin = stream.tell()
    if begin:
        headers["Range"] = f"bytes={begin}-"
    with library.get_session().stream("GET", file.url, headers=headers, timeout=httpx2.Timeout(30.0)) as response:
        library.hf_raise_for_status(response)
        if begin and response.status_code != 206:  # it sends all of it again
            stream.truncate(0)
        for chunk in response.iter_bytes():  # as it comes: a size asked for is held back until it is full, and lost in a cut
            stream.write(chunk)
            total = f" of {file.size / 1e6:.1f}" if file.size is not None else ""
            show(f"{file.pin.repository} {file.name}: {stream.tell() / 1e6:.1f}{total} MB")


def _answer(error: Any, token: Token) -> Answer:
    """The hub's refusal out of huggingface_hub's exception."""
    headers = error.response.headers
    said = headers.get("X-Error-Message") or getattr(error, "server_message", None) or ""
    return Answer(
        status=int(error.response.status_code),
        code=scrubbed(headers.get("X-Error-Code") or "", token.value),
        message=scrubbed(said, token.value),
    )


def _unreachable(error: BaseException, token: Token) -> ModelsError:
    """The sentence for a hub that does not answer."""
    said = scrubbed(f"{type(error).__name__}: {error}", token.value)
    return ModelsError(
        f"the Hugging Face hub at {_endpoint()} is not reached ({said}): look at the network, HTTPS_PROXY and HF_ENDPOINT; "
        "what is downloaded already is kept"
    )


def _endpoint() -> str:
    """The hub's address, without a name and password that may stand in it."""
    address: str = _library().constants.ENDPOINT
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
