"""The Hugging Face hub's answer -> a sentence that says what to do; and the removal of a token from a text. Pure.

The statuses, headers and messages are the hub's (huggingface_hub's `hf_raise_for_status` reads the same ones).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from harness.inputs.hub_cache import Pin
from harness.secrets import clean_text

TOKENS_PAGE = "https://huggingface.co/settings/tokens"
MOST_SAID = 300
"""Characters shown of a server's own words."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How the hub refused one repository."""

    status: int
    code: str = ""
    """``X-Error-Code``: ``GatedRepo``, ``RepoNotFound``, ``RevisionNotFound``, ``EntryNotFound``; empty: none."""
    message: str = ""
    """``X-Error-Message``, cleaned."""


def is_about_the_token(answer: Answer, *, has_token: bool) -> bool:
    """Whether the hub would refuse every other repository for the same reason, so that it need not be asked about them."""
    return has_token and answer.status == 401


def malformed(token: str) -> str | None:
    """Why this cannot be a token, without quoting any of it; ``None``: it could be one."""
    if re.search(r"\s", token):
        return "it holds a space or a line break"
    if not token.isascii() or not token.isprintable():
        return "it holds a character that no token has"
    if not token.startswith("hf_"):
        return "it does not begin with hf_"
    if token.count("hf_") > 1 and "." not in token:  # huggingface_hub joins lines; a JSON web token may hold anything
        return "it is two tokens in one"
    if len(token) < 12:
        return f"it is cut short: {len(token)} characters"
    return None


def refusal_sentence(refused: Mapping[str, Answer], pins: Mapping[str, Pin], *, has_token: bool) -> str:
    """One sentence for each reason, with the repositories that were refused for it."""
    by_reason: dict[str, list[str]] = {}
    for repository, answer in refused.items():
        by_reason.setdefault(_reason(answer, has_token=has_token), []).append(repository)
    sentences = []
    for reason, repositories in by_reason.items():
        pages = ", ".join(pins[name].page for name in repositories)
        sentences.append(_sentence(reason, repositories, pages, refused[repositories[0]], pins[repositories[0]]))
    return ". ".join(sentences)


def _reason(answer: Answer, *, has_token: bool) -> str:
    """The class of a refusal."""
    if is_about_the_token(answer, has_token=has_token):
        return "token"
    if answer.status == 401:
        return "no token"
    if answer.status == 403:
        said = answer.message.lower()
        # "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
        if "fine-grained" in said:
            return "fine-grained"
        if "awaiting" in said:  # "Your request to access model X is awaiting a review from the repo authors."
            return "awaiting"
        return "gated" if answer.code == "GatedRepo" else f"said {said}"
    if answer.status == 429:
        return "too many"
    if answer.status >= 500:
        return f"server {answer.status}"
    return answer.code or f"said {answer.status} {answer.message}"


def _sentence(reason: str, repositories: list[str], pages: str, answer: Answer, pin: Pin) -> str:
    """The sentence for a class of refusals."""
    names = ", ".join(repositories)
    told = {
        "token": f"the hub does not accept the Hugging Face token: it has expired, was revoked, or was not copied whole. "
        f"Make another at {TOKENS_PAGE} and set HF_TOKEN, or run `hf auth login`",
        "no token": f"{names} wants a logged-in account and there is no Hugging Face token: accept the conditions at {pages}, "
        f"make a token at {TOKENS_PAGE}, and set HF_TOKEN or run `hf auth login`",
        "fine-grained": f"the Hugging Face token is fine-grained and may not read gated repositories ({names}): tick "
        f'"Read access to contents of all public gated repos you can access" of the token at {TOKENS_PAGE}',
        "awaiting": f"access to {names} was asked for and is not granted yet: see {pages}",
        "gated": f"the conditions of {names} are not accepted: open {pages} as the account of the token, accept, and run this again",
        f"server {answer.status}": f"the hub answers {answer.status}: nothing of yours is wrong, try later "
        "(https://status.huggingface.co)",
        "too many": "the hub answers 429, too many requests: wait some minutes and run this again",
        "RevisionNotFound": f"the hub knows no commit {pin.revision} of {pin.repository}: the pin in harness/inputs/models.toml is wrong "
        "or the commit is gone; STRIXBENCH_PINS names a file with another",
        "EntryNotFound": f"{names} lacks a pinned file at commit {pin.revision}: see harness/inputs/models.toml",
        "RepoNotFound": f"the hub knows no repository {names}, or does not show it to this account: see {pages}",
    }
    return told.get(reason) or f"the hub refuses {names} with {answer.status}: {answer.message or 'it says nothing more'}"


def scrubbed(text: str, token: str | None) -> str:
    """A library's or a server's words on one line, without the token and without anything that looks like one."""
    if token:
        text = text.replace(token, "hf_[removed]")
    text = re.sub(r"hf_[A-Za-z0-9_]{4,}", "hf_[removed]", text)
    return " ".join(clean_text(text).split())[:MOST_SAID]
