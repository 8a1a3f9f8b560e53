"""One step of the probe in a process of its own: see `benchmarks.workloads.probe.steps`.

Exit status 0: it ended well, and its journal says what came out. 1: it failed, and its journal says how.
"""

from __future__ import annotations

import faulthandler
import resource
import sys
from pathlib import Path

from benchmarks.wire import REQUEST, STEP_JOURNAL, Journal, Request, StageFailed


def main(exchange: Path, name: str) -> int:
    """Run one step in this process; returns the exit status."""
    faulthandler.enable()  # a segfault then leaves its Python frames
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core of many GiB would fill the host's disk
    request = Request.from_json((exchange / REQUEST).read_text())
    journal = Journal(exchange / STEP_JOURNAL)
    try:
        with journal.stage(name) as found:
            from benchmarks.workloads.probe import computations

            found.update(computations.measure(name, request))
    except StageFailed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
