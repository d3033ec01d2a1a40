"""A deployment's ``dataset.toml`` as one frozen object: where tables come from and how time is cut."""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from features.errors import DatasetError
from features.schema import TABLES


class Severity(StrEnum):
    """What happens to a row with a defect: stop the run, keep the row out and count it, or only report it."""

    ERROR = "error"
    SET_ASIDE = "set_aside"
    WARN = "warn"


class Defect(StrEnum):
    """Every kind of defect that validation looks for."""

    UNREADABLE = "unreadable"
    ROUNDED_ID = "rounded_id"
    NULL_KEY = "null_key"
    DUPLICATE_KEY = "duplicate_key"
    NEGATIVE_AMOUNT = "negative_amount"
    FUTURE_TIME = "future_time"
    SELF_TIE = "self_tie"
    UNKNOWN_SHARE = "unknown_share"
    DUPLICATE_EVENT = "duplicate_event"
    DANGLING_ID = "dangling_id"
    USER_WITHOUT_EVENT = "user_without_event"


DEFAULT_SEVERITY: Mapping[Defect, Severity] = {
    Defect.UNREADABLE: Severity.ERROR,
    Defect.ROUNDED_ID: Severity.ERROR,
    Defect.NULL_KEY: Severity.SET_ASIDE,
    Defect.DUPLICATE_KEY: Severity.SET_ASIDE,
    Defect.NEGATIVE_AMOUNT: Severity.SET_ASIDE,
    Defect.FUTURE_TIME: Severity.SET_ASIDE,
    Defect.SELF_TIE: Severity.SET_ASIDE,
    Defect.UNKNOWN_SHARE: Severity.SET_ASIDE,
    Defect.DUPLICATE_EVENT: Severity.WARN,
    Defect.DANGLING_ID: Severity.WARN,
    Defect.USER_WITHOUT_EVENT: Severity.WARN,
}

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: object) -> object:
    """``"6h"`` or ``"42d"`` as a timedelta (units m, h, d, w); anything else is passed on to pydantic."""
    if isinstance(text, str) and (match := re.fullmatch(r"\s*(\d+)\s*([mhdw])\s*", text)):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    return text


def parse_moment(text: object) -> object:
    """A date or time without zone is UTC; the result is UTC without tzinfo, as in all our tables."""
    moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0))]
