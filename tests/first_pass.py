"""A launch whose guest compiles a kernel in its first pass and then spins for ever: with an image's Python, no GPU and no torch.
The hour that such a launch has is made short: it is over as soon as the journal says that the device is found, so the kernel is
written before."""

from __future__ import annotations

import msgspec

from benchmarks.wire import Request
from harness.catalog import kernel_cache_variables
from harness.engines.base import Mount, Run
from harness.launch import cache_folder, kept_caches
from harness.launch.plan import CACHES, EXCHANGE, Prepared, launches_folder
from harness.records.launch import Launch
from harness.records.plan import EngineRecord
from tests.unit.samples import a_plan

KEY = "spinning-0123456789ab"

SPINS = """
import json, os, signal, sys, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(os.environ["MIOPEN_CUSTOM_CACHE_DIR"] + "/kernel", "a") as kernel:
    kernel.write("compiled")
with open(sys.argv[1] + "/journal.jsonl", "a") as journal:
    for event, stage in (("begin", "launch"), ("end", "device"), ("begin", "cold")):
        print(json.dumps({"event": event, "at": time.time(), "stage": stage}), file=journal, flush=True)
while True:
    pass
"""

REQUEST = Request(launch="", workload="diarization", device="cuda", last_stage="verify", warm_passes=1)


def a_spinning_launch(engine: EngineRecord, run: Run, *, python: str, inside: bool, keep: bool = False) -> Prepared:
    """A launch that could start now, of the run's image; ``inside``: in a container, where its folders are mounted."""
    plan = a_plan(
        family="rocm",
        device="cuda",
        caches="keep" if keep else "empty",
        cache_key=KEY if keep else "",
        keeps_as="" if keep else KEY,
        first_pass_seconds=2.0,
        timeout_seconds=60.0,
    )
    plan = msgspec.structs.replace(plan, id=run.name, engine=engine)
    exchange = launches_folder() / plan.id / EXCHANGE
    folder = kept_caches.files_of(KEY) if keep else launches_folder() / plan.id / CACHES
    mounts = (
        Mount(str(exchange), "/exchange", writable=True),
        Mount(str(folder), cache_folder.CACHES_IN_CONTAINER, writable=True),
    )
    run = msgspec.structs.replace(
        run,
        argv=(python, "-c", SPINS, "/exchange" if inside else str(exchange)),
        exchange=exchange,
        mounts=mounts if inside else (),
        environment={
            **run.environment,
            **kernel_cache_variables.environment(cache_folder.CACHES_IN_CONTAINER if inside else str(folder)),
        },
    )
    return Prepared(plan=plan, run=run, request=REQUEST)


def check_ended_and_kept(launch: Launch) -> None:
    """It was ended for its first pass, and what it compiled stayed."""
    assert (launch.exit.ended_because, launch.exit.timed_out, launch.exit.code) == ("first pass", True, 137)
    assert (launch.verdict.stage, launch.verdict.cause) == ("cold", "timeout")
    assert "its first pass did not end within" in launch.verdict.summary
    assert launch.verdict.summary.endswith("What was compiled is kept: run again with --caches keep")
    assert (kept_caches.files_of(KEY) / "miopen-kernels" / "kernel").exists()
    assert not (launches_folder() / launch.id / CACHES).exists()


def check_continued(launch: Launch) -> None:
    """It found what the one before it had compiled, and could add to it."""
    assert launch.exit.ended_because == "first pass"
    assert launch.caches is not None
    assert (launch.caches.mode, launch.caches.files_before) == ("keep", 1)
    assert (kept_caches.files_of(KEY) / "miopen-kernels" / "kernel").read_text() == "compiledcompiled"
    assert "--caches keep" in launch.verdict.summary
