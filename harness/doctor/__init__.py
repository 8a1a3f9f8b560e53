"""What this host lacks for a bench, and the command that fixes it: facts -> findings.

`read.py` reads, the checks decide: a check is a function of `HostFacts` and can be tried on a made-up host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from harness.catalog.rows import Image
from harness.doctor import driver, engines, gpus, kernel_log, parameters, settings, supplies
from harness.doctor.facts import HostFacts, ImageFacts, User
from harness.doctor.finding import Finding
from harness.secrets import without_home

if TYPE_CHECKING:
    from harness.doctor.report import HostReport
    from harness.records.launch import Launch

Check = Callable[[HostFacts], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    engines.check_container,
    engines.check_engines,
    engines.check_runtime,
    engines.check_memory_limits,
    engines.check_subordinate_ids,
    engines.check_session,
    gpus.check_gpus,
    gpus.check_amd_nodes,
    gpus.check_groups,
    gpus.check_nvidia,
    gpus.check_amd_cdi,
    driver.check_kernel,
    driver.check_firmware,
    driver.check_module,
    parameters.check_parameters,
    kernel_log.check_kernel_log,
    kernel_log.check_hangs,
    settings.check_gpu_memory,
    settings.check_selinux,
    settings.check_iommu,
    settings.check_power,
    supplies.check_room,
    supplies.check_disks,
    supplies.check_models,
    supplies.check_images,
)


def examine(facts: HostFacts) -> tuple[Finding, ...]:
    """All findings, in the order of the checks, with ``~`` for the home folder: they get pasted into public places."""
    found = (finding for check in CHECKS for finding in check(facts))
    return tuple(msgspec.structs.replace(each, found=without_home(each.found)) for each in found)


def this_host(images: Iterable[Image]) -> HostFacts:
    """The facts of this machine."""
    from harness.doctor.read import read_facts
    from harness.engines.about import ask_engines
    from harness.engines.devices import obstacles_to
    from harness.engines.kernel_journal import read_kernel_journal
    from harness.images.build_needs import need_of
    from harness.inputs.embedded import EMBEDDED, embedded_folder
    from harness.inputs.models import GATED
    from harness.machine.kernel_log import KernelLog

    images = tuple(images)
    obstacles = obstacles_to(images)
    return read_facts(
        engines=ask_engines(os.environ),
        images=tuple(
            ImageFacts(
                name=image.name,
                family=image.family,
                needs_engine=image.engine != "local",
                need=need_of(image) if image.reference is None else None,
                is_recommended=image.order is not None,
                obstacles=obstacles[image.name],
                todo=image.todo,
            )
            for image in images
        ),
        gated=[name for names in GATED.values() for name in names],
        embedded=[embedded_folder() / file.name for file in EMBEDDED],
        environment=os.environ,
        kernel_log=KernelLog(read_kernel_journal).since_boot,
        user=User(id=os.getuid(), name=_user_name(), groups=tuple(os.getgroups())),
    )


def report_on(facts: HostFacts, launches: tuple[Launch, ...]) -> HostReport:
    """What may be told about this machine in public. Takes some seconds: counters are read twice."""
    import platform
    from pathlib import Path

    from harness import __version__
    from harness.catalog.load import shipped_catalog
    from harness.doctor.answers import Known, read_unknowns
    from harness.doctor.private import Private
    from harness.doctor.report import make_report
    from harness.doctor.throttle import read_throttle_counters
    from harness.machine.host import describe_host
    from harness.machine.installed_packages import installed_versions

    shipped, host = shipped_catalog(), describe_host()
    counters = read_throttle_counters(Path("/"))
    folders = (os.path.expanduser("~"), *(disk.path for disk in facts.disks))
    return make_report(
        facts,
        examine(facts),
        Known(host=host, launches=launches, ours=frozenset((*shipped.images, *shipped.variants)), counters=counters),
        unknowns=read_unknowns(shipped),
        packages=installed_versions(Path("/"), ("container-selinux",)) or {},
        private=Private(
            names=tuple(filter(None, (platform.node(), facts.user.name))),
            familiar=tuple(filter(None, (host.processor, host.distribution))),
            paths=folders,
        ),
        version=__version__,
    )


def _user_name() -> str | None:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return None
