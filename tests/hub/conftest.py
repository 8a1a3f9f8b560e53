"""`strixbench models fetch` as a real process against a fake hub on this host (`tests.hub_server`)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.inputs.models import GATED
from tests.commands import Finished, Workplace
from tests.hub_server import FakeHub, FakeRepository, serving

COMMITS = {
    "pyannote/speaker-diarization-3.1": "1" * 40,
    "pyannote/segmentation-3.0": "2" * 40,
    "pyannote/wespeaker-voxceleb-resnet34-LM": "3" * 40,
    "pyannote/speaker-diarization-community-1": "4" * 40,
}
WEIGHTS = bytes(range(256)) * 4096
"""1 MiB that is no model."""


def fake_repositories() -> dict[str, FakeRepository]:
    """What both profiles ask for, of the hub's names and none of its content."""
    return {
        "pyannote/speaker-diarization-3.1": FakeRepository(
            commit=COMMITS["pyannote/speaker-diarization-3.1"], files={"config.yaml": b"version: fake\n"}
        ),
        "pyannote/segmentation-3.0": FakeRepository(
            commit=COMMITS["pyannote/segmentation-3.0"],
            files={"pytorch_model.bin": b"segmentation" + WEIGHTS},
            large=("pytorch_model.bin",),
        ),
        "pyannote/wespeaker-voxceleb-resnet34-LM": FakeRepository(
            commit=COMMITS["pyannote/wespeaker-voxceleb-resnet34-LM"],
            files={"pytorch_model.bin": b"embedding" + WEIGHTS},
            large=("pytorch_model.bin",),
            gated=False,
        ),
        "pyannote/speaker-diarization-community-1": FakeRepository(
            commit=COMMITS["pyannote/speaker-diarization-community-1"],
            files={
                "config.yaml": b"version: fake\n",
                **{f"{part}/pytorch_model.bin": part.encode() + WEIGHTS for part in ("segmentation", "embedding")},
                **{f"plda/{name}.npz": name.encode() for name in ("plda", "xvec_transform")},
            },
            large=("segmentation/pytorch_model.bin", "embedding/pytorch_model.bin", "plda/plda.npz", "plda/xvec_transform.npz"),
        ),
    }


def write_pins(path: Path, hub: FakeHub, **changes: str) -> Path:
    """Pins of the fake's files: the fake has other content than the hub, so it needs pins of its own."""
    lines = []
    for name, repository in hub.repositories.items():
        lines.append(f'["{name}"]\nrevision = "{changes.get("revision", repository.commit)}"')
        lines.append(f'gated = {str(repository.gated).lower()}\nlicence = "none: a fake"\n["{name}".files]')
        for file, content in repository.files.items():
            sha256 = hashlib.sha256(content).hexdigest() if file in repository.large else ""
            lines.append(f'"{file}" = "{sha256 and changes.get("sha256", sha256)}"')
    path.write_text("\n".join(lines) + "\n")
    return path


class Fetcher:
    """`models fetch` with a token, a cache and pins of the test's own."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.hub = hub
        self.folder = folder
        self.cache = folder / "huggingface" / "hub"
        self.token = f"hf_{secrets.token_hex(17)}"
        hub.admit(self.token, *hub.repositories)
        self.workplace = Workplace(
            folder / "results",
            {
                "HF_HOME": str(folder / "huggingface"),
                "HF_HUB_CACHE": str(self.cache),
                "HF_ENDPOINT": hub.hub_url,
                "HF_TOKEN": self.token,
                "STRIXBENCH_PINS": str(write_pins(folder / "pins.toml", hub)),
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
            },
        )
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_OIDC_RESOURCE"):
            self.workplace.environment.pop(name, None)

    def fetch(self, profile: str = "3.1", *options: str, **environment: str) -> Finished:
        """Run it; no error may be a traceback, and nothing may show the token."""
        before = dict(self.workplace.environment)
        self.workplace.environment |= environment
        try:
            done = self.workplace.run("models", "fetch", profile, *options)
        finally:
            self.workplace.environment = before
        assert "Traceback" not in done.stderr, done.stderr
        assert self.token not in done.stdout + done.stderr
        return done

    def blobs(self) -> list[str]:
        """Names of everything under ``blobs/``, whole or begun."""
        return sorted(path.name for path in self.cache.glob("models--*/blobs/*"))


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[Fetcher]:
    """A fake hub that serves, and a user who accepted everything."""
    hub = FakeHub(fake_repositories())
    assert {name for names in GATED.values() for name in names} == set(hub.repositories)
    with serving(hub):
        yield Fetcher(tmp_path, hub)
