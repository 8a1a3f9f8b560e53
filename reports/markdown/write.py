"""Where a page is written, and whether it can be."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_page(path: Path, text: str) -> None:
    """Write a page whole or not at all. A link is followed; anything but a plain file, such as a pipe, is written into."""
    if path.exists() and not path.is_file():  # resolved, /dev/stdout would be a pipe's number and no path
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)


def why_no_page(path: Path) -> str:
    """Why a page cannot be written there; empty: it can. It is asked before hours of launches."""
    try:
        if path.is_dir():
            return "is a folder; name a file"
        if path.exists() and not path.is_file():
            return "" if os.access(path, os.W_OK) else "cannot be written to"
        folder = path.resolve().parent
        while not os.path.lexists(folder):
            folder = folder.parent
    except (OSError, RuntimeError) as error:  # too long a name; links that lead in a circle
        return f"is no file's path: {getattr(error, 'strerror', None) or error}"
    if not folder.is_dir():
        return f"cannot be written: {folder} is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"cannot be written: {folder} is not yours to write into"
