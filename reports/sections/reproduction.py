"""The commands that run each row again."""

from __future__ import annotations

import re
import shlex

from harness.analysis.rows import Row
from harness.records.plan import DEFAULT_WARM_PASSES
from harness.text import spelled_out
from harness.workloads.workload import workload_of
from reports.page import Page
from reports.table import Listing, Section, paragraph, prose

_WHAT = (
    "`strixbench bench IMAGE --dry-run` prints the engine's own command line (a FILE- stands for a recording with that SHA-256), and "
    "`strixbench show LAUNCH` a launch as it was recorded."
)


def section(page: Page) -> Section | None:
    lines = "\n".join(map(reproduction, page.rows_by_name))
    return Section("How to reproduce", (Listing(lines, "sh"), paragraph(prose(_WHAT)))) if lines else None


def reproduction(row: Row) -> str:
    """The command that runs a row again; a user's own recording is named by its hash."""
    plan = row.speaking.plan
    options: list[str] = []
    if plan.warm_passes != DEFAULT_WARM_PASSES:
        options += ["--passes", str(plan.warm_passes)]
    options += [word for fix in plan.fixes for word in ("--fix", fix)]
    options += [word for name, value in plan.knobs.items() for word in ("--set", f"{name}={value}")]
    if plan.memory_limit_bytes is not None:
        options += ["--memory", str(plan.memory_limit_bytes)]
    options += workload_of(plan).arguments(plan.workload)
    options += ["--flags", plan.flags] if plan.flags not in ("", "least") else []
    options += ["--caches", "keep"] if any(launch.plan.caches == "keep" for launch in row.launches) else []
    options += ["--gpu", plan.gpu] if plan.gpu is not None else []
    words = [f"IMAGE={shlex.quote(_one_line(row.image))}", f"ENGINE={shlex.quote(plan.engine.name)}"]
    words += [f"ARGS={shlex.quote(' '.join(options))}"] if options else []
    # A quoted newline would end its line, and a fence could follow it.
    return spelled_out(f"make bench {' '.join(words)}  # {_one_line(plan.cell)}")


def _one_line(value: object) -> str:
    """Text that stays on its line of a fenced block and opens no other block."""
    return re.sub(r"[\s`]+", " ", str(value)).strip()
