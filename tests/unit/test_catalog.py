from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.wire import KNOBS
from harness import catalog
from harness.catalog import (
    Cell,
    load_catalog,
    select_fixes,
    select_images,
    select_pipeline,
    select_variants,
    with_fixes,
)
from harness.errors import CatalogError, UsageError

GPU_IMAGE = """
[images.rocm-here]
family = "rocm"
variants = ["native", "gfx1100"]
containerfile = "cpu.Containerfile"
base = "localhost/base"
torch = "2.9.1"
torchaudio = "2.9.1"
lock = "cpu.txt"
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


def test_every_container_image_that_is_shipped_pins_its_base_by_digest() -> None:
    bases = [image.base for image in load_catalog().images.values() if image.engine == "container" and image.reference is None]
    assert bases
    assert all(base is not None and "@sha256:" in base for base in bases)


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
    path = overlay(tmp_path, '# mine\n[images.cpu]\nlock = "cpu.txt"\ntorhc = "2.10.0"\n')
    with pytest.raises(CatalogError, match=r"overlay\.toml:4: unknown key 'torhc' in images\.cpu \(did you mean 'torch'\?\)"):
        load_catalog([path])


def test_the_line_is_that_of_the_row_and_not_of_another_table_s_row_of_the_same_name(tmp_path: Path) -> None:
    text = '[variants.cpu]\nenvironment = { A = "1" }\n[images.cpu]\nenvironment = { A = "1" }\n'
    with pytest.raises(CatalogError, match=r"overlay\.toml:4: unknown key 'environment'"):
        load_catalog([overlay(tmp_path, text)])


def test_an_unknown_table_is_refused_with_its_line_and_the_nearest_table(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"overlay\.toml:2: unknown table 'image' \(did you mean 'images'\?\)"):
        load_catalog([overlay(tmp_path, '\n[image.cpu]\ntorch = "2.10.0"\n')])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("images = 3\n", r":1: 'images' is not a table"),
        ("[images]\ncpu = 3\n", r":2: images\.cpu is not a table"),
        ("[images.cpu]\ntorch = 2.9\n", r"overlay\.toml:2: images\.cpu\.torch: Expected"),
        ('[images.cpu]\nfamily = "amd"\n', r"overlay\.toml:2: images\.cpu\.family: .*'amd'"),
        ('[images.cpu]\nvariants = ["gfx1110"]\n', r"images\.cpu: unknown variant 'gfx1110' \(did you mean 'gfx1100'\?\)"),
        ('[pipelines.mine]\ndescription = "x"\n', r"pipelines\.mine: .*segmentation_batch_size"),
        ("[images.cpu]\nname = 'other'\n", r"unknown key 'name'"),
        ("[images.cpu\n", r"is not TOML: .*line 1"),
    ],
    ids=["table", "row", "type", "family", "variant", "lacking", "name", "syntax"],
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
    assert catalog.looks_like_reference(text)


@pytest.mark.parametrize("text", ["cpu", "rocm7*/x", "rocm[67]:a", "?:b", ""])
def test_a_bare_name_or_a_glob_is_no_reference(text: str) -> None:
    assert not catalog.looks_like_reference(text)


def test_an_unknown_image_is_refused_with_the_nearest() -> None:
    error = catalog.unknown_image(load_catalog(), "local-cup")
    assert isinstance(error, UsageError)
    assert "'local-cup' (did you mean 'local-cpu'?)" in str(error)


def test_a_word_that_is_near_nothing_gets_no_suggestion() -> None:
    assert catalog.nearest("zzzz", ["embedded", "3.1"]) == ""


def test_gfx_selects_among_the_variants_of_the_row(tmp_path: Path) -> None:
    known = load_catalog([overlay(tmp_path, GPU_IMAGE)])
    image = known.images["rocm-here"]
    assert [variant.name for variant in select_variants(known, image, None)] == ["native", "gfx1100"]
    (chosen,) = select_variants(known, image, "gfx*")
    assert chosen.environment == {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}


def test_gfx_that_matches_none_of_the_row_s_variants_is_refused_with_what_there_is() -> None:
    known = load_catalog()
    with pytest.raises(UsageError, match="image cpu has no variant that matches 'gfx1100': it has cpu"):
        select_variants(known, known.images["cpu"], "gfx1100")


def test_a_foreign_image_may_be_run_in_any_variant_of_the_catalog() -> None:
    known = load_catalog()
    foreign = catalog.foreign_image("softab:rocm62", family=None)
    assert [variant.name for variant in select_variants(known, foreign, None)] == ["native"]
    assert [variant.name for variant in select_variants(known, foreign, "gfx1100")] == ["gfx1100"]
    with pytest.raises(UsageError, match="gfx9"):
        select_variants(known, foreign, "gfx9")


def test_an_image_of_the_cpu_family_runs_without_a_gpu_by_default() -> None:
    known = load_catalog()
    foreign = catalog.foreign_image("softab:cpu", family="cpu")
    assert [variant.name for variant in select_variants(known, foreign, None)] == ["cpu"]


def test_an_unknown_pipeline_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no pipeline 'embeded' \(did you mean 'embedded'\?\)"):
        select_pipeline(load_catalog(), "embeded")


def test_a_cell_is_named_image_variant_pipeline_audio() -> None:
    known = load_catalog()
    cell = Cell(known.images["cpu"], known.variants["cpu"], known.pipelines["3.1"], "sample-30s")
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


def test_every_knob_of_the_guest_is_in_a_fix_that_is_shipped() -> None:
    variants = load_catalog().variants.values()
    assert {knob for variant in variants if variant.mends for knob in variant.guest} == set(KNOBS)


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
