"""What happens in the market, as columns: orders, shares and the responses to them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

NOBODY = -1
CHANNELS = ("wechat", "moments", "group", "live")
ACTIONS = ("click", "help", "join", "buy", "register")
TARGETS = ("item", "bargain", "group_buy", "membership")


@dataclass(frozen=True)
class Orders:
    """(k,) purchases. ``mover``: who caused it, ``share``: the share it came through; ``NOBODY`` where there is none."""

    user: Ints
    item: Ints
    moment: Ints
    mover: Ints
    share: Ints


@dataclass(frozen=True)
class Shares:
    """(k,) shares; ``channel`` indexes ``CHANNELS``, ``target`` ``TARGETS``, ``parent``: the share passed on, or ``NOBODY``.

    ``item`` is ``NOBODY`` for an invitation to register.
    """

    sharer: Ints
    item: Ints
    moment: Ints
    channel: Ints
    target: Ints
    parent: Ints


@dataclass(frozen=True)
class Responses:
    """(k,) responses; ``share`` is the position of the share, ``action`` indexes ``ACTIONS``."""

    share: Ints
    responder: Ints
    action: Ints
    moment: Ints
