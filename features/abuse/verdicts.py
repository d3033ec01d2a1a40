"""What is held against each account in words, and which accounts are one person: `verdicts`, `merge_candidates`."""

import pyarrow as pa

from features.abuse.suspects import BLOCK, BOT, MAIN, PUPPET, RING, RULE
from features.snapshot import Snapshot, accounts_known

SAID = {
    PUPPET: (
        "one of {members} accounts of one person: registered at once, they act for {cluster} and hardly for themselves",
        "同一人的 {members} 个账号之一：集中注册，几乎只为 {cluster} 操作",
    ),
    BOT: (
        "acts at one interval around the clock (regularity {regularity:.2f} of 1)",
        "昼夜按固定间隔操作（规律度 {regularity:.2f}，最高 1）",
    ),
    RING: ("one of {members} accounts that help each other in turn", "{members} 个轮流互助的账号之一"),
    BLOCK: ("one of {members} accounts in a dense block of repeated help", "{members} 个账号密集互助群组之一"),
    RULE: (
        "broke the rules of help: 3 friends a day, each friend once per product",
        "违反助力规则：每天最多帮 3 人，同一商品只帮一次",
    ),
}  # fmt: skip
"""Code -> why, in English and Chinese; fields are the columns of `features.abuse.suspects`."""

COUNTED = "{said}; {acts} acts until {until}"
COUNTED_ZH = "{said}；共 {acts} 次操作，截至 {until}"


def verdicts(snapshot: Snapshot) -> pa.Table:
    """Accounts of a prepared snapshot that something is held against, and the main accounts of puppets, sorted by id.

    Returns:
        user_id            string
        abuse_score        float64  0 to 1, how clear it is; 0 for main accounts
        abuse_code         string   one of `features.abuse.suspects.CODES`, null for main accounts
        abuse_evidence     string   why, how many acts speak for it and until when; null without a code
        abuse_evidence_zh  string   the same in Chinese
        abuse_person       string   the account of the person to whom this one belongs, itself for the main one; else null
    """
    rows = snapshot.engine.to_arrow(snapshot["suspects"]).sort_by("user_id").to_pylist()
    guilty = [row["code"] != MAIN for row in rows]
    texts = [[_text(row, language) if bad else None for row, bad in zip(rows, guilty, strict=True)] for language in (0, 1)]
    owners = {row["cluster"] for row in rows if row["code"] == PUPPET}
    one_person = [
        row["cluster"] if row["code"] == PUPPET else row["user_id"] if row["user_id"] in owners else None for row in rows
    ]
    return pa.table(
        {
            "user_id": pa.array([row["user_id"] for row in rows], pa.string()),
            "abuse_score": pa.array([row["score"] for row in rows], pa.float64()),
            "abuse_code": pa.array(
                [row["code"] if bad else None for row, bad in zip(rows, guilty, strict=True)], pa.string()
            ),
            "abuse_evidence": pa.array(texts[0], pa.string()),
            "abuse_evidence_zh": pa.array(texts[1], pa.string()),
            "abuse_person": pa.array(one_person, pa.string()),
        }
    )


def merge_candidates(snapshot: Snapshot) -> pa.Table:
    """Accounts of a prepared snapshot that are one person's under another id, sorted by account.

    Returns:
        account    string  keeps no score of its own once it is merged
        person_id  string  the account that stays on lists, with the one score of the person
        basis      string  ``identity`` (they share a value of ``identities`` and are merged already) or ``behaviour``; these
                           are merged when a row of ``identities`` gives both accounts one value
    """
    rows = snapshot.engine.to_arrow(snapshot["suspects"]).to_pylist() if "suspects" in snapshot else []
    found = [(row["user_id"], row["cluster"], "behaviour") for row in rows if row["code"] == PUPPET]
    if "identities" in snapshot.source.tables:
        merged = accounts_known(snapshot.source, snapshot.as_of).to_pylist()
        found += [(row["account"], row["person_id"], "identity") for row in merged]
    names = ("account", "person_id", "basis")
    columns = [*zip(*sorted(found), strict=True)] or [(), (), ()]
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})


def _text(row: dict[str, object], language: int) -> str:
    said = SAID[str(row["code"])][language].format(**row)
    return (COUNTED, COUNTED_ZH)[language].format(said=said, acts=row["acts"], until=row["until"])
