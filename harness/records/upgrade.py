"""Records of all schemas, read as those of today. Pure.

Schema 1 named a recording's fields for diarization alone, kept the batch sizes and the number of passes with them, and told other
workloads apart by ``task`` and ``steps``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.wire import STAGES
from harness.records.launch import Launch
from harness.records.plan import Plan

_RENAMED = {
    "pipeline": "profile",
    "audio": "input",
    "audio_seconds": "amount",
    "audio_sha256": "input_sha256",
    "reference_sha256": "truth_sha256",
    "highest_der": "highest_error",
}
_NUMBERS = ("segmentation_batch_size", "embedding_batch_size")


UNREADABLE = (msgspec.DecodeError, ValueError, TypeError, RecursionError)
"""What reading raises: the last three for text that is no UTF-8, for what holds no text, for endless nesting."""


def read_launch(record: str | bytes) -> Launch:
    """The launch of a record of any schema. Raises one of `UNREADABLE`."""
    return msgspec.convert(upgraded(msgspec.json.decode(record)), Launch)


def read_plan(record: str | bytes) -> Plan:
    """The plan of a record of any schema. Raises what `read_launch` does."""
    return msgspec.convert(upgraded_plan(msgspec.json.decode(record)), Plan)


def upgraded(launch: Any) -> Any:
    """A launch's record of any schema as one of the latest; what is no such record comes back as it is."""
    if not isinstance(launch, dict) or launch.get("schema", 1) != 1 or not isinstance(launch.get("plan"), dict):
        return launch
    return {**launch, "schema": 2, "plan": upgraded_plan(launch["plan"])}


def upgraded_plan(plan: Any) -> Any:
    """A plan of schema 1 as one of schema 2; what is no plan of schema 1 comes back as it is."""
    if not isinstance(plan, dict) or not isinstance(plan.get("workload"), dict) or "pipeline" not in plan["workload"]:
        return plan
    kept = {name: value for name, value in plan.items() if name not in ("task", "steps", "workload")}
    old = dict(plan["workload"])
    task, steps, last_stage = plan.get("task", ""), plan.get("steps") or [], plan.get("last_stage")
    options = plan.get("options") or {}
    workload: dict[str, Any] = {_RENAMED.get(name, name): value for name, value in old.items()}
    warm_passes = workload.pop("warm_passes", 0)
    workload["numbers"] = {name: workload.pop(name) for name in _NUMBERS if name in workload}
    workload["name"] = task or ("diarization" if last_stage == STAGES[-1] else "probe")
    return {
        **kept,
        "workload": workload,
        "warm_passes": warm_passes,
        "last_stage": task or last_stage,
        "options": {**options, "steps": steps} if steps and isinstance(options, dict) else options,
    }
