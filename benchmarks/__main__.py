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
from benchmarks.workloads.probe import steps


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
        run_stages(request, journal, exchange)
    except StageFailed:
        status = 1
    else:
        status = 0
    journal.write("done", peak_resident_bytes=memory.peak_resident_bytes())
    return status


def run_stages(request: Request, journal: Journal, exchange: Path) -> None:
    """Run the stages after ``launch``, up to the request's last one, and the probe's steps; raises `StageFailed`."""

    def ends_with(stage: str) -> bool:
        return request.last_stage == stage

    if ends_with("launch"):
        return
    with journal.stage("import") as found:
        found.update(stack.try_imports(journal))
    if ends_with("import"):
        return
    with journal.stage("device") as found:
        found.update(stack.use_device(request))
    steps.run_steps(request, journal, exchange)
    if request.task:
        with journal.stage(request.task) as found:
            found.update(importlib.import_module(f"benchmarks.workloads.{request.task}").run(request, journal))
        return
    if ends_with("device"):
        return

    from benchmarks.workloads.diarization.diarize import Diarization

    workload = Diarization(request, journal)
    with journal.stage("load") as found:
        found.update(workload.load())
    if ends_with("load"):
        return
    with journal.stage("cold") as found:
        journal.write("pass", stage="cold", index=0, **workload.run())
        found["peak_resident_bytes"] = memory.peak_resident_bytes()
        found.update(memory.read_meters(request.device))
    if ends_with("cold"):
        return
    with journal.stage("warm") as found:
        for index in range(request.warm_passes):
            journal.write("pass", stage="warm", index=index, **workload.run())
        found["peak_resident_bytes"] = memory.peak_resident_bytes()
        found.update(memory.torch_peaks(request.device))
        found.update(memory.read_meters(request.device))
    if ends_with("warm"):
        return
    with journal.stage("verify") as found:
        found.update(workload.verify())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
