import json
from pathlib import Path

from serving.store.score_store import ScoreStore
from tests.command import koc
from tests.serving.batches import write_users
from tests.serving.test_community_pages import ROWS, USERS, communities_table


def test_d67_leaderless_groups_are_shown_with_who_could_lead(tmp_path: Path) -> None:
    write_users(ScoreStore(tmp_path / "scores"), USERS, communities=communities_table(ROWS))
    ran = koc("communities", "--home", tmp_path)
    assert ran.status == 0
    assert ran.out.index("g1") < ran.out.index("g2") < ran.out.index("g3")
    alone = koc("communities", "--home", tmp_path, "--leaderless", "--format", "json")
    assert [(row["community_id"], row["candidate_id"]) for row in json.loads(alone.out)] == [("g1", "a")]
    shown = koc("communities", "--home", tmp_path, "--leaderless", columns=160).out
    (line,) = [line for line in shown.splitlines() if "g1" in line]
    assert line.replace("│", " ").split() == ["g1", "club", "event", "30", "900", "-", "20%", "-", "-", "nobody", "a"]


def test_sorting_and_pages(tmp_path: Path) -> None:
    write_users(ScoreStore(tmp_path / "scores"), USERS, communities=communities_table(ROWS))
    ran = koc("communities", "--home", tmp_path, "--by", "survival_90d", "--rising", "--limit", 2, "--format", "json")
    assert [row["community_id"] for row in json.loads(ran.out)] == ["g1", "g3"]
    assert "1 more" in koc("communities", "--home", tmp_path, "--limit", 2).err
    wrong = koc("communities", "--home", tmp_path, "--by", "beauty")
    assert wrong.status == 1
    assert "choose from value_per_head" in wrong.err
