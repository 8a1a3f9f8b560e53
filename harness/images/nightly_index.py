"""A package index of nightlies -> the newest build that it has of both torch and torchaudio.

The pages are those of PEP 503 (https://packaging.python.org/specifications/simple-repository-api/): each project has one page of
links to files. Pure functions of two pages decide which build to take; `ask_index` alone uses the network.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import msgspec

from harness.errors import PackageIndexError

PYTHON = "cp312"
"""The Python of the images whose torch is a nightly."""

MOST_PAGE_BYTES = 32 << 20
"""The limit for one page. A link to a wheel takes about 250 bytes, so this is more than 100,000 wheels."""

SILENCE_SECONDS = 30.0
"""The longest wait for a connection, and for the next bytes."""

WHOLE_PAGE_SECONDS = 120.0


class Nightly(msgspec.Struct, frozen=True, kw_only=True):
    """One build that an index has: exact versions, and the day of both."""

    torch: str
    torchaudio: str
    day: str


def newest_nightly(
    torch_page: str, torchaudio_page: str, *, torch: str, torchaudio: str, day: str = "newest", last_day: str = "20991231"
) -> Nightly | None:
    """The newest build that has wheels of both releases; that of one ``day`` (``20261003``) where that is named.

    ``None`` where the index has none. Of two builds of a day, the one with the later ROCm is taken. A day after ``last_day`` has not
    come yet, whatever the index says: it would be the newest for ever.
    """
    shared = set(builds_of(torch_page, "torch", torch)) & set(builds_of(torchaudio_page, "torchaudio", torchaudio))
    of_day = [build for build in shared if day in ("newest", _day(build)) and _day(build) <= last_day]
    if not of_day:
        return None
    build = max(of_day, key=_age)
    return Nightly(torch=f"{torch}+{build}", torchaudio=f"{torchaudio}+{build}", day=_day(build))


def builds_of(page: str, project: str, release: str) -> list[str]:
    """The nightly builds of a release that a project's page has for us, as ``rocm10.2.0a20261003``, oldest first."""
    wheel = re.compile(
        rf"{project}-{re.escape(release)}\+(rocm[0-9]{{1,4}}(?:\.[0-9]{{1,4}}){{0,4}}a20[0-9]{{6}})-{PYTHON}-{PYTHON}-"
        r"(?:manylinux[a-z0-9_]{1,40}|linux)_x86_64\.whl"
    )
    found = {match[1] for name in file_names(page) if (match := wheel.fullmatch(name))}
    return sorted(found, key=_age)


def file_names(page: str) -> Iterator[str]:
    """The files that a project's page links to, except withdrawn ones (``data-yanked``)."""
    links = _Links()
    with contextlib.suppress(AssertionError):  # of Python's parser, at declarations that are none: what came before them counts
        links.feed(page)
    for address in links.addresses:
        try:
            yield unquote(urlsplit(address).path).rsplit("/", 1)[-1]
        except ValueError:  # such as a bracket that makes it an address of IPv6
            continue


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of a link."""
        values = dict(attrs)
        if tag == "a" and "data-yanked" not in values and (address := values.get("href")):
            self.addresses.append(address)


def _day(build: str) -> str:
    return build[-8:]


def _age(build: str) -> tuple[str, tuple[int, ...]]:
    """The key that builds are sorted by: the day, then the ROCm."""
    return _day(build), tuple(int(part) for part in build[len("rocm") : -len("a20261003")].split("."))


def ask_index(index: str, *, torch: str, torchaudio: str, day: str = "newest") -> Nightly:
    """The build to take today. Raises `PackageIndexError` where the index does not answer or has no build of both."""
    torch_page, torchaudio_page = fetch_page(index, "torch"), fetch_page(index, "torchaudio")
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}"
    found = newest_nightly(torch_page, torchaudio_page, torch=torch, torchaudio=torchaudio, day=day, last_day=tomorrow)
    if found is None:
        raise PackageIndexError(
            f"{index} has no nightly of both torch {torch} and torchaudio {torchaudio}"
            f"{'' if day == 'newest' else f' of {day}'} for {PYTHON} on Linux: "
            f"{_has(torch_page, 'torch', torch)}, {_has(torchaudio_page, 'torchaudio', torchaudio)}. "
            "Name another pair in an overlay: its torch and torchaudio, exact or not"
        )
    return found


def _has(page: str, project: str, release: str) -> str:
    """What a page has of a release, in words."""
    builds = builds_of(page, project, release)
    if not builds:
        return f"it has no {project} {release}"
    return f"it has {project} {release} from {_day(builds[0])} to {_day(builds[-1])}"


def fetch_page(index: str, project: str, *, most_bytes: int = MOST_PAGE_BYTES, most_seconds: float = WHOLE_PAGE_SECONDS) -> str:
    """A project's page. Raises `PackageIndexError`, which says why there is none."""
    address = f"{index.rstrip('/')}/{project}/"
    if urlsplit(address).scheme not in ("http", "https"):
        raise PackageIndexError(f"{address} is no address of a package index: torch_index must begin with https:// or http://")
    request = Request(address, headers={"Accept": "text/html", "User-Agent": "strixbench"})  # noqa: S310 - http alone, see above
    try:
        with urlopen(request, timeout=SILENCE_SECONDS) as answer:  # noqa: S310
            return _read(answer, address, most_bytes=most_bytes, most_seconds=most_seconds)
    except HTTPError as error:
        # AMD's indexes answer 403 for what they do not have: https://github.com/mudler/LocalAI/pull/10997
        why = f"has no {project}" if error.code in (403, 404, 410) else "does not serve it now"
        raise PackageIndexError(f"{index} {why}: {address} answered {error.code}. {_WAY_OUT}") from error
    except (OSError, HTTPException, ValueError) as error:
        cause = getattr(error, "reason", None) or error
        raise PackageIndexError(
            f"{address} could not be read ({cause}): check the network and the proxy. {_WAY_OUT}"
        ) from error


_WAY_OUT = "Without it, name exact versions of torch and torchaudio in an overlay (`--catalog FILE`)"


def _read(answer: HTTPResponse, address: str, *, most_bytes: int, most_seconds: float) -> str:
    """A whole answer, within limits of time and size."""
    ends_at, kept = time.monotonic() + most_seconds, bytearray()
    while data := answer.read1(1 << 16):  # `read` would wait for all of them, however slowly they come
        kept += data
        if len(kept) > most_bytes:
            raise PackageIndexError(f"{address} sends more than {most_bytes >> 20} MB: it is no page of a package index")
        if time.monotonic() > ends_at:
            raise PackageIndexError(f"{address} was not read whole within {most_seconds:.0f} s: try again later")
    return kept.decode("utf-8", "replace")
