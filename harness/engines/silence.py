"""The line to an engine: what can go wrong on it, and how long it may be silent."""

from __future__ import annotations

import http.client
import math
from collections.abc import Mapping

import requests
import urllib3

from harness.errors import UsageError

SILENCE_VARIABLE = "STRIXBENCH_BUILD_SILENCE_SECONDS"

SILENCE_SECONDS = 7200.0
"""A fetch or a build from which nothing comes for so long is given up. pip fetches a wheel of 3 GB without a word: 7,200 s
are enough for that at 3.4 Mbit/s, where the 1,800 s of before asked for 13."""

_MOST_SECONDS = 1_000_000.0
"""Python's sockets wait no longer than 2,147,483 s."""

CONNECTION_ERRORS = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)
"""What a dead or silent line raises. The SDK reads a stream from urllib3's answer itself, below `requests`, so that a silence of
its own is a `urllib3.exceptions.ReadTimeoutError`, which is no `requests` exception."""


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
    """Whether an error of the line is that nothing came in time. `requests` wraps urllib3's own error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError | requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def limit_text(seconds: float) -> str:
    """A time limit as it is told, with what sets it."""
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:g} s"
