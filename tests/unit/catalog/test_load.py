from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.wire import KNOBS
from benchmarks.workloads.diarization.diarize import PIPELINES
from harness import places
from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell
from harness.catalog.select import (
    foreign_image,
    is_portable,
    looks_like_reference,
    portable,
    select_fixes,
    select_images,
    select_pipeline,
    select_variants,
    with_fixes,
)
from harness.errors import CatalogError, UsageError
from harness.text import nearest

GPU_IMAGE = """
[images.rocm-here]
family = "rocm"
variants = ["native", "gfx1100"]
containerfile = "cpu.Containerfile"
base = "localhost/base"
torch = "2.9.1"
torchaudio = "2.9.1"
lock = "pyannote4.txt"
"""


def overlay(folder: Path, text: str, *, name: str = "overlay.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_shipped_catalog_has_the_default_image_and_its_variants() -> None:
    known = load_catalog()
    assert known.images["local-cpu"].engine == "local"
    for image in known.images.values():
        assert select_variants(known, image, None)


def test_a_base_without_a_digest_is_marked_and_no_other() -> None:
    for image in load_catalog().images.values():
        unpinned = image.engine == "container" and "@sha256:" not in str(image.base)
        assert bool(image.todo) == unpinned, image.name
        assert all(text.startswith("TODO digest: ") and str(image.base) in text for text in image.todo)


def test_the_matrix_has_every_stack_that_the_readme_names() -> None:
    images = load_catalog().images
    ours = {
        "rocm62",
        "rocm64",
        "rocm64-amd",
        "rocm72",
        "rocm72-amd",
        "rocm714",
        "therock",
        "rocm10",
        "cuda",
        "cpu",
        "local-cpu",
    }
    seeds = {"seed-rocm62", "seed-rocm62-working", "seed-rocm644", "seed-rocm72-amd", "seed-therock"}
    assert images.keys() >= ours | seeds
    # One pyannote on all of ours: a verdict is about ROCm, not about pip.
    assert {images[name].pyannote for name in ours} == {"4.0.7"}
    assert {images[f"{name}-pyannote3"].pyannote for name in ("rocm62", "rocm64", "rocm72", "cuda", "cpu")} == {"3.4.0"}


def test_wheels_without_gfx1151_are_served_by_gfx1100_and_others_run_native_first() -> None:
    for image in load_catalog().images.values():
        if image.family in ("rocm", "therock") and image.script is None:
            assert image.variants == (("native", "gfx1100") if image.native else ("gfx1100",)), image.name
    values = [variant.environment.get("HSA_OVERRIDE_GFX_VERSION") for variant in load_catalog().variants.values()]
    assert "11.0.0" in values
    assert not {"11.5.0", "11.5.1"} & set(values)


def test_an_image_is_held_to_the_rocm_that_its_torch_names() -> None:
    for image in load_catalog().images.values():
        local = str(image.torch).partition("+")[2]
        if match := re.match(r"rocm(6|7)\.(\d+)", local):
            assert image.expected == ".".join(match.groups()), image.name


@pytest.mark.parametrize("lock", sorted((places.CONTAINERS / "locks").glob("*.txt")), ids=lambda path: path.stem)
def test_a_lock_has_a_hash_for_every_package_and_neither_torch_nor_malware(lock: Path) -> None:
    if lock.stem == "left-out":
        return
    text = lock.read_text()
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins) > 50
    assert all("--hash=sha256:" in block for block in blocks)
    names = dict(pins)
    assert not {"torch", "torchaudio", "torchvision", "torchcodec", "librosa"} & names.keys()
    assert names["lightning"] == names["pytorch-lightning"] == "2.5.6"


