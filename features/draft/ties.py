"""Ties of a draft: what kind they are, and which of two user columns may influence the other."""

import re
from dataclasses import replace

from features.draft.guess import Guess
from features.draft.header_words import DIRECTED, TIE_KINDS, named_by
from features.draft.parts import Asker, TableDraft

_BOTH = "both ways"


def settle_ties(drafted: TableDraft, asker: Asker) -> TableDraft:
    """The ties with a kind, and a direction or ``undirected``; asks where headers and values do not tell."""
    user, influencer = drafted.columns["user_id"], drafted.columns["influencer_id"]
    undirected = _undirected(drafted)
    if min(user.confidence, influencer.confidence) < 0.75:
        undirected = replace(undirected, confidence=min(undirected.confidence, 0.6))
    onward, back = (f"{a} follows {b}" for a, b in ((user.value, influencer.value), (influencer.value, user.value)))
    default = replace(undirected, value=_BOTH if undirected.value == "true" else onward)
    text = f"Which way do the ties of {drafted.source.label} point?"
    answer = asker.settle(f"{drafted.source.label}: direction", text, (_BOTH, onward, back), default)
    if answer.value == back:
        user, influencer = influencer, user
    if answer is not default:
        user, influencer = (
            replace(one, confidence=1.0, reason="confirmed with the direction") for one in (user, influencer)
        )
    flag = Guess("true" if answer.value == _BOTH else "false", answer.confidence, answer.reason)
    kind = _kind(drafted)
    return replace(
        drafted,
        columns={**drafted.columns, "user_id": user, "influencer_id": influencer},
        constants={"kind": kind} if kind and "kind" not in drafted.columns else {},
        undirected=flag,
    )


def _undirected(drafted: TableDraft) -> Guess:
    headers = [drafted.columns[name].value for name in ("user_id", "influencer_id")]
    told = next((header for header in headers if named_by(header, {"directed": DIRECTED})), None)
    if told:
        return Guess("false", 0.9, f"header {told} tells the direction")
    first, second = (drafted.source[header].values for header in headers)
    pairs = set(zip(first, second, strict=False))
    mirrored = sum((b, a) in pairs for a, b in pairs) / max(1, len(pairs))
    if mirrored >= 0.8:
        return Guess("true", 0.9, f"{mirrored:.0%} of the pairs are there both ways round")
    if kind := _kind(drafted):
        if kind.value == "friend":
            return Guess("true", 0.85, f"{kind.reason}, and friends are friends both ways")
        return Guess("false", 0.8, f"{kind.reason}, and that has a direction")
    return Guess("true", 0.5, "no header tells a direction")


def _kind(drafted: TableDraft) -> Guess | None:
    """What the headers or the file's name call the ties."""
    for word in [drafted.columns[name].value for name in ("user_id", "influencer_id")]:
        if kind := named_by(word, TIE_KINDS):
            return Guess(kind, 0.9, f"header {word}")
    for word in re.split(r"[\W_\d]+", drafted.source.path.stem):
        if kind := named_by(word, TIE_KINDS):
            return Guess(kind, 0.85, f"the file's name says {word}")
    return None
