"""The `copydetect` command: one module a subcommand, errors of use in one line and exit code 2."""

import sys
from collections.abc import Sequence

import typer

from services.cli import alerts, compare, demo, doctor, publish, scan, schemas, serve, topics
from services.cli.console import INTERRUPTED, error_console
from services.cli.model import app as model
from services.contracts.errors import CopydetectError
from services.runtime import log
from services.runtime.retry import Stopped
from tca_model.errors import BundleError

app = typer.Typer(
    name="copydetect",
    help="Finds re-uploads, edited copies and clips cut out of longer videos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("scan")(scan.scan)
app.command("compare")(compare.compare)
app.command("demo")(demo.demo)
app.command("ingest")(serve.ingest)
app.command("matcher")(serve.matcher)
app.command("publish")(publish.publish)
app.command("alerts")(alerts.alerts)
app.command("topics")(topics.topics)
app.command("doctor")(doctor.doctor)
app.command("schemas")(schemas.schemas)
app.add_typer(model.app, name="model")

_REPEATABLE = "--references"
_TAKE_A_VALUE = frozenset({_REPEATABLE, "--db", "--output", "--report", "--bundle", "--threshold"})


def main() -> None:
    """Run the command; what the user can mend is told in one line."""
    log.configure_for_commands()
    try:
        app(args=repeat_references(sys.argv[1:]))
    except Stopped:
        sys.exit(0)  # a service that was told to before it had begun
    except (CopydetectError, BundleError) as error:
        error_console.print(f"error: {error}", style="red", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def repeat_references(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--references A B` written as click wants it, `--references A --references B`.

    Only where a query came before: in `scan --references A B`, B is the query.
    """
    expanded: list[str] = []
    has_query = collecting = False
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument.startswith("-"):
            collecting = argument == _REPEATABLE and has_query
        elif before not in _TAKE_A_VALUE:
            if collecting:
                expanded.append(_REPEATABLE)
            has_query = has_query or before != ""  # the first word is the subcommand
        expanded.append(argument)
    return expanded


if __name__ == "__main__":
    main()
