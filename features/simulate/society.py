"""What a market has beyond purchases and ties: roles, campaigns, group buys, groups, memberships, outreach."""

from pydantic import BaseModel, ConfigDict, Field


class RoleShares(BaseModel):
    """How many users play each planted role, as a share of all users; who plays none is ordinary.

    ``koc``: the top by true influence, ``kol``: of the others the top by followers. ``distributor``: invited by the brand,
    ``discount_hunter``, ``staff_guide``, members of a reciprocal ``ring``: drawn among the rest. ``bot`` and
    ``sock_puppet``: accounts in addition to the users. Owners of groups follow from the groups.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    koc: float = Field(default=0.01, ge=0, le=0.1)
    kol: float = Field(default=0.005, ge=0, le=0.1)
    distributor: float = Field(default=0.006, ge=0, le=0.1)
    discount_hunter: float = Field(default=0.02, ge=0, le=0.1)
    staff_guide: float = Field(default=0.002, ge=0, le=0.1)
    ring: float = Field(default=0.004, ge=0, le=0.1)
    bot: float = Field(default=0.001, ge=0, le=0.1)
    sock_puppet: float = Field(default=0.004, ge=0, le=0.1)


class SocietySettings(BaseModel):
    """Volumes per user and year unless said otherwise; ``docs/simulator.md`` gives the reasons.

    Cascades: ``campaigns`` a year, ``seeds`` of each as a share of users, ``accepts_per_invite`` mean over those who pass an
    invitation on, while all ties live, ``reinvite`` mean chance that who accepted invites others.

    Group buys and bargains: ``group_buys`` and ``bargains`` opened, ``joins_per_group`` and ``helps_per_bargain`` friends
    who are asked with success, mean over openers, if all ties live (a friend counts once), ``helps_of_members`` of the
    same community, ``strangers`` and ``joins_of_members`` who join a group buy, ``price_cut`` mean of a filled group.

    Groups: ``new_groups`` relation-born and as many event-born, ``leaderless`` and ``noisy`` shares of all, ``engagements``
    scales all posts, messages, check-ins and visits.

    Sellers: ``promotions`` chance that a KOL shares a purchase on top of what they would share anyway,
    ``distributor_shares`` per distributor, ``staff_shares`` per guide, ``customers_per_guide``.

    Money and members: ``coupons`` share of ordinary orders with a personal coupon, ``paid_tier`` share of users
    who ever pay.

    Abuse: ``ring_size``, ``puppet_size`` accounts of one person, ``puppets_known`` share of them with an identity value of
    their person.

    Outreach: ``contacts`` (holdouts included), ``holdout`` share, ``uplift`` chance that a contacted persuadable shares
    who would not otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: RoleShares = RoleShares()

    campaigns: float = Field(default=8.0, ge=0)
    seeds: float = Field(default=0.004, ge=0, le=1)
    accepts_per_invite: float = Field(default=6.0, ge=0)
    reinvite: float = Field(default=0.5, ge=0, le=1)

    group_buys: float = Field(default=0.08, ge=0)
    joins_per_group: float = Field(default=4.0, ge=0)
    strangers: float = Field(default=0.6, ge=0)
    joins_of_members: float = Field(default=0.9, ge=0)
    price_cut: float = Field(default=0.2, ge=0, le=0.8)
    bargains: float = Field(default=0.08, ge=0)
    helps_per_bargain: float = Field(default=3.0, ge=0)
    helps_of_members: float = Field(default=1.5, ge=0)

    new_groups: float = Field(default=0.0033, ge=0)
    leaderless: float = Field(default=0.2, ge=0, le=1)
    noisy: float = Field(default=0.1, ge=0, le=1)
    engagements: float = Field(default=1.0, ge=0)

    promotions: float = Field(default=0.5, ge=0, le=1)
    distributor_shares: float = Field(default=40.0, ge=0)
    staff_shares: float = Field(default=60.0, ge=0)
    customers_per_guide: int = Field(default=100, ge=1)

    coupons: float = Field(default=0.04, ge=0, le=1)
    paid_tier: float = Field(default=0.1, ge=0, le=1)

    ring_size: int = Field(default=5, ge=2)
    puppet_size: int = Field(default=20, ge=2)
    puppets_known: float = Field(default=0.2, ge=0, le=1)

    contacts: float = Field(default=0.45, ge=0)
    holdout: float = Field(default=0.2, ge=0, le=1)
    uplift: float = Field(default=0.45, ge=0, le=1)
