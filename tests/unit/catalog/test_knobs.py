"""The catalog's knobs and hazards as data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.wire import KNOBS
from harness.catalog.hazards import hazards_of, release
from harness.catalog.knobs import Family, GuestKnob, Hazard
from harness.catalog.load import load_catalog
from harness.catalog.rows import Catalog, Cell, Image, Profile, Variant
from harness.errors import CatalogError
from tests.unit.command_line import Strixbench, overlay


def found(
    known: Catalog | None = None,
    *,
    family: Family = "rocm",
    rocm: str | None = "7.2",
    native: bool | None = True,
    targets: tuple[str, ...] = ("gfx1151",),
    environment: Mapping[str, str] | None = None,
    guest: tuple[GuestKnob, ...] = (),
    segmentation_batch_size: int = 32,
    embedding_batch_size: int = 32,
) -> set[str]:
    """Names of the hazards, of the shipped ones unless others are given, that a cell has; without an argument a harmless one."""
    image = Image(name="image", family=family, torch=f"2.9.1+rocm{rocm}" if rocm else "2.9.1", native=native)
    variant = Variant(name="variant", environment=dict(environment or {}), guest=guest)
    numbers = {"segmentation_batch_size": segmentation_batch_size, "embedding_batch_size": embedding_batch_size}
    pipeline = Profile("diarization", "pipeline", numbers)
    sentences = hazards_of(known or load_catalog(), Cell(image, variant, pipeline, "sample-30s"), family, targets)
    return {sentence.removeprefix("hazard ").partition(":")[0] for sentence in sentences}


def test_each_shipped_knob_says_where_it_is_from_and_what_it_bears_on() -> None:
    knobs = load_catalog().knobs
    assert knobs.keys() >= {"miopen", "find-mode", "hipblaslt", "sdma", "override", "launch-blocking", "lstm-dropout"}
    for knob in knobs.values():
        assert knob.source.startswith("https://"), knob.name
        assert knob.description, knob.name
        options = [value for value in knob.values.values() if value.options]
        assert knob.workloads or not options, f"{knob.name}: an option is a workload's own"
        assert knob.number is not None or any(knob.variables) or any(knob.guest) or options, knob.name
        if knob.number is None and not options:
            assert "cpu" not in (knob.families or ("cpu",)), f"{knob.name} would change nothing without a GPU"


def test_every_switch_of_the_guest_is_in_a_knob() -> None:
    assert {name for knob in load_catalog().knobs.values() for name in knob.guest} == set(KNOBS)


def test_hipblaslt_is_asked_of_torch_itself_since_some_builds_do_not_hear_the_variable() -> None:
    values = load_catalog().knobs["hipblaslt"].values
    assert [(name, value.guest) for name, value in values.items()] == [
        ("default", ()),
        ("on", ("blas-hipblaslt",)),
        ("off", ("blas-hipblas",)),
    ]


def test_numbers_are_those_that_a_request_takes() -> None:
    knobs = load_catalog().knobs
    assert {knob.name: knob.number for knob in knobs.values() if knob.number} == {
        "segmentation-batch": "segmentation_batch_size",
        "embedding-batch": "embedding_batch_size",
        "threads": "threads",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[knobs.sdma]\nsuorce = "x"\n', r"overlay:2: unknown key 'suorce' in knobs\.sdma \(did you mean 'source'"),
        (
            '[knobs.mine]\nsource = "x"\nvalues.a = {}\nvalues.b = { enviroment = { A = "1" } }\n',
            r"overlay:4: unknown key 'enviroment' in knobs\.mine\.values\.b \(did you mean 'environment'",
        ),
        ('[knobs.mine]\nsource = "x"\n', "either `values`, by name, or `number`"),
        ('[knobs.mine]\nsource = "x"\nnumber = "threads"\nvalues.a = {}\nvalues.b = {}\n', "either `values`"),
        ('[knobs.mine]\nsource = "x"\nvalues.a = {}\n', "it has one value"),
        ("[knobs.mine]\nvalues.a = {}\nvalues.b = {}\n", "source"),
        ('[knobs.mine]\nsource = "x"\nnumber = "batch"\n', r"overlay:3: knobs\.mine\.number"),
        ('[knobs.mine]\nsource = "x"\nvalues.a = {}\nvalues."b+c" = {}\n', "'b\\+c' has signs"),
        ('[knobs."a=b"]\nsource = "x"\nnumber = "threads"\n', "'a=b' has signs"),
        ('[knobs.mine]\nsource = "x"\nvalues.a = {}\nvalues.b = { guest = ["miopen-on"] }\n', r"knobs\.mine\.values"),
        ('[knobs.mine]\nsource = "x"\nvalues.a = {}\nvalues.b = { environment = { HF_TOKEN = "x" } }\n', "HF_TOKEN"),
        ('[knob.mine]\nsource = "x"\n', "unknown table 'knob' \\(did you mean 'knobs'"),
        ('[hazards.mine]\ndescription = "x"\nsource = "x"\nrocm_before = "ten"\n', r"overlay:4: hazards\.mine\.rocm_before"),
        ('[hazards.mine]\ndescription = "x"\n', "source"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_line_or_its_name(tmp_path: Path, text: str, said: str) -> None:
    path = overlay(tmp_path, text).rename(tmp_path / "overlay")
    with pytest.raises(CatalogError, match=said):
        load_catalog([path])


def test_an_overlay_gives_a_knob_other_values(tmp_path: Path) -> None:
    text = '[knobs.sdma.values]\non = {}\nodd = { environment = { HSA_ENABLE_SDMA = "7" } }\n'
    knob = load_catalog([overlay(tmp_path, text)]).knobs["sdma"]
    assert (knob.takes, knob.families) == ("on, odd", ("rocm", "therock"))


def test_a_default_situation_is_no_hazard() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"segmentation_batch_size": 111}, set()),
        ({"segmentation_batch_size": 112}, {"lstm-bias"}),
        ({"segmentation_batch_size": 112, "rocm": "7.14.0"}, {"lstm-bias"}),
        ({"segmentation_batch_size": 112, "rocm": "10.0.0"}, set()),
        ({"segmentation_batch_size": 112, "rocm": "10.1.0a20260822"}, set()),
        ({"segmentation_batch_size": 112, "rocm": None}, {"lstm-bias"}),
        ({"segmentation_batch_size": 112, "family": "therock"}, {"lstm-bias"}),
        ({"segmentation_batch_size": 256, "family": "cuda", "rocm": None}, set()),
        ({"segmentation_batch_size": 256, "family": "cpu", "rocm": None}, set()),
        ({"segmentation_batch_size": 256, "guest": ("miopen-off",)}, set()),
    ],
)
def test_a_large_batch_before_rocm_10_is_a_hazard(changes: dict[str, Any], expected: set[str]) -> None:
    assert found(**changes) == expected


def test_the_batch_from_which_the_bias_is_lost_is_where_the_grid_ends() -> None:
    frames = 589  # of a 10 s window, computed from SincNet's strides
    assert load_catalog().hazards["lstm-bias"].segmentation_batch_from == 65_535 // frames + 1 == 112


@pytest.mark.parametrize(
    ("override", "changes", "expected"),
    [
        ("11.5.0", {}, {"gfx1150-code"}),
        ("11.5.0", {"targets": ("gfx1150",)}, set()),
        ("11.5.0", {"targets": ()}, set()),
        ("11.5.1", {}, set()),
        ("11.5.1", {"native": False}, {"no-gfx1151-code"}),
        ("11.5.1", {"native": None}, set()),
        ("11.0.0", {"native": False}, set()),
    ],
)
def test_overrides_that_load_the_wrong_code_are_hazards(override: str, changes: dict[str, Any], expected: set[str]) -> None:
    assert found(environment={"HSA_OVERRIDE_GFX_VERSION": override}, **changes) == expected


def test_a_hazard_of_the_embedding_batch_is_one_from_that_size_on() -> None:
    hazard = Hazard(name="a", description="b", source="c", embedding_batch_from=64)
    known = msgspec.structs.replace(load_catalog(), hazards={"a": hazard})
    assert found(known, embedding_batch_size=63) == set()
    assert found(known, embedding_batch_size=64) == {"a"}


@pytest.mark.parametrize(
    ("version", "numbers"), [("10", (10,)), ("10.0.0", (10,)), ("7.2.0.lw.git262e50d5", (7, 2)), ("6.2", (6, 2)), ("git", ())]
)
def test_a_release_is_the_leading_numbers_of_a_version(version: str, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers


def test_list_shows_the_knobs_with_their_values(strixbench: Strixbench) -> None:
    outcome = strixbench("list", "--knobs")
    assert outcome.code == 0
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("override ")]
    assert "none, 11.0.0, 11.5.1" in line
    assert "rocm therock" in line
    assert [row["knob"] for row in msgspec.json.decode(strixbench("list", "--knobs", "--json", "s*").out)] == [
        "sdma",
        "segmentation-batch",
    ]
    assert strixbench("list", "--knobs", "smda").code == 2
