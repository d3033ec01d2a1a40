import csv
import io
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from serving.scores import ScoreStore
from tests.command import koc
from tests.conftest import Scored

KOC = Path(sys.executable).parent / "koc"


def test_the_table_shows_rank_score_and_reason(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--limit", 3)
    assert (ran.status, ran.err) == (0, "")
    best = scored.store.users().slice(0, 3).to_pylist()
    for row in best:
        assert row["user_id"] in ran.out
        assert f"{row['koc_score']:.2f}" in ran.out
    assert best[0]["reason"].split(";")[0] in " ".join(ran.out.split())
    assert scored.store.users()["user_id"][3].as_py() not in ran.out


def test_csv_is_clean_for_a_file(scored: Scored, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    with file.open("wb") as out:
        command = [KOC, "candidates", "--home", scored.home, "--limit", "5", "--format", "csv"]
        ran = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=True)
    assert ran.stderr == b""
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    best = scored.store.users().slice(0, 5).to_pylist()
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in best]
    assert [float(row["koc_score"]) for row in rows] == [row["koc_score"] for row in best]
    assert [row["reason"] for row in rows] == [row["reason"] for row in best]


def test_json_parses_to_the_same_rows(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--limit", 4, "--format", "json")
    rows = json.loads(ran.out)
    assert [{**row, "rank": None} for row in rows] == [
        {"rank": None, **row} for row in scored.store.users().slice(0, 4).to_pylist()
    ]


def test_filters_reach_the_list(scored: Scored) -> None:
    category = scored.store.categories()["category"][0].as_py()
    ran = koc("candidates", "--home", scored.home, "--category", category, "--stage", "active", "--max-churn", 0.3,
              "--limit", 1000, "--format", "json")  # fmt: skip
    rows = json.loads(ran.out)
    assert rows
    assert all(row["stage"] == "active" and row["churn_probability"] <= 0.3 for row in rows)
    assert [row["category_score"] for row in rows] == sorted((row["category_score"] for row in rows), reverse=True)
    users = scored.store.users().to_pylist()
    assert len(rows) == sum(row["stage"] == "active" and (row["churn_probability"] or 1) <= 0.3 for row in users)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--category", "nothing"), "error nobody moved anybody in category 'nothing'; choose from "),
        (("--stage", "nothing"), "error no user is in stage 'nothing'; choose from "),
    ],
)
def test_unknown_filters_list_what_is_known(scored: Scored, arguments: tuple[str, str], message: str) -> None:
    ran = koc("candidates", "--home", scored.home, *arguments)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(message)
    assert ran.err.count("\n") == 1


def test_without_scores_one_is_told_to_make_some(tmp_path: Path) -> None:
    ran = koc("candidates", "--home", tmp_path)
    assert ran.status == 1
    assert ran.err == f"error no scores in {tmp_path / 'scores'}; make some with `koc score --dataset dataset.toml`\n"


def test_names_in_any_script_and_with_marks_are_shown_as_they_are(tmp_path: Path) -> None:
    users = pa.table({"user_id": ["[b]王,芳"], "koc_score": [1.5], "churn_probability": pa.array([None], pa.float64()),
                      "stage": ["active"], "reason": pa.array([None], pa.string())})  # fmt: skip
    none = pa.table({"user_id": pa.array([], pa.string()), "category": pa.array([], pa.string()), "influence": [0.0][:0]})
    ScoreStore(tmp_path).write(users, none, dataset="shop", model="koc/1", as_of=datetime(2024, 6, 1))
    for form in ("table", "csv", "json"):
        assert "[b]王,芳" in koc("candidates", "--scores", tmp_path, "--format", form).out
    assert "beyond the explained top" in koc("candidates", "--scores", tmp_path).out
