from __future__ import annotations

import re
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.failures.recognise import MOST_CHARACTERS, Match, deepest_frame, find_match, recognise, recognise_warnings
from harness.failures.signature import signatures
from harness.failures.traceback_text import read_chain
from harness.records.outcome import ExceptionRecord

TEXTS = Path(__file__).parent
KNOWN: dict[str, list[dict[str, Any]]] = {
    name: told
    for file in ("known.toml", "known_kinds.toml")
    for name, told in tomllib.loads((TEXTS / file).read_text(encoding="utf-8")).items()
}
NAMED_ALONE = set(tomllib.loads((TEXTS / "known.toml").read_text(encoding="utf-8")))
"""Signatures that know one text by its name: the others are of kinds, which one text cannot show."""
UNRELATED: list[str] = tomllib.loads((TEXTS / "unrelated.toml").read_text(encoding="utf-8"))["texts"]
REAL = {path.stem: path.read_text(encoding="utf-8") for path in sorted((TEXTS / "real").glob("*.txt"))}
"""Produced by ``tests.local.failing``, with paths made the same for all."""

LONGEST_SEARCH_SECONDS = 1.0
"""Of one pattern over one text of `MOST_CHARACTERS`: some ten times what the slowest takes on two busy cores."""

SYMPTOM = ExceptionRecord(
    type="ImportError",
    message="cannot import name 'is_oom_error' from 'lightning.pytorch.utilities.memory' (unknown location)",
    where="/opt/venv/lib/python3.12/site-packages/pyannote/audio/core/inference.py:32 in <module>",
)


def signature_of_file(stem: str) -> str:
    """A real text's file is named for its signature, with a number where there are several."""
    return re.sub(r"-\d$", "", stem)


def match_of(text: str, **known: Any) -> Match | None:
    """What `strixbench explain` finds in a pasted text."""
    return find_match(read_chain(text), text, kernel_log=text, **known)


@pytest.mark.parametrize("name", signatures())
def test_every_signature_has_a_text_that_it_is_known_by(name: str) -> None:
    assert KNOWN.get(name), f"add a real-looking text of {name} to tests/unit/failures/known.toml"


def test_every_kind_is_shown_by_two_texts_besides_the_public_ones() -> None:
    assert {name for name in signatures() if name not in NAMED_ALONE and len(KNOWN.get(name, [])) < 2} == set()


def test_every_known_text_belongs_to_a_signature() -> None:
    assert set(KNOWN) <= set(signatures())
    assert {signature_of_file(stem) for stem in REAL} <= set(signatures())


@pytest.mark.parametrize(
    ("name", "told"), [(name, told) for name, all_told in KNOWN.items() for told in all_told], ids=lambda each: str(each)[:40]
)
def test_a_known_text_is_recognised_as_its_signature_and_no_other(name: str, told: dict[str, Any]) -> None:
    if signatures()[name].severity == "warning":
        assert [found.id for found in recognise_warnings(told["text"])] == [name]
        assert match_of(told["text"]) is None
        return
    match = match_of(told["text"], exit_code=told.get("exit"), during=told.get("during", ""))
    assert match is not None
    assert match.signature.id == name


@pytest.mark.parametrize("stem", REAL)
def test_what_was_really_raised_is_recognised(stem: str) -> None:
    name = signature_of_file(stem)
    if signatures()[name].severity == "warning":
        assert name in {found.id for found in recognise_warnings(REAL[stem])}
        return
    match = match_of(REAL[stem])
    assert match is not None
    assert (match.signature.id, match.found_in) == (name, "exception")


def test_a_signature_says_that_it_was_reproduced_where_a_real_text_is_kept_and_nowhere_else() -> None:
    said = {each.id for each in signatures().values() if each.reproduced}
    elsewhere = {"torchaudio-other-index"}  # also in an image, by tests/engines/test_bench.py
    assert said - elsewhere == {signature_of_file(stem) for stem in REAL} - elsewhere
    assert len(said) >= 15


