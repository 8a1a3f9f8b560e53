"""`strixbench calibrate local-cpu`: real memory, held by real torch."""

from __future__ import annotations

from harness.workloads.calibrate import calibration_of
from tests.commands import Workplace


def test_the_peak_of_a_process_moves_by_what_is_allocated(workplace: Workplace) -> None:
    done = workplace.run("calibrate", "local-cpu", "--sizes", "0.125,0.25", "--hold", "0.3")
    assert done.code == 0, done.stdout + done.stderr
    (launch,) = workplace.stored()
    calibration = calibration_of(launch)
    assert calibration is not None
    assert calibration.sizes_bytes == (1 << 27, 1 << 28)
    found = {finding.meter.name: finding for finding in calibration.findings}
    for name in ("vm_rss_bytes", "vm_hwm_bytes"):
        assert found[name].judgement == "moves by what is allocated", found[name]
        for movement in found[name].movements:
            assert movement.relative_error is not None, "a size that nobody saw"
            assert abs(movement.relative_error) <= 0.05
    assert found["torch_reserved_bytes"].judgement == "unavailable"
    assert found["stats_usage_bytes"].judgement == "unavailable"
    assert "| VmHWM" in done.stdout
    assert "moves by what is allocated" in done.stdout


def test_a_size_that_does_not_fit_is_refused_and_nothing_is_killed(workplace: Workplace) -> None:
    done = workplace.run("calibrate", "local-cpu", "--sizes", "1000", "--hold", "0.3")
    assert done.code == 1, done.stdout + done.stderr
    (launch,) = workplace.stored()
    assert (launch.verdict.stage, launch.verdict.cause) == ("calibrate", "out of memory")
    assert "1000.00 GiB, with 0.25 GiB to spare, do not fit" in launch.verdict.summary
    assert launch.exit.code == 1
    assert not launch.said.results
    assert "do not fit" in done.stdout
