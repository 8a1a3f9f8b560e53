from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.errors import PackageIndexError
from harness.images.nightly_index import Nightly, ask_index, builds_of, fetch_page, newest_nightly
from tests.unit.package_index import MOST_TRICKLED_BYTES, FakeIndex, fake_index, page, wheels

OLD, NEW, NEWEST = "rocm10.1.0a20260918", "rocm10.2.0a20261003", "rocm10.2.0a20261005"


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with fake_index() as running:
        yield running


def test_the_newest_day_that_has_both_is_taken() -> None:
    torch = page(*wheels("torch", "2.14.0", OLD, NEW, NEWEST), *wheels("torch", "2.15.0a0", NEWEST))
    torchaudio = page(*wheels("torchaudio", "2.11.0.3", OLD, NEW), *wheels("torchaudio", "2.11.0.2", NEWEST))
    found = newest_nightly(torch, torchaudio, torch="2.14.0", torchaudio="2.11.0.3")
    assert found == Nightly(torch=f"2.14.0+{NEW}", torchaudio=f"2.11.0.3+{NEW}", day="20261003")


def test_a_day_that_is_named_is_taken_and_no_other() -> None:
    torch, torchaudio = page(*wheels("torch", "2.14.0", OLD, NEW)), page(*wheels("torchaudio", "2.11.0.3", OLD, NEW))
    found = newest_nightly(torch, torchaudio, torch="2.14.0", torchaudio="2.11.0.3", day="20260918")
    assert found is not None
    assert found.torch == f"2.14.0+{OLD}"
    assert newest_nightly(torch, torchaudio, torch="2.14.0", torchaudio="2.11.0.3", day="20260919") is None


def test_of_two_builds_of_a_day_the_later_rocm_is_taken_by_number() -> None:
    both = ("rocm10.10.0a20261005", "rocm10.9.0a20261005")
    torch, torchaudio = page(*wheels("torch", "2.14.0", *both)), page(*wheels("torchaudio", "2.11.0.3", *both))
    found = newest_nightly(torch, torchaudio, torch="2.14.0", torchaudio="2.11.0.3")
    assert found is not None
    assert found.torch == "2.14.0+rocm10.10.0a20261005"


def test_a_release_is_not_taken_for_one_that_begins_alike() -> None:
    names = [*wheels("torchaudio", "2.11.0.3", NEW), *wheels("torchaudio", "2.11.0", OLD)]
    assert builds_of(page(*names), "torchaudio", "2.11.0") == [OLD]
    assert builds_of(page(*wheels("torch", "2.14.0", NEW)), "torch", "2x14.0") == []


def test_wheels_of_another_python_or_system_and_stable_builds_do_not_count() -> None:
    names = (
        f"torch-2.14.0+{NEW}-cp313-cp313-linux_x86_64.whl",
        f"torch-2.14.0+{NEW}-cp312-cp312-win_amd64.whl",
        f"torch-2.14.0+{NEW}-cp312-cp312-linux_aarch64.whl",
        "torch-2.14.0+rocm10.1.0-cp312-cp312-linux_x86_64.whl",
        f"torch-2.14.0+{OLD}-cp312-cp312-manylinux_2_28_x86_64.whl",
    )
    assert builds_of(page(*names), "torch", "2.14.0") == [OLD]


def test_a_wheel_that_was_withdrawn_does_not_count() -> None:
    gone = f"torch-2.14.0+{NEW}-cp312-cp312-linux_x86_64.whl"
    assert builds_of(page(gone, *wheels("torch", "2.14.0", OLD), yanked=(gone,)), "torch", "2.14.0") == [OLD]


@pytest.mark.parametrize(
    "text", ["", "<html>", "not a page \x00 \ufffd", '<a href="http://[::1">x</a>', "<a>x</a>", '<a href="">']
)
def test_what_is_no_page_has_no_builds(text: str) -> None:
    assert builds_of(text, "torch", "2.14.0") == []


def test_an_index_is_asked_for_both_projects(index: FakeIndex) -> None:
    index.has("torch", *wheels("torch", "2.14.0", OLD, NEW))
    index.has("torchaudio", *wheels("torchaudio", "2.11.0.3", OLD, NEW))
    assert ask_index(f"{index.address}/", torch="2.14.0", torchaudio="2.11.0.3").day == "20261003"
    assert index.asked == ["/torch/", "/torchaudio/"]