@pytest.mark.parametrize("text", UNRELATED, ids=lambda text: text.strip()[-40:])
def test_an_unrelated_text_is_recognised_by_none(text: str) -> None:
    assert match_of(text) is None
    assert recognise((), text) is None
    assert recognise_warnings(text) == ()


def test_there_are_many_unrelated_texts() -> None:
    assert len(set(UNRELATED)) >= 25


def test_every_signature_says_what_to_do_and_where_that_is_from() -> None:
    for signature in signatures().values():
        assert signature.explanation
        assert signature.fix
        assert signature.source
        assert signature.pattern or (signature.exit and signature.severity == "failure"), signature.id
        assert not signature.explanation.endswith("."), signature.id


def test_the_root_cause_is_asked_before_what_it_caused() -> None:
    chain = (
        ExceptionRecord(type="RuntimeError", message="operator torchvision::nms does not exist"),
        ExceptionRecord(type="OSError", message="[Errno 28] No space left on device"),
    )
    found = recognise(chain, "Memory access fault by GPU node-1")
    assert found is not None
    assert found.id == "disk-full"


def test_what_a_root_that_nobody_knows_caused_is_asked_next() -> None:
    chain = (
        ExceptionRecord(type="OSError", message="[Errno 28] No space left on device"),
        ExceptionRecord(type="KeyError", message="'who knows'"),
    )
    found = recognise(chain, "")
    assert found is not None
    assert found.id == "disk-full"


def test_the_line_at_which_every_broken_package_surfaces_is_no_cause() -> None:
    unknown = ExceptionRecord(type="KeyError", message="'memory'", where="/opt/torchmetrics/imports.py:18 in <module>")
    known = ExceptionRecord(type="RuntimeError", message="operator torchvision::nms does not exist")
    assert recognise((SYMPTOM, unknown), f"ImportError: {SYMPTOM.message}") is None
    found = recognise((SYMPTOM, known), "")
    assert found is not None
    assert found.id == "torchvision-mismatch"


def test_that_line_alone_says_to_look_further_and_blames_no_version() -> None:
    found = recognise((SYMPTOM,), "")
    assert found is not None
    assert found.id == "lightning-damaged"
    assert "look for the next exception" in found.explanation
    assert "mismatch" not in f"{found.explanation} {found.fix}"


def test_what_asks_for_more_wins_over_what_stands_first() -> None:
    inside = "/opt/venv/lib/python3.12/site-packages/torch/nn/modules/rnn.py:1124 in forward"
    failed = ExceptionRecord(type="RuntimeError", message="miopenStatusUnknownError", where=inside)
    header = "fatal error: 'hiprand/hiprand_xorwow.h' file not found"
    elsewhere = ExceptionRecord(type="RuntimeError", message="miopenStatusUnknownError", where="/app/x.py:1 in f")
    found = [recognise((failed,), ""), recognise((elsewhere,), header), recognise((elsewhere,), "")]
    assert [each and each.id for each in found] == ["miopen-lstm", "miopen-dropout-header", "miopen-failed"]


def test_the_log_is_asked_after_the_chain_and_the_kernel_after_both() -> None:
    chain = (ExceptionRecord(type="RuntimeError", message="HIP error: of a kind that nobody has seen"),)
    kernel = "amdgpu: MES failed to respond to msg=REMOVE_QUEUE"
    both = find_match(chain, "Memory access fault by GPU node-1 on address 0x7f. Reason: Unknown.", kernel_log=kernel)
    last = find_match(chain, "", kernel_log=kernel)
    assert both is not None
    assert last is not None
    assert (both.signature.id, both.found_in) == ("gpu-page-fault", "log")
    assert (last.signature.id, last.found_in) == ("kernel-mes-unresponsive", "kernel")


