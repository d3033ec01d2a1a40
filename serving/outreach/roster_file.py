"""External contacts out of a CSV file or spreadsheet, under our names or those that WeCom and its tools write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from features.errors import DatasetError, ListError
from features.intake.parse import as_text, ends_in_zeros, parse, rounded_ids
from features.intake.sources import ROW, Source, open_file
from features.schema import Kind
from serving.outreach.posted import MOST_RECORDS
from serving.outreach.roster import ExternalContact

NAMES: Mapping[str, tuple[str, ...]] = {
    "external_id": ("external_id", "external_userid", "外部联系人id", "客户id"),
    "kind": ("kind", "type"),
    "user_id": ("user_id", "customer_id", "会员号", "用户id"),
    "staff": ("staff", "follow_user", "userid", "添加人", "所属员工"),
    "inviter_id": ("inviter_id", "invitor", "inviter", "邀请人"),
    "join_scene": ("join_scene", "add_way", "state", "添加方式", "来源"),
    "community_id": ("community_id", "chat_id", "群id", "群聊id"),
    "added_at": ("added_at", "createtime", "join_time", "添加时间", "入群时间"),
}
"""Our name -> headers that mean it, in small letters; the first one there is taken."""

SHOWN = 3


def read_roster(path: Path, zone: str) -> list[ExternalContact]:
    """The contacts in a file. zone: of times that do not carry their own.

    Raises:
        ListError: the file cannot be read, a column that is needed is missing, ids are rounded, there are no rows or too
            many, or some cannot be read; says which.
    """
    records: list[ExternalContact] = []
    try:
        source = open_file(path)
        columns = _columns(source, path.name)
        for batch in source.batches(list(columns.values())):
            records += _records(batch, columns, zone, path.name)
            if len(records) > MOST_RECORDS:
                raise ListError(f"{path.name} has more than {MOST_RECORDS:,} rows; send it in parts")
    except DatasetError as error:
        # The folder is ours and tells the sender nothing.
        raise ListError(str(error).replace(str(path), path.name)) from None
    if not records:
        raise ListError(f"{path.name} has no rows below its header; send the contacts")
    return records


def _columns(source: Source, name: str) -> dict[str, str]:
    """Our name -> the header in the file."""
    theirs = {header.strip().lower(): header for header in reversed(source.names)}
    found = {
        ours: theirs[known] for ours, headers in NAMES.items() if (known := next((h for h in headers if h in theirs), None))
    }
    for needed in ("external_id", "added_at"):
        if needed not in found:
            raise ListError(
                f"{name} has no column {needed}; call it one of {', '.join(NAMES[needed])} "
                f"(its columns are {', '.join(source.names)})"
            )
    return found


def _records(batch: pa.RecordBatch, columns: Mapping[str, str], zone: str, name: str) -> list[ExternalContact]:
    values: dict[str, list[Any]] = {}
    for ours, theirs in columns.items():
        raw = batch[theirs]
        if ours == "added_at":
            times = parse(raw, Kind.TIME, zone=zone, money="minor").values
            # What cannot be read stays as it is, so that the message shows it.
            texts = as_text(raw).to_pylist()
            values[ours] = [
                time or text for time, text in zip(pc.assume_timezone(times, "UTC").to_pylist(), texts, strict=True)
            ]
            continue
        ids = as_text(raw)
        values[ours] = ids.to_pylist()
        if ours.endswith("_id") and (rounded := _rounded(raw, ids)):
            raise ListError(
                f"{name}: {theirs!r} has ids that a spreadsheet has rounded, such as {rounded}; format the column as text "
                "and export it again"
            )
    records, wrong = [], []
    for place, number in enumerate(batch[ROW].to_pylist()):
        told = {ours: column[place] for ours, column in values.items() if column[place] is not None}
        try:
            records.append(ExternalContact.model_validate(told))
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            met = repr(told[field]) if field in told else "empty"
            wrong.append(f"row {number}, {columns.get(field, field)}: {met}: {first['msg']}")
    if wrong:
        more = f" and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
        raise ListError(f"{name}: {len(wrong):,} rows cannot be read ({'; '.join(wrong[:SHOWN])}{more}); correct them")
    return records


def _rounded(raw: pa.Array, ids: pa.Array) -> str | None:
    """One of the ids that a spreadsheet has rounded, for certain or because most long ones end in zeros."""
    marks = rounded_ids(raw, ids)
    if marks is None:
        long, ending = ends_in_zeros(ids)
        marks = ending if ending is not None and 2 * pc.sum(ending).as_py() > long else None
    return None if marks is None else str(ids.filter(marks)[0].as_py())
