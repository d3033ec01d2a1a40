import pytest

from tests.benchmarks.growth import Cost, exponent, exponents, report

LINEAR = [Cost("scan", users, 1.0, users / 1_000, 0.1) for users in (1_000, 10_000, 100_000)]
SQUARE = [Cost("pairs", users, 1.0, users**2 / 1e6, 0.1, "a copy", users / 1e3) for users in (1_000, 10_000)]


def test_the_exponent_is_the_power_of_the_size() -> None:
    assert exponent({10: 3.0, 100: 30.0, 1_000: 300.0}) == pytest.approx(1)
    assert exponent({10: 5.0, 20: 20.0}) == pytest.approx(2)
    # Halfway between no growth and linear growth, on a logarithmic scale.
    assert exponent({1: 1.0, 10: 1.0, 100: 10.0}) == pytest.approx(0.5)


def test_one_size_says_nothing_of_growth() -> None:
    assert exponent({10: 3.0}) is None


def test_d80_each_step_has_an_exponent_of_its_own() -> None:
    found = exponents([*LINEAR, *SQUARE])
    assert found == {"scan": pytest.approx(1), "pairs": pytest.approx(2)}


def test_sizes_too_small_to_be_measured_are_left_out() -> None:
    flat = Cost("scan", 10, 1.0, 0.9, 0.1)
    assert exponents([flat, *LINEAR])["scan"] != pytest.approx(1)
    assert exponents([flat, *LINEAR], least=0.95)["scan"] == pytest.approx(1)


def test_the_ratio_is_that_of_cpu_seconds() -> None:
    found = report([*LINEAR, *SQUARE], {"cpus": 2})
    assert [cost["times_floor"] for cost in found["costs"]] == [None, None, None, 1.0, 10.0]
    assert found["machine"] == {"cpus": 2}
    assert found["exponents"]["pairs"] == pytest.approx(2)