def test_an_exit_code_without_a_text_is_asked_last() -> None:
    silent = find_match((), "", exit_code=139, during="device")
    told = find_match((), "Memory access fault by GPU node-1", exit_code=139, during="device")
    assert silent is not None
    assert told is not None
    assert (silent.signature.id, silent.found_in) == ("segfault-at-device", "exit code")
    assert told.signature.id == "gpu-page-fault"
    assert find_match((), "", exit_code=139, during="verify") is None
    assert find_match((), "", exit_code=1, during="device") is None
    assert find_match((SYMPTOM, ExceptionRecord(type="KeyError")), "", exit_code=137) is None


def test_a_warning_is_never_a_cause() -> None:
    log = "Attempting to use hipBLASLt on an unsupported architecture!\nstd(): degrees of freedom is <= 0\n"
    assert recognise((), log) is None
    assert {each.id for each in recognise_warnings(log)} == {"hipblaslt-unsupported", "std-of-one-frame"}
    assert recognise_warnings("", "a note") == ()


def test_the_deepest_frame_outside_pyannote_is_named() -> None:
    frames = "".join(
        f'  File "/opt/site-packages/{file}", line 3, in load\n    a line of code\n'
        for file in ("torchmetrics/a.py", "pyannote/audio/io.py")
    )
    link = ExceptionRecord(type="E", where="/opt/site-packages/pyannote/audio/io.py:3 in load", traceback=frames)
    assert deepest_frame(link) == "/opt/site-packages/torchmetrics/a.py:3 in load"
    assert deepest_frame(ExceptionRecord(type="E", where="/x/pyannote/audio/io.py:3 in f")) == "/x/pyannote/audio/io.py:3 in f"
    assert deepest_frame(ExceptionRecord(type="E")) == ""


def test_the_end_of_a_long_text_is_searched() -> None:
    text = "x" * (2 * MOST_CHARACTERS) + "RuntimeError: HIP out of memory"
    assert recognise((ExceptionRecord(type="RuntimeError", message=text),), "") is not None
    assert recognise((), "HIP out of memory" + "x" * MOST_CHARACTERS) is None


@pytest.mark.parametrize("name", signatures())
def test_no_pattern_repeats_without_bound(name: str) -> None:
    signature = signatures()[name]
    for pattern in (signature.pattern, signature.type, signature.where, signature.log, signature.during):
        bare = re.sub(r"\\.|\[[^\]]*\]", "", pattern)
        assert not re.search(r"[*+]|\{\d*,\}", bare), pattern


@pytest.mark.parametrize("name", signatures())
def test_a_long_hostile_text_does_not_hold_up_the_search(name: str) -> None:
    signature = signatures()[name]
    for pattern in filter(None, (signature.pattern, signature.type, signature.where, signature.log, signature.during)):
        # What the pattern is made of, again and again, so that each of its beginnings fits and no end does.
        words = [word for word in re.split(r"[\\()|\[\]{}.?^$]+", pattern) if len(word) > 2] or ["x"]
        for piece in (*words, " ".join(words), "\n".join(words), "a", " ", "\n", "1.", "lib"):
            text = (piece * MOST_CHARACTERS)[:MOST_CHARACTERS]
            begun = time.process_time()
            re.compile(pattern).search(text)
            assert time.process_time() - begun < LONGEST_SEARCH_SECONDS, (pattern, piece)


NOISE = (
    "UserWarning: torchcodec is not installed correctly so built-in audio decoding will fail.\n"
    "OSError: libnvrtc.so.13: cannot open shared object file: No such file or directory\n"
    "RuntimeError: Could not load libtorchcodec. Likely causes: 1. FFmpeg is not properly installed\n"
)


@pytest.mark.parametrize("during", ["segmentation", "cold", "lstm"])
def test_a_warning_of_an_import_is_not_the_cause_of_a_later_death(during: str) -> None:
    found = recognise((), NOISE, exit_code=139, during=during)
    assert found is None or found.step != "import"
    assert recognise((), NOISE, exit_code=1, during="import, importing torchcodec") is not None
