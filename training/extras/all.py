"""Every kind of extra model, in the order of their columns."""

from training.extras.chain_value import CHAIN_VALUE
from training.extras.contract import Extra
from training.extras.group_fill import GROUP_FILL

EXTRAS: tuple[Extra, ...] = (CHAIN_VALUE, GROUP_FILL)
