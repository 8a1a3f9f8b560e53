from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.inputs.audio import prepare_audio
from harness.inputs.corpus import Corpus, read_corpus
from harness.inputs.corpus_folder import MANIFEST, CorpusFolder, lay_out, read_references
from harness.inputs.corpus_lines import parse_rttm, parse_uem
from tests.unit.samples import write_audio, write_rttm

TURNS = ((0.0, 1.0, "a"), (0.5, 1.5, "b"))


def a_recording(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_audio(folder / name)


def a_reference(folder: Path, name: str, *, recording: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_rttm(folder / f"{name}.rttm", *TURNS, recording=recording or name)


def names(corpus: Corpus) -> list[str]:
    return [pair.name for pair in corpus.pairs]


def why(corpus: Corpus | CorpusFolder, name: str) -> str:
    (found,) = [each.why for each in corpus.left_out if each.name == name]
    return found


def laid(corpus: Corpus, folder: Path) -> CorpusFolder:
    return lay_out(corpus, folder, say=lambda line: None)


def test_recordings_and_references_side_by_side_or_in_sub_folders_belong_together(tmp_path: Path) -> None:
    a_recording(tmp_path, "one.wav")
    a_reference(tmp_path, "one")
    a_recording(tmp_path / "deeper", "two.flac")
    a_reference(tmp_path / "deeper", "two")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["one", "two"]
    assert corpus.pairs[0].turns == TURNS
    assert corpus.left_out == ()


def test_voxconverse_is_read_as_it_is_laid_out(tmp_path: Path) -> None:
    for name in ("abjxc", "afjiv"):
        a_recording(tmp_path / "audio", f"{name}.wav")
        a_reference(tmp_path / "dev", name)
    assert names(read_corpus(tmp_path)) == ["abjxc", "afjiv"]


def test_ami_is_read_as_it_is_laid_out_with_its_regions_and_the_reference_of_words(tmp_path: Path) -> None:
    a_recording(tmp_path / "amicorpus/EN2002a/audio", "EN2002a.Mix-Headset.wav")
    a_reference(tmp_path / "only_words/rttms/test", "EN2002a")
    (tmp_path / "word_and_vocalsounds").mkdir()
    write_rttm(tmp_path / "word_and_vocalsounds/EN2002a.rttm", (0.0, 9.0, "a"), recording="EN2002a")
    (tmp_path / "uems/test").mkdir(parents=True)
    (tmp_path / "uems/test/EN2002a.uem").write_text("EN2002a 1 0.25 1.75\n")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["EN2002a"]
    assert corpus.pairs[0].regions == ((0.25, 1.75),)
    assert corpus.pairs[0].turns == TURNS
    assert "word_and_vocalsounds are passed over" in corpus.notes[0]


def test_one_rttm_and_one_uem_with_several_file_ids_speak_for_all(tmp_path: Path) -> None:
    for name in ("one", "two"):
        a_recording(tmp_path, f"{name}.wav")
    lines = [f"SPEAKER {name} 1 0.1 0.5 <NA> <NA> {name} <NA> <NA>\n" for name in ("one", "two")]
    (tmp_path / "all.rttm").write_text("SPKR-INFO one\n" + "".join(lines))
    (tmp_path / "all.uem").write_text(";; scored\ntwo 1 0.0 0.5\ntwo 1 1.0 1.5\n")
    one, two = read_corpus(tmp_path).pairs
    assert [turn.speaker for turn in (*one.turns, *two.turns)] == ["one", "two"]
    assert (one.regions, two.regions) == (None, ((0.0, 0.5), (1.0, 1.5)))


def test_a_reference_of_one_other_id_speaks_for_the_recording_of_its_own_name(tmp_path: Path) -> None:
    a_recording(tmp_path, "my talk.wav")
    a_reference(tmp_path, "my talk", recording="<NA>")
    assert names(read_corpus(tmp_path)) == ["my talk"]


def test_references_may_lie_elsewhere(tmp_path: Path) -> None:
    a_recording(tmp_path / "sound", "one.wav")
    a_reference(tmp_path / "truth", "one")
    assert names(read_corpus(tmp_path / "sound", references=tmp_path / "truth")) == ["one"]


def test_what_has_no_partner_is_named_and_no_failure(tmp_path: Path) -> None:
    a_recording(tmp_path, "one.wav")
    a_reference(tmp_path, "one")
    a_recording(tmp_path, "alone.wav")
    a_reference(tmp_path, "silent")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["one"]
    assert why(corpus, "alone") == "no reference names it"
    assert why(corpus, "silent") == "a reference without a recording"
    assert not any(each.is_failure for each in corpus.left_out)


def test_two_recordings_of_one_name_are_ambiguous_until_one_is_chosen(tmp_path: Path) -> None:
    for path in ("x/one.Mix-Headset.wav", "x/one.Array1-01.wav", "two.wav"):
        a_recording((tmp_path / path).parent, Path(path).name)
    a_reference(tmp_path, "one")
    a_reference(tmp_path, "two")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["two"]
    assert "ambiguous: x/one.Array1-01.wav, x/one.Mix-Headset.wav are recordings of it" in why(corpus, "one")
    assert corpus.left_out[0].is_failure
    assert names(read_corpus(tmp_path, files="*.Mix-Headset.wav")) == ["one"]


def test_two_references_that_differ_are_ambiguous_and_equal_ones_are_not(tmp_path: Path) -> None:
    for name in ("one", "two"):
        a_recording(tmp_path, f"{name}.wav")
        a_reference(tmp_path / "a", name)
        a_reference(tmp_path / "b", name)
    write_rttm(tmp_path / "b/one.rttm", (0.0, 0.1, "a"), recording="one")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["two"]
    assert "a/one.rttm, b/one.rttm each have another reference of it" in why(corpus, "one")


def test_a_broken_line_costs_the_recording_that_it_names_and_no_other(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        a_recording(tmp_path, f"{name}.wav")
    good = "SPEAKER {} 1 0.1 0.5 <NA> <NA> a <NA> <NA>\n"
    (tmp_path / "all.rttm").write_text(good.format("one") + good.format("two") + "SPEAKER two 1 nan 0.5 <NA> <NA> a\n")
    (tmp_path / "three.rttm").write_text("no rttm at all\n")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["one"]
    assert "all.rttm, line 3 is not RTTM: 'SPEAKER two 1 nan" in why(corpus, "two")
    assert "three.rttm has no SPEAKER line" in why(corpus, "three")
    assert all(each.is_failure for each in corpus.left_out)


def test_a_uem_of_unknown_files_is_noted_and_one_that_is_broken_costs_its_recording(tmp_path: Path) -> None:
    for name in ("one", "two"):
        a_recording(tmp_path, f"{name}.wav")
        a_reference(tmp_path, name)
    (tmp_path / "all.uem").write_text("ghost 1 0 1\ntwo 1 5 2\n")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["one"]
    assert corpus.notes == ("a UEM names ghost, of which there is neither a recording nor a reference",)
    assert "all.uem, line 2 is not UEM: 'two 1 5 2'" in why(corpus, "two")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "has no recording"),
        (("one.wav",), "1 recording and no .rttm file; name their folder with --references"),
        (("one.wav", "two.rttm"), "none belong together: a recording is named as the second column of its RTTM. one: no ref"),
        (("one.txt", "one.rttm"), "has no recording"),
    ],
)
def test_a_folder_without_a_pair_is_refused_in_words(tmp_path: Path, files: tuple[str, ...], said: str) -> None:
    for name in files:
        if name.endswith(".rttm"):
            a_reference(tmp_path, Path(name).stem)
        elif name.endswith(".txt"):
            (tmp_path / name).write_text("text")
        else:
            a_recording(tmp_path, name)
    with pytest.raises(UsageError, match=said):
        read_corpus(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        read_corpus(tmp_path / "nowhere")


@pytest.mark.parametrize("line", ["SPEAKER", "SPEAKER x 1 0", "SPEAKER x 1 a 1 <NA> <NA> s", "SPEAKER x 1 -1 1 <NA> <NA> s"])
def test_no_line_of_an_rttm_is_guessed_at(line: str) -> None:
    assert parse_rttm(line, file="f.rttm", stem="f").of == {}
    assert "line 1 is not RTTM" in next(iter(parse_rttm(line, file="f.rttm", stem="f").bad.values()))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "SPEAKER two words 1 6.69 0.43 <NA> <NA> s <NA> <NA>",
            "line 1: it has 11 fields, RTTM has 10; a name with a space in it?",
        ),
        ("SPEAKER x 1 6.69 0.43 <NA> <NA> two words <NA> <NA>", "line 1: it has 11 fields, RTTM has 10"),
        ("SPEAKER two words 1 6.69 <NA> <NA> s", "line 1: its channel, 'words', is not a number"),
    ],
)
def test_a_line_whose_columns_are_shifted_is_not_read(line: str, said: str) -> None:
    lines = parse_rttm(line, file="f.rttm", stem="f")
    assert lines.of == {}
    assert said in next(iter(lines.bad.values()))


