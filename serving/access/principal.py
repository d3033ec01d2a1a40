"""Who asks and what they may do: scopes, and the rows they see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from features.errors import ForbiddenError


class Scope(StrEnum):
    """What a key may do. ``operate`` and ``train`` include ``read``; ``admin`` includes these, but not ``identify``."""

    READ = "read"
    """See lists, scores, score cards, results and models."""
    OPERATE = "operate"
    """Make and work lists, post outreach and outcomes."""
    TRAIN = "train"
    """Score batches and retrain."""
    ADMIN = "admin"
    """Read the audit log, promote models, erase people."""
    IDENTIFY = "identify"
    """See external ids of people, such as those of WeCom."""


INCLUDES = {
    Scope.OPERATE: {Scope.READ},
    Scope.TRAIN: {Scope.READ},
    Scope.ADMIN: {Scope.READ, Scope.OPERATE, Scope.TRAIN},
}
FOR_EVERYBODY = {Scope.TRAIN, Scope.ADMIN}
"""Scopes that act on everybody, so that a key with a row scope cannot have them."""

RowScope = Mapping[str, tuple[str, ...]]
"""Score column -> the values that are seen; without columns everybody is."""


@dataclass(frozen=True)
class Principal:
    """A key as it acts. ``scopes``: as given; ask `may`, which knows what they include. ``row_scope``: {} sees everybody.

    ``earlier``: the keys that it was rotated from.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    row_scope: RowScope = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    def owns(self, made_by: str) -> bool:
        """Whether what the key ``made_by`` made is this one's: its own, or of one that it has replaced."""
        return made_by == self.key_id or made_by in self.earlier

    @cached_property
    def granted(self) -> frozenset[Scope]:
        """The scopes with those that they include."""
        return self.scopes.union(*(INCLUDES.get(scope, set()) for scope in self.scopes))

    def may(self, scope: str) -> bool:
        return scope in self.granted

    def require(self, scope: str) -> None:
        """Raises:
        ForbiddenError: the key has no such scope.
        """
        if scope not in self.granted:
            held = ", ".join(sorted(self.scopes)) or "none"
            raise ForbiddenError(
                f"key {self.name!r} ({self.key_id}) may not do this: it needs scope {str(scope)!r} and has {held}; "
                f"use another key, or make one with `koc keys create NAME --scope {scope}`"
            )


SCHEDULE = Principal("schedule", "schedule", frozenset({Scope.TRAIN}))
"""The clock of the settings, on which workers score and train."""

LOCAL = Principal("local", "command line", frozenset(Scope))
"""Whoever has a shell on the machine: all scopes, everybody."""
