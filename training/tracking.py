"""Runs and registered models in MLflow; the only file that knows it.

A bundle is registered as the plain folder that it is: loading a version copies files and runs no code.
"""

import logging
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import TrackingError
from training.intervals import POOLED, Record
from training.promotion.history import Change, changes_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "koc"
MODEL = "koc"
CHAMPION = "champion"
CHALLENGER = "challenger"
BUNDLE = "bundle"
# MLflow's own limits: longer parameters are cut without an error, larger batches refused.
PARAM_LENGTH = 6000
BATCH = 100


@dataclass(frozen=True)
class Version:
    """One registered bundle; ``created`` is UTC, ``metrics`` and ``run_name`` are those of its run, ``tags`` its own."""

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    created: datetime
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    run_name: str = ""


@dataclass(frozen=True)
class Run:
    """An open run: what is logged is stored at once. ``client`` is an ``MlflowClient``."""

    run_id: str
    client: Any

    def params(self, params: Mapping[str, object]) -> None:
        """Settings of the run, as text.

        Raises:
            TrackingError: a value is too long for the store, or a name has another value already.
        """
        from mlflow.entities import Param

        for name, value in params.items():
            if (length := len(str(value))) > PARAM_LENGTH:
                raise TrackingError(
                    f"parameter {name!r} has {length} characters, the store keeps {PARAM_LENGTH}; log it with Run.document"
                )
        entries = [Param(name, str(value)) for name, value in params.items()]
        with _told("log the parameters"):
            for start in range(0, len(entries), BATCH):
                self.client.log_batch(self.run_id, params=entries[start : start + BATCH])

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Values by name; undefined ones (nan) are left out. Slashes in names make groups in MLflow's pages."""
        from mlflow.entities import Metric

        now = int(datetime.now(UTC).timestamp() * 1000)
        entries = [Metric(name, float(value), now, 0) for name, value in metrics.items() if not math.isnan(value)]
        with _told("log the metrics"):
            for start in range(0, len(entries), BATCH):
                self.client.log_batch(self.run_id, metrics=entries[start : start + BATCH])

    def records(self, records: Sequence[Record]) -> None:
        """Backtest values as metrics such as ``koc/lightgbm/average_precision/2012-12-10`` (or ``/pooled``).

        With several datasets the name starts with the dataset. The intervals stand in the artifact ``records.json``.
        """
        datasets = {record.dataset for record in records} - {POOLED}
        values = {}
        for record in records:
            # Over one dataset, pooling over datasets repeats its own pooled rows.
            if len(datasets) == 1 and record.dataset == POOLED:
                continue
            model = f"{record.model}-minus-{record.minus}" if record.minus else record.model
            name = f"{record.task}/{model}/{record.metric}/{record.as_of}"
            values[name if len(datasets) == 1 else f"{record.dataset}/{name}"] = record.value
        self.metrics(values)
        self.document("records.json", [record.to_dict() for record in records])

    def tags(self, tags: Mapping[str, str]) -> None:
        """Texts by which people and programs find the run."""
        with _told("tag the run"):
            for name, value in tags.items():
                self.client.set_tag(self.run_id, name, value)

    def text(self, name: str, content: str) -> None:
        """A text as an artifact."""
        with _told(f"log {name}"):
            self.client.log_text(self.run_id, content, name)

    def document(self, name: str, content: Mapping[str, Any] | Sequence[Any]) -> None:
        """Lists and dicts as one JSON (``name`` ends in .json) or YAML artifact."""
        with _told(f"log {name}"):
            self.client.log_dict(self.run_id, content, name)

    def figure(self, name: str, figure: "Figure") -> None:
        """A figure as an image artifact; ``name`` ends in .png or .svg."""
        with _told(f"log {name}"):
            self.client.log_figure(self.run_id, figure, name)

    def files(self, path: Path, folder: str | None = None) -> None:
        """A file, or everything in a folder, as artifacts below ``folder``.

        Raises:
            TrackingError: there is nothing at ``path``.
        """
        if not path.exists():
            raise TrackingError(f"nothing at {path} to log; write it before logging it")
        log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
        with _told(f"log {path}"):
            log(self.run_id, str(path), folder)