def test_an_index_without_the_pair_is_told_with_what_it_has(index: FakeIndex) -> None:
    index.has("torch", *wheels("torch", "2.14.0", OLD, NEW))
    index.has("torchaudio", *wheels("torchaudio", "2.11.0.2", NEW))
    with pytest.raises(PackageIndexError) as caught:
        ask_index(index.address, torch="2.14.0", torchaudio="2.11.0.3")
    assert "no nightly of both torch 2.14.0 and torchaudio 2.11.0.3 for cp312 on Linux" in str(caught.value)
    assert "it has torch 2.14.0 from 20260918 to 20261003, it has no torchaudio 2.11.0.3" in str(caught.value)


@pytest.mark.parametrize(("status", "said"), [(403, "has no torch"), (404, "has no torch"), (503, "does not serve it now")])
def test_a_refusal_is_told_with_its_status(index: FakeIndex, status: int, said: str) -> None:
    index.pages["/torch/"] = status
    with pytest.raises(PackageIndexError, match=f"{said}: .*/torch/ answered {status}. Without it, name exact versions"):
        fetch_page(index.address, "torch")


def test_an_index_that_does_not_listen_is_told_with_the_way_out(index: FakeIndex) -> None:
    address = "http://127.0.0.1:1"
    with pytest.raises(PackageIndexError, match=r"/torch/ could not be read \(.*refused.*\): check the network and the proxy"):
        fetch_page(address, "torch")


def test_an_answer_that_never_ends_is_cut(index: FakeIndex) -> None:
    index.pages["/torch/"] = "x" * (3 << 20)
    with pytest.raises(PackageIndexError, match="sends more than 1 MB: it is no page"):
        fetch_page(index.address, "torch", most_bytes=1 << 20)


def test_an_answer_that_takes_too_long_in_all_is_given_up(index: FakeIndex) -> None:
    index.pages["/torch/"], index.trickles = "", True
    with pytest.raises(PackageIndexError, match="was not read whole"):
        fetch_page(index.address, "torch", most_seconds=0.1)
    assert index.trickled_bytes < MOST_TRICKLED_BYTES


@pytest.mark.parametrize("index_address", ["file:///etc", "/srv/wheels", "ftp://x"])
def test_what_is_no_address_of_the_web_is_refused(index_address: str) -> None:
    with pytest.raises(PackageIndexError, match="is no address of a package index"):
        fetch_page(index_address, "torch")


@pytest.mark.parametrize(
    "build",
    ["rocm10.2.0a٢٠٢٦١٠٠٣", "rocm١٠.2.0a20261003", f"rocm{'9' * 5000}.2.0a20261003", "rocm10.2.0a99991399"],
    ids=["other digits in the day", "other digits in the ROCm", "a number without end", "a day that never comes"],
)
def test_what_no_index_would_write_is_no_build(build: str) -> None:
    torch, torchaudio = page(*wheels("torch", "2.14.0", build, OLD)), page(*wheels("torchaudio", "2.11.0.3", build, OLD))
    found = newest_nightly(torch, torchaudio, torch="2.14.0", torchaudio="2.11.0.3")
    assert found is not None
    assert found.torch == f"2.14.0+{OLD}"


def test_a_day_that_has_not_come_yet_is_not_the_newest() -> None:
    future = "rocm10.3.0a20981231"
    torch, torchaudio = page(*wheels("torch", "2.14.0", future, OLD)), page(*wheels("torchaudio", "2.11.0.3", future, OLD))
    found = newest_nightly(torch, torchaudio, torch="2.14.0", torchaudio="2.11.0.3", last_day="20261129")
    assert found is not None
    assert found.day == "20260918"


def test_a_page_that_python_s_parser_gives_up_counts_up_to_there() -> None:
    torch = page(*wheels("torch", "2.14.0", OLD)) + "<![<![" + page(*wheels("torch", "2.14.0", NEW))
    assert OLD in builds_of(torch, "torch", "2.14.0")
