"""`strixbench calibrate` in real containers: what the cgroup and the engine's own stats show, for comparison."""

from __future__ import annotations

from pathlib import Path

from harness.engines.base import BuiltImage
from harness.workloads.calibrate import calibration_of
from tests.commands import Workplace


def test_what_a_container_holds_shows_in_its_process_its_cgroup_and_its_engine_s_stats(
    workplace: Workplace, engine_name: str, cpu_image: BuiltImage
) -> None:
    done = workplace.run("calibrate", "cpu", "--engine", engine_name, "--sizes", "0.25,0.5")
    assert done.code == 0, done.stdout + done.stderr
    (launch,) = workplace.stored()
    calibration = calibration_of(launch)
    assert calibration is not None
    found = {finding.meter.name: finding for finding in calibration.findings}
    if launch.plan.engine.rootless and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        # With cgroups of version 1 a user's container shares that of its caller: what its meters show depends on what else runs.
        assert found["vm_hwm_bytes"].judgement == "moves by what is allocated"
        assert found["cgroup_peak_bytes"].judgement == "unavailable"
        return
    for name in ("vm_hwm_bytes", "cgroup_current_bytes", "stats_usage_bytes"):
        assert found[name].judgement == "moves by what is allocated", found[name]
    # On the command line of Docker alone the number is another than the usage.
    assert (found["stats_shown_bytes"].judgement != "unavailable") == (engine_name == "docker")
    assert launch.engine_stats is not None
    assert launch.engine_stats.sources["stats_usage_bytes"] == f"{engine_name} stats"
    assert "| stats usage" in done.stdout