@pytest.mark.parametrize(
    "line",
    [
        "SPEAKER x 1 6.69 0.43 <NA> <NA> s",
        "SPEAKER x <NA> 6.69 0.43 <NA> <NA> s <NA> <NA>",
        "SPEAKER\tx\t2\t6.69\t0.43\t<NA>\t<NA>\ts\t<NA>\t<NA>\r",
    ],
    ids=["eight fields", "no channel", "tabs"],
)
def test_the_forms_of_rttm_that_are_in_use_are_read(line: str) -> None:
    lines = parse_rttm(line, file="f.rttm", stem="f")
    assert (lines.of, lines.bad) == ({"x": ((6.69, 0.43, "s"),)}, {})


@pytest.mark.parametrize("line", ["x", "x 1 0", "x 1 0 inf", "x 1 2 2", "x 1 b 2"])
def test_no_line_of_a_uem_is_guessed_at(line: str) -> None:
    assert parse_uem(line, file="f.uem", stem="f").of == {}
    assert "line 1 is not UEM" in next(iter(parse_uem(line, file="f.uem", stem="f").bad.values()))


def test_a_laid_out_corpus_has_a_manifest_and_normalised_recordings(tmp_path: Path) -> None:
    source = a_recording(tmp_path / "c", "one.wav")
    a_reference(tmp_path / "c", "one")
    (tmp_path / "c/one.uem").write_text("one 1 0 1.5\n")
    found = laid(read_corpus(tmp_path / "c"), tmp_path / "c")
    manifest = json.loads((found.path / MANIFEST).read_text())
    assert manifest == {"files": [{"audio": "0000.wav", "name": "one"}]}
    (reference,) = read_references(found.truth)
    assert reference.name == "one"
    assert reference.turns == ((0.0, 1.0, "a"), (0.5, 1.5, "b"))
    assert reference.regions == ((0.0, 1.5),)
    assert (found.path / "0000.wav").read_bytes() == prepare_audio(source).path.read_bytes()
    assert (found.path / "0000.wav").stat().st_nlink > 1, "a second copy of a corpus would fill a disk"
    assert [(file.name, file.seconds, file.limit_seconds) for file in found.files] == [("one", 2.0, 600.0)]


