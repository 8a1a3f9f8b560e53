from __future__ import annotations

import pytest

from harness.inputs.hub_answers import Answer, malformed, refusal_sentence, scrubbed
from harness.inputs.hub_cache import pins

PIPELINE = "pyannote/speaker-diarization-3.1"
SEGMENTATION = "pyannote/segmentation-3.0"
TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"


def sentence(answer: Answer, *repositories: str, has_token: bool = True) -> str:
    return refusal_sentence(dict.fromkeys(repositories or (SEGMENTATION,), answer), pins(), has_token=has_token)


def test_two_reasons_are_two_sentences() -> None:
    refused = {
        PIPELINE: Answer(status=403, code="GatedRepo", message="you are not in the authorized list"),
        SEGMENTATION: Answer(status=403, code="GatedRepo", message="Your request is awaiting a review"),
    }
    said = refusal_sentence(refused, pins(), has_token=True)
    assert f"the conditions of {PIPELINE} are not accepted: open https://huggingface.co/{PIPELINE}" in said
    assert f"access to {SEGMENTATION} was asked for and is not granted yet: see https://huggingface.co/{SEGMENTATION}" in said


def test_a_refusal_that_is_not_known_is_told_in_the_hub_s_own_words() -> None:
    assert "refuses pyannote/segmentation-3.0 with 403: Over quota" in sentence(Answer(status=403, message="Over quota"))
    assert "with 418: it says nothing more" in sentence(Answer(status=418))


def test_a_refused_token_is_not_taken_for_none_at_all() -> None:
    answer = Answer(status=401, message="Invalid credentials in Authorization header")
    assert "does not accept the Hugging Face token" in sentence(answer)
    assert "there is no Hugging Face token" in sentence(answer, has_token=False)


@pytest.mark.parametrize("token", [TOKEN, "hf_oauth_abcdefghijkl", "hf_jwt_a.hf_b.cdefghijklmnop"])
def test_what_the_hub_gives_out_is_not_malformed(token: str) -> None:
    assert malformed(token) is None


def test_a_text_loses_the_token_whatever_it_looks_like_and_all_that_looks_like_one() -> None:
    assert scrubbed(f"Bearer {TOKEN}, api_old", "api_old") == "Bearer hf_[removed], hf_[removed]"
    assert scrubbed("hf_oauth_abcdefgh", None) == "hf_[removed]"


def test_a_server_s_words_are_one_short_line_without_terminal_sequences() -> None:
    text = scrubbed("\x1b[31mred\x1b[0m\nsecond line " + "x" * 1000, None)
    assert text.startswith("red second line x")
    assert len(text) == 300
