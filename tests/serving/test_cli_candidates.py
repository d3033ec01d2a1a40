import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from serving.access.principal import LOCAL
from serving.evidence import Evidence
from serving.outreach.people import People
from serving.outreach.suppressions import Cause, Suppressions
from serving.state.database import Database
from serving.store.schemas import TIES_SCHEMA
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.command import koc
from tests.conftest import Scored

KOC = Path(sys.executable).parent / "koc"


def test_the_table_shows_rank_score_and_reason(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--limit", 3)
    assert (ran.status, ran.err) == (0, "")
    best = scored.store.open().table().slice(0, 3).to_pylist()
    for row in best:
        assert row["user_id"] in ran.out
        assert f"{row['koc_score']:.2f}" in ran.out
    assert best[0]["reason"].split(";")[0] in " ".join(ran.out.split())
    assert scored.store.open().table()["user_id"][3].as_py() not in ran.out


def test_csv_is_clean_for_a_file(scored: Scored, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    with file.open("wb") as out:
        command = [KOC, "candidates", "--home", scored.home, "--limit", "5", "--format", "csv"]
        ran = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=True)
    assert ran.stderr == b""
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    best = scored.store.open().table().slice(0, 5).to_pylist()
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["user_id"] for row in rows] == [row["user_id"] for row in best]
    assert [float(row["koc_score"]) for row in rows] == [row["koc_score"] for row in best]
    assert [row["reason"] for row in rows] == [row["reason"] for row in best]
    assert [row["reason_zh"] for row in rows] == [row["reason_zh"] for row in best]
    next_items = best_items(scored)
    assert [row["next_item"] for row in rows] == [next_items.get(row["user_id"], "") for row in best]
    assert any(row["next_item"] for row in rows)


