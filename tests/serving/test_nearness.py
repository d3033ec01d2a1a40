import numpy as np
import pyarrow as pa
import pytest

from serving.nearness import hops_to_koc
from serving.scores import score_columns, user_facts
from tests.worlds import day, world
from training.frame import Ties
from training.hybrid import Said
from training.timeline import Timeline


def ties(users: str, *pairs: str) -> Ties:
    """Ties of (follower, influencer), one letter each; letters that are no users have not acted."""
    strangers = "".join(dict.fromkeys(pair[0] for pair in pairs if pair[0] not in users))
    followers = np.array([(users + strangers).find(pair[0]) for pair in pairs], np.int32)
    influencers = np.array([users.find(pair[1]) for pair in pairs], np.int32)
    return Ties(followers, pa.array(strangers, pa.string()), influencers, np.empty((len(pairs), 0), np.float32), ())


@pytest.mark.parametrize(
    ("pairs", "kocs", "hops"),
    [
        (("ba", "cb", "dc"), "a", [0, 1, 2, 3, None]),
        (("ab", "bc", "cd"), "a", [0, 1, 2, 3, None]),
        (("ba", "cb", "dc", "ed"), "ae", [0, 1, 2, 1, 0]),
        (("xa", "xd"), "a", [0, None, None, 2, None]),
        (("ba", "ca", "cb"), "", [None] * 5),
        ((), "b", [None, 0, None, None, None]),
    ],
)
def test_d66_hops_are_counted_to_the_nearest(pairs: tuple[str, ...], kocs: str, hops: list[int | None]) -> None:
    assert hops_to_koc(ties("abcde", *pairs), np.array([user in kocs for user in "abcde"])).to_pylist() == hops


def test_d66_every_user_is_told_how_far_the_next_active_koc_is() -> None:
    # a led b lately and d led e long ago; of equal scores all are in one tier, so that the scores set a and d apart.
    orders = [("d", "x", 1), ("e", "x", 2.5), ("a", "y", 50), ("b", "y", 52), ("c", "z", 50), ("f", "w", 50)]
    pairs = [("b", "a"), ("c", "b"), ("e", "d"), ("c", "e")]
    timeline = Timeline(world(
        orders=[{"user_id": user, "item_id": item, "ordered_at": day(at)} for user, item, at in orders],
        ties=[{"user_id": user, "influencer_id": by} for user, by in pairs],
        until=day(60),
    ))  # fmt: skip
    frame = timeline.frame(day(60))
    margin = np.where(np.isin(frame.users, ["a", "d"]), 9.0, 0.0)
    margin[frame.users == "a"] = 10.0
    facts = user_facts(frame, timeline.snapshot(day(60)))
    found = score_columns(frame, Said({}, margin, None), facts)
    told = dict(zip(found["user_id"].to_pylist(), found["hops_to_koc"].to_pylist(), strict=True))
    assert told == {"a": 0, "b": 1, "c": 2, "d": 4, "e": 3, "f": None}
