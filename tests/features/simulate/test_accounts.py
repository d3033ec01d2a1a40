"""Who plays which role, and that nobody can be told by an id."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from features.simulate.accounts import ROLES
from features.simulate.settings import MarketSettings
from features.simulate.society import RoleShares
from tests.features.simulate.planted import Planted


def test_every_role_has_its_share(role: pd.Series) -> None:
    people = 12_000
    counts = role.value_counts()
    assert set(counts.index) == set(ROLES)
    for name in ("koc", "kol", "distributor", "discount_hunter", "staff_guide", "bot"):
        assert counts[name] == round(getattr(RoleShares(), name) * people), name
    assert counts["ring"] == round(0.004 * people / 5) * 5
    # Two persons with 24 accounts each, and their own.
    assert counts["sock_puppet"] == 2 * (24 + 1)
    assert counts["ordinary"] > 0.9 * people


def test_ids_and_their_order_say_nothing_about_roles(role: pd.Series) -> None:
    number = pd.Series(role.index.str[1:].astype(int), index=role.index)
    assert number.is_monotonic_increasing
    assert number.is_unique
    beyond = role.isin(["bot", "sock_puppet"])
    assert abs(number[beyond].mean() / number.mean() - 1) < 0.25
    assert np.ptp(number[beyond]) > 0.8 * np.ptp(number)


def test_accounts_of_one_person_share_the_person(planted: Planted) -> None:
    truth = planted["truth/users"]
    assert (truth.person_id == truth.user_id)[truth.role != "sock_puppet"].all()
    puppets = truth[truth.role == "sock_puppet"]
    assert puppets.groupby("cluster").person_id.nunique().eq(1).all()
    assert puppets.groupby("person_id").size().eq(25).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"society": None, "rings": 1}, "need a society"),
        ({"users": 100, "puppet_accounts": 51}, "at most half of users=100"),
        ({"users": 100, "rings": 3}, "at most a tenth of users=100"),
    ],
)
def test_abuse_that_does_not_fit_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MarketSettings(**wrong)