Moment = Annotated[datetime, BeforeValidator(parse_moment)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TimeSettings(_Frozen):
    """How time is cut. All moments are UTC; windows are half-open.

    ``horizon``: length of a label. ``window`` and ``min_gap``: a first purchase counts as a follow-up when it comes
    later than ``min_gap`` and not later than ``window`` after the tie's own. ``windows``: lengths of the feature windows,
    default a third, one and two horizons. ``lookback``: no feature reads events older than this; default all history.
    ``until``: the data is complete up to here; default the last event. ``test_dates``: where backtests stand.
    """

    horizon: Duration = timedelta(days=42)
    window: Duration = timedelta(days=28)
    min_gap: Duration = timedelta(0)
    windows: tuple[Duration, ...] = ()
    lookback: Duration | None = None
    until: Moment | None = None
    test_dates: tuple[Moment, ...] = ()

    @model_validator(mode="after")
    def _ordered(self) -> "TimeSettings":
        if self.horizon < timedelta(days=1):
            raise ValueError(f"horizon is {self.horizon}; give at least one day, such as horizon = '42d'")
        if self.min_gap >= self.window:
            raise ValueError(f"min_gap {self.min_gap} leaves nothing of window {self.window}; make window longer")
        if any(window < timedelta(days=1) for window in self.windows):
            raise ValueError("windows shorter than one day cannot be named in days; use at least '1d'")
        return self

    @property
    def feature_windows(self) -> tuple[timedelta, ...]:
        """Feature windows, shortest first, in whole days; one horizon is always among them."""
        days = self.horizon.days
        lengths = {window.days for window in self.windows} or {max(1, days // 3), 2 * days}
        return tuple(timedelta(days=length) for length in sorted(lengths | {days}))


class TableSource(_Frozen):
    """Where one table comes from and how its columns are called there.

    ``source``: a Parquet file or folder, a CSV or xlsx file (relative to the dataset's root), or an ibis URL with ``table``.
    ``columns``: our name -> theirs. ``constants``: our name -> one value for every row. ``unpivot`` (``attributes`` only):
    attribute name -> their column, for a flat table with one column per attribute. ``distinct``: the source repeats
    rows of this table (items listed on every order); equal ones become one. ``money``: amounts come in whole units
    (yuan, ``major``) or hundredths (fen, ``minor``).
    """

    source: str
    table: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    zone: str | None = None
    money: Literal["major", "minor"] = "minor"
    columns: dict[str, str] = Field(default_factory=dict)
    constants: dict[str, Any] = Field(default_factory=dict)
    unpivot: dict[str, str] = Field(default_factory=dict)
    undirected: bool = False
    distinct: bool = False
    severity: dict[Defect, Severity] = Field(default_factory=dict)


class Dataset(_Frozen):
    """One deployment's tables and settings, as read from ``dataset.toml``.

    ``root``: the folder that relative sources are read from. ``zone``: of all times without one of their own.
    ``credit``: at which level a purchase repeats another (item, spu or category). ``caution``: said in every report.
    """

    name: str
    root: Path
    zone: str = "UTC"
    encoding: str | None = None
    currency: str = "CNY"
    credit: Literal["item", "spu", "category"] = "item"
    caution: str = ""
    time: TimeSettings = TimeSettings()
    severity: dict[Defect, Severity] = Field(default_factory=dict)
    tables: dict[str, TableSource]

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"unknown zone {zone!r}; use a name such as 'Asia/Shanghai'") from None
        return zone

    @model_validator(mode="after")
    def _known_names(self) -> "Dataset":
        for name, source in self.tables.items():
            if name not in TABLES:
                raise ValueError(f"unknown table {name!r}; choose from {', '.join(TABLES)}")
            for column in (*source.columns, *source.constants):
                if column not in TABLES[name]:
                    known = ", ".join(TABLES[name].by_name)
                    raise ValueError(f"table {name!r} has no column {column!r}; choose from {known}")
            if source.undirected and name != "ties":
                raise ValueError(f"undirected belongs to ties, not to {name!r}; remove it")
            if source.unpivot and name != "attributes":
                raise ValueError(f"unpivot belongs to attributes, not to {name!r}; remove it")
            for defect in (Defect.NULL_KEY, *((Defect.DUPLICATE_KEY,) if TABLES[name].referred_to else ())):
                if self.severity_of(name, defect) is Severity.WARN:
                    raise ValueError(
                        f"rows with {defect} in table {name!r} would count twice or not at all, so 'warn' is refused; "
                        "use 'set_aside' or 'error'"
                    )
        if not {"orders", "share_responses"} & set(self.tables):
            raise ValueError("neither orders nor share_responses is mapped; map at least one of them")
        return self

    def severity_of(self, table: str, defect: Defect) -> Severity:
        """The table's own setting, else the dataset's, else the default."""
        own = self.tables[table].severity if table in self.tables else {}
        return own.get(defect, self.severity.get(defect, DEFAULT_SEVERITY[defect]))

    def without_passwords(self) -> "Dataset":
        """The same without those of database URLs, as it is kept beside models; drivers find them elsewhere (PGPASSWORD)."""
        tables = {
            name: source.model_copy(update={"source": without_password(source.source)})
            for name, source in self.tables.items()
        }
        return self.model_copy(update={"tables": tables})


def without_password(url: str) -> str:
    """The URL of a database as it may be shown or kept; anything else as it is."""
    if "://" not in url:
        return url
    # Up to the last @, as drivers read it: a password may hold others.
    plain = re.sub(r"^(\w+://[^:@/]*):[^/?#]*@", r"\1@", url)
    return re.sub(r"(?i)(?<=[?&])(\w*(?:password|token|secret))=[^&#]*", r"\1=", plain)


def read_dataset(path: Path, *, root: Path | None = None, test_dates: tuple[datetime, ...] = ()) -> Dataset:
    """Read ``dataset.toml``; ``root`` and ``test_dates`` override what the file says.

    Raises:
        DatasetError: the file is missing, is not TOML, or a key or value in it is wrong.
    """
    if not path.is_file():
        raise DatasetError(f"no dataset file at {path}; draft one with `koc init FILES...`")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{path} is not valid TOML: {error}; correct that line") from None
    content.setdefault("name", path.stem)
    content["root"] = root or path.parent / content.get("root", ".")
    if test_dates:
        content["time"] = {**content.get("time", {}), "test_dates": test_dates}
    try:
        return Dataset.model_validate(content)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise DatasetError(f"{path}: {found}; correct the file and run `koc validate` again") from None
