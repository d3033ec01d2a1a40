"""How models are trained: one frozen object with working defaults, read once and passed in."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from features.errors import SettingsError

RANGES: Mapping[str, tuple[float, float]] = {
    "dates": (1, 1_000),
    "dates_per_horizon": (1, 100),
    "groups": (2, 100),
    "rounds": (1, 100_000),
    "leaves": (2, 10_000),
    "learning_rate": (1e-6, 1.0),
    "user_rows": (1, 10**9),
    "tie_rows": (1, 10**9),
    "width": (1, 4_096),
    "epochs": (1, 10_000),
    "hops": (1, 10),
    "dropout": (0.0, 0.99),
    "gnn_rate": (1e-6, 1.0),
    "resamples": (1, 10**6),
}
"""What a settings file may set, least and most; seed and threads are options of the command that reads it."""


@dataclass(frozen=True)
class TrainSettings:
    """Sizes and seeds of training.

    ``dates``: most training dates; ``dates_per_horizon``: how many of them begin within one horizon (above 1 their label
    windows overlap). ``groups``: groups of people, and members of each ensemble, each of which has not seen one group.
    ``rounds``, ``leaves``, ``learning_rate``: of each LightGBM model. ``user_rows``: of larger data, about so many rows
    of users are drawn to teach; see `training.folds`. ``tie_rows``: ties without a follow-up that the tie model learns
    from. ``width``, ``epochs``, ``hops``, ``dropout``, ``gnn_rate``: of the graph network, see `training.gnn`.
    ``threads``: models fitted at the same time, each on one thread. ``resamples``: bootstrap resamples of every interval.
    """

    dates: int = 6
    dates_per_horizon: int = 1
    groups: int = 4
    seed: int = 0
    rounds: int = 150
    leaves: int = 15
    learning_rate: float = 0.05
    user_rows: int = 100_000
    tie_rows: int = 500_000
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

    @classmethod
    def from_file(cls, path: Path) -> "TrainSettings":
        """The defaults with what the section ``[settings]`` of a TOML file says instead, such as `koc tune` writes.

        Raises:
            SettingsError: the file is missing, is not TOML, or a key, type or value in it is wrong.
        """
        if not path.is_file():
            raise SettingsError(f"no settings file at {path}; write one with `koc tune --out {path}`")
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not valid TOML: {error}; correct that line") from None
        if unknown := sorted(set(content) - {"settings", "tuned"}):
            raise SettingsError(f"{path}: unknown key {unknown[0]!r}; settings stand below [settings]")
        given = content.get("settings")
        if not isinstance(given, dict):
            raise SettingsError(f"{path} has no section [settings]; write one, empty where the defaults stay")
        return cls(**cls.checked(given, path))

    @staticmethod
    def checked(given: Mapping[str, object], place: Path | str) -> dict[str, Any]:
        """Settings by name, each in its range; ``place``: what an error says that they stand in.

        Raises:
            SettingsError: a name, type or value is wrong.
        """
        return {name: _checked(place, name, value) for name, value in given.items()}

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


def _checked(place: Path | str, name: str, value: object) -> int | float:
    if name not in RANGES:
        raise SettingsError(f"{place}: unknown setting {name!r}; choose from {', '.join(RANGES)}")
    (least, most), kind = RANGES[name], next(field.type for field in fields(TrainSettings) if field.name == name)
    if isinstance(value, bool) or not isinstance(value, int if kind is int else (int, float)):
        wanted = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{place}: {name} is {value!r}; give {wanted} from {least:g} to {most:g}")
    if not least <= value <= most:
        raise SettingsError(f"{place}: {name} is {value}; give a value from {least:g} to {most:g}")
    return value if kind is int else float(value)
