from __future__ import annotations

import hashlib
import os
import wave
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile

from harness.errors import AudioError
from harness.inputs.audio import Audio, check_reference, prepare_audio, read_rttm, typical_begin
from tests.unit.samples import a_tone, is_root, write_audio, write_rttm

FORMATS: tuple[tuple[str, int, int, dict[str, str]], ...] = (
    ("wav-8k.wav", 8_000, 1, {}),
    ("wav-44k.wav", 44_100, 1, {}),
    ("wav-48k-stereo.wav", 48_000, 2, {}),
    ("wav-24-bit.wav", 16_000, 1, {"subtype": "PCM_24"}),
    ("wav-float.wav", 16_000, 1, {"subtype": "FLOAT"}),
    ("wav-double-96k.wav", 96_000, 1, {"subtype": "DOUBLE"}),
    ("wav-8-bit.wav", 16_000, 1, {"subtype": "PCM_U8"}),
    ("wav-mu-law.wav", 8_000, 1, {"subtype": "ULAW"}),
    ("flac-16k.flac", 16_000, 1, {}),
    ("flac-48k-24-bit.flac", 48_000, 2, {"subtype": "PCM_24"}),
    ("ogg-44k.ogg", 44_100, 2, {}),
    ("opus-48k.ogg", 48_000, 1, {"subtype": "OPUS"}),
    ("aiff-16k.aiff", 16_000, 1, {}),
)


