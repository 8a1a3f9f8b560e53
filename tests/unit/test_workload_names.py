"""Nobody but the workloads asks which workload is run: who else names one, or speaks in the words of one, is listed with the reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.workloads.workload import workload_names

FOLDERS = ("harness", "reports", "benchmarks")

THEIR_OWN = ("harness/workloads/", "benchmarks/workloads/", "harness/inputs/")
"""Here workloads and what they read are at home."""

MAY_NAME_A_WORKLOAD = {
    "benchmarks/stack.py": "pyannote's own name for what it imports",
    "harness/analysis/effects.py": "names of fields in `--json`, which stay",
    "harness/analysis/kernel_rows.py": "about the kernels alone",
    "harness/analysis/peak_memory.py": "a meter is believed by its calibration",
    "harness/analysis/probe_rows.py": "about probes alone",
    "harness/analysis/rows.py": "a row's memory is read by calibrated meters",
    "harness/campaign/ready_cells.py": "a probe finds the family of an image from elsewhere",
    "harness/catalog/load.py": "data: the tables of the catalog",
    "harness/catalog/rows.py": "data: the rows of recordings and pipelines",
    "harness/catalog/select.py": "data: a row by its name",
    "harness/commands/__init__.py": "the list of verbs",
    "harness/commands/accuracy.py": "the verb of one workload",
    "harness/commands/app.py": "says what strixbench is for",
    "harness/commands/bench.py": "options that choose a recording and a pipeline",
    "harness/commands/calibrate.py": "the verb of one workload",
    "harness/commands/flags.py": "tries flags by probing",
    "harness/commands/kernels.py": "the verb of one workload",
    "harness/commands/models.py": "fetches the models of pipelines",
    "harness/commands/options.py": "the option --pipeline",
    "harness/commands/probe.py": "the verb of one workload",
    "harness/commands/running.py": "verbs that take --pipeline",
    "harness/commands/verify.py": "the options --ladder and --pipeline",
    "harness/doctor/supplies.py": "models that a host lacks are those of pipelines",
    "harness/launch/kept_caches.py": "a folder of compiled kernels",
    "harness/records/outcome.py": "the stored fields of an agreement, which stay",
    "harness/records/upgrade.py": "what records of schema 1 call it",
    "reports/contents.py": "the list of sections",
    "reports/sections/accuracy.py": "the section of one workload",
    "reports/sections/calibrations.py": "the section of one workload",
    "reports/sections/kernels.py": "the section of one workload",
    "reports/sections/ladder.py": "the section of one workload",
    "reports/sections/numeric_fingerprint.py": "the fingerprint of one pipeline's networks",
    "reports/sections/probes.py": "the section of one workload",
    "reports/terminal/tasks.py": "the tables of the verbs of one workload each",
}
"""Module -> why it may."""

WORDS = frozenset(("diarization", "diarize", "diarizes", "der", "rttm", "pipeline", "pipelines", "speaker", "speakers"))
"""Words of diarization that no name has as a part."""

SAID = re.compile(r"diari[sz]|\bDER\b|\bRTTM\b|\bpipelines?\b|\bspeakers?\b", re.IGNORECASE)
"""The same words in texts that somebody may see."""

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word within a name: ``der`` in ``highest_der``, ``Pipeline`` in ``PipelineRow``."""

_MODULE = re.compile(r"\b(?:harness|benchmarks)\.workloads\.(\w+)")


def names_in(tree: ast.AST) -> Iterator[str]:
    """Each name and text of a source that names a workload or has a word of diarization; docstrings are no such text.

    An attribute may have a workload's name: it is somebody else's, such as torch's.
    """
    docstrings = set(_docstrings(tree))
    for node in ast.walk(tree):
        for name in _names_of(node):
            is_one = not isinstance(node, ast.Attribute) and _names_one(name.strip("_").lower())
            if is_one or {word.lower() for word in _PART.findall(name)} & WORDS:
                yield name
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
        if is_text and (SAID.search(node.value) or _names_one(node.value)):
            yield node.value


def _names_one(text: str) -> bool:
    """Whether a text is the name of a workload, or has that of its module."""
    return text in workload_names() or any(found in workload_names() for found in _MODULE.findall(text))


def _names_of(node: ast.AST) -> Iterator[str]:
    """The names that a node has: of a variable, attribute, argument, keyword, function, class or module."""
    for field in ("id", "attr", "arg", "name", "asname", "module", "rest"):
        name = getattr(node, field, None)
        if isinstance(name, str):
            yield name


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Texts that are statements of their own: docstrings of modules, classes, functions and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def test_nobody_else_names_a_workload_or_speaks_in_its_words(repository: Path) -> None:
    found: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in sorted((repository / folder).rglob("*.py")):
            module = str(path.relative_to(repository))
            if not module.startswith(THEIR_OWN) and (names := sorted(set(names_in(ast.parse(path.read_text("utf-8")))))):
                found[module] = names
    assert {module: names for module, names in found.items() if module not in MAY_NAME_A_WORKLOAD} == {}
    assert set(MAY_NAME_A_WORKLOAD) - set(found) == set(), "they name none any more: take them off the list"


@pytest.mark.parametrize(
    "source",
    [
        "import harness.workloads.ladder",
        "from harness.workloads import ladder",
        "from harness.workloads.ladder import MODELS as them",
        "import_module('benchmarks.workloads.ladder')",
        "plan.workload.name == 'ladder'",
        "class Ladder: ...",
        "launch.highest_der",
        "def rttm_of(): ...",
        "run(pipeline=1)",
        "lambda speakers: 0",
        "PipelineRow",
        "f'{rate} DER'",
        "print('the DER is', rate)",
    ],
)
def test_what_names_a_workload_is_seen(source: str) -> None:
    assert list(names_in(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "from harness.workloads.workload import workload_of",
        "'a ladder on the wall'",
        "under, order, border",
        "Builder().render()",
        "torch.kernels.load()",
        "def f():\n    'Docstrings may speak of DER and of a pipeline.'",
    ],
)
def test_what_names_none_is_not(source: str) -> None:
    assert not list(names_in(ast.parse(source)))


def test_every_workload_that_there_is_counts() -> None:
    assert {"diarization", "probe", "ladder", "accuracy", "calibrate", "kernels"} <= set(workload_names())
    for name in workload_names():
        assert list(names_in(ast.parse(f"name == {name!r}")))
