"""A campaign that runs on fake engines, and what a person watching is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import places
from harness.campaign.campaign import Campaign
from harness.campaign.cool_down import CampaignClock
from harness.campaign.request import BenchRequest, OpenEngine
from harness.catalog.load import load_catalog
from harness.catalog.rows import Catalog, Image, Profile
from harness.engines.base import Engine
from harness.errors import EngineError
from harness.inputs.audio import Audio
from harness.inputs.launch_inputs import Inputs, recording_inputs
from harness.launch.plan import EXCHANGE, PLAN, TRUTH, Prepared, launches_folder
from harness.records.launch import Launch
from harness.records.plan import Plan, Settings
from harness.records.store import Store
from harness.telemetry.start import Sampling
from harness.tools import owner
from tests.unit.samples import (
    RTTM,
    FakeEngine,
    a_plan,
    an_audio,
    no_sampler,
    some_models,
    write_journal,
)

CATALOG = load_catalog()


CPU = CATALOG.images["cpu"]


OTHER = msgspec.structs.replace(CPU, name="other")


Opened = Engine | EngineError | dict[str, Engine] | OpenEngine


"""One engine under any name, none, one by its name, or a function of the name."""


HIGHEST_PID = 1 << 22


"""The kernel's own bound: no process has a number above it (proc_sys_kernel(5), pid_max)."""


class Listener:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.announced: list[str] = []
        self.begun: list[str] = []
        self.over: list[Launch] = []

    def say(self, text: str) -> None:
        """A line that the next one takes the place of."""

    def announce(self, text: str) -> None:
        self.announced.append(text)

    def begins(self, prepared: Prepared, number: int, total: int | None) -> None:
        self.begun.append(f"{number}/{total or '?'} {prepared.plan.cell}")

    def ended(self, launch: Launch) -> None:
        self.over.append(launch)


class Bench:
    """What a test needs of one `bench`: the store, the engine, and the campaign over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(places.store_url())
        self.listener = Listener()

    def campaign(
        self,
        engine: Opened | None = None,
        *,
        images: Iterable[Image] = (CPU,),
        launches: int = 1,
        settings: Settings | None = None,
        catalog: Catalog = CATALOG,
        preference: str = "podman",
        store: Store | None = None,
        clock: CampaignClock | None = None,
        sample: Sampling = no_sampler,
        more_lengths: Iterable[Audio] = (),
        workload: str = "diarization",
        profile: Profile | None = None,
        inputs: Sequence[Inputs] = (),
        **more: Any,
    ) -> Campaign:
        recordings = (an_audio(self.folder / "audio"), *more_lengths)
        request = BenchRequest(
            images=tuple(images),
            gfx=None,
            profile=profile or msgspec.structs.replace(catalog.pipelines["embedded"].profile, workload=workload),
            inputs=tuple(inputs or (recording_inputs(each, some_models(self.folder)) for each in recordings)),
            engine=preference,
            launches=launches,
            settings=settings or Settings(),
            **more,
        )
        opener = opener_of(engine if engine is not None else FakeEngine())
        return Campaign(
            request, catalog, store or self.store, open_engine=opener, observer=self.listener, clock=clock, sample=sample
        )

    def run(self, engine: Opened | None = None, **more: Any) -> Campaign:
        campaign = self.campaign(engine, **more)
        campaign.run()
        return campaign

    def unstored(self, plan: Plan, *, journal: Iterable[dict[str, Any]] = (), truth: str = RTTM) -> Path:
        """The folder of a launch that is not in the store. Its output is right by ``truth``."""
        folder = launches_folder() / plan.id
        (folder / EXCHANGE).mkdir(parents=True)
        (folder / PLAN).write_bytes(msgspec.json.encode(plan))
        (folder / TRUTH).write_text(truth)
        write_journal(folder / EXCHANGE, journal)
        return folder

    @property
    def passes_first(self) -> list[Launch]:
        """What is stored, so ordered since ids of one second say nothing about time."""
        return sorted(self.store.launches(), key=lambda launch: launch.verdict.status != "pass")

    @property
    def folders(self) -> list[str]:
        """Launch folders that are there."""
        return sorted(path.name for path in launches_folder().glob("*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def opener_of(engine: Opened) -> OpenEngine:
    """What opens this engine under any name, or refuses as an absent one does."""

    def open_engine(name: str) -> Engine:
        if isinstance(engine, EngineError):
            raise engine
        return engine[name] if isinstance(engine, dict) else engine  # type: ignore[return-value]

    return engine if callable(engine) else open_engine


def outcome(launch: Launch) -> tuple[str, str, str | None]:
    return launch.verdict.status, launch.verdict.stage, launch.verdict.cause


def an_owner(*, pid: int | None = None, place: str | None = None) -> str:
    """An owner like this process, but for a part."""
    own_pid, started, own_place = owner().split(":", 2)
    return f"{pid or own_pid}:{started}:{place or own_place}"


def a_dead_plan(number: int = 1, **changes: Any) -> Plan:
    """A plan whose harness is gone."""
    return a_plan(number, owner=an_owner(pid=HIGHEST_PID + 1), **changes)
