import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.busy import busy_rows
from tests.command import koc
from training.replay import NOT_CAUSAL

DATASET = """
name = "shop"
currency = "EUR"
[time]
horizon = "10d"
window = "5d"
test_dates = [2024-02-20, 2024-03-01]
[tables.orders]
source = "orders.csv"
[tables.ties]
source = "ties.csv"
[tables.identities]
source = "identities.csv"
"""


def write_rows(path: Path, rows: list[Mapping[str, Any]]) -> None:
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rows = busy_rows()
    for table in ("orders", "ties"):
        write_rows(folder / f"{table}.csv", rows[table])
    same = [{"user_id": user, "kind": "phone", "value": "1"} for user in ("u01", "wx1")]
    write_rows(folder / "identities.csv", same)
    (folder / "dataset.toml").write_text(DATASET)
    book = openpyxl.Workbook()
    for row in [("nr", "会员"), *enumerate(["u00", "u01", "wx1", "u02", "u03", "u00", "stranger"]), (7, None)]:
        book.active.append(row)
    book.save(folder / "mine.xlsx")
    return folder


def test_a_list_is_held_against_score_and_chance(shop: Path, tmp_path: Path) -> None:
    file, plot = tmp_path / "new" / "replay.json", tmp_path / "plots" / "replay.png"
    arguments = ("--dataset", shop / "dataset.toml", "--list", shop / "mine.xlsx", "--seed", 3, "--json", file)
    ran = koc("replay", *arguments, "--plot", plot, columns=100)
    assert ran.status == 0, ran.err
    said = " ".join(ran.out.split())
    # Every row of the list is accounted for.
    assert (
        "mine.xlsx: column '会员' (83% of its ids are known users), 8 rows (1 under another account of a person): 4 people "
        "known by the date, 1 unknown by then and left out of the comparison, such as stranger, 2 more of people named "
        "already, 1 without an id" in said
    )
    assert "As of 2024-03-01, the last test date; name the day of the list with --as-of if it was another" in said
    assert "of the 4 are among the best 4 of" in said
    assert "What followed until 2024-03-11, per contact" in said
    assert all(name in said for name in ("list - score", "list - random", "score - random", "EUR credited"))
    assert "Few people moved anybody (list, score" in said
    assert said.endswith(NOT_CAUSAL)
    # What is done, then one line for each date.
    assert ran.err.splitlines()[:2] == ["reading shop", "replay"]
    entry = json.loads(file.read_text(encoding="utf-8"))
    assert {key: entry[key] for key in ("dataset", "as_of", "until", "column", "currency", "seed", "not_causal")} == {
        "dataset": "shop",
        "as_of": "2024-03-01",
        "until": "2024-03-11",
        "column": "会员",
        "currency": "EUR",
        "seed": 3,
        "not_causal": NOT_CAUSAL,
    }
    counts = [entry[key] for key in ("rows", "people", "repeated", "merged", "unknown", "empty")]
    assert counts == [8, 4, 2, 1, ["stranger"], 1]
    assert {(e["group"], e.get("minus")) for e in entry["estimates"]} == {
        *((group, None) for group in ("list", "score", "random")),
        *(("list", minus) for minus in ("score", "random")),
        ("score", "random"),
    }
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_day_and_the_column_of_the_list_can_be_named(shop: Path) -> None:
    arguments = ("--list", shop / "mine.xlsx", "--column", "会员", "--as-of", "2024-02-25")
    ran = koc("replay", "--dataset", shop / "dataset.toml", *arguments)
    assert ran.status == 0, ran.err
    assert "column '会员' (as asked for)" in ran.out
    assert "As of 2024-02-25\n" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--list", "none.csv"), "error no list at none.csv; name the file of the people with --list"),
        (("--list", "mine.xlsx", "--column", "id"), "error mine.xlsx has no column 'id'; its columns are nr, 会员"),
        (("--list", "mine.xlsx", "--column", "nr"), "error none of the 8 ids in 'nr' of mine.xlsx, such as '0', is a user"),
        (("--list", "mine.xlsx", "--as-of", "May"), "error --as-of 'May' is not a date; write it as 2024-05-31"),
        (("--list", "mine.xlsx", "--as-of", "2024-03-20"), "error the label window of 2024-03-20 00:00 ends 2024-03-30"),
    ],
)
def test_what_cannot_be_replayed_is_refused_before_anything_is_fitted(
    shop: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setattr("training.replay.scores_at", lambda *_: pytest.fail("fitted before the check"))
    ran = koc("replay", *arguments)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith(message)
