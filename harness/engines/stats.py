"""The memory of a container in an engine's `stats`."""

from __future__ import annotations

from typing import Any

from harness.engines.discovery import EngineName


def stats_memory(found: Any, engine: EngineName) -> dict[str, int]:
    """The memory in an answer to `stats`; empty where it has none, as for a container that does not run.

    Docker's command line prints the usage less the page cache that is not in use: ``inactive_file`` with cgroup v2,
    ``total_inactive_file`` with v1 (https://docs.docker.com/reference/cli/docker/container/stats/). Podman's prints the usage.
    """
    memory = found.get("memory_stats") if isinstance(found, dict) else None
    usage = memory.get("usage") if isinstance(memory, dict) else None
    if type(usage) is not int or usage <= 0:
        return {}
    told = {"stats_usage_bytes": usage}
    parts = memory.get("stats") if isinstance(memory, dict) else None
    if engine == "docker" and isinstance(parts, dict):
        cache = parts.get("total_inactive_file", parts.get("inactive_file", 0))
        told["stats_shown_bytes"] = usage - cache if type(cache) is int and 0 <= cache <= usage else usage
    return told
