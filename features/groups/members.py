"""Who is in which community at a date: those that the sources give, neighbourhoods by address, and detected clusters."""

from dataclasses import dataclass
from functools import cached_property

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.arcs import arcs_of
from features.blocks.acquaintances import present_members
from features.snapshot import Snapshot, latest_attributes
from features.structure import clusters_of, pairs_graph

Places = NDArray[np.int64]

NEIGHBOURHOODS = ("neighbourhood", "compound", "geo_cell", "小区")
"""Attributes whose value is where somebody lives: who shares it forms a neighbourhood, whether or not there is a group."""

LEAST = 3
"""Members of a detected cluster; two people who know each other are no community."""


@dataclass(frozen=True)
class Members:
    """People in communities at one date, sorted by community, then by user.

    ``community_id``, ``user_id``: (M,) each pair once. ``source``: where the communities come from: ``given``,
    ``neighbourhood`` or ``cluster``, (M,).
    """

    rows: pa.Table

    @cached_property
    def ids(self) -> pa.Array:
        """(C,) communities, ascending."""
        return pc.unique(self.rows["community_id"].combine_chunks())

    @cached_property
    def code(self) -> Places:
        """(M,) place of each row's community in ``ids``."""
        return np.asarray(pc.index_in(self.rows["community_id"].combine_chunks(), value_set=self.ids), dtype=np.int64)

    @cached_property
    def sizes(self) -> Places:
        """(C,) members."""
        return np.bincount(self.code, minlength=len(self.ids))

    @cached_property
    def source(self) -> pa.Array:
        """(C,) of each community."""
        return self.rows["source"].combine_chunks().take(pa.array(np.cumsum(self.sizes) - self.sizes))

    def __len__(self) -> int:
        return len(self.rows)


def members_of(snapshot: Snapshot, clusters: pa.Table | None = None) -> Members:
    """Everybody's communities at the date.

    ``clusters``: user_id, cluster_id, as from `detected_clusters`; they stand in where the sources give no memberships.
    """
    parts = []
    if "memberships" in snapshot:
        given = snapshot.engine.to_arrow(present_members(snapshot).select("community_id", "user_id"))
        parts.append(_part(given["community_id"], given["user_id"], "given"))
    elif clusters is not None:
        known = clusters.filter(pc.is_valid(clusters["cluster_id"]))
        parts.append(_part(known["cluster_id"], known["user_id"], "cluster"))
    if "attributes" in snapshot:
        near = snapshot.engine.to_arrow(_neighbours(snapshot))
        parts.append(_part(near["community_id"], near["user_id"], "neighbourhood"))
    rows = pa.concat_tables(parts) if parts else _part([], [], "given")
    return Members(rows.sort_by([("community_id", "ascending"), ("user_id", "ascending")]).combine_chunks())


def _neighbours(snapshot: Snapshot) -> ir.Table:
    facts = latest_attributes(snapshot)
    facts = facts.filter(facts.name.isin(NEIGHBOURHOODS), facts.value != "")
    named = facts.mutate(community_id=facts.name + ":" + facts.value)
    once = named.group_by("community_id", "user_id").agg(rows=named.count())
    return once.select("community_id", "user_id")


def detected_clusters(snapshot: Snapshot) -> pa.Table:
    """Clusters of people who know each other, by the Leiden algorithm over all ties; mutual ties count twice.

    Returns:
        user_id     string  of everybody with a tie, ascending
        cluster_id  string  ``cluster:`` and the smallest id in it; null for people in none of ``LEAST`` members
    """
    if "pairs" not in snapshot:
        return pa.table({"user_id": pa.array([], pa.string()), "cluster_id": pa.array([], pa.string())})
    names, arcs = arcs_of(snapshot)
    with snapshot.engine.resting():
        graph, ties = pairs_graph(len(names), arcs)
        # What is held here is held beside all that the algorithm takes.
        del arcs
        cluster = clusters_of(graph, ties)
    _, first, place, count = np.unique(cluster, return_index=True, return_inverse=True, return_counts=True)
    smallest = pc.binary_join_element_wise("cluster", names.take(pa.array(first)), ":")
    inside = count[place] >= LEAST
    return pa.table({"user_id": names, "cluster_id": smallest.take(pa.array(place, mask=~inside))})


def _part(community_id: pa.Array, user_id: pa.Array, source: str) -> pa.Table:
    columns = {"community_id": community_id, "user_id": user_id, "source": pa.array([source] * len(user_id), pa.string())}
    schema = pa.schema([("community_id", pa.string()), ("user_id", pa.string()), ("source", pa.string())])
    return pa.table(columns, schema=schema)
