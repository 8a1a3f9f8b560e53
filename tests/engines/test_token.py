"""The Hugging Face token is in no image, layer, history, container or command line, though the caller has it set."""

from __future__ import annotations

import json
import secrets
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.engines.base import BuiltImage
from tests.commands import Workplace, wait_until


@pytest.fixture
def token(workplace: Workplace) -> str:
    """A token of nobody, where a user would have set it."""
    made_up = f"hf_{secrets.token_hex(17)}"
    workplace.environment |= {"HF_TOKEN": made_up, "HUGGING_FACE_HUB_TOKEN": made_up}
    return made_up


def test_a_running_container_has_no_token(workplace: Workplace, engine_name: str, cpu_image: BuiltImage, token: str) -> None:
    process = workplace.start_bench("cpu", "--engine", engine_name, "--launches", "1", "--passes", "1")
    try:
        wait_until(lambda: a_guest_runs(workplace, process), what="a guest that runs")
        running = subprocess.run(
            (engine_name, "ps", "-q"), check=True, capture_output=True, text=True, timeout=60
        ).stdout.split()
        inspected = subprocess.run(
            (engine_name, "inspect", *running), check=True, capture_output=True, text=True, timeout=60
        ).stdout
        ours = [each for each in json.loads(inspected) if str(workplace.results) in json.dumps(each)]
        assert len(ours) == 1
        assert token not in inspected
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except (PermissionError, FileNotFoundError, ProcessLookupError):
                continue
            # The test's own strixbench is given it; nothing that it starts is. An environment is not for a log.
            leaks = token.encode() in words or (token.encode() in variables and int(folder.name) != process.pid)
            assert not leaks, words
        assert process.wait(timeout=300) == 0, workplace.talk.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=60)
    for path in (path for path in workplace.results.rglob("*") if path.is_file()):
        assert token.encode() not in path.read_bytes(), path
    assert token not in workplace.talk.read_text()


def test_an_image_that_is_built_with_a_token_in_sight_holds_none(
    workplace: Workplace, engine_name: str, cpu_image: BuiltImage, token: str, tmp_path: Path
) -> None:
    # On top of what is built already: the same route into the engine, without an hour of downloads.
    recipe_folder = tmp_path / "recipe"
    recipe_folder.mkdir()
    name = f"token-{secrets.token_hex(4)}"
    (recipe_folder / "see.Containerfile").write_text(
        "ARG BASE\nFROM ${BASE}\nARG TORCH\nUSER root\nRUN env > /seen-by-the-build && ! env | grep -i hf_token\n"
    )
    overlay = recipe_folder / "overlay.toml"
    overlay.write_text(
        f'[images.{name}]\nfamily = "cpu"\nvariants = ["cpu"]\ncontainerfile = "{recipe_folder}/see.Containerfile"\n'
        f'base = "{cpu_image.id.removeprefix("sha256:")}"\ntorch = "2.13.0"\ntorchaudio = "2.11.0"\nlock = "pyannote4.txt"\n'
    )
    done = workplace.run("build", name, "--catalog", str(overlay), "--engine", engine_name, "--json")
    assert done.code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    image = row["id"]
    try:
        for command in (("image", "inspect", image), ("history", "--no-trunc", image)):
            said = subprocess.run((engine_name, *command), check=True, capture_output=True, text=True, timeout=120).stdout
            assert said
            assert token not in said
        archive = tmp_path / "image.tar"
        subprocess.run((engine_name, "save", "-o", str(archive), image), check=True, capture_output=True, timeout=600)
        assert archive.stat().st_size > 1 << 28, "all layers, those of the image `cpu` too"
        assert found_in(archive, token.encode(), b"HF_TOKEN=hf_") == []
        assert b"PATH=" in top_layer(archive)["seen-by-the-build"]
        assert found_in(archive, b"/seen-by-the-build") != [], "what is in an image is found"
    finally:
        subprocess.run((engine_name, "rmi", "-f", image), check=False, capture_output=True, timeout=120)
    assert token not in done.stdout + done.stderr
    for path in (path for path in workplace.results.rglob("*") if path.is_file()):
        assert token.encode() not in path.read_bytes(), path


def a_guest_runs(workplace: Workplace, process: subprocess.Popen[str]) -> bool:
    """Whether a launch is past its first import; fails where the bench ended without one."""
    assert process.poll() is None, workplace.talk.read_text()
    return any('"import"' in journal.read_text() for journal in workplace.journals())


def found_in(file: Path, *needles: bytes) -> list[bytes]:
    """Which of these bytes a file holds, however large it is."""
    found: set[bytes] = set()
    kept = b""
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            text = kept + chunk
            found |= {needle for needle in needles if needle in text}
            kept = chunk[-100:]
    return sorted(found)


def top_layer(archive: Path) -> dict[str, bytes]:
    """Every file of a saved image's last layer, by name."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as outer:
        manifest = json.loads(outer.extractfile("manifest.json").read())  # type: ignore[union-attr]
        with tarfile.open(fileobj=outer.extractfile(manifest[0]["Layers"][-1])) as layer:
            for member in layer:
                if member.isfile():
                    found[member.name.removeprefix("./")] = layer.extractfile(member).read()  # type: ignore[union-attr]
    return found
