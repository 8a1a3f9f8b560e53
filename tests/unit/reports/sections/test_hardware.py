"""The page's lines about machines. The machines are made up."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.machine.host import describe_host
from harness.records.launch import Launch
from reports.markdown.render import render_benchmarks
from reports.sections.hardware import details_of, machines_of
from tests.unit.fixture_hosts import FINGERPRINT, a_tree
from tests.unit.samples import HOST, a_launch, a_plan


def on(launch: Launch, **host: object) -> Launch:
    plan = msgspec.structs.replace(launch.plan, host=msgspec.structs.replace(launch.plan.host, **host))
    return msgspec.structs.replace(launch, plan=plan)


def hardware_lines(*launches: Launch) -> list[str]:
    page = render_benchmarks(launches)
    return [line for line in page.splitlines() if line.startswith(("- **Hardware", "- **Differs"))]


def test_what_results_on_a_gpu_depend_on_is_in_the_line(tmp_path: Path) -> None:
    host = describe_host(a_tree(tmp_path, FINGERPRINT))
    assert details_of(host)[:-1] == [
        "MES firmware 0x00000080",
        "VRAM 0.5 GiB",
        "GTT 62.5 GiB",
        "performance level auto",
        "IOMMU translated",
        "profile balanced",
        "governor powersave",
    ]
    launch = a_launch()
    (line,) = hardware_lines(msgspec.structs.replace(launch, plan=msgspec.structs.replace(launch.plan, host=host)))
    assert "kernel 6.18.5-200.fc43.x86\\_64; MES firmware 0x00000080, VRAM 0.5 GiB, GTT 62.5 GiB" in line


def test_a_record_of_before_the_fingerprint_has_the_line_that_it_had() -> None:
    (line,) = hardware_lines(a_launch())
    assert line.endswith(f"kernel {HOST.kernel}")
    assert details_of(HOST) == []


def test_machines_that_differ_say_in_what_and_one_machine_says_nothing() -> None:
    first = a_launch(a_plan(1, image="one"))
    second = on(a_launch(a_plan(2, image="two")), kernel="9.9.9", iommu="off")
    alike = on(a_launch(a_plan(3, image="three")), iommu="off")
    assert len(hardware_lines(first, alike)) == 1
    lines = hardware_lines(first, second)
    assert len(lines) == 3
    assert lines[2].startswith(f"- **Differs from the first**: kernel {HOST.kernel} -&gt; 9.9.9. Rows of different machines")


def test_boots_are_counted_where_they_are_known() -> None:
    hosts = [msgspec.structs.replace(HOST, boot=boot) for boot in (None, "1", "2", "2")]
    assert machines_of(hosts[:1])[0].boots == 0
    assert machines_of(hosts)[0].boots == 2
    launches = [on(a_launch(a_plan(number, image=str(number))), boot=str(number)) for number in (1, 2)]
    assert hardware_lines(*launches)[0].endswith("; over 2 boots")
    assert "boots" not in hardware_lines(launches[0])[0]
