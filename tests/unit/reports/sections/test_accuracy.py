from __future__ import annotations

from typing import Any

import pytest

from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.workloads.accuracy import accuracies_of
from reports.markdown.render import render_benchmarks
from reports.sections.accuracy import as_builtins, corpora_of
from reports.terminal.tasks import print_accuracies
from tests.unit.corpora import a_result, an_accuracy_launch, failing, trying
from tests.unit.samples import a_launch


def page(*launches: Launch) -> str:
    return render_benchmarks(launches)


def section(text: str) -> str:
    assert text.count("## Accuracy on corpora") == 1
    return text.partition("## Accuracy on corpora")[2]


def row(text: str, image: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {image} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_has_the_section_only_where_a_corpus_was_scored() -> None:
    assert "Accuracy on corpora" not in page(a_launch())
    assert "Accuracy on corpora" in page(a_launch(), an_accuracy_launch(2, [a_result(0)]))


def test_the_page_says_n_the_parts_and_what_the_numbers_are() -> None:
    text = section(page(an_accuracy_launch(1, [a_result(0), a_result(1), a_result(2, error=4.0)])))
    assert "### embedded on corpus-aaaaaaaa: 3 recordings, 3.0 min" in text
    cells = row(text, "cpu")
    assert cells[4:] == [
        "3",
        "20.0%",
        "10.0% + 5.0% + 5.0%",
        "10.0%",
        "25.0%",
        "off by 0.00, right in 100%",
        "30.0",
    ]
    assert "from 10 recordings on" in text
    assert "DER, 0.25 s collar" in text
    assert "of the passes alone" in text


def test_from_ten_recordings_on_an_interval_stands_beside_der() -> None:
    results = [a_result(index, error=float(index % 3)) for index in range(12)]
    text = section(page(an_accuracy_launch(1, results, files=12)))
    assert row(text, "cpu")[5].startswith("10.0% \\[")


@pytest.mark.parametrize(
    ("name", "pipeline", "said"),
    [
        ("AMI", "3.1", "the seed gives 12-14% for pipeline 3.1"),
        ("VoxConverse", "3.1", "the seed gives 9-11%"),
        ("DIHARD3", "3.1", "the seed gives 17-19%"),
        ("AMI", "community-1", None),
        ("AMI", "embedded", None),
        ("amity", "3.1", None),
        ("", "3.1", None),
    ],
)
def test_what_is_known_of_a_corpus_stands_beside_pipeline_31_alone(name: str, pipeline: str, said: str | None) -> None:
    launch = an_accuracy_launch(1, [a_result(0)], name=name, pipeline=pipeline)
    text = section(page(launch))
    assert ("Beside it" in text) == (said is not None)
    assert said is None or said in text
    (found,) = accuracies_of([launch])
    assert (as_builtins(found)["expected"] is None) == (said is None)


def test_images_of_a_corpus_are_ordered_by_der_and_those_without_come_last() -> None:
    launches = [
        an_accuracy_launch(1, [], files=1, image="broken", ends=False),
        an_accuracy_launch(2, [a_result(0, error=3.0)], files=1, image="worse"),
        an_accuracy_launch(3, [a_result(0, error=1.0)], files=1, image="better"),
    ]
    (corpus,) = corpora_of(launches)
    assert [each.launch.image for each in corpus.rows] == ["better", "worse", "broken"]
    text = section(page(*launches))
    assert row(text, "broken")[4:] == ["0 of 1", "-", "-", "-", "-", "-", "-"]


def test_the_latest_run_speaks_and_one_that_a_person_ended_does_not_take_its_place() -> None:
    first = an_accuracy_launch(1, [a_result(0, error=1.0)], run="a", files=1)
    second = an_accuracy_launch(2, [a_result(0, error=2.0)], run="b", files=1)
    last = an_accuracy_launch(3, [trying(0)], run="c", files=1, ends=False)
    interrupted = a_launch(last.plan, journal=last.journal, exit=ExitRecord(started=True, interrupted=True))
    (corpus,) = corpora_of([first, second, interrupted])
    (found,) = corpus.rows
    assert found.strict is not None
    assert found.strict.der == pytest.approx(0.2)


def test_another_collar_pipeline_or_corpus_is_a_table_of_its_own() -> None:
    launches = [
        an_accuracy_launch(1, [a_result(0)], run="a"),
        an_accuracy_launch(2, [a_result(0)], run="b", options={"collar_seconds": 0.5}),
        an_accuracy_launch(3, [a_result(0)], run="c", pipeline="3.1"),
        an_accuracy_launch(4, [a_result(0)], run="d", name="AMI"),
    ]
    assert len(corpora_of(launches)) == 4


def test_what_a_container_or_a_file_name_says_is_escaped() -> None:
    evil = "<script>|@you `x` [a](http://b)"
    planned: dict[str, Any] = {"files": [{"name": evil, "seconds": 1.0}, {"name": "ok", "seconds": 1.0}]}
    text = section(page(an_accuracy_launch(1, [failing(0, evil), a_result(1)], files=2, options=planned)))
    assert "<script>" not in text
    assert "http://b" not in text
    assert "@you" not in text


def test_the_page_shows_the_worst_recordings_and_every_failure() -> None:
    results = [a_result(index, error=float(index), total=20.0) for index in range(15)]
    text = section(page(an_accuracy_launch(1, [*results, failing(15)], files=16)))
    shown = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| f")]
    assert shown == [f"f{index}" for index in range(14, 4, -1)]
    assert "- f15: failed. builtins.RuntimeError: HIP error: no kernel" in text


def test_the_page_and_the_terminal_name_the_same_recordings_without_a_score(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = [
        {"name": "alone", "why": "no reference names it", "is_failure": False},
        {"name": "bad", "why": "it is silent", "is_failure": True},
    ]
    launch = an_accuracy_launch(1, [a_result(0)], files=1, options={"left_out": left_out})
    print_accuracies(accuracies_of([launch]))
    terminal, text = capsys.readouterr().out, page(launch)
    assert "- bad: left out. it is silent\n- alone: unscored. no reference names it\n" in text
    assert "bad: left out: it is silent" in terminal
    assert "alone: unscored: no reference names it" in terminal
    assert row(text, "cpu")[4] == "1 of 2"
    assert "1 recording, 1.0 min" in text
    assert "1 recording, 1.0 min" in terminal


def test_a_run_is_no_row_of_the_results_and_the_same_store_gives_the_same_page() -> None:
    launch = an_accuracy_launch(1, [a_result(0), failing(1)])
    text = page(launch)
    assert "## Results" not in text
    assert text == page(launch)


def test_the_terminal_has_every_recording_and_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    results = [a_result(0), failing(1, "a \x1b[2J screen"), a_result(2)]
    print_accuracies(accuracies_of([an_accuracy_launch(1, results, name="AMI", pipeline="3.1")]))
    out = capsys.readouterr().out
    for index, outcome in enumerate(("ok", "failed", "ok")):
        (line,) = [line for line in out.splitlines() if line.startswith(f"| f{index} ")]
        assert line.split("|")[-2].strip() == outcome
    assert "f1: failed: builtins.RuntimeError: a " in out
    assert "\x1b" not in out
    assert "| cpu cpu (podman) | 2 of 3 | 10.0% |" in out
    assert "the seed gives 12-14%" in out


def test_json_has_rates_components_recordings_and_the_launches() -> None:
    (found,) = accuracies_of([an_accuracy_launch(1, [a_result(0), failing(1), a_result(2)])])
    told = as_builtins(found)
    assert (told["scored"], told["failed"]) == (2, 1)
    assert told["strict"]["der"] == pytest.approx(0.1)
    assert told["strict"]["missed_seconds"] == 1.0
    assert told["strict"]["interval"] is None
    assert told["files"][0]["der"] == pytest.approx(0.1)
    assert told["files"][1]["why"] == "builtins.RuntimeError: HIP error: no kernel"
    assert told["launches"] == [found.launch.id]
    assert told["hours_an_hour"] == pytest.approx(30.0)
