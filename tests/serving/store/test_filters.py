import pytest

from features.errors import ScoresError
from serving.store.filters import ColumnInfo, listed, parse_filters, unknown_column


def test_filters_are_read_from_texts() -> None:
    texts = ["attribute_region=Hangzhou", "attribute_region = Su,zhou", "koc_percentile>=90", "abuse<=0.3", "abuse >= .1",
             "attribute_mail=a=b", "reachable=sms"]  # fmt: skip
    assert parse_filters(texts) == {
        "attribute_region": ["Hangzhou", "Su,zhou"],
        "koc_percentile": {"min": 90.0},
        "abuse": {"max": 0.3, "min": 0.1},
        "attribute_mail": ["a=b"],
        "reachable": ["sms"],
    }
    assert parse_filters([]) == {}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["churn"],
            "'churn' is no filter; write it as attribute_region=Hangzhou, churn_probability<=0.3 or koc_percentile>=90",
        ),
        (["churn<0.3"], "'churn<0.3' is no filter"),
        (["=x"], "'=x' is no filter"),
        (["churn<=low"], "'churn<=low' compares with 'low', which is no number"),
        (["stage=active", "stage>=2"], "stage is given both values and a range; give one of the two"),
    ],
)
def test_what_is_no_filter_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        parse_filters(texts)


def test_of_many_names_the_like_ones_come_first() -> None:
    names = [f"city{number:02}" for number in range(40)] + ["hangzhou"]
    assert listed("hangzou", names).startswith("hangzhou, city00, city01")
    assert listed("hangzou", names).endswith("city18 ...")
    assert listed("x", ["a", "b"]) == "a, b"
    assert listed("x", []) == "nothing"


def test_an_unknown_column_is_told_from_one_that_is_no_filter() -> None:
    columns = {"user_id": ColumnInfo("user_id", "id"), "stage": ColumnInfo("stage", "label", ("active",))}
    assert str(unknown_column("stag", columns)) == (
        "the current scores have no stag to filter by; choose from stage, category, reachable"
    )
    assert str(unknown_column("user_id", columns)).startswith("user_id holds no numbers or labels to filter by; choose from")
