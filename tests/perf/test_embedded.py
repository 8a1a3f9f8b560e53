"""The embedded pipeline as it is run, beside the same pieces put together naively, in turn, in one process."""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import Any

import pytest

from harness.catalog.load import load_catalog
from harness.engines.local import Local, environment_python
from harness.images.build import ensure_built, recipe_of
from harness.images.disk_space import Room
from harness.inputs.embedded import embedded_folder, fetch_embedded
from tests.commands import REPOSITORY

PAIRS = 10


@pytest.mark.benchmark(group="embedded pipeline on the 30 s sample")
def test_embedded(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_embedded(say=lambda line: None)
    image = load_catalog().images["local-cpu"]
    ensure_built(image, Local(), say=lambda line: None, room=Room(print))
    command = (str(environment_python(recipe_of(image))), "-m", "tests.perf.worker", str(embedded_folder()))
    worker = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert worker.stdin
    assert worker.stdout

    def once(name: str) -> dict[str, float]:
        worker.stdin.write(f"{name}\n")
        worker.stdin.flush()
        answer: dict[str, float] = json.loads(worker.stdout.readline())
        return answer

    try:
        once("naive")
        once("batched")
        naive: list[dict[str, float]] = []
        batched: list[dict[str, float]] = []

        def setup() -> None:
            naive.append(once("naive"))

        benchmark.pedantic(lambda: batched.append(once("batched")), setup=setup, rounds=PAIRS)
    finally:
        worker.stdin.close()
        worker.stdout.close()
        worker.wait(timeout=60)
    ratios = sorted(a["seconds"] / b["seconds"] for a, b in zip(naive, batched, strict=True))
    assert {round(each["der"], 6) for each in naive} == {round(each["der"], 6) for each in batched}
    with capsys.disabled():
        print(
            f"\nnaive {statistics.median(each['seconds'] for each in naive):.2f} s, batched "
            f"{statistics.median(each['seconds'] for each in batched):.2f} s, DER {batched[0]['der']:.2%} both; naive / batched in pairs: "
            f"median {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}), n = {len(ratios)}"
        )
