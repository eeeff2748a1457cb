"""`copydetect dlq`: what can never succeed, and how it gets another chance."""

import typer

from services.cli.dlq.listing import list_letters
from services.cli.dlq.replay import replay
from services.cli.dlq.show import show

app = typer.Typer(help="List, show and replay dead letters.", no_args_is_help=True, rich_markup_mode=None)
app.command("list")(list_letters)
app.command("show")(show)
app.command("replay")(replay)
