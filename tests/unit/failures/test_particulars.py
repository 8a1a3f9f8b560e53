"""What a text itself says of its failure is put into the words of the answer."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.failures.libraries import families, family_of_library, family_of_symbol, family_of_tag
from harness.failures.particulars import RULES, place_of, told_by
from harness.failures.signature import signatures
from harness.verdict.explain import explain_text

TEXTS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "particulars.toml").read_text(encoding="utf-8"))["texts"]


@pytest.mark.parametrize("told", TEXTS, ids=lambda told: told["text"].strip()[-50:])
def test_the_answer_names_what_the_text_names(told: dict[str, Any]) -> None:
    match = explain_text(told["text"]).match
    assert match is not None
    assert match.signature.id == told["signature"]
    said = f"{match.signature.explanation}\n{match.signature.fix}"
    assert [words for words in told["says"] if words not in said] == []


def test_every_rule_that_a_signature_names_is_there_and_each_is_named() -> None:
    assert {each.rule for each in signatures().values() if each.rule} == set(RULES)


@pytest.mark.parametrize(
    ("library", "family"),
    [
        ("libMIOpen.so.1", "ROCm's MIOpen"),
        ("librccl.so.1", "ROCm's RCCL"),
        ("libamdhip64.so.7", "ROCm's runtime"),
        ("libhipblaslt.so.1", "ROCm's mathematics"),
        ("libcudnn_graph.so.9", "cuDNN"),
        ("libcuda.so.1", "NVIDIA's driver"),
        ("libcudart.so.12", "CUDA"),
        ("libnccl.so.2", "NCCL"),
        ("libavcodec.so.60", "FFmpeg"),
        ("libpython3.12.so.1.0", "Python"),
        ("libstdc++.so.6", "C++'s standard library"),
        ("libsndfile.so.1", "sound files"),
        ("libwhoknows.so.3", None),
    ],
)
def test_a_library_has_a_family_by_its_name(library: str, family: str | None) -> None:
    found = family_of_library(library)
    assert (found.name if found else None) == family


def test_symbols_and_tags_have_families_too() -> None:
    names = [
        family_of_symbol("ncclX", "libtorch_cuda.so"),
        family_of_symbol("ncclX"),
        family_of_tag("hip_6.3"),
        family_of_tag("X_1"),
    ]
    assert [each.name if each else None for each in names] == ["NCCL", "ROCm's RCCL", "ROCm's runtime", None]
    assert family_of_symbol("my_function") is None


def test_each_family_says_what_to_do_where_it_is_absent_and_where_it_is_another() -> None:
    assert all(each.absent and each.other and each.brings for each in families())


def test_the_path_and_the_error_decide_the_advice() -> None:
    paths = ("/var/tmp/x", "/dev/shm/x", "/var/lib/docker/x", "/home/u/.cache/miopen/x", "/home/u/.cache/huggingface/x")
    places = [place for path in paths if (place := place_of(path))]
    assert len({place.when_full for place in places}) == len(paths)
    assert len({place.when_denied for place in places}) == len(paths)
    assert all(place.when_full != place.when_denied for place in places)
    assert place_of("/srv/x") is None


def test_what_a_text_says_of_its_stack_is_told() -> None:
    told = told_by("HSA_OVERRIDE_GFX_VERSION=11.0.0\nrocm 7.2 torch==2.9.1+rocm7.2 on gfx1151, gfx1151\nLinux 6.17.8-200\n")
    assert told == ("HSA_OVERRIDE_GFX_VERSION=11.0.0", "ROCm 7.2", "torch 2.9.1+rocm7.2", "GPU gfx1151", "kernel 6.17.8-200")
    assert told_by("nothing") == ()
