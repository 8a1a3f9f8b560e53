from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock

from harness.inputs.hub import CHUNK_BYTES
from harness.inputs.models import GATED
from tests.commands import REPOSITORY, STRIXBENCH, wait_until
from tests.hub.conftest import COMMITS, Fetcher, write_pins

SEGMENTATION = "pyannote/segmentation-3.0"


def test_a_profile_is_fetched_whole_into_the_layout_that_both_pyannotes_read(fetcher: Fetcher) -> None:
    done = fetcher.fetch()
    assert done.code == 0, done.stderr
    assert f"3 files verified in {fetcher.cache}" in done.stdout
    for name in GATED["3.1"]:
        assert f"{name}@{COMMITS[name]}" in done.stdout
        folder = fetcher.cache / f"models--{name.replace('/', '--')}"
        assert (folder / "refs" / "main").read_text() == COMMITS[name]
        for file, content in fetcher.hub.repositories[name].files.items():
            path = folder / "snapshots" / COMMITS[name] / file
            assert path.read_bytes() == content
            assert path.is_symlink()
    assert not [name for name in fetcher.blobs() if name.endswith(".incomplete")]


def test_the_cache_is_one_that_huggingface_hub_itself_finds_offline(fetcher: Fetcher) -> None:
    assert fetcher.fetch("community-1").code == 0
    script = (
        "from huggingface_hub import hf_hub_download as get\n"
        "print(open(get('pyannote/speaker-diarization-community-1', 'plda.npz', subfolder='plda'), 'rb').read())"
    )
    environment = {**fetcher.workplace.environment, "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        (sys.executable, "-c", script), env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "b'plda'"


def test_a_second_fetch_asks_the_hub_nothing(fetcher: Fetcher) -> None:
    fetcher.fetch()
    fetcher.hub.seen.clear()
    done = fetcher.fetch("3.1", "--json", HF_TOKEN="not even a token")
    assert done.code == 0, done.stderr
    assert fetcher.hub.seen == []
    rows = json.loads(done.stdout)
    assert {row["repository"] for row in rows} == set(GATED["3.1"])
    assert {row["revision"] for row in rows} == {COMMITS[name] for name in GATED["3.1"]}


def test_only_the_pinned_files_are_asked_for_and_nothing_else(fetcher: Fetcher) -> None:
    fetcher.fetch()
    of_hub = {each.path for each in fetcher.hub.seen if each.server == "hub"}
    assert of_hub == {f"/{n}/resolve/{COMMITS[n]}/{f}" for n in GATED["3.1"] for f in fetcher.hub.repositories[n].files}


@pytest.mark.parametrize("offers_xet", [False, True])
def test_a_redirect_to_another_host_goes_without_the_token(fetcher: Fetcher, offers_xet: bool) -> None:
    fetcher.hub.offers_xet = offers_xet
    assert fetcher.fetch().code == 0
    at_storage = [each for each in fetcher.hub.seen if each.server == "storage"]
    assert len(at_storage) == 2
    assert {each.authorization for each in at_storage} == {None}
    assert {each.authorization for each in fetcher.hub.seen if each.server == "hub"} == {f"Bearer {fetcher.token}"}
    assert not any("xet" in each.path for each in fetcher.hub.seen)


def test_a_connection_that_is_cut_is_resumed_where_it_broke(fetcher: Fetcher) -> None:
    fetcher.hub.cuts = [100_000, 10**9, 10**9]
    del fetcher.hub.repositories["pyannote/speaker-diarization-3.1"].files["config.yaml"]
    fetcher.workplace.environment["STRIXBENCH_PINS"] = str(write_pins(fetcher.folder / "pins.toml", fetcher.hub))
    assert fetcher.fetch().code == 0
    ranges = [each.range for each in fetcher.hub.seen if each.server == "storage"]
    assert ranges[:2] == [None, f"bytes={100_000 // CHUNK_BYTES * CHUNK_BYTES}-"]


def test_a_command_that_loses_the_hub_keeps_the_files_that_are_whole_and_nothing_else(fetcher: Fetcher) -> None:
    fetcher.hub.cuts = [10**9, 300_000, 0, 0, 0, 0, 0]
    first = fetcher.fetch()
    assert first.code == 3
    assert "cannot be reached" in first.stderr
    assert "the files that are whole are kept" in first.stderr
    assert len(fetcher.blobs()) == 1
    assert not list(fetcher.cache.glob("models--*/refs/main"))
    fetcher.hub.cuts = []
    fetcher.hub.seen.clear()
    assert fetcher.fetch().code == 0
    assert len(fetcher.hub.downloads()) == 2
    assert not any("config.yaml" in each.path for each in fetcher.hub.seen)


def test_a_file_that_was_damaged_on_its_way_is_not_kept(fetcher: Fetcher) -> None:
    fetcher.hub.damaged = {f"{SEGMENTATION}/pytorch_model.bin"}
    done = fetcher.fetch()
    assert done.code == 3
    assert f"{SEGMENTATION} pytorch_model.bin was damaged in transit" in done.stderr
    assert not any(path.is_file() for path in fetcher.cache.glob("models--pyannote--segmentation-3.0/**/*"))
    assert not list(fetcher.cache.glob("models--*/refs/main")), "a name means the pinned commit only once all is there"


def test_a_file_that_is_shorter_than_the_hub_said_is_not_kept(fetcher: Fetcher) -> None:
    fetcher.hub.shortened = {f"{SEGMENTATION}/pytorch_model.bin"}
    done = fetcher.fetch()
    assert done.code == 3
    assert f"{SEGMENTATION} pytorch_model.bin was damaged in transit" in done.stderr
    assert not any(path.is_file() for path in fetcher.cache.glob("models--pyannote--segmentation-3.0/**/*"))


@pytest.mark.parametrize(
    ("status", "said", "answered"),
    [
        (200, "cannot be reached (FileMetadataError", 2),
        (403, f"the hub refuses {SEGMENTATION} with 403", 2),
        # The server asks to wait for a day, once for huggingface_hub's question and once for its download.
        *((429, "429, too many requests", answered) for answered in (2, 3)),
        *((503, "the hub answers 503", answered) for answered in (2, 3)),
    ],
)
def test_a_hub_that_changes_its_mind_between_the_question_and_the_download_is_told(
    fetcher: Fetcher, status: int, said: str, answered: int
) -> None:
    """``answered``: the requests before it does. huggingface_hub asks once more before it downloads."""
    del fetcher.hub.repositories["pyannote/speaker-diarization-3.1"].files["config.yaml"]
    fetcher.workplace.environment["STRIXBENCH_PINS"] = str(write_pins(fetcher.folder / "pins.toml", fetcher.hub))
    fetcher.hub.status, fetcher.hub.status_after = status, answered
    done = fetcher.fetch()
    assert done.code == 3
    assert said in done.stderr
    assert fetcher.blobs() == []


def test_a_small_file_is_checked_by_git_s_hash(fetcher: Fetcher) -> None:
    fetcher.hub.damaged = {"pyannote/speaker-diarization-3.1/config.yaml"}
    done = fetcher.fetch()
    assert done.code == 3
    assert "config.yaml was damaged in transit" in done.stderr


def test_another_file_than_the_pinned_one_is_refused_before_it_is_downloaded(fetcher: Fetcher) -> None:
    write_pins(fetcher.folder / "pins.toml", fetcher.hub, sha256="a" * 64)
    done = fetcher.fetch()
    assert done.code == 3
    assert "is not the pinned file" in done.stderr
    assert fetcher.hub.downloads() == []


def test_a_file_that_was_altered_in_the_cache_is_fetched_again(fetcher: Fetcher) -> None:
    fetcher.fetch()
    (blob,) = fetcher.cache.glob("models--pyannote--segmentation-3.0/blobs/*")
    blob.write_bytes(b"altered" + blob.read_bytes()[7:])
    done = fetcher.fetch()
    assert done.code == 0, done.stderr
    assert blob.name == hashlib.sha256(blob.read_bytes()).hexdigest()
    assert len([each for each in fetcher.hub.seen if each.server == "storage"]) == 3


def test_a_name_that_meant_another_commit_is_moved_and_that_is_said(fetcher: Fetcher) -> None:
    ref = fetcher.cache / "models--pyannote--segmentation-3.0" / "refs" / "main"
    ref.parent.mkdir(parents=True)
    ref.write_text("9" * 40)
    done = fetcher.fetch()
    assert f"meant commit {'9' * 40} and now means {COMMITS[SEGMENTATION]}" in done.stderr
    assert ref.read_text() == COMMITS[SEGMENTATION]


def test_two_fetches_at_once_download_each_file_once(fetcher: Fetcher) -> None:
    fetcher.hub.holds = threading.Event()
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(fetcher.fetch, "community-1")
        wait_until(lambda: any(each.server == "storage" for each in fetcher.hub.seen), what="a download")
        asked = len(fetcher.hub.seen)
        second = pool.submit(fetcher.fetch, "community-1")
        wait_until(lambda: len(fetcher.hub.seen) >= asked + 4, what="the second command's questions")
        fetcher.hub.holds.set()
        assert (first.result().code, second.result().code) == (0, 0)
    at_storage = [each.path for each in fetcher.hub.seen if each.server == "storage"]
    assert len(at_storage) == len(set(at_storage)) == 4


def test_who_waits_for_another_command_says_so(fetcher: Fetcher) -> None:
    fetcher.fetch("community-1")
    blob = next(path for path in fetcher.cache.glob("models--*/blobs/*"))
    locks = fetcher.cache / ".locks" / blob.parent.parent.name
    content = blob.read_bytes()
    blob.unlink()
    with FileLock(locks / f"{blob.name}.strixbench.lock"):
        process = subprocess.Popen(
            (*STRIXBENCH, "models", "fetch", "community-1"),
            cwd=REPOSITORY,
            env=fetcher.workplace.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert any("another command is fetching" in line for line in process.stderr)
    with process:
        process.stderr.read()
        assert process.wait(timeout=60) == 0
    assert blob.read_bytes() == content


def test_what_a_killed_command_left_of_a_file_is_removed_by_the_next(fetcher: Fetcher) -> None:
    fetcher.fetch()
    blob = next(path for path in fetcher.cache.glob("models--*/blobs/*"))
    rest = blob.with_name(f"{blob.name}.0123abcd.incomplete")
    rest.write_bytes(b"half")
    blob.unlink()
    assert fetcher.fetch().code == 0
    assert blob.exists()
    assert not rest.exists()


def test_a_terminal_is_shown_how_far_a_download_is(fetcher: Fetcher) -> None:
    fetcher.hub.holds = threading.Event()
    terminal, other_end = pty.openpty()
    shown = b""
    environment = {**fetcher.workplace.environment, "TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"}
    with subprocess.Popen(
        (*STRIXBENCH, "models", "fetch", "community-1"),
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=other_end,
    ) as process:
        os.close(other_end)
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
                if b"segmentation/pytorch_model.bin: 0.5 of 1.0 MB" in shown:
                    fetcher.hub.holds.set()
        except OSError:  # how a terminal says that its other end is closed
            pass
        fetcher.hub.holds.set()
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert b"segmentation/pytorch_model.bin: 0.5 of 1.0 MB" in shown


def test_what_is_no_terminal_gets_a_line_a_file_and_no_bars(fetcher: Fetcher) -> None:
    done = fetcher.fetch()
    lines = [line for line in done.stderr.splitlines() if not line.startswith("licence: ")]
    assert lines == [f"fetched {name} {file}" for name in GATED["3.1"] for file in fetcher.hub.repositories[name].files]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_said_before_anything_is_downloaded(fetcher: Fetcher) -> None:
    fetcher.cache.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(fetcher.cache)], check=True)
    try:
        done = fetcher.fetch()
    finally:
        subprocess.run(["umount", str(fetcher.cache)], check=True)
    assert done.code == 3
    assert "MB are free" in done.stderr
    assert fetcher.hub.downloads() == []