def integers_of(audio: Audio) -> numpy.ndarray[Any, Any]:
    """The samples as the guest reads them; fails unless the file is 16 kHz mono 16-bit PCM."""
    with wave.open(str(audio.path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


def loudest_hertz(integers: numpy.ndarray[Any, Any]) -> float:
    """Where the spectrum peaks."""
    spectrum = numpy.abs(numpy.fft.rfft(integers * numpy.hanning(len(integers))))
    return float(numpy.argmax(spectrum) * 16_000 / len(integers))


def wav_with_chunk_before_data(path: Path, chunk: bytes) -> Path:
    """A sound WAV with one more chunk between its format and its samples, as FFmpeg and field recorders write them."""
    plain = write_audio(path).read_bytes()
    body = b"WAVE" + plain[12:36] + chunk + plain[36:]
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    return path


@pytest.mark.parametrize(("name", "rate", "channels", "options"), FORMATS, ids=[row[0] for row in FORMATS])
def test_any_format_becomes_16_khz_mono_16_bit(
    tmp_path: Path, name: str, rate: int, channels: int, options: dict[str, str]
) -> None:
    file = write_audio(tmp_path / name, a_tone(2.0, rate=rate, hertz=440.0, channels=channels), rate=rate, **options)
    audio = prepare_audio(file)
    samples = integers_of(audio)
    assert audio.seconds == pytest.approx(2.0, abs=0.001)
    assert len(samples) == pytest.approx(32_000, abs=16)
    assert loudest_hertz(samples) == pytest.approx(440.0, abs=1.0)
    # A tone at half of full scale: its root mean square is 0.5 / sqrt(2).
    assert numpy.sqrt(numpy.mean((samples / 32768.0) ** 2)) == pytest.approx(0.3536, abs=0.01)


def test_16_khz_mono_16_bit_goes_through_bit_for_bit(tmp_path: Path) -> None:
    steps = numpy.arange(-32768, 32768, dtype="<i2")
    for name in ("in.wav", "in.flac"):
        file = write_audio(tmp_path / name, steps, subtype="PCM_16")
        assert numpy.array_equal(integers_of(prepare_audio(file)), steps)


def test_samples_beyond_full_scale_are_clipped_and_do_not_wrap_round(tmp_path: Path) -> None:
    loud = numpy.concatenate([numpy.full(16_000, 1.5), numpy.full(16_000, -1.5)])
    samples = integers_of(prepare_audio(write_audio(tmp_path / "loud.wav", loud, subtype="FLOAT")))
    assert set(samples[:16_000]) == {32767}
    assert set(samples[16_000:]) == {-32768}


def test_stereo_becomes_the_mean_of_its_channels(tmp_path: Path) -> None:
    both = numpy.stack([numpy.full(16_000, 8192, dtype="<i2"), numpy.full(16_000, 16384, dtype="<i2")], axis=1)
    assert set(integers_of(prepare_audio(write_audio(tmp_path / "both.wav", both, subtype="PCM_16")))) == {12288}


def test_a_recording_is_named_by_its_file_and_its_length(tmp_path: Path) -> None:
    assert prepare_audio(write_audio(tmp_path / "sample.wav", a_tone(3.0))).name == "sample-3s"
    assert prepare_audio(write_audio(tmp_path / "my talk (1).wav")).name == "my_talk_1_-2s"
    assert prepare_audio(write_audio(tmp_path / "会議.wav")).name == "_-2s"
    assert prepare_audio(write_audio(tmp_path / "sample.wav"), seconds=5).name == "sample-fitted-5s"


def test_the_hash_is_that_of_the_samples_that_a_launch_reads(tmp_path: Path) -> None:
    steps = numpy.arange(-16000, 16000, dtype="<i2")
    one = prepare_audio(write_audio(tmp_path / "one.wav", steps, subtype="PCM_16"))
    same = prepare_audio(write_audio(tmp_path / "same.flac", steps, subtype="PCM_16"))
    other = prepare_audio(write_audio(tmp_path / "other.wav", a_tone(hertz=300.0)))
    assert one.sha256 == hashlib.sha256(one.path.read_bytes()).hexdigest()
    assert one.sha256 == same.sha256 != other.sha256


def test_a_recording_that_was_normalised_before_is_not_decoded_again(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(2.0, rate=44_100), rate=44_100)
    first = prepare_audio(file)
    os.utime(first.path, (1_000_000_000, 1_000_000_000))
    again = prepare_audio(file)
    assert again == first
    assert again.path.stat().st_mtime == 1_000_000_000


def test_a_file_that_changed_under_its_name_is_normalised_anew(tmp_path: Path) -> None:
    first = prepare_audio(write_audio(tmp_path / "sample.wav"))
    second = prepare_audio(write_audio(tmp_path / "sample.wav", a_tone(hertz=300.0)))
    assert first.path != second.path
    assert first.sha256 != second.sha256


def test_the_normalised_file_can_be_read_by_any_user_of_a_container(tmp_path: Path) -> None:
    assert prepare_audio(write_audio(tmp_path / "sample.wav")).path.stat().st_mode & 0o777 == 0o644


def test_nothing_half_written_stays_in_the_cache(tmp_path: Path) -> None:
    prepare_audio(write_audio(tmp_path / "sample.wav"))
    assert [path.suffix for path in (tmp_path / "cache" / "audio").iterdir()] == [".wav"]


def test_paths_are_absolute_so_that_a_container_can_mount_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_audio(tmp_path / "sample.wav")
    write_rttm(tmp_path / "sample.rttm", (0.0, 1.0, "a"))
    monkeypatch.chdir(tmp_path)
    audio = prepare_audio(Path("sample.wav"), reference=Path("sample.rttm"))
    assert audio.path.is_absolute()
    assert audio.reference is not None
    assert audio.reference.is_absolute()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"none\.wav does not exist"):
        prepare_audio(tmp_path / "none.wav")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty\.wav is empty"):
        prepare_audio(tmp_path / "empty.wav")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be read: Is a directory"):
        prepare_audio(tmp_path)


def test_text_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("this is not audio\n" * 100)
    with pytest.raises(AudioError, match=r"notes\.wav is not audio .*convert it to WAV or FLAC"):
        prepare_audio(tmp_path / "notes.wav")


def test_a_header_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="holds no samples"):
        prepare_audio(write_audio(tmp_path / "none.wav", numpy.zeros(0)))


