"""Where things lie on this host."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: strixbench is used from one, since ``containers/`` and ``benchmarks/`` are data that it reads."""

CONTAINERS = ROOT / "containers"
GUEST = ROOT / "benchmarks"


def results() -> Path:
    """Launch folders, build logs and the default store; ``STRIXBENCH_RESULTS`` moves it."""
    return Path(os.environ.get("STRIXBENCH_RESULTS") or ROOT / "results").absolute()


def cache() -> Path:
    """Models, normalised audio and virtual environments: all can be made again; ``STRIXBENCH_CACHE`` moves it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("STRIXBENCH_CACHE") or Path(base) / "strixbench").absolute()


def store_url() -> str:
    """SQLAlchemy's URL of the store; ``STRIXBENCH_STORE`` names another, such as ``postgresql+psycopg://...``."""
    return os.environ.get("STRIXBENCH_STORE") or f"sqlite:///{quote(str(results() / 'strixbench.db'))}"


def hub_cache() -> Path:
    """The Hugging Face cache of this user, as huggingface_hub finds it
    (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables)."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").absolute()
