"""How models are trained: one frozen object with working defaults, read once and passed in."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrainSettings:
    """Sizes and seeds of training.

    ``dates``: most training dates; ``dates_per_horizon``: how many of them begin within one horizon (above 1 their label
    windows overlap). ``groups``: groups of people, and members of each ensemble, each of which has not seen one group.
    ``rounds``, ``leaves``, ``learning_rate``: of each LightGBM model. ``tie_rows``: ties without a follow-up that the tie
    model learns from. ``width``, ``epochs``, ``hops``, ``dropout``, ``gnn_rate``: of the graph network, see `training.gnn`.
    ``threads``: models fitted at the same time, each on one thread. ``resamples``: bootstrap resamples of every interval.
    """

    dates: int = 6
    dates_per_horizon: int = 1
    groups: int = 4
    seed: int = 0
    rounds: int = 150
    leaves: int = 15
    learning_rate: float = 0.05
    tie_rows: int = 1_000_000
    width: int = 32
    epochs: int = 14
    hops: int = 2
    dropout: float = 0.5
    gnn_rate: float = 0.003
    threads: int = 2
    resamples: int = 1000

    def to_dict(self) -> dict[str, Any]:
        """All settings by name, as logged with a run and stored in a bundle."""
        return asdict(self)

    def lightgbm(self, seed: int, **objective: Any) -> dict[str, Any]:
        """LightGBM parameters that give the same model for the same rows, seed and machine."""
        return {
            **objective,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": 40,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "seed": seed,
            "max_bin": 63,
            "num_threads": 1,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }
