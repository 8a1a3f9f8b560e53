"""The gated models from the Hugging Face hub into the user's cache: asked for, downloaded, checked by hash.

The only module that touches the Hugging Face token. It is read by huggingface_hub's own rules (``HF_TOKEN``, the token
file), sent to the hub in a header, and goes nowhere else: no argument, log, record or error holds it.

huggingface_hub downloads each file and lays out the cache. What is pinned, whether a file is the pinned one, and what a
refusal means to the user is decided here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import ModelsError
from harness.inputs import hub_cache
from harness.inputs.hashes import content_hash
from harness.inputs.hub_answers import TOKENS_PAGE, Answer, is_about_the_token, malformed, refusal_sentence, scrubbed
from harness.inputs.hub_cache import Pin
from harness.text import Say

WAIT_SECONDS = 600.0
"""The longest wait for a file that another command is fetching."""
SPARE_BYTES = 16 << 20
"""Left free on the disk beyond what is downloaded."""
CHUNK_BYTES = 64 << 10
"""A broken connection loses less than one chunk, and progress is shown after each. huggingface_hub's 10 MiB is larger than most
of our files."""


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file to download, as the hub described it."""

    pin: Pin
    name: str
    etag: str
    size: int | None
    """Bytes; ``None``: the server does not say."""


class Token:
    """The user's token, which no text ever shows."""

    def __init__(self, value: str | None) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Token(...)" if self.value else "Token(none)"


def fetch_pins(wanted: Sequence[Pin], hub: Path, *, say: Say, show: Callable[[str], None]) -> list[tuple[str, str]]:
    """Get the files of these repositories that the cache lacks; returns (repository, file) of each that was downloaded.

    Where all are there, the network is not used. ``show`` is often told how far a download is. Raises `ModelsError`.
    """
    lacking = {pin.repository: hub_cache.wrong_files(hub, pin) for pin in wanted}
    missing = [pin for pin in wanted if lacking[pin.repository]]
    fetched: list[tuple[str, str]] = []
    if missing:
        token = _read_token()
        files = _ask(missing, lacking, token)
        _refuse_a_full_disk(hub, files)
        for file in files:
            if _download(file, hub, token, say=say, show=show):
                fetched.append((file.pin.repository, file.name))
                say(f"fetched {file.pin.repository} {file.name}")
    for pin in wanted:
        before = hub_cache.point_main(hub, pin)
        if before is not None:
            say(f"{pin.repository} in {hub} meant commit {before} and now means {pin.revision}, which is pinned")
    return fetched


def _library() -> Any:
    """huggingface_hub, set before its import to send no telemetry and to draw no bars."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # else it also fetches a registry of programs to name in its user agent
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # else it prints what servers put into a header
    os.environ.pop("HF_DEBUG", None)  # logs each request as a curl line
    os.environ["HF_HUB_DISABLE_XET"] = "1"  # another client, with proxies, retries and a cache of its own
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        os.environ.setdefault(name, "30")  # seconds; its own 10 are too few for a proxy that scans a file first
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    def client() -> Any:
        made = _http.default_client_factory()
        made.event_hooks["response"].append(_refuse_at_once)
        return made

    if constants.DOWNLOAD_CHUNK_SIZE != CHUNK_BYTES:  # the first call
        constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
        huggingface_hub.set_client_factory(client)
    return huggingface_hub


def _refuse_at_once(response: Any) -> None:
    """Raise for an answer after which huggingface_hub would wait as long as the server says, in silence."""
    from huggingface_hub.utils._http import hf_raise_for_status

    if response.status_code in (408, 429) or response.status_code >= 500:
        hf_raise_for_status(response)


def _read_token() -> Token:
    """The token by huggingface_hub's own rules. Raises `ModelsError` for a text that cannot be a token, and where the user
    set HF_HUB_OFFLINE."""
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
        raise ModelsError(
            f"the Hugging Face token is malformed: {why}. Copy it again from {TOKENS_PAGE} into HF_TOKEN, or run `hf auth login`"
        )
    return Token(value)


def _ask(missing: Sequence[Pin], lacking: Mapping[str, list[str]], token: Token) -> list[_Wanted]:
    """What the hub says about each missing file. Raises one `ModelsError` for all the repositories that it refuses."""
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
    """A file's size and hash as the hub states them, or its refusal. Raises `ModelsError` where no hub answers."""
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
    return _Wanted(pin=pin, name=name, etag=found.etag, size=found.size)


def _refuse_a_full_disk(hub: Path, files: Sequence[_Wanted]) -> None:
    """Raise `ModelsError` where the files will not fit on the disk."""
    hub.mkdir(parents=True, exist_ok=True)
    needed, free = sum(file.size or 0 for file in files) + SPARE_BYTES, shutil.disk_usage(hub).free
    if free < needed:
        raise ModelsError(f"the models need {needed / 1e6:.0f} MB in {hub} and {free / 1e6:.0f} MB are free")


