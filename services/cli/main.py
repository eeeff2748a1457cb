"""The `copydetect` command: one module per subcommand; errors in one line."""

import logging
import os
import sys
from typing import Annotated

import typer

from services.cli import alerts, compare, demo, doctor, publish, remove, scan, schemas, serve, topics
from services.cli.console import INTERRUPTED, console, error_console
from services.cli.distribution import find_version
from services.cli.dlq import app as dlq
from services.cli.errors import exit_code
from services.cli.model import app as model
from services.cli.references import ReferencesCommand
from services.contracts.errors import CopydetectError
from services.runtime import log
from services.runtime.retry import Stopped
from tca_model.errors import BundleError

app = typer.Typer(
    name="copydetect",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxes leave too little room at 80 columns, and show the type of every flag
)
app.command("scan", cls=ReferencesCommand)(scan.scan)
app.command("compare")(compare.compare)
app.command("demo")(demo.demo)
app.command("ingest")(serve.ingest)
app.command("matcher")(serve.matcher)
app.command("alerter")(serve.alerter)
app.command("publish")(publish.publish)
app.command("remove")(remove.remove)
app.command("alerts")(alerts.alerts)
app.add_typer(dlq.app, name="dlq")
app.command("topics")(topics.topics)
app.command("doctor")(doctor.doctor)
app.command("schemas")(schemas.schemas)
app.add_typer(model.app, name="model")


def print_version(is_wanted: bool) -> None:
    """Print the version and end, if the user asked for it."""
    if is_wanted:
        console.print(f"copydetect {find_version()}")
        raise typer.Exit


# Commands that run the pipelines in this process. They report problems with files in tables of their own.
EMBEDDED = {"scan", "compare", "demo", "model"}


@app.callback()
def copydetect(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  # its callback acts
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find re-uploads, edited copies and clips cut out of longer videos.

    Exit codes: 0 for success, 1 for a failure (an unreachable server, a broken file) or for problems found, as
    each command describes; 2 for wrong usage (arguments or COPYDETECT_* settings); 130 after Ctrl-C.
    """
    if context.invoked_subcommand in EMBEDDED:
        log.configure_for_commands(logging.ERROR)


def main() -> None:
    """Run the command. Print errors that the user can act on in one line."""
    configure_logging()
    try:
        app()
    except Stopped:
        sys.exit(0)  # a service that was stopped before it was ready
    except (CopydetectError, BundleError) as error:
        error_console.print(f"error: {error}", style="red", soft_wrap=True)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def configure_logging() -> None:
    """Keep standard error for progress and problems, before a client library is imported."""
    log.configure_for_commands()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC logs every GOAWAY of Milvus Lite
    for name, level in log.CHATTY.items():
        logging.getLogger(name).setLevel(level)


if __name__ == "__main__":
    main()
