import pytest

from features.errors import ForbiddenError
from serving.access.principal import LOCAL, Principal, Scope


@pytest.mark.parametrize(
    ("held", "may"),
    [
        ("read", {"read"}),
        ("operate", {"read", "operate"}),
        ("train", {"read", "train"}),
        ("admin", {"read", "operate", "train", "admin"}),
        ("identify", {"identify"}),
    ],
)
def test_a_scope_includes_those_below_it(held: str, may: set[str]) -> None:
    principal = Principal("1", "ops", frozenset({Scope(held)}))
    assert {scope for scope in Scope if principal.may(scope)} == may


def test_what_is_missing_is_said_with_what_is_there() -> None:
    principal = Principal("1", "ops", frozenset({Scope.READ, Scope.IDENTIFY}))
    with pytest.raises(ForbiddenError, match=r"key 'ops' \(1\) may not .* needs scope 'train' and has identify, read; use"):
        principal.require("train")


def test_the_command_line_may_do_everything_with_everybody() -> None:
    assert all(LOCAL.may(scope) for scope in Scope)
    assert LOCAL.row_scope == {}
