"""Caches that lack a gated pipeline's files (see `tests.local.hub`). Whole ones are run in `tests.local.test_fetched`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.commands import Workplace

SHORT = ("local-cpu", "--launches", "1", "--passes", "1", "--audio-seconds", "11")


def test_a_cache_that_lacks_a_model_says_which_and_starts_nothing(workplace: Workplace, tmp_path: Path) -> None:
    workplace.environment["HF_HUB_CACHE"] = str(tmp_path / "empty")
    done = workplace.bench(*SHORT, "--pipeline", "3.1")
    assert done.code == 3
    assert "pyannote/segmentation-3.0" in done.stderr
    assert not (tmp_path / "strixbench.db").exists()


def test_a_file_that_the_cache_lacks_is_missed_before_anything_starts(
    workplace: Workplace, tmp_path: Path, random_hub: Path
) -> None:
    broken = copied(random_hub, tmp_path)
    for checkpoint in broken.glob("models--pyannote--segmentation-3.0/snapshots/*/pytorch_model.bin"):
        checkpoint.unlink()
    workplace.environment["HF_HUB_CACHE"] = str(broken)
    done = workplace.bench(*SHORT, "--pipeline", "3.1")
    assert done.code == 3
    assert "needs pyannote/segmentation-3.0 in" in done.stderr
    assert "`strixbench models fetch 3.1`" in done.stderr


def test_a_model_that_only_the_pipeline_knows_of_is_a_failure_of_model_access(
    workplace: Workplace, tmp_path: Path, random_hub: Path
) -> None:
    broken = copied(random_hub, tmp_path)
    (config,) = broken.glob("models--pyannote--speaker-diarization-3.1/snapshots/*/config.yaml")
    config.write_text(config.read_text().replace("pyannote/segmentation-3.0", "pyannote/segmentation-9.9"))
    workplace.environment["HF_HUB_CACHE"] = str(broken)
    done = workplace.bench(*SHORT, "--pipeline", "3.1")
    assert done.code == 1
    (launch,) = workplace.stored()
    assert (launch.verdict.stage, launch.verdict.cause) == ("load", "model access")


def copied(random_hub: Path, folder: Path) -> Path:
    """A cache of the test's own to break."""
    subprocess.run(["cp", "-r", str(random_hub), str(folder / "hub")], check=True)
    return folder / "hub"
