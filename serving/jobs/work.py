"""What the service does as jobs: `score` all users, make a long `list`, `train` a challenger, `monitor` what is served."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from features.errors import AccessError, ScoresError, SettingsError
from serving.access.keys import Keys
from serving.access.principal import LOCAL, SCHEDULE, Principal, Scope
from serving.jobs.kinds import Kind, Work, registry
from serving.lists.criteria import ListCriteria, Number, Text
from serving.moments import Written
from training.settings import RANGES, TrainSettings

if TYPE_CHECKING:
    from features.dataset import Dataset
    from features.tables import Tables
    from serving.store.score_store import ScoreStore

MARK = 8
"""Characters of a job's id in the name of the batch that it writes."""

TAG = "job"
"""Of the run that a training job logs; its value is the job's id."""


def _utc(moment: datetime) -> datetime:
    """A moment without zone is UTC; the result is UTC without one, as in all tables."""
    if not 1970 <= moment.year < 3000:
        raise ValueError(f"{moment} is not a date that scores can be told of; write it as 2024-05-31")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    # JSON knows no whole numbers: 6.0 is 6.
    whole = {name: int(value) if value == int(value) else value for name, value in given.items()}
    try:
        return TrainSettings.checked(whole, "settings")
    except SettingsError as error:
        raise ValueError(str(error)) from None


def _settings_schema() -> dict[str, Any]:
    kinds = {field.name: "integer" if field.type is int else "number" for field in fields(TrainSettings)}
    ranges = {name: {"type": kinds[name], "minimum": least, "maximum": most} for name, (least, most) in RANGES.items()}
    return {"type": "object", "properties": ranges, "additionalProperties": False}


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreArguments(_Arguments):
    """What to score with, and as of when."""

    model: Text = Field(default="champion", description="A version, or an alias such as `champion` or `challenger`.")
    as_of: Annotated[datetime | None, Written, AfterValidator(lambda moment: moment and _utc(moment))] = Field(
        default=None, description="Score as of this moment, without zone in UTC; null: the end of the data."
    )


class ListArguments(_Arguments):
    """The list to make."""

    criteria: ListCriteria = Field(description="As of `POST /v1/candidate-lists`.")
    name: Text | None = Field(default=None, description="What the list is called.")


class TrainArguments(_Arguments):
    """How to train."""

    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = Field(default=0, description="Of models and resamples.")
    settings: Annotated[dict[str, Number], AfterValidator(_settings), WithJsonSchema(_settings_schema())] = Field(
        default={}, description="What shall be other than the defaults, by the names that `koc tune` writes."
    )


class MonitorArguments(_Arguments):
    """Nothing is asked."""


class Steps:
    """Takes the steps of a piece of work by name; the share that is done is that of all steps that are expected."""

    def __init__(self, work: Work, expected: int) -> None:
        self._work = work
        self._expected = expected
        self.seen = 0

    def __call__(self, step: str) -> None:
        self._work.progress(step, min(self.seen / self._expected, 0.99))
        self._work.last_chance()
        self.seen += 1


def creator(work: Work, scope: Scope) -> Principal:
    """Who asked for the job, as that key stands now, or the one that it was rotated to: what it saw and could then does
    not count any more.

    Raises:
        AccessError: the key was revoked, has expired or is gone. ForbiddenError: it has not the ``scope``.
    """
    key_id = work.job.created_by
    for own in (LOCAL, SCHEDULE):
        if key_id == own.key_id:
            own.require(scope)
            return own
    try:
        principal = Keys(work.database).acting(key_id)
    except AccessError as error:
        raise AccessError(f"who asked for this job may do so no more: {error}") from None
    principal.require(scope)
    return principal


def score(work: Work) -> dict[str, Any]:
    """Batch scores of everybody, served from then on if they are the champion's; a job that wrote its batch before it was
    killed writes no other."""
    from features.dataset import read_dataset
    from serving.batch import of_champion, score_batch
    from serving.gate import gate_batch
    from serving.store.score_store import ScoreStore
    from training.tracking import Tracker

    creator(work, Scope.TRAIN)
    asked = ScoreArguments.model_validate(work.job.arguments)
    settings, store = work.settings, ScoreStore(work.settings.scores)
    mark = work.job.job_id[:MARK]
    tracker = Tracker(settings.tracking_uri, settings.home)
    manifest = store.marked(mark, of_champion(tracker, store))
    if manifest is None:
        dataset = read_dataset(settings.dataset)
        # Without a model there is no need to read tables for minutes first.
        tracker.find(asked.model)
        steps = Steps(work, expected=_reading(dataset) + _features() + 4)
        manifest = score_batch(
            _tables(work, dataset, steps), tracker, store,
            model=asked.model, as_of=asked.as_of, keep=settings.keep_batches, mark=mark, progress=steps,
        )  # fmt: skip
    gate_batch(work.database, store.open(manifest.batch))
    changed = _changed(store, manifest.batch)
    return {
        "batch": manifest.batch,
        "model": manifest.model,
        "as_of": manifest.as_of,
        "rows": manifest.rows,
        "served": store.current_id() == manifest.batch,
        **({"changed": changed} if changed else {}),
    }


