"""One launch for a person."""

from __future__ import annotations

import shlex

from harness.analysis.image_variables import not_of_plan, text_of
from harness.analysis.numeric_fingerprints import fingerprint_of
from harness.analysis.stopping import rule_text, stop_text
from harness.analysis.throttling import signs_of_throttling
from harness.records.launch import Launch
from harness.text import counted, spelled_out
from harness.workloads.workload import workload_of
from reports.sections.agreement import compared_figure_span
from reports.sections.failures import chain_text
from reports.sections.repeats import cool_down_text
from reports.sections.results import figure_span
from reports.values import format_cosine, format_seconds


def print_launch(launch: Launch) -> None:
    """One launch for a person."""
    verdict, plan, workload = launch.verdict, launch.plan, workload_of(launch.plan)
    remark = workload.remark(plan.workload)
    lines = {
        "launch": launch.id,
        "cell": plan.cell,
        "when": plan.planned_at,
        "engine": f"{plan.engine.name} {plan.engine.version or ''}{' rootless' if plan.engine.rootless else ''}",
        "image id": plan.image.id or "-",
        "torch": launch.torch_version or "-",
        "verdict": f"{verdict.status}{f': {verdict.cause}' if verdict.cause else ''} in {verdict.stage} {verdict.summary}",
        "import": format_seconds(launch.import_seconds),
        "load": format_seconds(launch.load_seconds),
        "cold": ", ".join(map(format_seconds, launch.pass_seconds("cold"))) or "-",
        "warm": ", ".join(map(format_seconds, launch.pass_seconds("warm"))) or "-",
        **{figure.name: remark or figure_span(figure).text for figure in workload.figures_of(launch)},
        "command": shlex.join(plan.command) or "-",
    }
    others = not_of_plan(launch)
    if others:
        lines["image ENV"] = spelled_out("; ".join(text_of(name, value) for name, value in others.items()))
    if launch.remarks:
        lines["remarks"] = spelled_out("; ".join(launch.remarks))
    if plan.device != "cpu" and verdict.status == "fail" and (launch.kernel_log or launch.kernel_log_refused):
        lines["kernel"] = launch.kernel_log.splitlines()[-1] if launch.kernel_log else f"not read: {launch.kernel_log_refused}"
    if plan.stopping is not None and launch.decision is not None:
        lines["launches"] = f"{rule_text(plan.stopping)}; {stop_text(plan.stopping, launch.decision) or 'go on'}"
    if plan.cool_down is not None:
        lines["cool-down"] = cool_down_text([plan.cool_down])
    if launch.agreement is not None:
        found = launch.agreement
        lines["agreement"] = "; ".join(found.reasons) or (f"not compared: {found.why_not}" if found.why_not else "agrees")
        figures = (f"{each.name} {compared_figure_span(each).text}" for each in workload.compared_figures_of([found]))
        told = ", ".join([*figures, f"cosine {format_cosine(found.cosine)}"])
        lines["agreement"] += f" ({told}; CPU run {found.reference or '-'})"
    fingerprint = fingerprint_of(launch)
    if fingerprint is not None:
        lines["numbers"] = (
            f"segmentation {fingerprint.segmentation.short}, embedding {fingerprint.embedding.short} on {fingerprint.device}"
            f"{f', {fingerprint.cpu_capability}' if fingerprint.cpu_capability else ''}"
        )
    if launch.telemetry is not None:
        sampled = launch.telemetry
        lines["sampled"] = (
            f"{counted(len(sampled.times), 'time')}, {counted(len(sampled.series), 'meter')}; {len(sampled.unavailable)} unavailable"
        )
        lines["marks"] = "; ".join(signs_of_throttling(launch)) or "-"
    for name, value in lines.items():
        print(f"{name:<9} {spelled_out(value)}")
    if launch.chain:
        print(chain_text(launch))
