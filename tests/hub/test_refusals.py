"""Each way in which the hub, the network or the token can refuse: its own sentence, exit code 3, and never the token."""

from __future__ import annotations

import pytest

from tests.hub.conftest import Fetcher, write_pins
from tests.hub_server import FakeHub

PIPELINE = "pyannote/speaker-diarization-3.1"
SEGMENTATION = "pyannote/segmentation-3.0"
COMMUNITY = "pyannote/speaker-diarization-community-1"
OPEN = {SEGMENTATION, PIPELINE, COMMUNITY}


def refused(fetcher: Fetcher, profile: str = "3.1", **environment: str) -> str:
    """What a fetch says that must fail and download nothing."""
    done = fetcher.fetch(profile, **environment)
    assert done.code == 3, done.stderr
    assert done.stdout == ""
    assert fetcher.hub.downloads() == []
    assert fetcher.blobs() == []
    return done.stderr


@pytest.mark.parametrize(
    ("profile", "accepted", "missing"),
    [
        ("3.1", (), (PIPELINE, SEGMENTATION)),
        ("3.1", (PIPELINE,), (SEGMENTATION,)),
        ("3.1", (SEGMENTATION, COMMUNITY), (PIPELINE,)),
        ("community-1", (PIPELINE, SEGMENTATION), (COMMUNITY,)),
    ],
)
def test_each_missing_agreement_is_named_at_once_with_its_page(
    fetcher: Fetcher, profile: str, accepted: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    fetcher.hub.admit(fetcher.token, *accepted)
    said = refused(fetcher, profile)
    assert "are not accepted: open" in said
    for name in OPEN:
        assert (f"https://huggingface.co/{name}" in said) == (name in missing), said


def test_no_token_names_every_page_and_where_a_token_is_made(fetcher: Fetcher) -> None:
    said = refused(fetcher, HF_TOKEN="")
    assert "there is no Hugging Face token" in said
    assert f"https://huggingface.co/{PIPELINE}, https://huggingface.co/{SEGMENTATION}" in said
    assert "https://huggingface.co/settings/tokens" in said


def test_an_expired_token_is_told_from_a_missing_agreement_and_asked_about_once(fetcher: Fetcher) -> None:
    fetcher.hub.admit(fetcher.token, account="expired")
    said = refused(fetcher)
    assert "does not accept the Hugging Face token: it has expired, was revoked, or was not copied whole" in said
    assert "conditions" not in said
    assert len(fetcher.hub.seen) == 1


def test_a_fine_grained_token_without_gated_read_is_told_which_box_to_tick(fetcher: Fetcher) -> None:
    fetcher.hub.admit(fetcher.token, PIPELINE, SEGMENTATION, account="fine-grained")
    said = refused(fetcher)
    assert "is fine-grained and may not read gated repositories" in said
    assert "Read access to contents of all public gated repos you can access" in said


def test_a_request_that_waits_for_review_is_no_missing_agreement(fetcher: Fetcher) -> None:
    fetcher.hub.admit(fetcher.token, PIPELINE, account="awaiting")
    said = refused(fetcher)
    assert f"access to {SEGMENTATION} was asked for and is not granted yet" in said


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("hf_abc def_ghi_jkl", "it holds a space or a line break"),
        ("hf_abcdefgh\nhf_ijklmnop", "it is two tokens in one"),
        ("hf_abcdefgh\tijklmnop", "it holds a space or a line break"),
        ("sk-0123456789abcdef", "it does not begin with hf_"),
        ("hf_abcdefghé", "it holds a character that no token has"),
        ("hf_abc", "it is cut short: 6 characters"),
    ],
)
def test_a_malformed_token_is_never_sent_and_never_shown(fetcher: Fetcher, token: str, why: str) -> None:
    said = refused(fetcher, HF_TOKEN=token)
    assert f"the Hugging Face token is malformed: {why}" in said
    assert fetcher.hub.seen == []
    for part in token.split():
        assert part not in said


def test_the_token_file_of_the_hub_s_own_tools_is_read(fetcher: Fetcher) -> None:
    folder = fetcher.folder / "huggingface"
    folder.mkdir()
    (folder / "token").write_text(f"{fetcher.token}\n")
    assert fetcher.fetch(HF_TOKEN="").code == 0


def test_a_server_that_quotes_the_token_back_does_not_bring_it_to_the_screen(fetcher: Fetcher) -> None:
    fetcher.hub.admit(fetcher.token, account="expired")
    fetcher.hub.echoes_the_token = True
    assert fetcher.token not in refused(fetcher)


@pytest.mark.parametrize(
    ("status", "said"), [(500, "the hub answers 500"), (503, "the hub answers 503"), (429, "429, too many requests")]
)
def test_a_hub_in_trouble_is_nothing_of_the_user_s(fetcher: Fetcher, status: int, said: str) -> None:
    fetcher.hub.status = status
    assert said in refused(fetcher)


def test_a_hub_that_cannot_be_reached_is_named_without_a_password(fetcher: Fetcher) -> None:
    said = refused(fetcher, HF_ENDPOINT="http://somebody:secret@127.0.0.1:9")
    assert "the Hugging Face hub at http://127.0.0.1:9 cannot be reached" in said
    assert "secret" not in said


def test_offline_by_the_caller_s_own_wish_asks_nothing(fetcher: Fetcher) -> None:
    assert "HF_HUB_OFFLINE is set" in refused(fetcher, HF_HUB_OFFLINE="1")
    assert fetcher.hub.seen == []


def test_a_commit_that_the_hub_does_not_know_is_the_pin_s_fault(fetcher: Fetcher) -> None:
    write_pins(fetcher.folder / "pins.toml", fetcher.hub, revision="7" * 40)
    said = refused(fetcher)
    assert f"the hub knows no commit {'7' * 40} of {PIPELINE}" in said
    assert "STRIXBENCH_PINS" in said


def test_a_pinned_file_that_the_hub_lacks_is_named(fetcher: Fetcher) -> None:
    del fetcher.hub.repositories[SEGMENTATION].files["pytorch_model.bin"]
    assert f"{SEGMENTATION} lacks a pinned file" in refused(fetcher)


def test_a_repository_that_is_gone_is_named(fetcher: Fetcher) -> None:
    del fetcher.hub.repositories[COMMUNITY]
    assert f"the hub knows no repository {COMMUNITY}" in refused(fetcher, "community-1")


def test_a_web_page_in_the_hub_s_place_is_no_hub(fetcher: Fetcher) -> None:
    fetcher.hub.status = 200  # a portal that wants a login answers everything
    said = refused(fetcher)
    assert "is no Hugging Face hub" in said
    assert "look at HF_ENDPOINT and at proxies" in said


def test_pins_that_cannot_be_read_are_refused(fetcher: Fetcher) -> None:
    (fetcher.folder / "pins.toml").write_text('["a/b"]\nrevision = "main"\n')
    assert "the model pins in" in refused(fetcher)


def test_the_fake_refuses_as_the_hub_s_own_library_expects(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import GatedRepoError

    hub: FakeHub = fetcher.hub
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with pytest.raises(GatedRepoError):
        get_hf_file_metadata(f"{hub.hub_url}/{PIPELINE}/resolve/{hub.repositories[PIPELINE].commit}/config.yaml", token=False)
