"""Time-outs of each driver, and errors without values."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from airflow_deepseek_ocr.store.engine_options import SUPPORTED, engine_options


@pytest.mark.parametrize("dialect", [*SUPPORTED, None])
def test_every_driver_has_a_time_out_for_connecting(dialect: str | None) -> None:
    arguments = engine_options(dialect)["connect_args"]
    assert 0 < (arguments.get("connect_timeout") or arguments["timeout"]) <= 30


def test_a_dead_host_is_noticed() -> None:
    assert engine_options("postgresql")["connect_args"]["tcp_user_timeout"] == 60_000
    assert engine_options("mysql") == engine_options("mariadb")
    assert engine_options("mysql")["connect_args"]["read_timeout"] > 50


def test_values_stay_out_of_errors() -> None:
    engine = create_engine("sqlite://", **engine_options("sqlite"))
    with engine.connect() as connection, pytest.raises(OperationalError) as caught:
        connection.execute(text("SELECT :secret FROM nowhere"), {"secret": "hush"})
    assert "hush" not in str(caught.value)
