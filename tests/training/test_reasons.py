import math
from collections import Counter
from string import Formatter

import numpy as np
import pytest

from features.blocks.all import ALL_BLOCKS
from features.blocks.neighbours import SIDES
from tests.training.columns import all_columns
from training.languages import LANGUAGES
from training.reasons import INPUT_FACTS, REASONS, Reason, facts_named, say_strongest

COLUMNS = all_columns({"14d": None, "42d": None, "84d": None})
EACH_REASON = pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)


def fields(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text.replace("{w}", "42d")) if name]


def test_every_block_belongs_to_one_reason() -> None:
    listed = Counter(block for reason in REASONS for block in reason.blocks)
    assert set(listed) == {block.name for block in ALL_BLOCKS} | {f"neighbours_{side}" for side in SIDES}
    assert set(listed.values()) == {1}


def test_every_named_input_belongs_to_one_reason_of_reach() -> None:
    inputs = [(name, reason.side) for reason in REASONS for name in reason.inputs]
    assert sorted(inputs) == [("gnn", "reach"), ("ties", "reach")]


def test_there_are_about_a_dozen_and_both_sides_have_theirs() -> None:
    assert len({reason.name for reason in REASONS}) == len(REASONS) <= 14
    assert Counter(reason.side for reason in REASONS).keys() == {"willingness", "reach"}


def test_what_people_do_is_willingness_and_who_follows_is_reach() -> None:
    side = {block: reason.side for reason in REASONS for block in reason.blocks}
    doing = ("shares_made", "invitations", "group_buys_opened", "activity", "responses_given")
    followed = ("degrees", "neighbours_followers", "influence_given", "responses_drawn", "shared_taste")
    assert {side[block] for block in doing} == {"willingness"}
    assert {side[block] for block in followed} == {"reach"}


@EACH_REASON
def test_both_languages_name_the_same_facts(reason: Reason) -> None:
    assert len(reason.en) == len(reason.zh) > 0
    for english, chinese in zip(reason.en, reason.zh, strict=True):
        assert sorted(fields(english)) == sorted(fields(chinese))
        assert english.isascii()
        assert any("\u4e00" <= sign <= "\u9fff" for sign in chinese)


@EACH_REASON
def test_texts_name_features_that_exist(reason: Reason) -> None:
    for text in (*reason.en, *reason.zh):
        named = [name for name in fields(text) if name != "days"]
        assert named
        assert set(named) <= {*COLUMNS, *INPUT_FACTS}, f"{reason.name}: {text!r} names a feature that no block has"


@EACH_REASON
def test_facts_are_filled_in_both_languages(reason: Reason) -> None:
    facts = dict.fromkeys(facts_named("42d"), 3.0)
    for language in LANGUAGES:
        said = reason.say(facts, "42d", language)
        assert said
        assert "3" in said
        assert "{" not in said


def test_a_text_is_said_only_where_all_of_it_is_known() -> None:
    reason = Reason(
        "purchases",
        "willingness",
        ("orders: {orders_{w}} in {days} days, the last {ago} days ago", "orders: {orders_{w}}"),
        ("近 {days} 天下单 {orders_{w}} 笔，最近一笔在 {ago} 天前", "下单 {orders_{w}} 笔"),
    )
    assert reason.say({"orders_42d": 1234.0, "ago": 2.4}, "42d") == "orders: 1,234 in 42 days, the last 2 days ago"
    assert reason.say({"orders_42d": 1234.0, "ago": 2.4}, "42d", "zh") == "近 42 天下单 1,234 笔，最近一笔在 2 天前"
    # "the last 0 days ago" would be a lie about somebody who never ordered.
    assert reason.say({"orders_42d": 3.0, "ago": math.nan}, "42d") == "orders: 3"
    assert reason.say({"orders_42d": 0.0, "ago": math.nan}, "42d") is None
    assert reason.say({"ago": 3.0}, "42d") is None


def test_a_text_of_zeros_leaves_the_word_to_the_next() -> None:
    answers = next(reason for reason in REASONS if reason.name == "answers")
    assert answers.say({"answers_42d": 0, "answers_all": 0, "movers_all": 5}, "42d") == "was moved by others: 5 people"
    assert answers.say({"answers_42d": 0, "answers_all": 0, "movers_all": 0}, "42d") is None


def said(parts: dict[str, float], facts: dict[str, float]) -> tuple[str, str]:
    """English and Chinese for one user, of contributions by reason."""
    row = np.array([[parts.get(reason.name, 0.0) for reason in REASONS]])
    texts = say_strongest(row, {name: np.array([value]) for name, value in facts.items()}, "42d")
    return texts["en"][0], texts["zh"][0]


FACTS = {"people_moved_42d": 2, "people_moved_all": 7, "shared_with": 4, "open_pairs": 9, "shares_42d": 0, "shares_all": 3,
         "acts_42d": 5, "idle_days": 1.2}  # fmt: skip
MOVED, SHARED = "people moved: 2 in 42 days, 7 ever", "shares: 0 in 42 days, 3 ever"


def test_the_strongest_of_each_side_is_said_the_stronger_first() -> None:
    strong_reach = {"influence given": 3.0, "shared taste": 2.0, "sharing": 1.0, "activity": 0.5}
    assert said(strong_reach, FACTS) == (f"{MOVED}; {SHARED}", "近 42 天带动 2 人，累计 7 人；近 42 天分享 0 次，累计 3 次")
    assert said({**strong_reach, "activity": 4.0}, FACTS)[0] == f"acts: 5 in 42 days, the last 1 days ago; {MOVED}"


def test_where_one_side_has_nothing_to_say_the_other_says_two() -> None:
    parts = {"influence given": 3.0, "shared taste": 2.0, "likely followers": 1.0, "purchases": 5.0, "sharing": -1.0}
    # Purchases are not known here, and sharing lowers the score.
    assert said(parts, FACTS)[0] == f"{MOVED}; followers who buy the same: 4, with 9 chances to follow open now"
    assert said({"sharing": 1.0}, FACTS)[0] == SHARED
    assert said({"sharing": -1.0}, FACTS) == ("nothing stands out", "暂无突出原因")


def test_the_inputs_of_the_score_are_said_by_their_facts() -> None:
    parts = {"likely followers": 2.0, "people around, two steps away": 1.0}
    facts = {"likely_followers": 3.6, "open_to_active": 8, "followers_sum_followers": 40}
    assert said(parts, facts) == (
        "followers likely to follow: 4; followers of followers: 40",
        "预计会跟随的有 4 人；二度人脉 40 人次",
    )
    del facts["likely_followers"]
    assert said(parts, facts)[0].startswith("chances open with active followers: 8; ")