def _download(file: _Wanted, hub: Path, token: Token, *, say: Say, show: Callable[[str], None]) -> bool:
    """Put the file into the cache, verified, or not at all; returns whether anything had to be downloaded."""
    pin, path = file.pin, hub_cache.snapshot_file(hub, file.pin, file.name)
    blob = hub_cache.repository_folder(hub, pin.repository) / "blobs" / file.etag
    with _alone_with(file, hub, say=say):
        if not _is_right(path, file):  # huggingface_hub would take it as it is
            path.unlink(missing_ok=True)
        is_there = _is_right(blob, file)
        if not is_there:
            blob.unlink(missing_ok=True)
        _get(file, hub, token, show=show)
        if not _is_right(path, file):
            path.unlink(missing_ok=True)
            blob.unlink(missing_ok=True)
            raise _damaged(file, f"its hash is not {pin.files[file.name] or file.etag}")
    return not is_there


@contextlib.contextmanager
def _alone_with(file: _Wanted, hub: Path, *, say: Say) -> Iterator[None]:
    """Keep other strixbench commands from the file, wait for another program that is fetching it, and remove what killed ones
    left of it.

    huggingface_hub's own lock, the second one, is waited for here since it would wait in silence and without end. Raises
    `ModelsError`.
    """
    from filelock import FileLock

    folder = hub_cache.repository_folder(hub, file.pin.repository)
    locks = hub / ".locks" / folder.name
    locks.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        ours, theirs = (FileLock(locks / f"{file.etag}{end}.lock", mode=0o664) for end in (".strixbench", ""))
        _acquire(ours, file, say=say)
        held.callback(ours.release)
        _acquire(theirs, file, say=say)
        for rest in (folder / "blobs").glob(f"{file.etag}*.incomplete"):
            rest.unlink(missing_ok=True)
        theirs.release()
        yield


def _acquire(lock: Any, file: _Wanted, *, say: Say) -> None:
    from filelock import Timeout

    what = f"fetching {file.pin.repository} {file.name}"
    with contextlib.suppress(Timeout):
        lock.acquire(timeout=0)
        return
    say(f"another command is {what}: waiting for it")
    try:
        lock.acquire(timeout=WAIT_SECONDS)
    except Timeout:
        minutes = WAIT_SECONDS / 60
        raise ModelsError(f"another command has been {what} for {minutes:.0f} min: end it and run this again") from None


def _is_right(path: Path, file: _Wanted) -> bool:
    """Whether the file is there with the hub's hash and the pinned one."""
    hashes = (known for known in (file.etag, file.pin.files[file.name]) if known)
    return all(content_hash(path, digits=len(known)) == known for known in hashes)


def _get(file: _Wanted, hub: Path, token: Token, *, show: Callable[[str], None]) -> None:
    """Let huggingface_hub put the file into the cache. Raises `ModelsError`."""
    library, pin = _library(), file.pin
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import tqdm

    class Progress(tqdm):
        """A bar that draws nothing and tells ``show``."""

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            total = f" of {file.size / 1e6:.1f}" if file.size is not None else ""
            show(f"{pin.repository} {file.name}: {self.n / 1e6:.1f}{total} MB")

    try:
        library.hf_hub_download(
            pin.repository,
            file.name,
            revision=pin.revision,
            cache_dir=hub,
            token=token.value or False,
            tqdm_class=Progress,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError) as error:
        # The hub described the file a moment ago and now does not: huggingface_hub wraps that as a file missing here.
        why = error.__cause__ if isinstance(error, LocalEntryNotFoundError) and error.__cause__ else error
        if not isinstance(why, HfHubHTTPError):
            raise _unreachable(why, token) from None
        refused = {pin.repository: _answer(why, token)}
        raise ModelsError(refusal_sentence(refused, {pin.repository: pin}, has_token=bool(token.value))) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelsError(f"the disk of {hub} is full: {file.name} was not kept; free some and run this again") from None
        if error.errno is None:  # not the operating system's: the size is not the one that the hub described
            raise _damaged(file, scrubbed(str(error), token.value)) from None
        raise


def _damaged(file: _Wanted, why: str) -> ModelsError:
    return ModelsError(
        f"{file.pin.repository} {file.name} was damaged in transit: {why}. Nothing was kept of it; run this again"
    )


def _answer(error: Any, token: Token) -> Answer:
    """The hub's refusal, taken from huggingface_hub's exception."""
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
        f"the Hugging Face hub at {_endpoint()} cannot be reached ({said}): look at the network, HTTPS_PROXY and HF_ENDPOINT; "
        "the files that are whole are kept"
    )


def _endpoint() -> str:
    """The hub's address without the name and password that it may contain."""
    address: str = _library().constants.ENDPOINT
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