@pytest.mark.parametrize("name", ["cut.wav", "cut.flac", "cut.ogg", "cut.mp3", "cut.aiff", "cut.au", "cut.w64", "cut.rf64"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    whole = write_audio(tmp_path / name, a_tone(4.0)).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(AudioError, match=r"truncated|is not audio that libsndfile reads"):
        prepare_audio(tmp_path / name)


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0x7FFF_F000, 0x7FFF_FF00], ids=["FFmpeg", "SoX", "arecord"])
def test_a_wav_of_a_stream_whose_length_nobody_knew_is_read(tmp_path: Path, length: int) -> None:
    """What these write into a pipe, where they cannot go back to fill in the length."""
    content = bytearray(write_audio(tmp_path / "stream.wav").read_bytes())
    content[4:8] = min(length + 36, 0xFFFF_FFFF).to_bytes(4, "little")
    content[40:44] = length.to_bytes(4, "little")
    (tmp_path / "stream.wav").write_bytes(content)
    assert prepare_audio(tmp_path / "stream.wav").seconds == 2.0


@pytest.mark.parametrize(("name", "at", "width"), [("stream.au", 8, 4), ("stream.w64", 16, 8)])
def test_another_format_s_stream_is_read_as_well(tmp_path: Path, name: str, at: int, width: int) -> None:
    content = bytearray(write_audio(tmp_path / name).read_bytes())
    content[at : at + width] = b"\xff" * width
    (tmp_path / name).write_bytes(content)
    assert prepare_audio(tmp_path / name).seconds == 2.0


@pytest.mark.parametrize("size", [5, 100_000], ids=["odd", "long"])
def test_a_wav_that_is_cut_behind_another_chunk_is_refused(tmp_path: Path, size: int) -> None:
    """A chunk of an odd length is followed by a byte that its length does not count."""
    chunk = b"JUNK" + size.to_bytes(4, "little") + b"\0" * (size + size % 2)
    file = wav_with_chunk_before_data(tmp_path / "cut.wav", chunk)
    assert soundfile.info(file).frames == 32_000
    file.write_bytes(file.read_bytes()[:-20_000])
    with pytest.raises(AudioError, match="truncated"):
        prepare_audio(file)


@pytest.mark.parametrize("comment", [b"a telephone call", b"field data, tape 7"])
def test_a_whole_wav_with_a_comment_before_its_samples_is_read(tmp_path: Path, comment: bytes) -> None:
    text = comment + b"\0" * (2 - len(comment) % 2)
    info = b"INFOICMT" + len(text).to_bytes(4, "little") + text
    file = wav_with_chunk_before_data(tmp_path / "list.wav", b"LIST" + len(info).to_bytes(4, "little") + info)
    assert soundfile.info(file).frames == 32_000
    assert prepare_audio(file).seconds == 2.0


def test_silence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"quiet\.wav is silent: its loudest sample is under -80 dBFS"):
        prepare_audio(write_audio(tmp_path / "quiet.wav", numpy.zeros(32_000)))


def test_a_quiet_recording_is_not_silence(tmp_path: Path) -> None:
    assert prepare_audio(write_audio(tmp_path / "quiet.wav", a_tone() / 100)).seconds == 2.0


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_samples_that_are_not_numbers_are_refused(tmp_path: Path, value: float) -> None:
    samples = a_tone()
    samples[100] = value
    with pytest.raises(AudioError, match="not numbers"):
        prepare_audio(write_audio(tmp_path / "odd.wav", samples, subtype="FLOAT"))


def test_less_than_a_second_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"lasts 0\.50 s; diarization wants at least 1 s"):
        prepare_audio(write_audio(tmp_path / "short.wav", a_tone(0.5)))


@pytest.mark.skipif(is_root(), reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav")
    file.chmod(0)
    with pytest.raises(AudioError, match="cannot be read: Permission denied"):
        prepare_audio(file)


def test_a_refused_recording_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="silent"):
        prepare_audio(write_audio(tmp_path / "quiet.wav", numpy.zeros(32_000)))
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_a_length_repeats_a_shorter_recording_from_its_beginning(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(2.0), subtype="PCM_16")
    whole, fitted = integers_of(prepare_audio(file)), integers_of(prepare_audio(file, seconds=5))
    assert numpy.array_equal(fitted, numpy.concatenate([whole, whole, whole[:16_000]]))


