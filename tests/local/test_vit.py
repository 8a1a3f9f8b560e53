"""`strixbench bench --workload vit`: the network for real, in each precision, as it is and with planted faults."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.engines.local import environment_python
from harness.images.build import recipe_of
from harness.records.launch import Launch
from harness.records.outcome import Agreement
from harness.workloads.vit import PRECISIONS, WORKLOAD, flop_of_image
from tests.commands import REPOSITORY, Workplace
from tests.local.planted import SOFTMAX_OVER_QUERIES, plant

SMALL = "[workloads.vit.inputs]\nbatch-8 = { amount = 8, numbers = { batch_size = 8 } }\n"
"""A pass of 8 images in place of 64, since the machines that test have few processors."""

FAULTS = ("softmax over the queries", "no scale", "no bias")

# Who changes these changes what every stored launch computed.
WEIGHTS = "ddc177cf4277a04c79e7314cf64e2bbc4adfc9fda8f18a50bf0e6f979448394f"
IMAGES = "13a0cee26591a226f209ed706c0de433a030c68b2d1e166dbb96cd660dcb7f18"

EXPERIMENT = """
import hashlib, json, math, sys
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from benchmarks.workloads.vit import PRECISIONS, Options, classification, network

right = functional.scaled_dot_product_attention
def written_out(axis, scale):
    return lambda query, key, value: torch.softmax(query @ key.transpose(-2, -1) * scale, dim=axis) @ value
attention = {"softmax over the queries": written_out(-2, 1 / 8), "no scale": written_out(-1, 1.0)}

def digest(tensors):
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.numpy().astype("<f4").tobytes())
    return found.hexdigest()

weights = {name: network.make_weight(name, shape) for name, shape in network.shapes().items()}
images = network.make_images(8)
named = ("patches.weight", "class token", "0.attention.weight", "11.hidden.bias", "11.hidden norm.weight", "head.weight")
functional.scaled_dot_product_attention = written_out(-1, 1 / 8)  # right, in products that the counter knows
with torch.no_grad(), FlopCounterMode(display=False) as counter:
    network.classify(weights, images[:1])
print(json.dumps({
    "weights": digest(weights[name] for name in named),
    "images": digest([images]),
    "count": sum(weight.numel() for weight in weights.values()),
    "flop": counter.get_total_flops(),
    "largest": float(max(weight.abs().max() for weight in weights.values())),
}))
for precision in PRECISIONS:
    try:
        classification.refuse_missing("cpu", precision)
    except classification.PrecisionMissing as missing:
        print(json.dumps({"precision": precision, "missing": str(missing)}))
        continue
    dtype = getattr(torch, precision)
    cast = {name: weight.to(dtype) for name, weight in weights.items()}
    for fault in ("", *attention, "no bias"):
        functional.scaled_dot_product_attention = attention.get(fault, right)
        faulty = {**cast, "11.hidden.bias": torch.zeros_like(cast["11.hidden.bias"])} if fault == "no bias" else cast
        with torch.inference_mode():
            passes = [network.classify(faulty, images.to(dtype))]
        told = classification.describe_passes(passes, Options(8, 8, precision))
        print(json.dumps({"fault": fault, "input_sha256": "e" * 64, **told}))
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, cache: Mapping[str, str]) -> Workplace:
    """A launch in each precision; many tests look at them, none changes them."""
    folder = tmp_path_factory.mktemp("vit")
    workplace = Workplace(folder / "results", cache)
    (folder / "small.toml").write_text(SMALL)
    for precision in PRECISIONS:
        options = (
            "--set",
            f"precision={precision}",
            "--launches",
            "1",
            "--passes",
            "1",
            "--catalog",
            str(folder / "small.toml"),
        )
        done = workplace.bench("local-cpu", "--workload", "vit", "--input", "batch-8", *options)
        assert done.code in (0, 1), done.stderr
        assert "images/s" in done.stdout
    return workplace


