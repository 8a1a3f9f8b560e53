"""`calibrate` as far as it comes without an engine."""

from __future__ import annotations

import pytest

from harness.commands.calibrate import parse_sizes
from harness.errors import UsageError
from tests.unit.command_line import Strixbench

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("0.5,1,2", (512 * MIB, 1024 * MIB, 2048 * MIB)),
        ("2, 0.5 ,1,2", (512 * MIB, 1024 * MIB, 2048 * MIB)),
        ("0.0625", (64 * MIB,)),
        ("96", (96 * 1024 * MIB,)),
    ],
)
def test_sizes_are_gib_and_go_up_each_once(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1,,2", "a lot", "1g", "nan", "1,nan", "inf", "0.01", "2000", ",".join("123456789") + ",10,11"]
)
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"such as 0\.5,1,2"):
        parse_sizes(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sizes", "lots"), "--sizes 'lots' is not 1 to 10 numbers of GiB"),
        (("--hold", "0"), "--hold 0 is not between 0.1 and 60 seconds"),
        (("--hold", "nan"), "--hold nan is not between 0.1 and 60 seconds"),
        (("--hold", "inf"), "--hold inf is not between"),
        (("--hold", "61"), "--hold 61 is not between"),
        (("--engine", "lxc"), "lxc"),
        (("--flags", "comapt"), "did you mean 'compat'?"),
        (("--gfx", "no-such"), "no-such"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(strixbench: Strixbench, options: tuple[str, ...], said: str) -> None:
    outcome = strixbench("calibrate", "cpu", *options)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_an_image_that_is_none_is_refused(strixbench: Strixbench) -> None:
    assert strixbench("calibrate", "no-such-image").code == 2
