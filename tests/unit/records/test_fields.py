from __future__ import annotations

from typing import Any

import pytest

from harness.records.fields import LARGEST_COUNT, Fields
from harness.records.outcome import ExceptionRecord
from tests.unit.odd_values import ODD, deep
from tests.unit.samples import a_link


def read_as(reader: str) -> dict[str, Any]:
    """What each odd value is read as, without those that are read as nothing."""
    found = {name: getattr(Fields(ODD), reader)(name) for name in (*ODD, "absent")}
    return {name: value for name, value in found.items() if value is not None and value not in ((), Fields())}


def test_a_number_is_finite_and_no_truth_value() -> None:
    assert read_as("number") == {"number": 1.5, "below zero": -1.0}


def test_a_count_is_a_whole_number_from_zero_on() -> None:
    assert read_as("count") == {}
    counts = Fields({"none": 0, "some": 7, "most": LARGEST_COUNT - 1, "too many": LARGEST_COUNT, "whole": 3.0})
    assert [counts.count(name) for name in counts] == [0, 7, LARGEST_COUNT - 1, None, None]


def test_a_flag_is_true_or_false_and_no_number() -> None:
    assert read_as("flag") == {"true": True}
    assert Fields({"finite": False}).flag("finite") is False
    assert Fields({"finite": 1}).flag("finite") is None


def test_a_text_may_be_empty_which_is_not_the_same_as_none() -> None:
    assert read_as("text") == {"text": "1"}
    assert (Fields({"rttm": ""}).text("rttm"), Fields({}).text("rttm")) == ("", None)


def test_the_texts_of_a_list_are_its_texts_alone() -> None:
    assert read_as("texts") == {"list": ("a",)}


def test_the_numbers_of_a_list_keep_their_places() -> None:
    assert read_as("numbers") == {"list": (1.0, None, None, None, None, None, None, None), "deep": (None,)}


def test_fields_within_fields_are_those_of_a_mapping() -> None:
    assert read_as("fields") == {"mapping": Fields({"a": 1})}
    assert Fields(ODD).fields("mapping").number("a") == 1.0


def test_a_list_of_fields_leaves_out_what_is_none() -> None:
    assert read_as("list_of_fields") == {"list": (Fields({}),)}


@pytest.mark.parametrize("name", [name for name in ODD if name != "list"])
def test_a_chain_of_another_shape_is_empty(name: str) -> None:
    assert Fields(ODD).chain(name) == ()


def test_a_link_of_another_shape_is_read_as_far_as_it_goes() -> None:
    links = [1, a_link("OSError", "root"), {"type": 10**5_000, "message": deep(), "where": "a.py:1", "else": 1}, None]
    whole, odd = Fields({"chain": links}).chain("chain")
    assert (whole.type, whole.message) == ("OSError", "root")
    assert odd == ExceptionRecord(type="", where="a.py:1")


def test_the_names_come_in_their_order_and_without_those_that_are_not_wanted() -> None:
    found = Fields({"b": 1, "a": 2, "c": 3})
    assert (list(found), len(found), "a" in found, "d" in found) == (["b", "a", "c"], 3, True, False)
    assert list(found.without("a", "d")) == ["b", "c"]
    assert not found.without("a", "b", "c")
    assert not Fields()


def test_fields_that_are_there_are_told_from_those_that_are_not() -> None:
    assert [name for name in ODD if Fields(ODD).has_fields(name)] == ["mapping"]
    assert Fields({"variables": {}}).has_fields("variables")
