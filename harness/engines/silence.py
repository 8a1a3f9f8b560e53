"""How long an engine may be silent, and what a silent or dead connection raises."""

from __future__ import annotations

import http.client
import math
from collections.abc import Mapping

import requests
import urllib3

from harness.errors import UsageError

SILENCE_VARIABLE = "STRIXBENCH_BUILD_SILENCE_SECONDS"

SILENCE_SECONDS = 7200.0
"""A fetch or a build that prints nothing for this long is given up. pip fetches a wheel of 3 GB without a word, for which 7,200 s
are enough at 3.4 Mbit/s; the 1,800 s of earlier versions needed 13 Mbit/s."""

_MOST_SECONDS = 1_000_000.0
"""Python's sockets wait no longer than 2,147,483 s."""

CONNECTION_ERRORS = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)
"""What a dead or silent connection raises. The SDK reads a stream from urllib3's answer, below `requests`, where a silence is a
`urllib3.exceptions.ReadTimeoutError`, which is not a `requests` exception."""


def silence_limit(environment: Mapping[str, str]) -> float:
    """Seconds after which a silent fetch or build is given up. Raises `UsageError`."""
    text = environment.get(SILENCE_VARIABLE, "")
    if not text:
        return SILENCE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MOST_SECONDS:
        raise UsageError(f"{SILENCE_VARIABLE} is {text!r}: give seconds, more than 0 and at most {_MOST_SECONDS:.0f}")
    return seconds


def is_silence(error: BaseException) -> bool:
    """Whether a connection failed because nothing came in time. `requests` wraps urllib3's own error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError | requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def limit_text(seconds: float) -> str:
    """A time limit as a person reads it."""
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:g} s"
