"""`koc candidates`: a ranked list in the terminal, as CSV or as JSON."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.options import DEFAULT_HOME, Home, console
from serving.criteria import Criteria, RankBy

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def candidates(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    by: Annotated[RankBy, typer.Option(help="Rank by follow-ups expected, by their money, or by rising.")] = RankBy.SCORE,
    category: Annotated[str | None, typer.Option(help="Rank by the influence expected in this category.")] = None,
    max_churn: Annotated[float | None, typer.Option(min=0, max=1, help="Leave out likelier leavers.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only this lifecycle stage, such as active.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the list.")] = Format.TABLE,
    scores: Annotated[Path | None, typer.Option(help="Folder of batches; default: scores/ at home.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """The best candidates of the current scores, best first.

    Example: koc candidates --limit 50 --category beauty --format csv > list.csv
    """
    import pyarrow.csv

    from serving.candidates import candidates as select
    from serving.scores import ScoreStore

    listed = select(ScoreStore(scores or home / "scores"), Criteria(limit, by, category, max_churn, stage))
    if form is Format.CSV:
        pyarrow.csv.write_csv(listed, sys.stdout.buffer)
    elif form is Format.JSON:
        import json

        print(json.dumps(listed.to_pylist(), ensure_ascii=False, indent=1))
    else:
        show(listed)


def show(listed: "pa.Table") -> None:
    """Print a list for people."""
    grid = Table(Column("rank", justify="right"), "user", Column("expected follow-ups", justify="right"),
                 Column("churn", justify="right"), "stage", Column("why", overflow="fold"))  # fmt: skip
    for row in listed.to_pylist():
        churn = row.get("churn_probability")
        grid.add_row(
            str(row["rank"]), escape(row["user_id"]), f"{row.get('category_score', row['koc_score']):.2f}",
            "-" if churn is None else f"{churn:.0%}", row["stage"], escape(row["reason"] or "beyond the explained top"),
        )  # fmt: skip
    console.print(grid)
