"""Text that a command generates: the help between markers in README.md, and docs/images.md. ``python -m tests.generated``
writes it, ``--check`` fails where it is stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.commands import REPOSITORY, STRIXBENCH

README = REPOSITORY / "README.md"
IMAGES = REPOSITORY / "docs" / "images.md"
BEGIN, END = "<!-- begin: strixbench bench --help -->", "<!-- end -->"


def main(*, check: bool) -> int:
    """Write or check; returns the exit status."""
    wanted = {README: with_help(README.read_text(encoding="utf-8"), help_text()), IMAGES: images_text()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(REPOSITORY)} is stale: run `python -m tests.generated`", file=sys.stderr)
        else:
            Path(path).write_text(wanted[path], encoding="utf-8")
    return 1 if check and stale else 0


def with_help(text: str, help_text: str) -> str:
    """The text with the help between its markers."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n\n```text\n{help_text}```\n\n{END}{after}"


def help_text() -> str:
    """What `strixbench bench --help` prints on a terminal of 100 columns."""
    environment = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100"}
    command = (
        *STRIXBENCH[:2],
        "import sys; sys.argv[0] = 'strixbench'; from harness.cli import main; main()",
        "bench",
        "--help",
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines()) + "\n"


def images_text() -> str:
    """The page of the shipped catalog, without any overlay of the caller's."""
    from harness.catalog import load_catalog
    from tests.images_page import images_page

    os.environ.pop("STRIXBENCH_CATALOG", None)
    return images_page(load_catalog())


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