def test_a_length_cuts_a_longer_recording(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(4.0), subtype="PCM_16")
    audio = prepare_audio(file, seconds=1.5)
    assert audio.seconds == 1.5
    assert numpy.array_equal(integers_of(audio), integers_of(prepare_audio(file))[:24_000])


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.5, 90_000.0, float("nan"), float("inf")])
def test_a_length_that_cannot_be_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(AudioError, match=r"--audio-seconds .* is not between 1 and 86400"):
        prepare_audio(write_audio(tmp_path / "sample.wav"), seconds=seconds)


def test_a_reference_is_kept_as_it_is_without_a_length(tmp_path: Path) -> None:
    reference = write_rttm(tmp_path / "sample.rttm", (0.0, 1.0, "a"))
    kept = prepare_audio(write_audio(tmp_path / "sample.wav"), reference=reference).reference
    assert kept is not None
    assert kept.read_bytes() == reference.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o644


def test_a_reference_is_kept_under_a_name_that_no_mount_option_can_hide_in(tmp_path: Path) -> None:
    reference = write_rttm(tmp_path / "a,target=b.rttm", (0.0, 1.0, "a"))
    kept = prepare_audio(write_audio(tmp_path / "sample.wav"), reference=reference).reference
    assert kept is not None
    assert kept.stem.isalnum()