@pytest.fixture(scope="module")
def experiment(bench: Workplace) -> list[dict[str, Any]]:
    """What `EXPERIMENT` prints, in the environment that ``bench`` has built."""
    python = environment_python(recipe_of(load_catalog().images["local-cpu"]))
    done = subprocess.run(
        (str(python), "-W", "ignore", "-c", EXPERIMENT),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def in_precision(bench: Workplace, precision: str) -> Launch:
    """The launch in a precision; skips where this machine's processor lacks it and the launch says so."""
    variant = f"cpu+precision={precision}"
    (launch,) = (each for each in bench.stored() if each.plan.variant == variant)
    if launch.chain and launch.chain[-1].type.endswith(".PrecisionMissing"):
        assert launch.verdict.status == "fail"
        assert launch.verdict.stage == "load"
        assert f"has no instructions for {precision}" in launch.verdict.summary
        pytest.skip(f"this processor: {launch.verdict.summary}")
    return launch


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_launch_in_each_precision_agrees_with_the_cpu_in_float32(bench: Workplace, precision: str) -> None:
    launch = in_precision(bench, precision)
    assert launch.verdict.status == "pass", launch.verdict
    assert (launch.plan.workload.amount, launch.plan.cell.split("/")[2:]) == (8.0, ["vit", "batch-8"])
    found = launch.said.found("verify")
    assert (found.text("precision"), found.flag("finite"), found.count("distinct_outputs")) == (precision, True, 1)
    assert all(each.seconds is not None and each.seconds > 0 for each in launch.said.passes("warm"))
    assert launch.peak_resident_bytes is not None
    assert launch.peak_resident_bytes > 4 * 86_567_656 / (1 if precision == "float32" else 2)
    if precision == "float32":
        assert launch.agreement is None, "it is itself the CPU run"
    else:
        assert launch.agreement is not None
        assert launch.agreement.is_right
        assert launch.agreement.relative_difference is not None
        assert launch.agreement.relative_difference > 1e-4, "it was computed with fewer digits"


def test_its_rows_have_their_own_unit_and_say_that_the_weights_are_random(bench: Workplace) -> None:
    page = bench.page.read_text()
    assert "vit on batch-8: 8 images; random weights, no accuracy" in page
    assert "Images/s" in page


def test_a_wrong_softmax_axis_is_wrong_output(workplace: Workplace, tmp_path: Path) -> None:
    overlay = plant(tmp_path, SOFTMAX_OVER_QUERIES)
    overlay.write_text(overlay.read_text() + SMALL)
    options = ("--launches", "1", "--passes", "1", "--gfx", "planted", "--catalog", str(overlay))
    done = workplace.bench("local-cpu", "--workload", "vit", "--input", "batch-8", *options)
    assert done.code == 1, done.stderr
    reference, launch = workplace.stored()
    assert (reference.plan.purpose, reference.plan.variant, reference.verdict.status) == ("reference", "cpu", "pass")
    assert launch.verdict.status == "wrong output", launch.verdict
    assert launch.verdict.summary.startswith("not what the CPU of the same image puts out: 1 - cosine of the logits is ")
    assert "planted fault: this is a test's fake" in launch.log_tail
    assert "~~" in workplace.page.read_text()


def test_a_precision_that_the_processor_lacks_is_told_and_not_emulated(workplace: Workplace, tmp_path: Path) -> None:
    overlay = tmp_path / "older.toml"
    overlay.write_text(
        "[variants.older]\ndescription = 'oneDNN held to the instructions of an older processor'\n"
        "environment = { ONEDNN_MAX_CPU_ISA = 'AVX2' }\n[images.local-cpu]\nvariants = ['cpu', 'older']\n" + SMALL
    )
    options = ("--set", "precision=float16", "--launches", "1", "--no-verify", "--gfx", "older", "--catalog", str(overlay))
    done = workplace.bench("local-cpu", "--workload", "vit", "--input", "batch-8", *options)
    assert done.code == 1, done.stderr
    (launch,) = workplace.stored()
    assert (launch.verdict.status, launch.verdict.stage, launch.verdict.signature) == ("fail", "load", "precision-missing")
    assert launch.verdict.summary.endswith(
        "PrecisionMissing: this CPU has no instructions for float16: torch would emulate it, many times slower"
    )


def test_weights_and_images_are_those_that_they_always_were(experiment: list[dict[str, Any]]) -> None:
    made = experiment[0]
    assert (made["weights"], made["images"]) == (WEIGHTS, IMAGES)
    assert made["count"] == 86_567_656, "ViT-B/16 as published and as torchvision's"
    assert made["flop"] == flop_of_image(), "torch's own count"
    assert made["largest"] < 2


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_each_fault_is_found_in_each_precision_and_none_where_none_is(
    experiment: list[dict[str, Any]], bench: Workplace, precision: str, fault: str
) -> None:
    launch = in_precision(bench, precision)
    right = next(each for each in experiment if each.get("fault") == "" and each["precision"] == "float32")
    (told,) = (each for each in experiment if each.get("fault") == fault and each["precision"] == precision)
    agreement = WORKLOAD.agree(verifying(launch, told), verifying(launch, right))
    assert isinstance(agreement, Agreement)
    assert agreement.is_right == (fault == ""), agreement
    assert bool([reason for reason in agreement.reasons if "1 - cosine" in reason]) == bool(fault), agreement


def verifying(launch: Launch, told: dict[str, Any]) -> Launch:
    """A real launch whose last stage told something else."""
    journal = tuple(
        {**event, **told} if event["event"] == "end" and event["stage"] == "verify" else event for event in launch.journal
    )
    return msgspec.structs.replace(launch, journal=journal)
