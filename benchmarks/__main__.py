"""The guest: ``python -m benchmarks /exchange`` runs the stages in order and journals each.

Exit status 0: the last stage that was asked for ended well. 1: a stage failed, and the journal says how. 2: the request could not
be read. Any other status means that this process crashed or was killed.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import platform
import sys
from pathlib import Path

from benchmarks import memory, stack
from benchmarks.wire import JOURNAL, REQUEST, Journal, ProtocolError, Request, StageFailed, processor_seconds
from benchmarks.workloads import Stage, Workload


def main(exchange: Path) -> int:
    """Run one launch; returns the exit status."""
    faulthandler.enable()  # a segfault then leaves its Python frames on stderr, whose tail is kept as evidence
    try:
        request = Request.from_json((exchange / REQUEST).read_text())
    except (OSError, UnicodeDecodeError, ProtocolError) as error:
        print(f"strixbench guest: {error}", file=sys.stderr)
        return 2
    # Before anything reads them. An engine cannot remove an image's ENV, and an empty value is not the same: ROCm's runtime
    # refuses an empty HSA_OVERRIDE_GFX_VERSION as invalid (libhsakmt, src/topology.c).
    for name in request.unset:
        os.environ.pop(name, None)
    journal = Journal(exchange / JOURNAL)
    with journal.stage("launch") as found:
        found["python"] = platform.python_version()
        found["launch"] = request.launch
        found["variables"] = stack.variables_of(os.environ)
        # Spent so far on Python's own start, which no stage sees.
        found["processor_seconds_before"] = processor_seconds()
    try:
        run_stages(request, journal)
    except StageFailed:
        status = 1
    else:
        status = 0
    journal.write("done", peak_resident_bytes=memory.peak_resident_bytes())
    return status


def run_stages(request: Request, journal: Journal) -> None:
    """Run the stages after ``launch``, up to the request's last one; raises `StageFailed`."""
    workload: Workload = importlib.import_module(f"benchmarks.workloads.{request.workload}")
    stages: tuple[Stage, ...] = (
        ("import", lambda journal: stack.try_imports(journal, needed=workload.NEEDED)),
        ("device", lambda journal: stack.use_device(request)),
        *workload.stages(request),
    )
    if request.last_stage == "launch":
        return
    for name, run in stages:
        with journal.stage(name) as found:
            found.update(run(journal))
        if name == request.last_stage:
            return


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
