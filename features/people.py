"""Which accounts are one person: identities that share a value, merged before anything is counted."""

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from features.engine import Engine
from features.schema import TABLES, Kind


def merged_accounts(identities: ir.Table, engine: Engine) -> pa.Table:
    """Accounts that belong to a person known under another id.

    Two accounts with the same (kind, value), none of them null, are one person, and so are those that a chain of such
    pairs connects. The person's id is the smallest of the accounts' ids.

    Returns:
        account    string  an account that is not its person's id
        person_id  string  the person's id
    """
    rows = engine.to_arrow(identities.select("user_id", "kind", "value").drop_null().distinct())
    users, user_code = np.unique(rows["user_id"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    marks = pc.binary_join_element_wise(rows["kind"], rows["value"], "\x1f")
    values, value_code = np.unique(marks.to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    size = len(users) + len(values)
    links = coo_matrix((np.ones(len(user_code), dtype=np.int8), (user_code, value_code + len(users))), shape=(size, size))
    _, component = connected_components(links, directed=False)
    # np.unique sorts, so the first account of a component is also its smallest.
    _, first, member_of = np.unique(component[: len(users)], return_index=True, return_inverse=True)
    person = users[first][member_of]
    moved = person != users
    return pa.table({"account": pa.array(users[moved], pa.string()), "person_id": pa.array(person[moved], pa.string())})


def as_people(table: ir.Table, name: str, accounts: ir.Table) -> ir.Table:
    """``table`` with every user column of its spec replaced by the person's id."""
    for column in TABLES[name].of_kind(Kind.USER):
        names = accounts.select(account_key=accounts.account, person_key=accounts.person_id)
        joined = table.left_join(names, table[column.name] == names.account_key)
        table = joined.mutate(**{column.name: joined.person_key.coalesce(joined[column.name])}).drop(
            "account_key", "person_key"
        )
    return table
