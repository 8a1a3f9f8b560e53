"""From the words of `--vary`, `--set` and `--null` to what each launch is given."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.campaign.arms import Factor, arms_of, order, read_factors, read_settings
from harness.catalog.cells import Arm, cells_of
from harness.catalog.hazards import hazards_of, rocm_of
from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell, Image
from harness.catalog.select import select_fixes
from harness.errors import UsageError
from harness.records.plan import without_knobs
from tests.unit.command_line import overlay

CATALOG = load_catalog()
ROCM = CATALOG.images["rocm72"]


def cells(
    *vary: str, image: Image = ROCM, gfx: str | None = None, fixes: tuple[str, ...] = (), null: bool = False
) -> list[Cell]:
    arms = arms_of(read_factors(CATALOG, vary), null=null)
    chosen = select_fixes(CATALOG, fixes)
    return list(
        cells_of(
            CATALOG, image, gfx, fixes=chosen, profile=CATALOG.pipelines["embedded"].profile, given="sample-30s", arms=arms
        )
    )


def test_rounds_go_forwards_and_backwards_by_turns() -> None:
    assert [order("abc", number) for number in range(3)] == [("a", "b", "c"), ("c", "b", "a"), ("a", "b", "c")]
    assert order((), 1) == ()


def test_under_a_steady_drift_two_rounds_give_every_slot_the_same_mean_place() -> None:
    places: dict[str, list[int]] = {}
    for number in range(4):
        for place, arm in enumerate(order("abcd", number)):
            places.setdefault(arm, []).append(4 * number + place)
    assert {sum(each) for each in places.values()} == {sum(range(16)) / 4}


def test_the_base_has_the_first_values_and_each_other_arm_changes_one() -> None:
    arms = arms_of((Factor("a", ("1", "2", "3")), Factor("b", ("x", "y"))), (("c", "z"),))
    assert arms == (
        Arm("base", (("c", "z"), ("a", "1"), ("b", "x"))),
        Arm("a=2", (("c", "z"), ("a", "2"), ("b", "x"))),
        Arm("a=3", (("c", "z"), ("a", "3"), ("b", "x"))),
        Arm("b=y", (("c", "z"), ("a", "1"), ("b", "y"))),
    )


def test_a_null_test_has_two_arms_that_differ_in_nothing() -> None:
    first, second = cells(gfx="native", null=True)
    assert (first.arm, second.arm) == ("A", "B")
    assert first.id == second.id == "rocm72/native/embedded/sample-30s"


def test_without_a_comparison_there_is_one_nameless_arm() -> None:
    assert arms_of(()) == (Arm(""),)
    assert [cell.id for cell in cells()] == ["rocm72/native/embedded/sample-30s", "rocm72/gfx1100/embedded/sample-30s"]


def test_a_batch_size_is_of_the_workload_and_of_the_name() -> None:
    base, other = cells("segmentation-batch=32,064", gfx="native")
    assert other.id == "rocm72/native+segmentation-batch=64/embedded/sample-30s"
    assert (base.profile.numbers["segmentation_batch_size"], other.profile.numbers["segmentation_batch_size"]) == (32, 64)
    assert base.profile.numbers["embedding_batch_size"] == other.profile.numbers["embedding_batch_size"]
    assert other.knobs == (("segmentation-batch", "64"),)


def test_threads_are_of_the_variant() -> None:
    base, other = cells("threads=1,2", image=CATALOG.images["cpu"])
    assert (base.variant.threads, other.variant.threads) == (1, 2)


def test_a_knob_takes_away_what_another_value_of_it_sets() -> None:
    base, other = cells("override=none,11.0.0", gfx="gfx1100")
    assert base.variant.environment == {}
    assert other.variant.environment == {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}


def test_variants_that_a_knob_makes_the_same_are_run_once() -> None:
    assert [cell.variant.name for cell in cells("override=none,11.0.0")] == ["native+override=none", "native+override=11.0.0"]
    assert len(cells("sdma=on,off")) == 4


def test_a_knob_comes_after_the_fixes_and_is_none() -> None:
    _, other = cells("miopen=on,off", gfx="native", fixes=("lstm-dropout-0",))
    assert other.variant.name == "native+lstm-dropout-0+miopen=off"
    assert other.variant.fixes == ("lstm-dropout-0",)
    assert other.variant.guest == ("lstm-dropout-0", "miopen-off")
    assert without_knobs(other.variant.name, {"miopen"}) == "native+lstm-dropout-0"
    assert without_knobs(other.variant.name, {"lstm-dropout-0"}) == other.variant.name


def test_one_factor_at_a_time_changes_nothing_else() -> None:
    base, first, second = cells("miopen=on,off", "sdma=on,off", gfx="native")
    assert first.variant.environment == base.variant.environment == {"HSA_ENABLE_SDMA": "1"}
    assert (first.variant.guest, second.variant.guest) == (("miopen-off",), ())
    assert second.variant.environment == {"HSA_ENABLE_SDMA": "0"}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["smda=on,off"], r"no knob 'smda' \(did you mean 'sdma'\?\); `strixbench list --knobs`"),
        (["sdma"], "which value\\? sdma takes on, off"),
        (["sdma="], "which value"),
        (["sdma=on"], "name two values or more"),
        (["sdma=on,of"], r"no value 'of' \(did you mean 'off'\?\): it takes on, off"),
        (["sdma=on,off,on"], "a value is named twice"),
        (["segmentation-batch=8,08"], "a value is named twice"),
        (["sdma=on,off", "sdma=off,on"], "given twice"),
        (["segmentation-batch=8,0"], "'0' is no whole number from 1 to"),
        (["segmentation-batch=8,x"], "'x' is no whole number"),
        (["segmentation-batch=8,"], "'' is no whole number"),
        (["segmentation-batch=8,1e3"], "'1e3' is no whole number"),
        (["segmentation-batch=8,9999999999"], "is no whole number"),
        (["segmentation-batch=8,\N{ARABIC-INDIC DIGIT FOUR}"], "is no whole number"),
    ],
)
def test_what_cannot_be_varied_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_factors(CATALOG, texts)


def test_one_value_can_be_set_and_two_cannot() -> None:
    assert read_settings(CATALOG, ["sdma=off", "embedding-batch=8"]) == (("sdma", "off"), ("embedding-batch", "8"))
    for texts in (["sdma=on,off"], ["sdma=on", "sdma=off"]):
        with pytest.raises(UsageError, match="one value a knob"):
            read_settings(CATALOG, texts)


def test_what_excludes_each_other_is_refused() -> None:
    factors = read_factors(CATALOG, ["sdma=on,off"])
    with pytest.raises(UsageError, match="sdma: either --set or --vary"):
        arms_of(factors, (("sdma", "on"),))
    with pytest.raises(UsageError, match="one of them"):
        arms_of(factors, null=True)
    with pytest.raises(UsageError, match="fix miopen-off sets what knob miopen does"):
        cells("miopen=on,off", fixes=("miopen-off",))


def test_a_knob_that_changes_nothing_in_an_image_is_refused() -> None:
    with pytest.raises(UsageError, match="knob sdma bears on rocm, therock, and image cpu is cpu"):
        cells("sdma=on,off", image=CATALOG.images["cpu"])


@pytest.mark.parametrize(
    ("image", "rocm"),
    [
        ("rocm62", "6.2"),
        ("rocm72", "7.2"),
        ("rocm714", "7.14.0"),
        ("rocm10", "10.0.0"),
        ("rocm714-amd", "7.14"),
        ("therock", None),
        ("cuda", None),
    ],
)
def test_an_image_s_rocm_is_what_torch_names_and_not_its_hip(image: str, rocm: str | None) -> None:
    assert rocm_of(CATALOG.images[image]) == rocm


def test_a_nightly_that_was_chosen_names_its_rocm() -> None:
    chosen = msgspec.structs.replace(CATALOG.images["therock"], torch="2.14.0+rocm10.2.0a20261003")
    assert rocm_of(chosen) == "10.2.0a20261003"


def test_a_hazard_is_told_with_its_source(tmp_path: Path) -> None:
    _, other = cells("segmentation-batch=32,128", gfx="native")
    (told,) = hazards_of(CATALOG, other, "rocm", ("gfx1151",))
    assert told.startswith("hazard lstm-bias: ")
    assert told.endswith("(https://github.com/pytorch/pytorch/issues/177834)")
    late = cells("segmentation-batch=32,128", image=CATALOG.images["rocm10"], gfx="native")[1]
    assert hazards_of(CATALOG, late, "therock", ("gfx1151",)) == ()
    mine = load_catalog([overlay(tmp_path, '[variants.mine]\nenvironment = { HSA_OVERRIDE_GFX_VERSION = "11.5.0" }\n')])
    cell = Cell(ROCM, mine.variants["mine"], mine.pipelines["embedded"].profile, "sample-30s")
    assert "gfx1150-code" in hazards_of(mine, cell, "rocm", ("gfx1151",))[0]


def test_override_none_takes_the_variable_away_whoever_set_it() -> None:
    base, other = cells("override=none,11.0.0", gfx="gfx1100")
    assert (base.variant.environment, base.variant.unset) == ({}, ("HSA_OVERRIDE_GFX_VERSION",))
    assert (other.variant.environment["HSA_OVERRIDE_GFX_VERSION"], other.variant.unset) == ("11.0.0", ())
    assert len(cells("override=none,11.0.0")) == 2, "of native and gfx1100 nothing different is left"
