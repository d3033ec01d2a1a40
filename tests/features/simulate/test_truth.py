"""What is planted is what happens: counted follow-ups, arcs and departures against the probabilities behind them."""

from dataclasses import replace

import numpy as np
import pytest

from features.simulate.catalogue import Catalogue, draw_catalogue
from features.simulate.events import NOBODY, Orders
from features.simulate.lifetime import NEVER, draw_lifetimes
from features.simulate.network import Network, draw_network
from features.simulate.population import Population, draw_population
from features.simulate.rows import join
from features.simulate.season import DAY, Season
from features.simulate.settings import MarketSettings
from features.simulate.sharing import share_orders
from features.simulate.truth import Truth
from features.simulate.word_of_mouth import follow_ups

SETTINGS = MarketSettings(users=3_000, days=364)


@pytest.fixture(scope="module")
def truth() -> Truth:
    rng = np.random.default_rng(0)
    season = Season(SETTINGS)
    people = draw_population(SETTINGS, season, rng)
    catalogue = draw_catalogue(SETTINGS, rng)
    network = draw_network(people, SETTINGS, rng)
    return Truth(people, network, catalogue, draw_lifetimes(people, network, SETTINGS, rng), SETTINGS)


def three_people() -> Truth:
    """User 0 influences 1 (intensity 0.2) and 2 (0.6); 1 likes category 0 half as much as category 1, 2 has joined late."""
    people = Population(
        registered=np.array([-1, -1, 100 * DAY]),
        community=np.zeros(3, dtype=np.int64),
        taste=np.array([[1, 0], [1 / 3, 2 / 3], [1, 0]], dtype=np.float32),
        rate=np.ones(3),
        persuasiveness=np.ones(3),
        susceptibility=np.ones(3),
        share_rate=np.array([0.5, 0, 0]),
    )
    network = Network(
        influencer=np.array([0, 0]),
        follower=np.array([1, 2]),
        mutual=np.zeros(2, dtype=bool),
        since=np.array([-1, 100 * DAY]),
        live_from=np.array([-1, 100 * DAY]),
        intensity=np.array([0.2, 0.6]),
        fit=np.array([0.5, 1.0]),
        start=np.array([0, 2, 2, 2]),
    )
    ones = np.ones(2, dtype=np.int64)
    catalogue = Catalogue(1, -ones, ones, ones, np.ones(1), np.arange(2))
    return Truth(people, network, catalogue, np.full(3, NEVER), MarketSettings(users=100, days=365))


def purchases(user: int, day: int, count: int) -> Orders:
    none = np.full(count, NOBODY)
    zeros = np.zeros(count, dtype=np.int64)
    return Orders(zeros + user, zeros, zeros + day * DAY, none, none)


def test_follow_ups_happen_as_often_as_the_ties_say() -> None:
    before = follow_ups(purchases(0, 50, 20_000), three_people(), np.random.default_rng(1))
    after = follow_ups(purchases(0, 150, 20_000), three_people(), np.random.default_rng(1))
    assert set(before.user) == {1}
    assert before.user.size == pytest.approx(20_000 * 0.2 * 0.5, rel=0.06)
    assert (after.user == 1).sum() == pytest.approx(20_000 * 0.2 * 0.5, rel=0.06)
    assert (after.user == 2).sum() == pytest.approx(20_000 * 0.6, rel=0.06)
    assert (after.mover == 0).all()
    assert (after.moment > 150 * DAY).all()
    assert np.median(after.moment - 150 * DAY) == pytest.approx(SETTINGS.delay_days * DAY, rel=0.06)


def test_someone_without_followers_moves_nobody_and_lurkers_share_nothing() -> None:
    world, rng = three_people(), np.random.default_rng(2)
    assert follow_ups(purchases(1, 50, 1_000), world, rng).user.size == 0
    shares = share_orders(join(purchases(0, 50, 1_000), purchases(1, 50, 1_000)), world, rng)
    assert set(shares.sharer) == {0}
    assert shares.sharer.size == pytest.approx(500, abs=60)