def test_json_parses_to_the_same_rows(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--limit", 4, "--format", "json")
    rows = json.loads(ran.out)
    best = scored.store.open().table().slice(0, 4).to_pylist()
    assert [{name: row[name] for name in best[0]} for row in rows] == best
    assert [row["next_item"] for row in rows] == [best_items(scored).get(row["user_id"]) for row in best]


def best_items(scored: Scored) -> dict[str, str]:
    """User -> the first item to hand on."""
    rows = scored.store.open().evidence().next_items.to_pylist()
    return {row["user_id"]: row["item_id"] for row in rows if row["place"] == 1}


def test_evidence_is_shown_under_each_candidate(tmp_path: Path) -> None:
    users = pa.table({"user_id": ["a", "b"], "koc_score": [2.0, 1.0], "stage": ["active"] * 2, "reason": ["why a", "why b"]})
    none = pa.table({"user_id": pa.array([], pa.string()), "category": pa.array([], pa.string()), "influence": [0.0][:0]})
    moment = pa.array([datetime(2024, 5, 1, 20), datetime(2024, 4, 1)], pa.timestamp("us")).cast(
        pa.timestamp("us", "Asia/Shanghai")
    )
    followed = pa.table({"user_id": ["a", "a"], "influenced_id": ["[c]", "d"], "item_id": ["x", None],
                         "category": ["tea", None], "happened_at": moment, "evidence": ["tie", "invitation"]})  # fmt: skip
    handed = pa.table({"user_id": ["b"], "place": [1], "item_id": ["y"], "category": ["toys"], "open_people": [3],
                       "because": ["bought lately"], "because_zh": ["近期买过"]})  # fmt: skip
    ties = pa.table({"user_id": ["[e]", "f", "g"], "influencer_id": ["b", "b", "c"], "expected_follow_ups": [0.1, 2.0, 1.0],
                     "strength": [1.0] * 3}, TIES_SCHEMA)  # fmt: skip
    ScoreStore(tmp_path).write(
        users, none, Evidence(followed, handed), ties, dataset="shop", model="koc/1", as_of=datetime(2024, 6, 1)
    )
    told = " ".join(koc("candidates", "--scores", tmp_path, "--evidence").out.replace("│", " ").split())
    # The date is that of the dataset's zone.
    assert "why a 2024-05-02 [c] followed to x (tea): tie 2024-04-01 d followed to no item: invitation" in told
    assert "why b likely to follow next: f (86%), [e] (10%) hand on y (toys): bought lately" in told
    rows = json.loads(koc("candidates", "--scores", tmp_path, "--evidence", "--format", "json").out)
    assert [row["influenced_id"] for row in rows[0]["follow_ups"]] == ["[c]", "d"]
    assert rows[0]["follow_ups"][0]["happened_at"] == "2024-05-02T04:00:00+08:00"
    assert (rows[0]["next_items"], rows[0]["next_item"], rows[0]["likely_followers"]) == ([], None, [])
    assert [row["user_id"] for row in rows[1]["likely_followers"]] == ["f", "[e]"]
    assert [row["item_id"] for row in rows[1]["next_items"]] == ["y"]
    assert (rows[1]["next_item"], rows[1]["next_item_because_zh"]) == ("y", "近期买过")
    assert "followed to" not in koc("candidates", "--scores", tmp_path).out


def test_evidence_of_the_market_lies_before_its_date(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--limit", 50, "--format", "json", "--evidence")
    rows = json.loads(ran.out)
    cited = [follow_up for row in rows for follow_up in row["follow_ups"]]
    assert len(cited) > 50
    as_of = datetime.fromisoformat(scored.manifest.as_of).replace(tzinfo=UTC)
    assert all(datetime.fromisoformat(follow_up["happened_at"]) < as_of for follow_up in cited)


def test_csv_has_no_room_for_evidence(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--evidence", "--format", "csv")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error --evidence has several rows for a candidate")


def test_who_may_not_be_contacted_is_on_no_list(scored: Scored, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'operations.db'}"
    database, first = Database(url), scored.store.open().table().slice(0, 4)["user_id"].to_pylist()
    Suppressions(database, People(Served(scored.store))).add(LOCAL, Cause.SUPPRESSED, [first[1]], "complaint")
    database.close()
    asked = ("candidates", "--home", scored.home, "--database-url", url, "--limit", 3, "--format", "json")
    assert [row["user_id"] for row in json.loads(koc(*asked).out)] == [first[0], *first[2:]]
    assert [row["user_id"] for row in json.loads(koc(*asked, "--barred").out)] == first[:3]


def test_filters_reach_the_list(scored: Scored) -> None:
    category = scored.store.open().categories()["category"][0].as_py()
    ran = koc("candidates", "--home", scored.home, "--category", category, "--stage", "active", "--max-churn", 0.3,
              "--limit", 1000, "--format", "json")  # fmt: skip
    rows = json.loads(ran.out)
    assert rows
    assert all(row["stage"] == "active" and row["churn_probability"] <= 0.3 for row in rows)
    assert [row["category_score"] for row in rows] == sorted((row["category_score"] for row in rows), reverse=True)
    users = scored.store.open().table().to_pylist()
    assert len(rows) == sum(row["stage"] == "active" and (row["churn_probability"] or 1) <= 0.3 for row in users)


def test_any_column_filters_the_list(scored: Scored) -> None:
    ran = koc("candidates", "--home", scored.home, "--where", "koc_percentile>=50", "--where", "koc_percentile<=90",
              "--where", "stage=active", "--where", "stage=dormant", "--limit", 10_000, "--format", "json")  # fmt: skip
    wanted = [row["user_id"] for row in scored.store.open().table().to_pylist()
              if 50 <= row["koc_percentile"] <= 90 and row["stage"] in ("active", "dormant")]  # fmt: skip
    assert [row["user_id"] for row in json.loads(ran.out)] == wanted
    assert len(wanted) > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--category", "nothing"), "error nobody moved anybody in category 'nothing'; choose from "),
        (("--where", "mood=x"), "error the current scores have no mood to filter by; choose from "),
        (("--where", "stage"), "error 'stage' is no filter; write it as attribute_region=Hangzhou, "),
        (("--stage", "nothing"), "error no user has stage 'nothing'; choose from "),
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