@pytest.mark.parametrize("what", ["audio", "reference"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, what: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    refuse = prepare_audio if what == "audio" else check_reference
    with pytest.raises(AudioError, match="no plain file"):
        refuse(tmp_path / "pipe")


@pytest.mark.parametrize("rate", [1, 10_000_000])
def test_a_sample_rate_that_is_no_recording_s_is_refused(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "odd.wav", numpy.full(rate + 10 if rate < 10 else 1000, 0.5), rate)
    with pytest.raises(AudioError, match=f"sample rate of {rate} Hz"):
        prepare_audio(tmp_path / "odd.wav")


def test_a_reference_is_repeated_as_its_recording_is(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(2.0))
    reference = write_rttm(tmp_path / "sample.rttm", (0.25, 0.5, "a"), (1.5, 0.5, "b"))
    fitted = prepare_audio(file, reference=reference, seconds=5).reference
    assert fitted is not None
    assert [turn[1:] for turn in read_rttm(fitted)] == [
        (0.25, 0.5, "a"),
        (1.5, 0.5, "b"),
        (2.25, 0.5, "a"),
        (3.5, 0.5, "b"),
        (4.25, 0.5, "a"),
    ]


def test_a_cut_has_as_much_speech_as_the_whole_and_its_reference_is_cut_likewise(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(10.0))
    reference = write_rttm(tmp_path / "sample.rttm", (6.0, 2.5, "a"), (7.5, 2.5, "b"))  # 4 of 10 seconds
    whole, cut = prepare_audio(file), prepare_audio(file, reference=reference, seconds=5)
    assert numpy.array_equal(integers_of(cut), integers_of(whole)[3 * 16_000 : 8 * 16_000]), "2 of 5 seconds, from 3.0 s on"
    assert cut.reference is not None
    assert [turn[1:] for turn in read_rttm(cut.reference)] == [(3.0, 2.0, "a"), (4.5, 0.5, "b")]
    assert read_rttm(reference)[1][2] == 2.5, "the user's own file is not touched"


@pytest.mark.parametrize(
    ("turns", "seconds", "begin"),
    [
        ([(0.0, 10.0)], 5.0, 0.0),
        ([(6.0, 4.0)], 5.0, 3.0),
        ([(0.0, 2.0), (8.0, 2.0)], 5.0, 0.0),
        ([(9.0, 1.0), (4.0, 2.0)], 5.0, 0.5),
        ([(6.0, 4.0)], 10.0, 0.0),
        ([(6.0, 4.0)], 25.0, 0.0),
    ],
)
def test_a_cut_begins_at_the_earliest_moment_with_the_whole_s_share_of_speech(
    turns: list[tuple[float, float]], seconds: float, begin: float
) -> None:
    assert typical_begin([("x", start, duration, "a") for start, duration in turns], 10.0, seconds) == begin


def test_a_cut_without_a_reference_begins_at_the_beginning(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(4.0))
    assert numpy.array_equal(integers_of(prepare_audio(file, seconds=2)), integers_of(prepare_audio(file))[:32_000])


def test_a_turn_that_runs_over_the_recording_s_end_does_not_run_into_the_repetition(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(2.0))
    reference = write_rttm(tmp_path / "sample.rttm", (1.5, 3.0, "a"))
    fitted = prepare_audio(file, reference=reference, seconds=4).reference
    assert fitted is not None
    assert [turn[1:3] for turn in read_rttm(fitted)] == [(1.5, 0.5), (3.5, 0.5)]


@pytest.mark.parametrize("seconds", [None, 2, 20])
def test_a_reference_with_a_turn_after_the_end_of_the_recording_is_refused(tmp_path: Path, seconds: float | None) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(4.0))
    reference = write_rttm(tmp_path / "mine.rttm", (1.0, 0.5, "a"), (9.0, 0.5, "b"))
    with pytest.raises(
        AudioError, match=r"mine\.rttm has a turn at 9 s, and .*sample\.wav ends at 4\.0 s: it belongs to another"
    ):
        prepare_audio(file, reference=reference, seconds=seconds)


def test_a_turn_that_ends_after_the_recording_is_only_cut_with_it(tmp_path: Path) -> None:
    file = write_audio(tmp_path / "sample.wav", a_tone(4.0))
    assert prepare_audio(file, reference=write_rttm(tmp_path / "mine.rttm", (3.0, 1.5, "a"))).reference is not None


def test_what_is_no_audio_is_refused_also_where_it_is_to_be_cut_with_its_reference(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio at all")
    reference = write_rttm(tmp_path / "sample.rttm", (0.0, 0.5, "a"))
    with pytest.raises(AudioError, match="not audio that libsndfile reads"):
        prepare_audio(tmp_path / "text.wav", reference=reference, seconds=2)


def test_a_missing_reference_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"reference .*none\.rttm does not exist"):
        prepare_audio(write_audio(tmp_path / "sample.wav"), reference=tmp_path / "none.rttm")


def test_a_reference_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be read"):
        check_reference(tmp_path)
    (tmp_path / "binary.rttm").write_bytes(b"SPEAKER \xff\xfe")
    with pytest.raises(AudioError, match="cannot be read"):
        check_reference(tmp_path / "binary.rttm")


@pytest.mark.parametrize(
    "line",
    [
        "SPEAKER sample 1 zero 1.0 <NA> <NA> a <NA> <NA>",
        "SPEAKER sample 1 0.0",
        "SPEAKER sample 1 0.0 1.0 <NA> <NA>",
        "SPEAKER sample 1 nan 1.0 <NA> <NA> a <NA> <NA>",
        "SPEAKER sample 1 0.0 -1.0 <NA> <NA> a <NA> <NA>",
        "SPEAKER sample 1 0.0 inf <NA> <NA> a <NA> <NA>",
    ],
    ids=["word", "short", "no speaker", "not a number", "negative", "endless"],
)
def test_a_bad_line_of_a_reference_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.rttm"
    path.write_text(f"; a comment\nSPEAKER sample 1 0.0 1.0 <NA> <NA> a <NA> <NA>\n{line}\n")
    with pytest.raises(AudioError, match=r"bad\.rttm, line 3 is not RTTM: 'SPEAKER sample 1"):
        check_reference(path)


def test_a_reference_of_two_recordings_is_refused(tmp_path: Path) -> None:
    path = write_rttm(tmp_path / "two.rttm", (0.0, 1.0, "a"))
    path.write_text(path.read_text() + path.read_text().replace(" sample ", " another "))
    with pytest.raises(AudioError, match="names 2 recordings"):
        check_reference(path)


def test_a_reference_without_a_turn_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.rttm"
    path.write_text("SPKR-INFO sample 1 <NA> <NA> <NA> unknown a <NA> <NA>\n")
    with pytest.raises(AudioError, match="has no SPEAKER line"):
        check_reference(path)
