"""`strixbench kernels local-cpu`: real kernels under real pytest-benchmark, inside the guest."""

from __future__ import annotations

from tests.commands import Workplace

QUICK = ("kernels", "local-cpu", "--launches", "1", "--seconds", "0.05")


def test_kernels_are_timed_counted_and_stored_and_both_tables_show_them(workplace: Workplace) -> None:
    done = workplace.run(*QUICK, "--only", "campplus dense*", "--only", "copy", "--only", "fbank")
    assert done.code == 0, done.stderr
    assert "local-cpu (local, cpu, cpu)" in done.stdout
    assert "Best compute rate: " in done.stdout
    (launch,) = workplace.stored()
    assert (launch.plan.workload.name, launch.verdict.status, launch.verdict.stage) == ("kernels", "pass", "kernels")
    timed = {each.text("kernel"): each for each in launch.said.results if each.text("outcome") == "ok"}
    assert list(timed) == ["copy", "campplus dense 2 in 12", "campplus dense 2 local", "fbank"]
    for each in timed.values():
        assert (each.number("first_seconds") or 0.0) > 0
        assert len(each.numbers("seconds")) >= 3
        assert min(value or 0.0 for value in each.numbers("seconds")) > 0
    assert timed["campplus dense 2 in 12"].count("flop") == 2 * 2 * (256 + 12 * 32) * 128 * 500
    found = launch.said.found("kernels")
    assert found.count("kernels") == 4
    assert found.fields("work").count("resnet34_item_flop") == 45_228_472_320 + 54_900_978
    assert workplace.run("report", "--output", str(workplace.page)).code == 0
    page = workplace.page.read_text()
    assert "## Kernels and ceilings" in page
    assert "| campplus dense 2 local | 2 x 128 x 500 to 32 x 500, kernel 3 |" in page


def test_a_name_that_no_kernel_has_launches_nothing(workplace: Workplace) -> None:
    done = workplace.run(*QUICK, "--only", "no such kernel")
    assert done.code == 2
    assert "--only 'no such kernel': no kernel matches" in done.stderr
    assert workplace.stored() == ()
