"""`copydetect dlq replay`: publishes dead letters again to the topic they came from."""

import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from services.cli.console import INTERRUPTED, console, error_console, progress_bar
from services.cli.dlq.later import find_later
from services.cli.dlq.letters import Filters, LetterBus, open_bus, read_letters
from services.cli.dlq.lines import count_letters
from services.cli.dlq.options import (
    TOPICS,
    AssetOption,
    ReasonOption,
    SinceOption,
    StageOption,
    TenantOption,
    TopicOption,
    dead_letter_topics,
    parse_place,
    parse_rate,
)
from services.cli.dlq.plan import MAX_REPLAYS, Chosen, Plan, Refused, Wish, make_plan
from services.cli.dlq.sending import Pace, Sending
from services.cli.errors import FAILED
from services.contracts.dead_letters import Place
from services.contracts.errors import CopydetectError, UsageError


def replay(  # one parameter per option
    places: Annotated[
        list[Place] | None,
        typer.Argument(parser=parse_place, metavar="PARTITION/OFFSET", help="Only these, as `dlq list` says"),
    ] = None,
    topic: TopicOption = None,
    stage: StageOption = None,
    reason: ReasonOption = None,
    asset: AssetOption = None,
    tenant: TenantOption = None,
    since: SinceOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be replayed, and publish nothing")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal")] = False,
    rate: Annotated[
        float | None, typer.Option(parser=parse_rate, metavar="N/s", help="At most so many per second, such as 10/s")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N")] = None,
    max_replays: Annotated[
        int, typer.Option(min=1, metavar="N", help="Refuse a letter that was replayed N times or more")
    ] = MAX_REPLAYS,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replay also what was replayed too often, is outdated, or (named) failed again"),
    ] = False,
) -> None:
    """Publish dead letters again, to the topic they came from.

    Key, value and headers are those that came, byte for byte, with two more headers: dlq_replays, how often the record
    was replayed, and dlq_replay_of, from which letter. If it fails again, its next dead letter has them too. So a
    letter is refused after 3 replays, and one whose replay has failed gives way to its newer letter. Letters that were
    cut, and batches that could not be read, cannot be replayed.

    A replayed record counts as the newest of its asset. So a letter is refused if its topic holds a later upload, end
    or removal of the asset that the replay would undo; --force replays it nevertheless. Later records that retention
    has removed from the topic are not known.

    Letters stay where they are for a month, replayed or not: say which ones with the filters. Those that come while it
    runs are not replayed. PARTITION/OFFSET names letters of video-segments, or of --topic.

    Exit code 0; 1 if something could not be replayed or Kafka does not answer; 2 for wrong usage; 130 after Ctrl-C.
    """
    filters = Filters(stage=stage, reason=reason, asset=asset, tenant=tenant, since=since)
    if places and filters.are_set:
        raise UsageError("name letters by partition/offset or choose them by --stage, --reason and so on, not both")
    if not (dry_run or yes or is_interactive()):
        raise UsageError("nobody can be asked without a terminal: --yes replays without asking, --dry-run only prints")
    topics = dead_letter_topics(topic or (TOPICS[0] if places else None))
    wish = Wish(places=frozenset(places or ()), filters=filters, max_replays=max_replays, force=force, limit=limit)
    bus = open_bus()
    try:
        plan = make_plan(read_letters(bus, topics), topics, wish, partial(find_later, bus))
        report_plan(plan, dry_run=dry_run)
        if plan.chosen and not dry_run:
            if not (yes or confirm(plan.chosen)):
                error_console.print("nothing was replayed")
                raise typer.Exit(FAILED)
            plan.refused += send(bus, plan.chosen, rate)
    finally:
        bus.close()
    raise typer.Exit(FAILED if plan.refused else 0)


def is_interactive() -> bool:
    """Whether somebody can answer a question."""
    return sys.stdin.isatty()


def confirm(chosen: Sequence[Chosen]) -> bool:
    """Ask whether these are to be replayed. Ctrl-C ends the command, as always."""
    counts = Counter(one.target for one in chosen)
    where = " and ".join(f"{count_letters(count)} to {target}" for target, count in sorted(counts.items()))
    try:
        answer = error_console.input(f"Replay {where}? [y/N] ", markup=False, emoji=False)
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def report_plan(plan: Plan, *, dry_run: bool) -> None:
    """Print what was refused, and in a dry run what would be replayed."""
    if dry_run:
        for chosen in plan.chosen:
            console.print(chosen.line, soft_wrap=True)
        error_console.print(f"{count_letters(len(plan.chosen))} would be replayed")
    elif not plan.chosen:
        error_console.print("no dead letter to replay")
    _report_refused(plan.refused)
    if plan.outdated:
        error_console.print(
            f"{count_letters(plan.outdated)} left out: replayed before, and newer letters stand for them",
            soft_wrap=True,
        )
    if plan.beyond_limit:
        error_console.print(f"{count_letters(plan.beyond_limit)} left out by --limit")


def send(bus: LetterBus, chosen: Sequence[Chosen], rate: float | None) -> list[Refused]:
    """Publish the letters with a progress bar, and say how many were, whatever ends it. Returns what failed."""
    with progress_bar() as progress:
        task = progress.add_task("replaying", total=len(chosen), rate="")
        sending = Sending(bus, Pace(rate), on_step=lambda: progress.advance(task))
        try:
            sending.send(chosen)
        except (KeyboardInterrupt, CopydetectError) as error:
            progress.stop()
            is_unknown = sending.in_flight and not isinstance(error, UsageError)
            doubt = f"; {sending.in_flight} may have been, too" if is_unknown else ""
            word = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped"
            error_console.print(
                f"{word}: {sending.sent:,} of {count_letters(len(chosen))} replayed{doubt}", soft_wrap=True
            )
            if isinstance(error, KeyboardInterrupt):
                raise typer.Exit(INTERRUPTED) from None
            raise
    _report_refused(sending.failed)
    console.print(f"{sending.sent:,} of {count_letters(len(chosen))} replayed")
    return sending.failed


def _report_refused(refused: Sequence[Refused]) -> None:
    """Print each letter that cannot be replayed, and how many there are for each reason."""
    for one in refused:
        error_console.print(f"not replayed: {one.name} {one.why}", soft_wrap=True)
    if len(refused) > 1:
        error_console.print(f"{count_letters(len(refused))} cannot be replayed:")
        for why, count in Counter(one.why for one in refused).most_common():
            error_console.print(f"{count:7}  {why}", soft_wrap=True)
