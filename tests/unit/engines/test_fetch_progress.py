"""How far a fetch is. The lines are what Docker 20.10 and Podman 4.3.1 wrote here, but for shortened ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.engines.fetch_progress import (
    KEPT,
    MOST_LAYERS,
    Fetched,
    fetch_text,
    is_fault_of_image,
    is_fault_of_quota,
    large_layer_text,
    log_line,
    read_line,
    registry_of,
    take_in,
)
from harness.text import size_text

DOCKER = """
{"status": "Pulling from rocm/pytorch", "id": "7.2"}
{"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"}
{"status": "Pulling fs layer", "progressDetail": {}, "id": "bbb"}
{"status": "Already exists", "progressDetail": {}, "id": "ccc"}
{"status": "Downloading", "progressDetail": {"current": 50000, "total": 300000000}, "progress": "[>   ]", "id": "aaa"}
{"status": "Downloading", "progressDetail": {"current": 1200000000, "total": 7910000000}, "progress": "[>   ]", "id": "bbb"}
{"status": "Downloading", "progressDetail": {"current": 300000000, "total": 300000000}, "progress": "[===>]", "id": "aaa"}
{"status": "Verifying Checksum", "progressDetail": {}, "id": "aaa"}
{"status": "Download complete", "progressDetail": {}, "id": "aaa"}
{"status": "Retrying in 5 seconds", "progressDetail": {}, "id": "bbb"}
{"status": "Retrying in 4 seconds", "progressDetail": {}, "id": "bbb"}
{"status": "Downloading", "progressDetail": {"current": 2000000000, "total": 7910000000}, "progress": "[>   ]", "id": "bbb"}
{"status": "Download complete", "progressDetail": {}, "id": "bbb"}
{"status": "Extracting", "progressDetail": {"current": 65536, "total": 300000000}, "progress": "[>   ]", "id": "aaa"}
{"status": "Pull complete", "progressDetail": {}, "id": "aaa"}
{"status": "Digest: sha256:254091712bac"}
"""

PODMAN = """
{"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"}
{"status": "Pulling fs layer", "progressDetail": {}, "id": "bbb"}
{"status": "Download complete", "progressDetail": {}, "id": "aaa"}
{"status": "Downloading", "progressDetail": {"current": 1032768, "total": 4001442}, "progress": "[=>  ]", "id": "bbb"}
{"status": "Downloading", "progressDetail": {"current": 2032768, "total": 4001442}, "progress": "[==> ]", "id": "bbb"}
{"status": "Download complete", "progressDetail": {}, "id": "bbb"}
"""


def told(text: str) -> list[Any]:
    return [json.loads(line) for line in text.strip().splitlines()]


def states(lines: list[Any]) -> list[Fetched]:
    """How far it was after each line."""
    found = [Fetched()]
    for line in lines:
        found.append(take_in(found[-1], read_line(line)))
    return found[1:]


def texts(lines: list[Any], expected_bytes: int | None) -> list[str]:
    return [fetch_text("b", fetched, expected_bytes).removeprefix("fetching b: ") for fetched in states(lines)]


def test_the_bytes_of_all_layers_are_added_up() -> None:
    shown = texts(told(DOCKER), 10_400_000_000)
    assert shown[0] == "0.0 of 10.4 GB, asking the registry"
    assert shown[3] == "0.0 of 10.4 GB, 1 of 3 layers done"
    assert shown[5] == "1.2 of 10.4 GB, 1 of 3 layers done"
    assert shown[8] == "1.5 of 10.4 GB, 2 of 3 layers done"
    assert shown[9] == "1.5 of 10.4 GB, 2 of 3 layers done, reconnecting"
    assert shown[11] == "2.3 of 10.4 GB, 2 of 3 layers done"


def test_what_is_unpacked_was_fetched_whole() -> None:
    shown = texts(told(DOCKER), None)
    assert shown[12] == "8.2 of at least 8.2 GB, unpacking, 1 of 3 layers done"
    assert shown[13] == shown[12]
    assert shown[14] == "8.2 of at least 8.2 GB, unpacking, 2 of 3 layers done"


def test_podman_s_number_of_layers_is_not_known_before_its_last() -> None:
    shown = texts(told(PODMAN), None)
    assert shown[1] == "0 layers done"
    assert shown[4] == "2.0 of at least 4.0 MB, 1 layer done"
    assert shown[5] == "4.0 of at least 4.0 MB, 2 layers done"


def test_a_catalog_that_says_too_little_is_put_right_by_the_engine() -> None:
    assert texts(told(DOCKER), 1_000_000)[5].startswith("1.2 of 8.2 GB, ")


def test_the_log_has_a_line_for_each_state_of_a_layer_and_none_for_each_byte() -> None:
    lines = told(DOCKER)
    befores = [Fetched(), *states(lines)]
    logged = [
        text
        for before, after, line in zip(befores, befores[1:], lines, strict=False)
        if (text := log_line(before, after, read_line(line)))
    ]
    assert logged == [
        "7.2: Pulling from rocm/pytorch",
        "aaa: Pulling fs layer",
        "bbb: Pulling fs layer",
        "ccc: Already exists",
        "aaa: Downloading (300 MB)",
        "bbb: Downloading (7.9 GB)",
        "aaa: Verifying Checksum",
        "bbb: Retrying in 5 seconds",
        "bbb: Downloading (7.9 GB)",
        "bbb: Download complete",
        "aaa: Extracting",
        "aaa: Pull complete",
        "Digest: sha256:254091712bac",
    ]


@pytest.mark.parametrize(
    "line",
    [
        None,
        3,
        "text",
        [],
        {},
        {"status": 3, "id": []},
        {"status": "Downloading", "id": "aaa", "progressDetail": None},
        {"status": "Downloading", "id": "aaa", "progressDetail": {"current": "much", "total": [1]}},
        {"status": "Downloading", "id": "aaa", "progressDetail": {"current": True, "total": -1}},
        {"status": "Downloading", "id": "aaa", "progressDetail": {"current": 1e300, "total": 1 << 200}},
        {"status": "Downloading", "id": "aaa", "progressDetail": {"current": 9_000, "total": 10}},
        {"status": "Downloading", "id": "", "progressDetail": {"current": 9_000, "total": 10}},
        {"status": "Something new", "id": "aaa", "progressDetail": {"current": 9_000, "total": 10}},
        {"error": ["no text"], "errorDetail": "none"},
        {"errorDetail": {"message": None}},
    ],
)
def test_an_odd_line_does_no_harm(line: Any) -> None:
    (fetched,) = states([line])
    assert 0 <= fetched.fetched_bytes <= 10
    assert fetch_text("b", fetched, 10_400_000_000).startswith("fetching b: 0.0 of 10.4 GB, ")
    assert isinstance(log_line(Fetched(), fetched, read_line(line)), str)


def test_an_engine_that_names_layers_without_end_fills_no_memory() -> None:
    fetched = Fetched()
    for number in range(MOST_LAYERS + 50):
        fetched = take_in(fetched, read_line({"status": "Pulling fs layer", "id": str(number)}))
    assert len(fetched.layers) == MOST_LAYERS


def test_an_error_is_read_in_either_form() -> None:
    assert read_line({"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"}).error == "manifest unknown"
    assert read_line({"errorDetail": {"message": "no space left on device"}}).error == "no space left on device"


@pytest.mark.parametrize(
    ("text", "is_image_s"),
    [
        ("initializing source docker://h/a:2: reading manifest 2 in h/a: manifest unknown", True),
        ("manifest for rocm/pytorch:none not found: manifest unknown: manifest unknown", True),
        (
            "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the",
            True,
        ),
        ("reading manifest latest in docker.io/library/x: errors:\ndenied: requested access to the resource is denied\n", True),
        ("no image found in image index for architecture arm64", True),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", True),
        ('pinging container registry h: Get "https://h/v2/": dial tcp: lookup h: no such host', False),
        ('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', False),
        ("toomanyrequests: You have reached your pull rate limit", False),
        ("writing blob: storing blob to file: happened during read: unexpected EOF", False),
        ("write /var/lib/containers/storage: no space left on device", False),
    ],
)
def test_an_image_that_is_not_there_is_told_from_a_registry_that_cannot_be_reached(text: str, is_image_s: bool) -> None:
    assert is_fault_of_image(text) == is_image_s


def test_before_a_large_layer_it_is_said_what_each_engine_keeps_of_it() -> None:
    podman = large_layer_text("rocm/pytorch:7.14", 18_640_000_000, engine="podman", silence_text="7,200 s (X)")
    assert "rocm/pytorch:7.14 has a layer of 18.6 GB" in podman
    assert KEPT["podman"].removeprefix("if") in podman
    assert "only after 7,200 s (X) without a byte" in podman
    docker = large_layer_text("rocm/pytorch:7.14", 18_640_000_000, engine="docker", silence_text="7,200 s (X)")
    assert "Docker resumes a connection that breaks" in docker
    assert KEPT["docker"].removeprefix("if") in docker


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0.0 MB"), (3_900_000, "3.9 MB"), (812_000_000, "812 MB"), (10_390_000_000, "10.4 GB")]
)
def test_a_size_is_told_in_the_unit_that_fits(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("text", "is_quota_s"),
    [
        ("toomanyrequests: You have reached your pull rate limit.", True),
        ("received unexpected HTTP status: 429 Too Many Requests", True),
        ("Error response from daemon: You have reached your unauthenticated pull rate limit.", True),
        ("dial tcp: lookup registry-1.docker.io: no such host", False),
        ("manifest unknown", False),
    ],
)
def test_a_limit_of_pulls_is_told_from_other_refusals(text: str, is_quota_s: bool) -> None:
    assert is_fault_of_quota(text) == is_quota_s


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("docker.io/rocm/pytorch:7.2", "docker.io"),
        ("rocm/pytorch:7.2", "docker.io"),
        ("debian:12", "docker.io"),
        ("ghcr.io/x/y@sha256:0", "ghcr.io"),
        ("127.0.0.1:5000/x", "127.0.0.1:5000"),
        ("localhost/x", "localhost"),
    ],
)
def test_the_registry_of_a_reference(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry
