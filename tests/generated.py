"""Text that is generated: the help between markers in README.md, docs/images.md, and what strixbench says on the hosts of
docs/first-run.md. ``python -m tests.generated`` writes it, ``--check`` fails where it is stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.commands import REPOSITORY, STRIXBENCH

README = REPOSITORY / "README.md"
IMAGES = REPOSITORY / "docs" / "images.md"
FIRST_RUN = REPOSITORY / "docs" / "first-run.md"
END = "<!-- end -->"


def main(*, check: bool) -> int:
    """Write or check; returns the exit status."""
    os.environ.pop("STRIXBENCH_CATALOG", None)  # an overlay is the caller's own
    readme, first_run = README.read_text(encoding="utf-8"), FIRST_RUN.read_text(encoding="utf-8")
    wanted = {
        README: with_block(readme, "strixbench bench --help", fenced(help_text())),
        IMAGES: images_text(),
        FIRST_RUN: with_first_runs(first_run),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(REPOSITORY)} is stale: run `python -m tests.generated`", file=sys.stderr)
        else:
            Path(path).write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path.relative_to(REPOSITORY)}")
    if not stale:
        print("nothing was stale")
    return 1 if check and stale else 0


def with_block(text: str, name: str, block: str) -> str:
    """The text with a block between the markers of that name."""
    begin = f"<!-- begin: {name} -->"
    before, rest = text.split(begin, 1)
    _, after = rest.split(END, 1)
    return f"{before}{begin}\n\n{block}\n{END}{after}"


def fenced(text: str) -> str:
    """As a block of code."""
    return f"```text\n{text}```\n"


def with_first_runs(text: str) -> str:
    """docs/first-run.md with what strixbench says on each of its hosts."""
    from tests.first_run import WALKS, block_of, sizes_block, unknowns_block

    text = with_block(text, "sizes", fenced(sizes_block()))
    for walk in WALKS:
        text = with_block(text, walk.key, fenced(block_of(walk)))
    return with_block(text, "unknowns", unknowns_block())


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
    from harness.catalog.load import shipped_catalog
    from tests.images_page import images_page

    return images_page(shipped_catalog())


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