def make_list(work: Work) -> dict[str, Any]:
    """A candidate list of people that its maker's key sees; its id is the job's, so that it is made once."""
    from serving.lists.lists import Lists
    from serving.store.score_store import ScoreStore
    from serving.store.served import Served

    asked = ListArguments.model_validate(work.job.arguments)
    lists = Lists(work.database, Served(ScoreStore(work.settings.scores)), work.settings)
    made = lists.create(
        creator(work, Scope.OPERATE), asked.criteria, name=asked.name, list_id=work.job.job_id, progress=work.progress
    )
    return {"list_id": made.list_id, "rows": made.rows, "batch": made.batch, "checksum": made.checksum}


def train(work: Work) -> dict[str, Any]:
    """A judged model, registered as challenger; a job that registered its model before it was killed trains no other."""
    from features.dataset import read_dataset
    from training.pipeline import train as run_training
    from training.promotion.shared import dates_of_champion
    from training.register import register
    from training.tracking import Tracker

    creator(work, Scope.TRAIN)
    asked = TrainArguments.model_validate(work.job.arguments)
    tracker = Tracker(work.settings.tracking_uri, work.settings.home)
    version = tracker.tagged(TAG, work.job.job_id)
    if version is None:
        dataset = read_dataset(work.settings.dataset)
        chosen = replace(TrainSettings(threads=work.settings.threads, seed=asked.seed), **_settings(asked.settings))
        dates = chosen.dates + len(dataset.time.test_dates)
        steps = Steps(work, expected=_reading(dataset) + dates * (_features() + 2))
        also = dates_of_champion(tracker, dataset.name)
        trained = run_training(_tables(work, dataset, steps), chosen, steps, also=also)
        steps("registering in MLflow")
        version = register(trained, tracker, {TAG: work.job.job_id})
    found = tracker.find(version)
    return {"model": f"{found.name}/{version}", "aliases": list(found.aliases), "run_id": found.run_id}


def monitor(work: Work) -> dict[str, Any]:
    """How good the lists were whose labels are closed by now, by week."""
    from features.dataset import read_dataset
    from serving.lists.lists import Lists
    from serving.monitor import realised, served_lists
    from serving.store.score_store import ScoreStore
    from serving.store.served import Served

    creator(work, Scope.TRAIN)
    dataset = read_dataset(work.settings.dataset)
    lists = Lists(work.database, Served(ScoreStore(work.settings.scores)), work.settings)
    tables = _tables(work, dataset, Steps(work, expected=_reading(dataset) + 2))
    weeks = realised(tables, served_lists(lists))
    return {"data_until": tables.observed_until.isoformat(), "weeks": [week.to_dict() for week in weeks]}


KINDS = registry(
    [
        Kind("score", Scope.TRAIN, ScoreArguments, score),
        Kind("list", Scope.OPERATE, ListArguments, make_list),
        Kind("train", Scope.TRAIN, TrainArguments, train),
        Kind("monitor", Scope.TRAIN, MonitorArguments, monitor),
    ]
)


def _changed(store: "ScoreStore", batch: str) -> dict[str, Any] | None:
    """How the top has changed since the batch before; None where there is nothing to compare with."""
    from serving.diff import batch_diff

    try:
        return batch_diff(*store.pair(batch)).summary()
    except ScoresError:
        return None


def _tables(work: Work, dataset: "Dataset", steps: Steps) -> "Tables":
    from features.blocks.all import ALL_BLOCKS
    from features.engine import DuckDB
    from features.intake.open_tables import open_tables

    engine = DuckDB(memory_limit=work.settings.memory, threads=work.settings.threads)
    return open_tables(dataset, engine, progress=steps, blocks=ALL_BLOCKS)[0]


def _reading(dataset: "Dataset") -> int:
    """Steps of `open_tables`: each table is read and checked."""
    return 2 * len(dataset.tables) + 1


def _features() -> int:
    """Steps of the features of one date: its ledger, each block, ties and neighbours."""
    from features.blocks.all import ALL_BLOCKS

    return len(ALL_BLOCKS) + 3