def test_draw_arcs_follows_intensity(truth: Truth) -> None:
    network = truth.network
    hub = int(np.argmax(np.diff(network.start)))
    arcs = network.draw_arcs(np.full(50_000, hub), np.random.default_rng(3))
    own = np.arange(network.start[hub], network.start[hub + 1])
    assert set(arcs) <= set(own)
    expected = network.intensity[own] / network.intensity[own].sum()
    np.testing.assert_allclose(np.bincount(arcs - own[0], minlength=own.size) / 50_000, expected, atol=0.01)


def test_ties_join_alike_people_of_one_community(truth: Truth) -> None:
    network, people = truth.network, truth.people
    together = people.community[network.influencer] == people.community[network.follower]
    assert 0.7 < together.mean() < 0.9
    shuffled = np.random.default_rng(4).permutation(network.follower)
    tastes = people.taste
    alike = (tastes[network.influencer] * tastes[network.follower]).sum(axis=1).mean()
    assert alike > 1.3 * (tastes[network.influencer] * tastes[shuffled]).sum(axis=1).mean()


def test_influence_is_no_matter_of_degree(truth: Truth) -> None:
    followers = np.diff(truth.network.start)
    influence = truth.influence_per_day()
    top = SETTINGS.users // 100
    best, largest = np.argsort(-influence)[:top], np.argsort(-followers)[:top]
    assert len(set(best) & set(largest)) <= top // 2
    assert influence[best].sum() > 2 * influence[largest].sum()
    assert abs(np.corrcoef(np.log(truth.people.persuasiveness), np.log1p(followers))[0, 1]) < 0.1


def test_follow_ups_per_order_is_the_mean_that_was_asked_for(truth: Truth) -> None:
    rate = truth.people.rate
    per_order = (truth.network.intensity * truth.network.fit * rate[truth.network.influencer]).sum() / rate.sum()
    # Very strong ties are capped, which takes a little away.
    assert 0.85 * SETTINGS.follow_ups_per_order < per_order <= SETTINGS.follow_ups_per_order * (1 + 1e-9)


def test_people_leave_sooner_when_those_whom_they_follow_leave(truth: Truth) -> None:
    n = 2_000
    people = replace(
        three_people().people,
        registered=np.full(n, -DAY),
        **{name: np.ones(n) for name in ("rate", "persuasiveness", "susceptibility", "share_rate")},
    )
    follower, influencer = np.arange(1, n), np.zeros(n - 1, dtype=np.int64)
    network = replace(truth.network, influencer=influencer, follower=follower)
    settings = SETTINGS.model_copy(update={"churn_contagion": 200.0})
    for seed in range(20):
        churned = draw_lifetimes(people, network, settings, np.random.default_rng(seed))
        if churned[0] < 150 * DAY:
            break
    # From the week after the followed one's leave on, nearly everybody goes.
    waiting = (churned > churned[0] + 7 * DAY)[1:]
    gone_soon = (churned[1:] < churned[0] + 60 * DAY)[waiting]
    assert waiting.sum() > 100
    assert gone_soon.mean() > 0.7
    calm = draw_lifetimes(people, network, SETTINGS.model_copy(update={"churn_contagion": 0.0}), np.random.default_rng(seed))
    assert (calm[1:][calm[1:] > churned[0] + 7 * DAY] < churned[0] + 60 * DAY).mean() < 0.4


def test_items_are_chosen_after_they_come_out(truth: Truth) -> None:
    buyers = np.arange(truth.people.size)
    moments = np.full(buyers.size, 30 * DAY)
    items = truth.catalogue.choose(buyers, moments, truth.people, np.random.default_rng(5))
    assert (truth.catalogue.launched[items] <= 30 * DAY).all()
    assert (truth.catalogue.launched > 30 * DAY).any()
