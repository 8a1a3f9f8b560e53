"""What `doctor` found, for a person."""

from __future__ import annotations

from collections.abc import Sequence

from harness.doctor.finding import Finding
from harness.text import spelled_out


def print_findings(findings: Sequence[Finding]) -> None:
    """What `doctor` found, by subject, to stdout. A finding that is ok takes one line."""
    subject = None
    for finding in findings:
        if finding.subject != subject:
            print(f"{'' if subject is None else chr(10)}{finding.subject}")
            subject = finding.subject
        print(f"  {finding.status:<8} {spelled_out(finding.found)}")
        if finding.status == "ok":
            continue
        for name, text in (("why", finding.why), ("fix", finding.fix), ("see", finding.source)):
            if text:
                print(f"           {name}: {spelled_out(text)}")
    counts = {status: sum(finding.status == status for finding in findings) for status in _COUNTED}
    said = ", ".join(f"{count} {status if count == 1 else _COUNTED[status]}" for status, count in counts.items() if count)
    print(f"\n{said or 'all well'}")


_COUNTED = {"problem": "problems", "warning": "warnings", "unknown": "unknown", "note": "notes"}