@dataclass(frozen=True)
class Tracker:
    """One tracking store and registry.

    ``uri``: a database or server that MLflow knows; default SQLite at ``home/mlflow.db``. ``home``: also holds artifacts
    (``home/mlartifacts``), unless a server keeps its own. Nothing is opened before the first use.
    """

    uri: str | None
    home: Path

    @cached_property
    def _client(self) -> Any:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        from mlflow import MlflowClient

        # The first migration tells of each of its forty steps.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self.home.mkdir(parents=True, exist_ok=True)
        uri = self.uri or f"sqlite:///{self.home.resolve() / 'mlflow.db'}"
        with _told(f"open the tracking store {uri}"):
            return MlflowClient(tracking_uri=uri, registry_uri=uri)

    def _experiment(self) -> str:
        with _told(f"open the experiment {EXPERIMENT!r}"):
            if found := self._client.get_experiment_by_name(EXPERIMENT):
                return str(found.experiment_id)
            served = (self.uri or "").startswith(("http://", "https://", "databricks"))
            artifacts = None if served else (self.home.resolve() / "mlartifacts").as_uri()
            return str(self._client.create_experiment(EXPERIMENT, artifact_location=artifacts))

    @contextmanager
    def run(self, name: str, tags: Mapping[str, str] | None = None) -> Iterator[Run]:
        """An open run named ``name``; an exception inside marks it as failed and goes on."""
        experiment = self._experiment()
        with _told(f"start the run {name!r}"):
            run_id = self._client.create_run(experiment, run_name=name, tags=dict(tags or {})).info.run_id
        try:
            yield Run(run_id, self._client)
        except BaseException as error:
            self._client.set_terminated(run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def register(self, run: Run, bundle_folder: Path, name: str = MODEL, aliases: Sequence[str] = (CHALLENGER,)) -> int:
        """Log the folder with ``run``, register it under ``name`` and point ``aliases`` at it; returns the version.

        The first version becomes ``champion`` too, and so does any later one while there is none.

        Raises:
            TrackingError: there is no such folder, or the store refuses.
        """
        if not bundle_folder.is_dir():
            raise TrackingError(f"no bundle folder at {bundle_folder}; save the bundle before registering it")
        run.files(bundle_folder, BUNDLE)
        with _told(f"register {name}"):
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            version = int(self._client.create_model_version(name, f"runs:/{run.run_id}/{BUNDLE}", run.run_id).version)
            self._point(name, version, aliases)
        return version

    def tagged(self, tag: str, value: str, name: str = MODEL, aliases: Sequence[str] = (CHALLENGER,)) -> int | None:
        """The version whose run was given this tag, if there is one.

        The newest version gets its ``aliases`` again: who registered it may have been killed before the last step.
        """
        for version in (versions := self.versions(name)):
            if self._client.get_run(version.run_id).data.tags.get(tag) == value:
                if version is versions[0]:
                    with _told(f"register {name}"):
                        self._point(name, version.version, aliases)
                return version.version
        return None

    def _point(self, name: str, version: int, aliases: Sequence[str]) -> None:
        for alias in aliases:
            self._client.set_registered_model_alias(name, alias, str(version))
        if CHAMPION not in self._aliases(name):
            self.crown(version, Change.first(version), name)

    def crown(self, version: int, change: Change, name: str = MODEL) -> None:
        """Make ``version`` the champion; ``change`` stands in its tags first, so that no champion is without a record.

        Raises:
            TrackingError: the store refuses; the champion is as it was.
        """
        with _told(f"make {name}/{version} the champion"):
            self._client.set_model_version_tag(name, str(version), *change.as_tag())
            try:
                self._client.set_registered_model_alias(name, CHAMPION, str(version))
            except BaseException:
                self._client.delete_model_version_tag(name, str(version), change.as_tag()[0])
                raise

    def changes(self, name: str = MODEL) -> list[Change]:
        """Every time that the champion changed, the first one first, as the tags of the versions tell it."""
        return sorted(
            (change for version in self.versions(name) for change in changes_of(version.version, version.tags)),
            key=lambda change: change.at,
        )

    def _aliases(self, name: str) -> dict[str, int]:
        """Alias -> version; empty where nothing is registered."""
        with _told(f"look up {name}"):
            models = self._client.search_registered_models(f"name = '{name}'")
            if not models:
                return {}
            return {alias: int(version) for alias, version in self._client.get_registered_model(name).aliases.items()}

    def versions(self, name: str = MODEL) -> list[Version]:
        """Every registered version, the newest first; empty where nothing is registered."""
        aliases = self._aliases(name)
        with _told(f"list the versions of {name}"):
            found = [
                Version(
                    name,
                    int(entry.version),
                    tuple(sorted(alias for alias, version in aliases.items() if version == int(entry.version))),
                    entry.run_id,
                    datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC).replace(tzinfo=None),
                    run.data.metrics,
                    dict(entry.tags),
                    run.info.run_name or "",
                )
                for entry in self._client.search_model_versions(f"name = '{name}'")
                for run in [self._client.get_run(entry.run_id)]
            ]
        return sorted(found, key=lambda version: -version.version)

    def find(self, reference: str | int, name: str = MODEL) -> Version:
        """The version behind a number (``3``), an alias (``champion``), ``koc``, ``koc/3`` or ``koc@champion``.

        A bare name means its champion; the id of a run means its version.

        Raises:
            TrackingError: nothing is registered, or there is no such alias or version.
        """
        text = str(reference)
        for mark in "@/":
            if mark in text:
                name, text = text.split(mark, 1)
        versions = self.versions(name)
        if not versions:
            raise TrackingError(f"no model {name!r} is registered; run `koc train` first")
        wanted = CHAMPION if text == name else text
        for version in versions:
            if wanted in (str(version.version), version.run_id, *version.aliases):
                return version
        aliases = ", ".join(f"{alias} ({v.version})" for v in versions for alias in v.aliases) or "none"
        numbers = ", ".join(str(version.version) for version in reversed(versions))
        raise TrackingError(
            f"{name} has no version or alias {wanted!r}; choose from aliases {aliases} or versions {numbers}"
        )

    def download(self, reference: str | int, to: Path, name: str = MODEL) -> Path:
        """Copy the bundle behind ``reference`` (as in ``find``) to the folder ``to``, whole or not at all; returns ``to``.

        Raises:
            TrackingError: ``reference`` is unknown, ``to`` holds files already, or the artifacts are gone.
        """
        version = self.find(reference, name)
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise TrackingError(
                f"{to} holds files already; name an empty or new folder for {version.name}/{version.version}"
            )
        to.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=to.parent) as beside,
            _told(f"download {version.name}/{version.version} from run {version.run_id}"),
        ):
            Path(self._client.download_artifacts(version.run_id, BUNDLE, beside)).rename(to)
        return to

    def artifact(self, version: Version, file: str) -> bytes:
        """The content of a file that was logged with the run of a version.

        Raises:
            TrackingError: there is no such file.
        """
        with tempfile.TemporaryDirectory() as folder, _told(f"read {file} of {version.name}/{version.version}"):
            if file not in {entry.path for entry in self._client.list_artifacts(version.run_id)}:
                raise TrackingError(
                    f"{version.name}/{version.version} has no {file}; it was registered by an earlier version: train again"
                )
            return Path(self._client.download_artifacts(version.run_id, file, folder)).read_bytes()


@contextmanager
def _told(action: str) -> Iterator[None]:
    """What MLflow, its database or its file system raises, as one of our errors."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise TrackingError(f"cannot {action}: {reason[0]}; check the tracking URI, its server and its folder") from error
