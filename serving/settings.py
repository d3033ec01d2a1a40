"""How the service runs: one frozen object, read once from the environment (``KOC_...``) and passed in."""

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import SettingsError


class ServiceSettings(BaseSettings):
    """Places, limits and patience of the service; each is read from ``KOC_`` and its name in capitals.

    ``home``: folder of models, scores and, unless ``database_url`` names another, of the operations database. ``dataset``:
    the dataset file that fresh scores, batch scoring and retraining read. ``redis_url``: wakes workers, and counts requests
    over all processes; without it, files at home and each process for itself. ``host``, ``port``: where the API listens.
    ``keep_batches``: batches of scores that stay on disk. ``requests_per_minute``: of one key. ``reserve_days``: how long
    people are reserved for a list that names no end. ``contacts_per_month``: most contacts of one person in 30 days, over
    all lists. ``lease_seconds``: after which a silent worker's job goes to another.
    ``live_seconds``: longest that a request for fresh scores waits while they are made; ``database_minutes``: after which
    fresh scores read the tables of a database server again, of which nothing tells whether they have changed.
    ``schedule_score``, ``schedule_train``, ``schedule_monitor``: cron expressions (UTC) on which workers ask for these jobs.
    """

    model_config = SettingsConfigDict(env_prefix="KOC_", frozen=True, extra="ignore")

    home: Path = Path(".koc")
    dataset: Path = Path("dataset.toml")
    database_url: str | None = None
    tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    redis_url: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    keep_batches: int = Field(default=7, ge=1)
    requests_per_minute: int = Field(default=600, ge=1)
    reserve_days: int = Field(default=14, ge=1)
    contacts_per_month: int = Field(default=4, ge=1)
    lease_seconds: float = Field(default=60.0, gt=0)
    live_seconds: float = Field(default=30.0, gt=0)
    database_minutes: float = Field(default=10.0, gt=0)
    memory: str | None = None
    threads: int = Field(default=2, ge=1)
    schedule_score: str | None = None
    schedule_train: str | None = None
    schedule_monitor: str | None = None

    @field_validator("schedule_score", "schedule_train", "schedule_monitor")
    @classmethod
    def _is_cron(cls, expression: str | None, info: ValidationInfo) -> str | None:
        """Raises:
        SettingsError: it is no cron expression of five fields, or its time never comes.
        """
        from croniter import CroniterError, croniter

        if not expression:
            return None
        try:
            # Some write seconds first, others last: with six fields a night would be taken for a day of the month.
            told = len(expression.split()) in (1, 5) and croniter(expression).get_prev() > 0
        except CroniterError:
            told = False
        if not told:
            raise SettingsError(
                f"KOC_{str(info.field_name).upper()} is {expression!r}, which is no cron expression; write minute, hour, "
                "day, month and weekday (UTC), such as 0 3 * * * for 3:00 every night"
            )
        return expression

    @property
    def schedule(self) -> dict[str, str]:
        """Kind of job -> its cron expression, of those that have one."""
        given = {"score": self.schedule_score, "train": self.schedule_train, "monitor": self.schedule_monitor}
        return {kind: expression for kind, expression in given.items() if expression}

    @property
    def operations_url(self) -> str:
        """The operations database: ``database_url``, else a SQLite file at home."""
        return self.database_url or f"sqlite:///{self.home / 'operations.db'}"

    @property
    def scores(self) -> Path:
        """Folder of the batches of scores."""
        return self.home / "scores"
