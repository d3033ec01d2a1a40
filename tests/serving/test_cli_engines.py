"""Options that choose the engine: the commands run on Spark and say the same; what is wrong is named."""

from pathlib import Path

import pytest

from tests.command import koc
from tests.files import write_csv

DATASET = """
name = "shop"
[tables.orders]
source = "orders.csv"
columns = { user_id = "buyer", ordered_at = "paid at", amount = "total" }
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write_csv(tmp_path / "orders.csv", "buyer,paid at,total", "a,2024-01-01,100", "b,2024-01-02,200", "b,2024-01-03,-1")
    (tmp_path / "dataset.toml").write_text(DATASET)
    return tmp_path / "dataset.toml"


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_a_report_is_the_same_on_spark(shop: Path, tmp_path: Path) -> None:
    reports = [tmp_path / "duckdb.json", tmp_path / "spark.json"]
    for report in reports:
        ran = koc(
            "validate", "--dataset", shop, "--json", report, "--engine", report.stem, "--quarantine", tmp_path / "aside"
        )
        assert ran.status == 0, ran.err
        assert (tmp_path / "aside" / "orders.parquet").is_file()
    assert reports[0].read_text() == reports[1].read_text()
    assert "negative_amount" in reports[0].read_text()


@pytest.mark.parametrize("command", ["validate", "train"])
def test_without_java_a_command_says_so_before_it_reads(command: str, shop: Path, tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path), "KOC_ENGINE": "spark"}
    ran = koc(command, "--dataset", shop, env=env)
    assert ran.status == 1
    assert "reading" not in ran.err
    assert f"JAVA_HOME={tmp_path} holds no bin/java; install it" in " ".join(ran.err.split())


def test_a_setting_without_a_value_is_refused(shop: Path) -> None:
    ran = koc("validate", "--dataset", shop, "--engine", "spark", "--spark-option", "spark.ui.enabled")
    assert ran.status == 2
    assert "'spark.ui.enabled' is no setting" in ran.err


def test_settings_of_spark_in_the_environment_do_not_disturb_the_default(shop: Path) -> None:
    ran = koc(
        "validate", "--dataset", shop, env={"KOC_SPARK_MASTER": "spark://nowhere:7077", "KOC_SPARK_OPTIONS": "a=1 b=2"}
    )
    assert ran.status == 0, ran.err
