"""What a simulated market is made from: its size, its seed and the parameters that shape it."""

from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.simulate.society import SocietySettings

ZONE = "Asia/Shanghai"


class MarketSettings(BaseModel):
    """One market. Defaults match the shapes of real sets (``docs/simulator.md`` says which and how closely).

    Size: ``users`` registered by the end, ``days`` observed from local midnight of ``start`` on, ``seed``.

    People: ``established`` share registered before the start; ``orders_per_year`` mean own purchases of a living user and
    ``activity_shape`` of their gamma distribution; ``welcome_share`` of newcomers who order within a day;
    ``churn_shape`` and ``churn_scale_days`` of the gamma-mixed lifetimes; ``churn_contagion`` factor by which the hazard
    grows when everyone whom a user follows has left; ``persuasion_sigma`` and ``susceptibility_sigma`` log-normal spreads.

    Goods: ``categories``, ``items_per_user``, ``popularity_exponent`` (Zipf), ``repeat_share`` of orders that buy one's
    earlier item again.

    Ties: ``follows_per_user`` drawn before mirroring, ``follows_sigma`` and ``popularity_sigma`` log-normal spreads of
    following and being followed, ``reciprocity`` share of draws that are mirrored, ``community_size`` mean,
    ``within_community`` share of draws, ``undated_ties`` share without ``since`` among those older than the observation.

    Influence: ``follow_ups_per_order`` mean number of follow-ups that one fresh purchase causes along ties;
    ``hub_discount`` and ``attention_discount`` exponents by which a tie weakens with the influencer's and the follower's
    number of ties; ``delay_days`` median and ``delay_sigma`` of the log-normal delay.

    Joining: ``invited`` share of newcomers whom someone they follow invited, if there is anyone; ``members`` share of users
    who join their community's chat group.

    Sharing: ``sharers`` share of users who ever share, ``shares_per_order`` their mean over fresh purchases,
    ``responses_per_share`` mean number of people when all ties live, ``buy_rate`` of a response with a perfect fit,
    ``reshare_rate`` of a response relative to the responder's own ``shares_per_order``, ``referred`` share of
    bought responses whose order names the sharer.

    Till: ``refund_rate`` and ``late_rate`` shares of orders refunded and recorded late.

    ``society``: roles, campaigns, groups and all else on top of purchases and ties, none of which changes what is there
    without; None for the bare market. ``puppet_accounts`` and ``rings`` inject abuse beyond its usual share: one sock
    puppet of so many accounts (in addition to ``users``) and so many reciprocal rings (among the users).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: int = Field(default=20_000, ge=100)
    days: int = Field(default=365, ge=28, le=3650)
    seed: int = Field(default=0, ge=0)
    start: date = date(2024, 1, 1)

    established: float = Field(default=0.6, ge=0, le=1)
    orders_per_year: float = Field(default=16.0, gt=0)
    activity_shape: float = Field(default=0.8, gt=0)
    welcome_share: float = Field(default=0.6, ge=0, le=1)
    churn_shape: float = Field(default=0.61, gt=0)
    churn_scale_days: float = Field(default=82.0, gt=0)
    churn_contagion: float = Field(default=1.5, ge=0)
    persuasion_sigma: float = Field(default=1.2, ge=0)
    susceptibility_sigma: float = Field(default=0.6, ge=0)

    categories: int = Field(default=20, ge=2)
    items_per_user: float = Field(default=0.3, gt=0)
    popularity_exponent: float = Field(default=0.7, ge=0)
    repeat_share: float = Field(default=0.2, ge=0, le=0.9)

    follows_per_user: float = Field(default=2.4, gt=0)
    follows_sigma: float = Field(default=0.9, ge=0)
    popularity_sigma: float = Field(default=1.5, ge=0)
    reciprocity: float = Field(default=0.45, ge=0, le=1)
    community_size: float = Field(default=60.0, ge=5)
    within_community: float = Field(default=0.8, ge=0, le=1)
    undated_ties: float = Field(default=0.8, ge=0, le=1)

    follow_ups_per_order: float = Field(default=0.065, ge=0, le=0.5)
    hub_discount: float = Field(default=0.3, ge=0)
    attention_discount: float = Field(default=0.5, ge=0)
    delay_days: float = Field(default=5.0, gt=0)
    delay_sigma: float = Field(default=1.0, ge=0)

    invited: float = Field(default=0.4, ge=0, le=1)
    members: float = Field(default=0.5, ge=0, le=1)

    sharers: float = Field(default=0.25, ge=0, le=1)
    shares_per_order: float = Field(default=0.12, ge=0, le=1)
    responses_per_share: float = Field(default=0.8, ge=0)
    buy_rate: float = Field(default=0.3, ge=0, le=1)
    reshare_rate: float = Field(default=1.0, ge=0)
    referred: float = Field(default=0.7, ge=0, le=1)

    refund_rate: float = Field(default=0.05, ge=0, le=1)
    late_rate: float = Field(default=0.03, ge=0, le=1)

    society: SocietySettings | None = SocietySettings()
    puppet_accounts: int = Field(default=0, ge=0)
    rings: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _abuse_fits(self) -> Self:
        """A society to live in, and room for the abusers among the users."""
        if (self.puppet_accounts or self.rings) and self.society is None:
            raise ValueError("puppet_accounts and rings need a society: give one, or inject nothing")
        if self.puppet_accounts > self.users // 2:
            raise ValueError(f"puppet_accounts={self.puppet_accounts}: at most half of users={self.users}")
        if self.society and self.rings * self.society.ring_size > self.users // 10:
            raise ValueError(f"rings={self.rings}: their members are at most a tenth of users={self.users}")
        return self

    @property
    def years(self) -> float:
        """Length of the observation in years."""
        return self.days / 365

    @property
    def end(self) -> int:
        """Length of the observation in seconds; every simulated time is in seconds since the start."""
        return self.days * 86_400
