"""`koc candidates`: a ranked list in the terminal, as CSV or as JSON."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.options import DEFAULT_HOME, Home, console
from serving.criteria import Criteria, RankBy

if TYPE_CHECKING:
    import pyarrow as pa

    from serving.evidence import Evidence

Rows = list[dict[str, Any]]


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
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Show who followed, to what, when, and what to hand on.")
    ] = False,
    scores: Annotated[Path | None, typer.Option(help="Folder of batches; default: scores/ at home.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """The best candidates of the current scores, best first.

    Example: koc candidates --limit 50 --category beauty --format csv > list.csv
    """
    import pyarrow.csv

    from features.errors import ScoresError
    from serving.candidates import candidates as select
    from serving.scores import ScoreStore

    if evidence and form is Format.CSV:
        raise ScoresError("--evidence has several rows for a candidate, and a line of CSV holds one; use --format json")
    store = ScoreStore(scores or home / "scores")
    listed = select(store, Criteria(limit, by, category, max_churn, stage))
    shown = store.evidence().of(listed["user_id"].combine_chunks()) if evidence else None
    if form is Format.CSV:
        pyarrow.csv.write_csv(listed, sys.stdout.buffer)
    elif form is Format.JSON:
        import json

        rows = listed.to_pylist()
        if shown:
            beside = by_user(shown)
            for row in rows:
                row["follow_ups"], row["next_items"] = beside.get(row["user_id"], ([], []))
        print(json.dumps(rows, ensure_ascii=False, indent=1, default=lambda moment: moment.isoformat()))
    else:
        show(listed, shown)


def show(listed: "pa.Table", evidence: "Evidence | None" = None) -> None:
    """Print a list for people; with ``evidence``, under each reason who followed, to what, when, and what to hand on."""
    grid = Table(Column("rank", justify="right"), "user", Column("expected follow-ups", justify="right"),
                 Column("churn", justify="right"), "stage", Column("why", overflow="fold"))  # fmt: skip
    beside = by_user(evidence) if evidence else {}
    for row in listed.to_pylist():
        churn = row.get("churn_probability")
        why = [row["reason"] or "beyond the explained top"]
        followed, handed = beside.get(row["user_id"], ([], []))
        why += [f"{f['happened_at']:%Y-%m-%d} {f['influenced_id']} followed to {item(f)}: {f['evidence']}" for f in followed]
        why += [f"hand on {item(option)}: {option['because']}" for option in handed]
        grid.add_row(
            str(row["rank"]), escape(row["user_id"]), f"{row.get('category_score', row['koc_score']):.2f}",
            "-" if churn is None else f"{churn:.0%}", row["stage"], escape("\n".join(why)),
        )  # fmt: skip
    console.print(grid)


def by_user(evidence: "Evidence") -> dict[str, tuple[Rows, Rows]]:
    """User -> rows of who followed, and of what to hand on."""
    found: dict[str, tuple[Rows, Rows]] = {}
    for place, rows in enumerate((evidence.follow_ups, evidence.next_items)):
        for row in rows.to_pylist():
            found.setdefault(row.pop("user_id"), ([], []))[place].append(row)
    return found


def item(row: Mapping[str, Any]) -> str:
    """The item and its category, as far as they are known."""
    named = row["item_id"] or "no item"
    return f"{named} ({row['category']})" if row["category"] else named
