"""Who is held back from contact: always the same people, and whole communities where members see each other's offers."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from serving.state.tables import facts

Arm = Literal["contact", "holdout"]
CONTACT: Arm = "contact"
HOLDOUT: Arm = "holdout"
_SALT = "holdout salt"


def salt_of(connection: sa.Connection) -> str:
    """The salt of this installation's holdout, made at its first use; never changed, so that arms persist across lists."""
    asked = sa.select(facts.c.value).where(facts.c.name == _SALT)
    found = connection.execute(asked).scalar_one_or_none()
    if found is None:
        found = secrets.token_hex(16)
        connection.execute(sa.insert(facts).values(name=_SALT, value=found))
    return str(found)


def place_of(unit: str, salt: str) -> float:
    """Where ``unit`` (a person, or a community) falls in [0, 1), evenly over units and the same for ever."""
    digest = hashlib.blake2b(unit.encode(), key=bytes.fromhex(salt), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def held_out(units: Iterable[str], share: float, salt: str) -> npt.NDArray[np.bool_]:
    """Whether each of ``units`` is held out at ``share``, 0 to 1; a larger share holds out the same and more."""
    places: dict[str, float] = {}
    return np.array([places.setdefault(unit, place_of(unit, salt)) < share for unit in units], dtype=bool)


def unit_of(user_id: str, community: str | None) -> str:
    """What is held out together with the person: the community of a member, else nobody else."""
    return f"community {community}" if community else f"user {user_id}"
