"""What each workload's module must have, found by listing their folder, and where its launches stop. The packages are stubs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import stack
from benchmarks.wire import COMMON_STAGES, MEASURED_STAGES, Journal, ProtocolError, workload_names
from benchmarks.workloads import Workload
from harness import places

from .stubs import Stubs, make_request, run_guest

FOLDER = places.GUEST / "workloads"
NAMES = sorted(
    path.stem for path in FOLDER.iterdir() if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
)
OF_STACK = {f"{module}.{attribute}" if attribute else module for module, attribute, _ in stack.STACK}

OPTIONS = {
    "calibrate": {"sizes_bytes": [1], "hold_seconds": 1.0},
    "accuracy": {"first": 0, "files": []},
    "vit": {"batch_size": 1, "images": 1, "precision": "float32"},
}


def workload(name: str) -> Workload:
    found: Workload = importlib.import_module(f"benchmarks.workloads.{name}")
    return found


def stages_of(name: str, folder: Path) -> tuple[str, ...]:
    """The stages of a whole launch of a workload."""
    own = workload(name).stages(make_request(folder, name, options=OPTIONS.get(name, {})))
    return (*COMMON_STAGES, *(stage for stage, _ in own))


def test_every_module_of_the_folder_is_a_workload_that_a_request_can_name() -> None:
    assert workload_names() == tuple(NAMES)
    assert {"diarization", "probe"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_says_what_it_needs_and_torch_is_always_of_it(name: str) -> None:
    needed = workload(name).NEEDED
    assert isinstance(needed, tuple)
    assert {"torch"} <= set(needed) <= OF_STACK


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_has_the_measured_stages_or_one_of_its_own_name(tmp_path: Path, name: str) -> None:
    assert stages_of(name, tmp_path)[len(COMMON_STAGES) :] in (MEASURED_STAGES, (name,))


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_is_imported_with_the_standard_library_alone(name: str) -> None:
    code = f"import sys, benchmarks.workloads.{name}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=places.ROOT, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    assert set(done.stdout.split()) - sys.stdlib_module_names == {"benchmarks", "__main__"}


STOPS = [(name, last) for name in NAMES for last in COMMON_STAGES]


@pytest.mark.parametrize(("name", "last"), STOPS)
def test_a_launch_of_any_workload_can_stop_early(tmp_path: Path, name: str, last: str) -> None:
    ended = run_guest(tmp_path, request=make_request(tmp_path, name, options=OPTIONS.get(name, {}), last_stage=last))
    assert ended.exit.code == 0, ended.log
    begun = [event["stage"] for event in ended.events("begin")]
    assert begun == [event["stage"] for event in ended.events("end")] == list(COMMON_STAGES[: COMMON_STAGES.index(last) + 1])
    assert ended.events("result") == ended.events("step") == ended.events("pass") == []


@pytest.mark.parametrize("name", NAMES)
def test_without_pyannote_a_launch_goes_on_where_the_workload_does_not_need_it(tmp_path: Path, name: str) -> None:
    absent = [module for module, _, _ in stack.STACK if module != "torch"]
    ended = run_guest(
        tmp_path,
        Stubs(absent=absent),
        make_request(tmp_path, name, options=OPTIONS.get(name, {}), last_stage="device"),
    )
    tried = {event["name"]: (event["needed"], event["outcome"]) for event in ended.events("import")}
    assert tried.keys() == OF_STACK, "the table of what fits together shows all of them"
    assert {package for package, (needed, _) in tried.items() if needed} == set(workload(name).NEEDED)
    assert bool(ended.events("end", stage="device")) == (set(workload(name).NEEDED) == {"torch"})


def test_a_measured_launch_stops_after_any_of_its_stages_and_a_pass_is_journaled_when_it_ended(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, request=make_request(tmp_path, last_stage="cold"))
    assert [(event["stage"], event["index"]) for event in ended.events("pass")] == [("cold", 0)]
    assert ended.events("begin")[-1]["stage"] == "cold"


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_of_another_workload_is_refused(tmp_path: Path, name: str) -> None:
    other = "ladder" if name != "ladder" else "verify"
    request = make_request(tmp_path, name, options=OPTIONS.get(name, {}), last_stage=other)
    with pytest.raises(ProtocolError, match=f"no stage '{other}': there are launch, import, device, "):
        type(request).from_json(request.to_json())


def test_a_stage_gets_the_exchange_folder_with_its_journal(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal.jsonl").folder == tmp_path
