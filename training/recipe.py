"""All that it takes to train a run again, and what would make the result another one: data, code, lock and machine."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.dataset import Dataset
from features.errors import ReproductionError
from training.settings import TrainSettings

if TYPE_CHECKING:
    from training.pipeline import Trained
    from training.tracking import Tracker, Version

RECIPE_FILE = "recipe.json"
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Recipe:
    """What a run was made from.

    ``dataset``: the dataset file as it was read. ``settings``: of training, with seed and threads. ``as_of``: the end of
    the data, ISO. ``training_dates``, ``test_dates``: ISO. ``fingerprint``: SHA-256 of the training rows. ``lock``: of
    the locked packages, ``code``: of the source that makes features and models. ``machine``: processor and Python, on which
    the last bits of sums depend. ``bundle``: checksum of what came out.
    """

    dataset: Mapping[str, Any]
    settings: Mapping[str, Any]
    as_of: str
    training_dates: Sequence[str]
    test_dates: Sequence[str]
    horizon_days: float
    fingerprint: str
    lock: str
    code: str
    version: str
    machine: str
    bundle: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def described(self, root: Path | None = None) -> Dataset:
        """The dataset; its tables are read from ``root`` where that is given."""
        told = Dataset.model_validate(self.dataset)
        return told if root is None else told.model_copy(update={"root": root})

    def judged_on(self) -> list[datetime]:
        return [datetime.fromisoformat(date) for date in self.test_dates]

    def trained_with(self) -> TrainSettings:
        return TrainSettings(**self.settings)


def recipe_of(trained: "Trained", bundle: str) -> Recipe:
    """The recipe of what was just trained; bundle: its checksum."""
    dates = {judged.as_of for judged in [each for task in trained.evaluations.values() for each in task]}
    dataset = trained.bundle.dataset
    return Recipe(
        dataset=dataset.without_passwords().model_dump(mode="json"),
        settings=dict(trained.bundle.settings),
        as_of=trained.bundle.as_of.isoformat(),
        training_dates=[fold.as_of.isoformat() for fold in trained.folds],
        test_dates=[date.isoformat() for date in sorted(dates)],
        horizon_days=dataset.time.horizon.total_seconds() / 86_400,
        fingerprint=trained.bundle.fingerprint,
        lock=lock_hash(),
        code=code_hash(),
        version=version("kocscout"),
        machine=machine(),
        bundle=bundle,
    )


def read_recipe(tracker: "Tracker", version: "Version") -> Recipe:
    """The recipe that the run of a version kept.

    Raises:
        TrackingError: it kept none.
    """
    return Recipe(**json.loads(tracker.artifact(version, RECIPE_FILE)))


def require_same_tools(recipe: Recipe) -> None:
    """Raise unless the packages, the code and the machine are those of the recipe.

    Raises:
        ReproductionError: names what differs.
    """
    remedies = {
        "lock": (lock_hash(), "install the requirements.lock of that run"),
        "code": (code_hash(), f"check out the source of that run, version {recipe.version}"),
        "machine": (machine(), "train on the machine of that run"),
    }
    for name, (now, remedy) in remedies.items():
        if (then := getattr(recipe, name)) != now:
            raise ReproductionError(f"the {name} of the run is {_short(then)}, here it is {_short(now)}; {remedy}")


def require_same_data(recipe: Recipe, as_of: str, fingerprint: str | None = None) -> None:
    """Raise unless the data ends where that of the recipe ended and, where it is known, gives the same training rows.

    Raises:
        ReproductionError: says what differs.
    """
    if as_of != recipe.as_of:
        raise ReproductionError(
            f"the data ends {as_of}, that of the run ended {recipe.as_of}; bring back the tables of that day (--root)"
        )
    if fingerprint is not None and fingerprint != recipe.fingerprint:
        raise ReproductionError(
            f"the training rows have fingerprint {_short(fingerprint)}, those of the run {_short(recipe.fingerprint)}: rows "
            "were added, changed or removed since; bring back the tables of that day (--root)"
        )


def require_same_bundle(recipe: Recipe, bundle: str) -> None:
    """Raises:
    ReproductionError: the checksums differ though nothing else does.
    """
    if bundle != recipe.bundle:
        raise ReproductionError(
            f"the bundle has checksum {_short(bundle)}, that of the run {_short(recipe.bundle)}, from the same rows, code "
            "and packages; please report this"
        )


def lock_hash() -> str:
    """SHA-256 of requirements.lock; of the installed packages with versions where it is not there."""
    lock = ROOT / "requirements.lock"
    if lock.is_file():
        return hashlib.sha256(lock.read_bytes()).hexdigest()
    installed = sorted(f"{each.metadata['Name']}=={each.version}".lower() for each in distributions())
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def code_hash() -> str:
    """SHA-256 of the source files that make features and models, by path."""
    digest = hashlib.sha256()
    for stage in ("features", "training"):
        for path in sorted((ROOT / stage).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _short(text: str) -> str:
    return text[:12] if len(text) == 64 else text