def test_a_row_is_like_another_but_for_what_it_says(tmp_path: Path) -> None:
    text = '[images.mine]\nlike = "other"\nlock = "l.txt"\n[images.other]\nlike = "cpu"\ntorch = "1.0"\n'
    images = load_catalog([overlay(tmp_path, text)]).images
    assert (images["mine"].torch, images["mine"].lock, images["mine"].base) == ("1.0", "l.txt", images["cpu"].base)
    assert images["mine"].name == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[images.a]\nlike = "cqu"\n', r"images\.a: like = 'cqu': there is no such row \(did you mean"),
        ('[images.a]\nlike = "b"\n[images.b]\nlike = "a"\n', "it leads back to itself"),
        ('[images.a]\nlike = "a"\n', "it leads back to itself"),
        ('[images.a]\nportable_of = "cpu"\n', "unknown key 'portable_of'"),
        ('[variants.a]\nlike = "cpu"\n', "unknown key 'like' in variants"),
        ('[images.a]\ntorch_index = "https://x --trusted-host y"\n', "torch_index"),
        ('[images.a]\npackages = ["x; rm -rf /"]\n', "packages"),
    ],
)
def test_a_row_that_leads_nowhere_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        load_catalog([overlay(tmp_path, text)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[workloads.vit]\ninputs.a.amount = 1e308\n", r"workloads\.vit\.inputs: Expected `float` <= 1000000"),
        ("[workloads.vit]\ninputs.a.amount = inf\n", "Expected `float` <= 1000000"),
        ("[workloads.vit]\ninputs.a.amount = nan\n", "Expected `float` > 0"),
        ("[workloads.vit]\ninputs.a = { amount = 1, numbers.batch_size = -1 }\n", "Expected `int` >= 1"),
        ("[workloads.vit]\ninputs.a = { amount = 1, numbers.batch_size = 10000000000000000000 }\n", "workloads.vit.inputs"),
        ('[workloads.vit]\ninputs."../a".amount = 1\n', "the input '../a' has signs other than"),
        ('[workloads.vit]\ninputs."a\\nb".amount = 1\n', r"the input 'a\\nb' has signs other than"),
        ("[workloads.diarization]\ninputs.a.amount = 1\n", "its inputs are recordings"),
        (
            '[knobs.a]\nsource = "https://a"\nvalues.a = {}\nvalues.b = { options = { c = "d" } }\n',
            "which only the workloads that",
        ),
    ],
)
def test_inputs_and_options_that_no_launch_can_have_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        load_catalog([overlay(tmp_path, text)])


def test_a_portable_image_can_be_taken_for_no_result_of_the_image() -> None:
    known = load_catalog()
    for image in known.images.values():
        if not is_portable(image):
            continue
        plain = portable(image, known)
        assert (plain.name, plain.portable_of, plain.family) == (f"{image.name}-portable", image.name, "cpu")
        assert [variant.name for variant in select_variants(known, plain, None)] == ["cpu"]
        assert plain.base == known.images["cpu"].base
        # The same release of torch, and the same set of everything else.
        assert str(image.torch).startswith(str(plain.torch))
        assert "+" not in str(plain.torch)
        assert (plain.lock, plain.script, plain.containerfile) == (image.lock, image.script, image.containerfile)


@pytest.mark.parametrize("name", ["local-cpu", "seed-therock"])
def test_an_image_without_a_portable_form_says_why(name: str) -> None:
    known = load_catalog()
    assert not is_portable(known.images[name])
    with pytest.raises(UsageError, match=f"image {name} has no portable build: "):
        portable(known.images[name], known)


def test_an_overlay_changes_one_field_and_keeps_the_others(tmp_path: Path) -> None:
    before = load_catalog().images["cpu"]
    after = load_catalog([overlay(tmp_path, '[images.cpu]\ntorch = "2.10.0"\n')]).images["cpu"]
    assert (after.torch, after.base, after.lock) == ("2.10.0", before.base, before.lock)


def test_an_overlay_adds_a_row(tmp_path: Path) -> None:
    known = load_catalog([overlay(tmp_path, GPU_IMAGE)])
    assert known.images["rocm-here"].family == "rocm"
    assert "cpu" in known.images


def test_the_overlays_of_the_environment_come_before_those_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = overlay(tmp_path, '[images.cpu]\ntorch = "1.0"\ntorchaudio = "1.0"\n', name="a.toml")
    second = overlay(tmp_path, '[images.cpu]\ntorch = "2.0"\n', name="b.toml")
    last = overlay(tmp_path, '[images.cpu]\nlock = "other.txt"\ntorch = "3.0"\n', name="c.toml")
    monkeypatch.setenv("STRIXBENCH_CATALOG", f"{first}:{second}")
    image = load_catalog([last]).images["cpu"]
    assert (image.torchaudio, image.torch, image.lock) == ("1.0", "3.0", "other.txt")


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_key(tmp_path: Path) -> None:
    path = overlay(tmp_path, '# mine\n[images.cpu]\nlock = "pyannote4.txt"\ntorhc = "2.10.0"\n')
    with pytest.raises(CatalogError, match=r"overlay\.toml:4: unknown key 'torhc' in images\.cpu \(did you mean 'torch'\?\)"):
        load_catalog([path])