def test_what_a_guest_sees_of_a_corpus_says_nothing_of_who_speaks_when(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    a_recording(folder, "one.wav")
    write_rttm(folder / "one.rttm", (0.0, 0.7, "a-speaker"), recording="one")
    found = laid(read_corpus(folder), folder)
    assert not found.truth.is_relative_to(found.path)
    assert sorted(path.name for path in found.path.iterdir()) == ["0000.wav", MANIFEST]
    assert "a-speaker" not in (found.path / MANIFEST).read_text()
    assert "a-speaker" in found.truth.read_text()


def test_a_folder_of_an_older_strixbench_that_tells_the_guest_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    a_recording(folder, "one.wav")
    a_reference(folder, "one")
    found = laid(read_corpus(folder), folder)
    older = found.truth.parent
    shutil.rmtree(older)
    older.mkdir()
    (older / MANIFEST).write_text('{"files": [{"turns": []}]}')
    assert laid(read_corpus(folder), folder) == found
    assert not (older / MANIFEST).exists()


def test_the_hash_of_a_corpus_is_of_its_recordings_and_references(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    a_recording(folder, "one.wav")
    a_reference(folder, "one")
    first = laid(read_corpus(folder), folder)
    assert laid(read_corpus(folder), folder) == first
    write_rttm(folder / "one.rttm", (0.0, 0.7, "a"), recording="one")
    assert laid(read_corpus(folder), folder).sha256 != first.sha256


def test_a_recording_that_cannot_be_read_costs_itself_alone(tmp_path: Path) -> None:
    a_recording(tmp_path, "good.wav")
    a_reference(tmp_path, "good")
    (tmp_path / "bad.wav").write_bytes(b"no audio" * 100)
    a_reference(tmp_path, "bad")
    found = laid(read_corpus(tmp_path), tmp_path)
    assert [file.name for file in found.files] == ["good"]
    assert why(found, "bad").startswith("bad.wav is not audio that libsndfile reads"), "without the path above the corpus"
    assert found.left_out[0].is_failure


def test_a_corpus_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio" * 100)
    a_reference(tmp_path, "bad")
    with pytest.raises(UsageError, match=r"no recording of .* can be scored\. bad: bad.wav is not audio"):
        laid(read_corpus(tmp_path), tmp_path)


def test_more_recordings_than_a_journal_holds_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        a_recording(tmp_path, f"{name}.wav")
        a_reference(tmp_path, name)
    with pytest.raises(UsageError, match="has 2 recordings; at most 1 a run"):
        read_corpus(tmp_path, most_files=1)


def a_pair(folder: Path, name: str, *turns: tuple[float, float, str], uem: str = "") -> None:
    """A recording of 2 s."""
    a_recording(folder, f"{name}.wav")
    write_rttm(folder / f"{name}.rttm", *turns, recording=name)
    if uem:
        (folder / f"{name}.uem").write_text(uem)


@pytest.mark.parametrize(
    ("turns", "uem", "said"),
    [
        (((0.0, 500.0, "a"),), "", "its reference ends 500.0 s, the recording 2.0 s: is it another recording's?"),
        (((0.0, 1.0, "a"), (490.0, 10.0, "b")), "", "its reference ends 500.0 s, the recording 2.0 s"),
        (((2.5, 1.0, "a"),), "", "nothing is left to score: its reference has no speech in the recording"),
        (((0.5, 0.0, "a"),), "", "nothing is left to score: its reference has no speech in the recording"),
        (((0.0, 1.0, "a"),), "odd 1 100 200\n", "all regions of its UEM lie after the recording's end at 2.0 s"),
        (((0.0, 1.0, "a"),), "odd 1 1.5 2\n", "its reference has no speech in the regions of its UEM"),
    ],
)
def test_what_has_nothing_to_score_inside_its_recording_is_left_out(
    tmp_path: Path, turns: tuple[tuple[float, float, str], ...], uem: str, said: str
) -> None:
    a_pair(tmp_path, "good", *TURNS)
    a_pair(tmp_path, "odd", *turns, uem=uem)
    found = laid(read_corpus(tmp_path), tmp_path)
    assert [file.name for file in found.files] == ["good"]
    assert said in why(found, "odd")
    assert found.left_out[0].is_failure


def test_what_reaches_a_little_behind_the_end_is_cut_and_that_is_told(tmp_path: Path) -> None:
    a_pair(tmp_path, "long", (0.5, 2.25, "a"), (2.5, 0.25, "b"), uem="long 1 0 1\nlong 1 1.5 9\nlong 1 20 30\n")
    a_pair(tmp_path, "right", (0.5, 1.5, "a"))
    found = laid(read_corpus(tmp_path), tmp_path)
    long, _ = read_references(found.truth)
    assert long.turns == ((0.5, 1.5, "a"),)
    assert long.regions == ((0.0, 1.0), (1.5, 2.0))
    said = "long: its reference was cut by 0.75 s to the recording's end and its UEM was cut by 28.00 s to the recording's end"
    assert found.notes == (said,)


def test_a_turn_of_over_a_day_is_the_fault_of_its_line(tmp_path: Path) -> None:
    a_pair(tmp_path, "good", *TURNS)
    a_pair(tmp_path, "odd", (0.0, 1.0, "a"), (1.0, 90_000.0, "a"))
    assert why(read_corpus(tmp_path), "odd") == "odd.rttm, line 2: a turn of 90000 s is longer than a day; RTTM is in seconds"


def test_a_uem_of_another_id_is_not_applied_to_the_recording_of_its_name(tmp_path: Path) -> None:
    a_pair(tmp_path, "a", *TURNS, uem="zzz 1 0 1\n")
    corpus = read_corpus(tmp_path)
    assert corpus.pairs[0].regions is None
    assert corpus.notes == ("a.uem names zzz, not a: it is not applied to a",)


def test_a_uem_may_call_a_recording_as_its_reference_does(tmp_path: Path) -> None:
    a_pair(tmp_path, "my talk", uem="talk1 1 0 1\n")
    write_rttm(tmp_path / "my talk.rttm", *TURNS, recording="talk1")
    corpus = read_corpus(tmp_path)
    assert (corpus.pairs[0].regions, corpus.notes) == (((0.0, 1.0),), ())


def test_references_that_say_the_same_are_read_once_and_that_is_told(tmp_path: Path) -> None:
    a_recording(tmp_path, "one.wav")
    a_reference(tmp_path / "a", "one")
    a_reference(tmp_path / "b", "one")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["one"]
    assert corpus.notes == ("a/one.rttm, b/one.rttm say the same of one: one of them is read",)


def test_what_is_no_plain_file_is_called_that_and_never_opened(tmp_path: Path) -> None:
    a_pair(tmp_path, "good", *TURNS)
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "alone.wav")
    for name in ("fifo", "dangling"):
        a_reference(tmp_path, name)
    a_recording(tmp_path, "piped.wav")
    os.mkfifo(tmp_path / "piped.rttm")
    corpus = read_corpus(tmp_path)
    assert names(corpus) == ["good"]
    for name in ("fifo", "dangling", "alone"):
        assert why(corpus, name) == f"{name}.wav is not a plain file"
    assert "piped.rttm has no SPEAKER line: it is not RTTM, empty, no plain file" in why(corpus, "piped")
    assert {each.name: each.is_failure for each in corpus.left_out} == {
        "alone": False,
        "dangling": True,
        "fifo": True,
        "piped": True,
    }


def test_a_folder_of_a_pipe_alone_is_refused_with_the_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    a_reference(tmp_path, "fifo")
    with pytest.raises(UsageError, match=r"has 1 recording and 1 \.rttm file, .* fifo: fifo.wav is not a plain file"):
        read_corpus(tmp_path)
