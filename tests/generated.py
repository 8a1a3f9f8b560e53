"""Text that a command generates between markers in README.md: ``python -m tests.generated`` writes it, ``--check``
fails where it is stale."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.commands import REPOSITORY, STRIXBENCH

README = REPOSITORY / "README.md"
BEGIN, END = "<!-- begin: strixbench bench --help -->", "<!-- end -->"


def main(*, check: bool) -> int:
    """Write or check; returns the exit status."""
    text = README.read_text(encoding="utf-8")
    wanted = with_help(text, help_text())
    if text == wanted:
        return 0
    if check:
        print(f"{README.name} is stale: run `python -m tests.generated`", file=sys.stderr)
        return 1
    Path(README).write_text(wanted, encoding="utf-8")
    return 0


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


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
