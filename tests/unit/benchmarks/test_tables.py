"""Tables of figures."""

from benchmarks.tables import markdown_table


def test_a_table_has_the_columns_in_their_order_and_two_digits_after_the_point() -> None:
    rows = [{"b": 1234.567, "a": "x", "left out": 1}, {"a": None, "b": 3}]
    assert markdown_table(["a", "b"], rows).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x | 1,234.57 |",
        "|  | 3 |",
    ]
