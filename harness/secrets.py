"""Text and environments without what is secret: tokens, and the user's home folder."""

from __future__ import annotations

import os
import re

from harness.text import without_controls

_SECRET = re.compile(r"hf_[A-Za-z0-9]{10,}")
"""A Hugging Face token (https://huggingface.co/docs/hub/security-tokens)."""


def clean_text(text: str) -> str:
    """Text from a container without control characters, the user's name, and anything that looks like a token."""
    return without_home(_SECRET.sub("hf_[removed]", without_controls(text)))


def without_home(text: str) -> str:
    """The text with ``~`` for the caller's home: a user's name is nobody's business."""
    home = os.path.expanduser("~").rstrip("/")
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text) if home else text


TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
"""Where huggingface_hub of any version looks for a token."""


def without_tokens() -> dict[str, str]:
    """The caller's environment for a program that we start: none needs a Hugging Face token."""
    return {name: value for name, value in os.environ.items() if name not in TOKEN_VARIABLES}
