"""What is known about one failure, as lines for a person. All of it may come out of a container, so it is escaped."""

from __future__ import annotations

import textwrap

from harness.failures.recognise import Match
from harness.failures.signature import Signature
from harness.text import printable
from harness.verdict.explain import Explanation

MOST_MESSAGE_CHARACTERS = 400

_FOUND_IN = {
    "exception": "in the exception",
    "log": "in the log, not in an exception",
    "kernel": "in the kernel's log",
    "exit code": "by the exit code and by what was under way, without a word of evidence",
}


def explanation_lines(explanation: Explanation, *, width: int | None = None) -> list[str]:
    """Lines that say what was recognised, or that nothing was and how to change that; wrapped to a terminal's ``width`` of columns."""
    lines: list[tuple[str, str]] = []
    root, match = explanation.root, explanation.match
    if not explanation.failed and not explanation.stage:
        lines.append(("failure", "none: this text holds warnings alone, and nothing in it failed"))
    elif not explanation.failed:
        lines.append(("failure", f"none: this launch came to its end in {explanation.stage}"))
        lines.append(("verdict", explanation.verdict))
    elif match is not None:
        lines += _known(match)
    else:
        lines.append(("known as", "nothing known fits"))
    if explanation.failed and explanation.stage:
        lines.append(("failed in", explanation.stage))
    if root is not None:
        message = " ".join(root.message.split())
        shown = message if len(message) <= MOST_MESSAGE_CHARACTERS else f"{message[: MOST_MESSAGE_CHARACTERS - 3]}..."
        lines.append(("root", f"{root.type}: {shown}" if shown else root.type))
        if explanation.deepest:
            lines.append(("raised at", explanation.deepest))
        if len(explanation.chain) > 1:
            lines.append(("chain", " <- ".join(link.type for link in explanation.chain)))
    if explanation.also is not None:
        lines.append(("survived", f"{explanation.also.id}: {explanation.also.explanation}; the exception came after it"))
    if explanation.failed and explanation.told:
        lines.append(("text says", "; ".join(explanation.told)))
    lines += _warnings(explanation)
    if explanation.kernel_log_refused:
        said = f"not read ({explanation.kernel_log_refused}): `sudo dmesg` may say more"
        lines.append(("kernel log", said))
    if explanation.failed and match is None:
        lines.append(("look at", "`strixbench doctor` checks this host, `strixbench probe IMAGE` tries an image step by step"))
        lines.append(("report it", "to strixbench's issues: this text whole, and what `strixbench doctor --report` prints"))
    shown_lines = [f"{name:<10} {printable(text)}" for name, text in lines]
    return shown_lines if width is None else [part for line in shown_lines for part in _wrapped(line, width)]


def _wrapped(line: str, width: int) -> list[str]:
    """A line in parts that begin below its text. A word such as an address stays whole: it is there to be copied."""
    return textwrap.wrap(
        line,
        max(width, 40),
        subsequent_indent=" " * 11,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )


def _warnings(explanation: Explanation) -> list[tuple[str, str]]:
    """Known warnings with what they mean; of a text that has no failure the others too."""
    lines = [("warning", f"{each.id}: {each.explanation}; {each.fix}") for each in explanation.warnings]
    if not explanation.failed:
        lines += [("warning", f"not known: {line[:MOST_MESSAGE_CHARACTERS]}") for line in explanation.unnamed]
    return lines


def _known(match: Match) -> list[tuple[str, str]]:
    signature = match.signature
    return [
        ("known as", f"{signature.id} (found {_FOUND_IN[match.found_in]})"),
        ("step", signature.step),
        ("cause", signature.cause),
        ("means", signature.explanation),
        ("affected", signature.affected or "any version"),
        ("fix", signature.fix),
        *([("works with", f"{signature.workaround}, which strixbench can apply by itself")] if signature.workaround else []),
        ("source", signature.source),
        ("reproduced", "yes, the real exception was produced by a test" if signature.reproduced else "no"),
    ]


def explanation_data(explanation: Explanation) -> dict[str, object]:
    """The same for `--json`."""
    match, root = explanation.match, explanation.root
    return {
        "failed": explanation.failed,
        "stage": explanation.stage,
        "signature": None if match is None else {**_fields(match.signature), "found_in": match.found_in},
        "root": None if root is None else {"type": root.type, "message": root.message, "where": root.where},
        "raised_at": explanation.deepest,
        "chain": [{"type": link.type, "message": link.message, "where": link.where} for link in explanation.chain],
        "warnings": [_fields(each) for each in explanation.warnings],
        "told": list(explanation.told),
    }


def _fields(signature: Signature) -> dict[str, object]:
    names = ("id", "step", "cause", "explanation", "affected", "fix", "workaround", "source", "reproduced")
    return {name: getattr(signature, name) for name in names}
