"""The application that the verbs register with, and its help, with verbs and options in groups."""

from __future__ import annotations

from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from harness.commands import VERBS


class VerbGroup(TyperGroup):
    """The verbs; its help shows them in the groups of `VERBS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        _write_sections(
            formatter,
            {
                heading: [(verb, self.commands[verb].get_short_help_str(formatter.width)) for verb in verbs]
                for heading, verbs in VERBS.items()
            },
        )


class GroupedCommand(TyperCommand):
    """A command whose help shows its options under headings."""

    groups: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Heading -> options, in the order of the help. The last group also takes the options that no group names."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records: dict[str, tuple[str, str]] = {}
        arguments: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and parameter.param_type_name == "argument":
                arguments.append(record)
            elif record is not None:
                records[parameter.opts[-1]] = record
        sections = {heading: [records.pop(option) for option in options] for heading, options in self.groups.items()}
        sections[next(reversed(sections), "Options")] += records.values()
        _write_sections(formatter, {"Arguments": arguments, **sections})


def _write_sections(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    """Write sections whose second columns all begin in one place."""
    width = max(len(first) for rows in sections.values() for first, _ in rows)
    for heading, rows in sections.items():
        if rows:
            with formatter.section(heading):
                formatter.write_dl([(first.ljust(width), second) for first, second in rows])


app = typer.Typer(
    cls=VerbGroup,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help takes twice the time of everything else
    pretty_exceptions_enable=False,  # a bug's traceback, untouched
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which container image runs pyannote speaker diarization here, how fast, and is its output right?",
    epilog="Exit codes: 0 all passed; 1 a configuration failed, and it is on record; 2 wrong usage; 3 the environment; "
    "4 nothing measured; 130 interrupted.",
)