def test_the_line_is_that_of_the_row_and_not_of_another_table_s_row_of_the_same_name(tmp_path: Path) -> None:
    text = '[variants.cpu]\nenvironment = { A = "1" }\n[images.cpu]\nenvironment = { A = "1" }\n'
    with pytest.raises(CatalogError, match=r"overlay\.toml:4: unknown key 'environment'"):
        load_catalog([overlay(tmp_path, text)])


def test_an_unknown_table_is_refused_with_its_line_and_the_nearest_table(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"overlay\.toml:2: unknown table 'image' \(did you mean 'images'\?\)"):
        load_catalog([overlay(tmp_path, '\n[image.cpu]\ntorch = "2.10.0"\n')])


def test_the_catalog_has_the_pipelines_that_the_guest_can_load() -> None:
    assert set(load_catalog().pipelines) == set(PIPELINES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("images = 3\n", r":1: 'images' is not a table"),
        ("[images]\ncpu = 3\n", r":2: images\.cpu is not a table"),
        ("[images.cpu]\ntorch = 2.9\n", r"overlay\.toml:2: images\.cpu\.torch: Expected"),
        ('[images.cpu]\nfamily = "amd"\n', r"overlay\.toml:2: images\.cpu\.family: .*'amd'"),
        ('[images.cpu]\nvariants = ["gfx1110"]\n', r"images\.cpu: unknown variant 'gfx1110' \(did you mean 'gfx1100'\?\)"),
        ('[pipelines.mine]\ndescription = "x"\n', r"pipelines\.mine: .*segmentation_batch_size"),
        (
            '[pipelines."3.2"]\ndescription = "x"\nsegmentation_batch_size = 1\nembedding_batch_size = 1\n',
            r"pipelines\.3\.2: the guest has no such pipeline \(did you mean '3\.1'\?\): there are embedded, synthetic, 3\.1, community-1",
        ),
        ("[images.cpu]\nname = 'other'\n", r"unknown key 'name'"),
        ("[images.cpu\n", r"is not TOML: .*line 1"),
    ],
    ids=["table", "row", "type", "family", "variant", "lacking", "pipeline", "name", "syntax"],
)
def test_a_wrong_overlay_is_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        load_catalog([overlay(tmp_path, text)])


def test_a_wrong_type_is_refused_with_the_file_that_it_stands_in(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"overlay\.toml"):
        load_catalog([overlay(tmp_path, "[images.cpu]\ntorch = 2.9\n")])


def test_an_overlay_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"cannot read catalog .*none\.toml"):
        load_catalog([tmp_path / "none.toml"])
    with pytest.raises(CatalogError, match="cannot read catalog"):
        load_catalog([tmp_path])
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match=r"cannot read catalog .*binary\.toml"):
        load_catalog([tmp_path / "binary.toml"])


def test_a_pattern_selects_images_in_the_catalog_s_order() -> None:
    known = load_catalog()
    in_order = [name for name in known.images if name in ("cpu", "local-cpu")]
    assert [image.name for image in select_images(known, "*") if image.name in in_order] == in_order
    assert {"cpu", "local-cpu"} <= {image.name for image in select_images(known, "*cpu")}
    assert [image.name for image in select_images(known, "cpu")] == ["cpu"]
    assert select_images(known, "CPU") == ()


@pytest.mark.parametrize("text", ["softab:pyannote-rocm62-gfx1151", "ghcr.io/a/b", "image@sha256:0123"])
def test_a_name_with_a_tag_a_registry_or_a_digest_is_a_reference(text: str) -> None:
    assert looks_like_reference(text)


@pytest.mark.parametrize("text", ["cpu", "rocm7*/x", "rocm[67]:a", "?:b", ""])
def test_a_bare_name_or_a_glob_is_no_reference(text: str) -> None:
    assert not looks_like_reference(text)


def test_a_word_that_is_near_nothing_gets_no_suggestion() -> None:
    assert nearest("zzzz", ["embedded", "3.1"]) == ""


def test_gfx_selects_among_the_variants_of_the_row(tmp_path: Path) -> None:
    known = load_catalog([overlay(tmp_path, GPU_IMAGE)])
    image = known.images["rocm-here"]
    assert [variant.name for variant in select_variants(known, image, None)] == ["native", "gfx1100"]
    (chosen,) = select_variants(known, image, "gfx*")
    assert chosen.environment == {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}


