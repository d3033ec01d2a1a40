"""The `koc` command: every subcommand by name, and errors in one line."""

import os
import sys

# Before numerical libraries start their threads: with active waiting two threads on a busy machine stall each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
from rich.markup import escape

from features.errors import KocError
from serving.cli.audit import audit
from serving.cli.backtest import backtest
from serving.cli.backup import backup
from serving.cli.batches import batches
from serving.cli.candidates import candidates
from serving.cli.card import card
from serving.cli.communities import communities
from serving.cli.demo import demo
from serving.cli.dictionary import dictionary
from serving.cli.init import init
from serving.cli.jobs import jobs
from serving.cli.keys import keys
from serving.cli.models import models
from serving.cli.monitor import monitor
from serving.cli.options import notes
from serving.cli.promote import promote, rollback
from serving.cli.replay import replay
from serving.cli.restore import restore
from serving.cli.score import score
from serving.cli.serve import serve
from serving.cli.simulate import simulate
from serving.cli.slices import slices
from serving.cli.train import train
from serving.cli.tune import tune
from serving.cli.validate import validate
from serving.cli.worker import worker

app = typer.Typer(
    name="koc",
    help="Find the customers whose sharing makes their friends buy (KOC).",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
COMMANDS = (
    *(init, validate, simulate, backtest, replay, tune, train, promote, rollback, score, candidates, card),
    *(communities, slices, monitor, dictionary, demo, serve, worker, audit, backup, restore),
)
for command in COMMANDS:
    app.command(command.__name__)(command)
app.add_typer(models)
app.add_typer(batches)
app.add_typer(keys)
app.add_typer(jobs)


def main() -> None:
    """Run the command; an error that a person can mend is printed without a traceback, with exit status 1."""
    try:
        app()
    except KocError as error:
        notes.print(f"[bold red]error[/bold red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
