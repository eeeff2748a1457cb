"""`copydetect dlq list`: prints the dead letters, and sums them up."""

from collections import Counter
from typing import Annotated

import typer

from services.cli.console import console, error_console
from services.cli.dlq.letters import Filters, open_bus, read_letters
from services.cli.dlq.lines import kind_of, summarize, to_json, to_line
from services.cli.dlq.options import (
    AssetOption,
    ReasonOption,
    SinceOption,
    StageOption,
    TenantOption,
    TopicOption,
    dead_letter_topics,
)


def list_letters(
    topic: TopicOption = None,
    stage: StageOption = None,
    reason: ReasonOption = None,
    asset: AssetOption = None,
    tenant: TenantOption = None,
    since: SinceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line")] = False,
) -> None:
    """List dead letters.

    One line each: the topic, partition/offset in it, when it was written, the stage that failed, tenant/asset and the
    reason. At the end, how many there are by stage and kind of reason; in a pipe and with --json this goes to standard
    error. Credentials in addresses are not shown.

    Exit code 0; 1 if Kafka does not answer; 2 for wrong usage.
    """
    filters = Filters(stage=stage, reason=reason, asset=asset, tenant=tenant, since=since)
    kinds: Counter[tuple[str, str]] = Counter()
    for letter in read_letters(open_bus(), dead_letter_topics(topic)):
        if filters.match(letter):
            kinds[kind_of(letter)] += 1
            console.print(to_json(letter) if as_json else to_line(letter), soft_wrap=True)
    summary = console if console.is_terminal and not as_json else error_console
    if kinds:
        for line in summarize(kinds):
            summary.print(line, soft_wrap=True)
    else:
        wanted = " match" if filters.are_set else ""
        summary.print(f"no dead letters{wanted} in {', '.join(dead_letter_topics(topic))}", soft_wrap=True)