def test_gfx_that_matches_none_of_the_row_s_variants_is_refused_with_what_there_is() -> None:
    known = load_catalog()
    with pytest.raises(UsageError, match="image cpu has no GFX mode that matches 'gfx1100': it has cpu"):
        select_variants(known, known.images["cpu"], "gfx1100")


def test_a_foreign_image_may_be_run_in_any_variant_of_the_catalog() -> None:
    known = load_catalog()
    foreign = foreign_image("softab:rocm62", family=None)
    assert [variant.name for variant in select_variants(known, foreign, None)] == ["native"]
    assert [variant.name for variant in select_variants(known, foreign, "gfx1100")] == ["gfx1100"]
    with pytest.raises(UsageError, match="gfx9"):
        select_variants(known, foreign, "gfx9")


def test_an_image_of_the_cpu_family_runs_without_a_gpu_by_default() -> None:
    known = load_catalog()
    foreign = foreign_image("softab:cpu", family="cpu")
    assert [variant.name for variant in select_variants(known, foreign, None)] == ["cpu"]


def test_an_unknown_pipeline_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no pipeline 'embeded' \(did you mean 'embedded'\?\)"):
        select_pipeline(load_catalog(), "embeded")


def test_a_cell_is_named_image_variant_pipeline_audio() -> None:
    known = load_catalog()
    cell = Cell(known.images["cpu"], known.variants["cpu"], known.pipelines["3.1"].profile, "sample-30s")
    assert cell.id == "cpu/cpu/3.1/sample-30s"


def test_a_fix_is_set_on_top_of_a_variant_and_named_behind_it() -> None:
    known = load_catalog()
    fixes = select_fixes(known, ["lstm-dropout-0", "weights-only-off", "lstm-dropout-0"])
    mended = with_fixes(known.variants["gfx1100"], fixes)
    assert mended.name == "gfx1100+lstm-dropout-0+weights-only-off"
    assert mended.fixes == ("lstm-dropout-0", "weights-only-off")
    assert mended.guest == ("lstm-dropout-0",)
    assert mended.environment == {"HSA_OVERRIDE_GFX_VERSION": "11.0.0", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}


def test_a_variant_without_a_fix_is_as_it_was() -> None:
    variant = load_catalog().variants["gfx1100"]
    assert with_fixes(variant, ()) is variant
    assert variant.fixes == ()


def test_what_is_no_fix_is_refused_with_the_nearest() -> None:
    known = load_catalog()
    with pytest.raises(
        UsageError, match="no fix 'miopen-of' \\(did you mean 'miopen-off'\\?\\): there are lstm-dropout-0, miopen-off"
    ):
        select_fixes(known, ["miopen-of"])
    with pytest.raises(UsageError, match="no fix 'gfx1100'"):
        select_fixes(known, ["gfx1100"])


def test_every_knob_of_the_guest_that_can_mend_something_is_in_a_fix_that_is_shipped() -> None:
    variants = load_catalog().variants.values()
    choices = {knob for knob in KNOBS if knob.startswith("blas-")}  # of two libraries that should both be right
    assert {knob for variant in variants if variant.mends for knob in variant.guest} == set(KNOBS) - choices


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[variants."a+b"]\n', "stands between a variant and its fixes"),
        ('[variants.mine]\nmends = ["lstn"]\n', "no stage or step 'lstn' \\(did you mean 'lstm'"),
        ('[variants.mine]\nguest = ["miopen-on"]\n', "mine.guest"),
    ],
    ids=["plus", "mends", "guest"],
)
def test_a_variant_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        load_catalog([overlay(tmp_path, text)])


@pytest.mark.parametrize(
    "text",
    [
        '[images.cpu]\nbase = "--platform=x a"\n',
        '[images.cpu]\ntorch = "2.13.0 --index-url http://x"\n',
        '[images.cpu]\ntorch_index = "--trusted-host"\n',
        '[images.cpu]\npackages = ["curl\\n"]\n',
        '[variants.cpu]\nenvironment = { HF_TOKEN = "x" }\n',
    ],
)
def test_what_could_be_taken_for_an_option_or_hands_out_a_token_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CatalogError):
        load_catalog([overlay(tmp_path, text)])
