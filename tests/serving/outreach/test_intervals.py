import numpy as np
import pytest
from scipy import stats

from serving.outreach.intervals import clustered, means, proportions, wilson

NEWCOMBE = [
    ((56, 48), (70, 80), 0.0524, 0.3339),
    ((9, 3), (10, 10), 0.1705, 0.8090),
    ((6, 2), (7, 7), 0.0582, 0.8062),
    ((5, 0), (56, 29), -0.0381, 0.1926),
    ((0, 0), (10, 20), -0.1611, 0.2775),
    ((0, 0), (10, 10), -0.2775, 0.2775),
    ((10, 0), (10, 20), 0.6791, 1.0),
    ((10, 0), (10, 10), 0.6075, 1.0),
]
"""Newcombe 1998, table II, method 10: the contrasts (a) to (h)."""


@pytest.mark.parametrize(("positives", "people", "low", "high"), NEWCOMBE)
def test_differences_of_proportions_are_those_of_the_paper(
    positives: tuple[int, int], people: tuple[int, int], low: float, high: float
) -> None:
    found = proportions(positives, people)
    assert found.value == pytest.approx(positives[0] / people[0] - positives[1] / people[1])
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_one_proportion_has_the_score_interval() -> None:
    # Newcombe 1998, Statistics in Medicine 17: 857-872, table I, method 3: 81 of 263.
    assert wilson(81, 263) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_differences_of_means_have_welch_s_interval() -> None:
    one, two = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9], [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8]
    found = means(one, two)
    variances = np.var(one, ddof=1) / 6, np.var(two, ddof=1) / 9
    error = sum(variances) ** 0.5
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 5 + variances[1] ** 2 / 8)
    half = stats.t.ppf(0.975, freedom) * error
    assert found.value == pytest.approx(np.mean(one) - np.mean(two))
    assert (found.low, found.high) == (pytest.approx(found.value - half), pytest.approx(found.value + half))


def test_means_without_spread_or_of_one_person_have_no_interval() -> None:
    assert means([5], [1, 2, 3]).low is None
    assert means([0, 0], [0, 0, 0]).high is None


def test_whole_communities_make_wider_intervals_than_their_people() -> None:
    # Everybody of a community does the same: 10 communities of 20 people know as much as 10 people.
    did = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], dtype=float)
    people = np.full(10, 20.0)
    (found,) = clustered(((did * 20)[:, None], people), ((did[::-1] * 10)[:, None], people))
    alone = proportions((120, 60), (200, 200))
    assert found.value == pytest.approx(0.6 - 0.3)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 2 * (alone.high - alone.low)


def test_communities_of_one_person_give_about_the_interval_of_people() -> None:
    rng = np.random.default_rng(1)
    one, two = (rng.random(400) < 0.4).astype(float), (rng.random(300) < 0.3).astype(float)
    (found,) = clustered((one[:, None], np.ones(400)), (two[:, None], np.ones(300)))
    expected = proportions((int(one.sum()), int(two.sum())), (400, 300))
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=0.02), pytest.approx(expected.high, abs=0.02))


def test_several_sums_are_drawn_together_and_one_community_has_no_interval() -> None:
    sums = np.array([[1.0, 10.0], [0.0, 0.0], [2.0, 20.0]])
    found = clustered((sums, np.full(3, 4.0)), (sums[:2], np.full(2, 4.0)))
    assert [one.value for one in found] == [pytest.approx(3 / 12 - 1 / 8), pytest.approx(30 / 12 - 10 / 8)]
    assert found[1].low == pytest.approx(10 * found[0].low)
    assert clustered((sums[:1], np.ones(1)), (sums, np.ones(3)))[0].low is None
