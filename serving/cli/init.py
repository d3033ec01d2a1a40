"""`koc init`: a newcomer's files in, a commented dataset.toml out, with every guess shown."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table


def init(
    files: Annotated[list[Path], typer.Argument(help="Your exports: .csv, .xlsx, .parquet, or folders of Parquet files.")],
    out: Annotated[Path, typer.Option(help="The dataset file to write.")] = Path("dataset.toml"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; mark unsure guesses with `# check:`.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the dataset file if it exists.")] = False,
) -> None:
    """Draft a dataset.toml from your own files: guess tables and columns, ask about what is unsure.

    Example: koc init orders.csv customers.xlsx --out dataset.toml
    """
    from features.dataset import read_dataset
    from features.draft.draft import draft_dataset
    from features.draft.parts import Draft, Question
    from features.draft.text import dataset_text
    from features.errors import DatasetError

    console = Console()

    def ask(question: Question) -> str:
        console.print(
            f"\n[bold]{escape(question.text)}[/bold]\n  guess: {escape(question.default)} ({escape(question.reason)})"
        )
        for number, choice in enumerate(question.choices, start=1):
            console.print(f"  {number}. {escape(choice)}")
        while True:
            answer = str(typer.prompt("Number or name", default=question.default)).strip()
            if answer.isdigit() and answer not in question.choices and 1 <= int(answer) <= len(question.choices):
                return question.choices[int(answer) - 1]
            if answer in question.choices or question.open:
                return answer
            console.print(f"  {escape(answer)} is none of the choices; give a number from 1 to {len(question.choices)}")

    def show(draft: Draft) -> None:
        table = Table("file", "ours", "theirs", "sure", Column("because", overflow="fold"), title="What was guessed")
        before = ""
        for place, ours, guess in draft.guesses():
            colour = "green" if guess.sure else "yellow"
            table.add_row(
                "" if place == before else escape(place),
                escape(ours),
                "" if guess.value == ours else escape(guess.value),
                f"[{colour}]{guess.confidence:.0%}[/{colour}]",
                escape(guess.reason),
            )
            before = place
        console.print(table)
        for left in draft.left_out:
            what = f"{left.source.label}: {left.header}" if left.header else left.source.label
            console.print(f"Not used: {escape(what)}, {escape(left.why)}")
        for note in draft.notes:
            console.print(f"[yellow]Note:[/yellow] {escape(note)}")

    if out.exists() and not force:
        raise DatasetError(f"{out} exists already; give another --out, or --force to overwrite it")
    draft = draft_dataset(files, None if yes else ask, Console(stderr=True, style="dim").print)
    show(draft)
    text = dataset_text(draft, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}.new")
    fresh.write_text(text, encoding="utf-8")
    try:
        read_dataset(fresh)
    except DatasetError:
        fresh.unlink()
        raise
    fresh.replace(out)
    unsure = sum(not guess.sure for *_, guess in draft.guesses())
    if unsure:
        console.print(f"{unsure} guesses are marked `# check:` in {out}; read them before you go on.", markup=False)
    console.print(f"Wrote {out}. Next: koc validate --dataset {out}", markup=False, soft_wrap=True)
