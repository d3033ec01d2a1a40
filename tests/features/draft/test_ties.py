"""Kind and direction of ties, from headers, file names and mirrored pairs."""

from pathlib import Path

import pandas as pd
import pytest

from features.draft.guess import Guess
from features.draft.parts import Asker, TableDraft
from features.draft.seen import look
from features.draft.ties import settle_ties


def ties(path: Path, headers: tuple[str, str], pairs: list[tuple[int, int]], confidence: float = 0.9) -> TableDraft:
    pd.DataFrame(pairs, columns=headers).to_csv(path, index=False)
    columns = {"user_id": Guess(headers[0], confidence, ""), "influencer_id": Guess(headers[1], confidence, "")}
    return TableDraft("ties", look(path)[0], Guess("ties", 0.9, ""), columns)


ARCS = [(1, 2), (2, 3), (3, 4)]
MIRRORED = [(1, 2), (2, 1), (2, 3), (3, 2)]


@pytest.mark.parametrize(
    ("name", "headers", "pairs", "expected"),
    [
        ("x.csv", ("follower", "followee"), ARCS, ("false", True, "follow")),
        ("x.csv", ("follower", "followee"), MIRRORED, ("false", True, "follow")),
        ("x.csv", ("truster", "trusted"), ARCS, ("false", True, "trust")),
        ("x.csv", ("粉丝", "关注对象"), ARCS, ("false", True, "follow")),
        ("x.csv", ("user_id", "friend_id"), ARCS, ("true", True, "friend")),
        ("friendships.csv", ("user_1", "user_2"), ARCS, ("true", True, "friend")),
        ("follows.csv", ("from_user", "to_user"), ARCS, ("false", True, "follow")),
        ("x.csv", ("a", "b"), MIRRORED, ("true", True, None)),
        ("x.csv", ("a", "b"), ARCS, ("true", False, None)),
    ],
)
def test_direction_and_kind(tmp_path: Path, name: str, headers: tuple[str, str], pairs: list, expected: tuple) -> None:
    undirected, sure, kind = expected
    settled = settle_ties(ties(tmp_path / name, headers, pairs), Asker(None))
    assert settled.undirected is not None
    assert (settled.undirected.value, settled.undirected.sure) == (undirected, sure)
    assert [guess.value for guess in settled.constants.values()] == [kind] * bool(kind)


def test_guessed_columns_make_the_direction_a_question(tmp_path: Path) -> None:
    drafted = ties(tmp_path / "friendships.csv", ("u", "v"), ARCS, confidence=0.5)
    questions = []
    settled = settle_ties(drafted, Asker(lambda question: questions.append(question) or "v follows u"))
    assert [question.default for question in questions] == ["both ways"]
    assert {name: guess.value for name, guess in settled.columns.items()} == {"user_id": "v", "influencer_id": "u"}
    assert settled.undirected == Guess("false", 1.0, "answered")
