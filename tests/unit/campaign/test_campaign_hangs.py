"""What a campaign says of a GPU that does not answer, and of a kernel's log that it may not read. No GPU is here: a fake engine
runs what a ROCm image would, and its kernel says what the test wants."""

from __future__ import annotations

import msgspec
import pytest

from harness.engines.base import Run
from harness.machine.kernel_log import FollowedLog, KernelLog, KernelText
from harness.records.outcome import ExitRecord
from harness.records.plan import Settings
from tests.unit.campaigns import CATALOG, Bench
from tests.unit.machine.test_gpu_faults import PAGE_FAULT, RESET_THAT_FAILED, RESET_THAT_SUCCEEDED, lines_of
from tests.unit.samples import FakeEngine, Guest, guest_of, journal_until, passing_journal, write_journal

ON_ROCM = msgspec.structs.replace(CATALOG.images["local-cpu"], name="local-rocm", family="rocm", variants=("native",))
"""A virtual environment: a container would be handed devices, which this machine need not have."""

CLOSED = "/dev/kmsg is closed to this user (kernel.dmesg_restrict); `journalctl -k` shows nothing"


passes = guest_of(passing_journal(hip="7.2.26015"))


class FakeKernelLog(KernelLog):
    """A fake: it said this since boot, and nothing since."""

    def __init__(self, said: KernelText) -> None:
        super().__init__(device="/nowhere/kmsg")
        self._said = said

    def since_boot(self) -> KernelText:
        return self._said

    def follow(self) -> FollowedLog:
        return FollowedLog(lambda _: KernelText(refused=self._said.refused), "/dev/null" if not self._said.refused else CLOSED)


class OnSickHost(FakeEngine):
    """A fake engine on a host whose kernel said something."""

    def __init__(self, said: KernelText, guest: Guest | None = None, *, name: str = "podman") -> None:
        super().__init__(guest or passes, name=name)
        self.said = said

    @property
    def kernel_log(self) -> KernelLog:
        return FakeKernelLog(self.said)


def dies(run: Run) -> ExitRecord:
    """A guest that dies in its first pass without a word."""
    write_journal(run.exchange, journal_until("cold", hip="7.2.26015"))
    return ExitRecord(started=True, code=134)


def run_on_gpu(bench: Bench, said: KernelText, guest: Guest = passes, *, launches: int = 1) -> list[str]:
    """What a campaign of that image announced of the GPU and of the log; beside it there may be hazards of this machine's GPU."""
    engine = OnSickHost(said, guest, name="local")
    bench.run(engine, images=(ON_ROCM,), preference="auto", launches=launches, settings=Settings(verify=False))
    return [text for text in bench.listener.announced if "kernel" in text]


@pytest.mark.parametrize("text", [RESET_THAT_FAILED, RESET_THAT_SUCCEEDED[:180]], ids=["lost", "no answer"])
def test_that_the_gpu_does_not_answer_is_said_once_before_the_first_launch_which_goes_on(bench: Bench, text: str) -> None:
    (said,) = run_on_gpu(bench, KernelText(lines_of(text)), launches=2)
    assert said.startswith("the GPU may have stopped responding: the kernel said ")
    assert "reboot first" in said
    assert [launch.verdict.status for launch in bench.store.launches()] == ["pass", "pass"]


@pytest.mark.parametrize("text", ["", PAGE_FAULT, RESET_THAT_SUCCEEDED], ids=["nothing", "a page fault", "a reset"])
def test_a_gpu_that_can_be_used_is_not_warned_of(bench: Bench, text: str) -> None:
    assert run_on_gpu(bench, KernelText(lines_of(text))) == []


def test_a_run_on_the_cpu_has_no_use_for_the_gpu(bench: Bench) -> None:
    bench.run(OnSickHost(KernelText(lines_of(RESET_THAT_FAILED))))
    assert bench.listener.announced == []


def test_that_the_kernel_s_log_is_closed_is_said_once_of_failures_on_a_gpu_alone(bench: Bench) -> None:
    assert run_on_gpu(bench, KernelText(refused=CLOSED)) == []
    (said,) = run_on_gpu(bench, KernelText(refused=CLOSED), dies, launches=3)
    assert "`sudo dmesg` may say more" in said
    failed = [launch for launch in bench.store.launches() if launch.verdict.status == "fail"]
    assert [bool(launch.kernel_log_refused) for launch in failed] == [True] * 3
