import threading

import pytest

from training.parallel import aside, fit_each


def test_fitted_in_the_order_of_the_jobs() -> None:
    both = threading.Barrier(2, timeout=10)

    def fit(job: int) -> int:
        both.wait()
        return job * 10

    assert fit_each(fit, [3, 1], threads=2) == [30, 10]


def test_the_block_goes_on_while_something_is_fitted_aside() -> None:
    asked = threading.Event()

    def fit() -> str:
        assert asked.wait(10)
        return "fitted"

    with aside(fit) as fitted:
        asked.set()
        assert fitted.result() == "fitted"


def test_an_error_comes_to_whoever_asks_for_the_result() -> None:
    def fit() -> None:
        raise ValueError("no edges")

    with aside(fit) as fitted, pytest.raises(ValueError, match="no edges"):
        fitted.result()
