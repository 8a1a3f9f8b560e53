"""Names lent to torchaudio for pyannote.audio 3. Both are stubs here (see `tests.guest.stubs`)."""

from __future__ import annotations

from pathlib import Path

from .stubs import Stubs, make_request, run_guest

ASK = "import torchaudio; torchaudio.AudioMetaData; torchaudio.list_audio_backends(); torchaudio.set_audio_backend('x')"
"""What pyannote.audio 3 does while it is imported."""


def test_pyannote_3_finds_the_names_that_this_torchaudio_lacks_and_it_is_noted(tmp_path: Path) -> None:
    stubs = Stubs(pyannote_audio="3.4.0+stub", misbehave={"import pyannote.audio": ASK})
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, last_stage="import"))
    assert ended.verdict().status == "pass", ended.journal[-2:]
    (note,) = ended.events("note")
    assert "torchaudio 0.0.0+stub lacks names that pyannote.audio 3.4.0+stub asks for" in note["text"]
    assert "AudioMetaData, list_audio_backends, set_audio_backend" in note["text"]


def test_nothing_is_lent_to_pyannote_4(tmp_path: Path) -> None:
    stubs = Stubs(misbehave={"import pyannote.audio": ASK})
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, last_stage="import"))
    assert ended.verdict().cause == "import"
    assert "AudioMetaData" in ended.chain()[-1]["message"]
    assert ended.events("note") == []


def test_a_torchaudio_that_has_the_names_keeps_its_own(tmp_path: Path) -> None:
    has = "import sys; t = sys.modules['torchaudio']; t.AudioMetaData = t.list_audio_backends = t.set_audio_backend = str"
    same = "import torchaudio; assert torchaudio.AudioMetaData is str"
    stubs = Stubs(pyannote_audio="3.4.0+stub", misbehave={"import torchaudio": has, "import pyannote.audio": same})
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, last_stage="import"))
    assert ended.verdict().status == "pass", ended.journal[-2:]
    assert ended.events("note") == []
