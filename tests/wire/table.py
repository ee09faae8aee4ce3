"""The whole table: every row of every `rows_*` file, under "part/name"."""

from __future__ import annotations

from . import (
    rows_auth,
    rows_data,
    rows_exchange,
    rows_extension,
    rows_finished,
    rows_hello,
    rows_order,
    rows_record,
    rows_sealed,
    rows_served,
)
from .row import Row

PARTS: dict[str, list[Row]] = {
    "record": rows_record.ROWS,
    "hello": rows_hello.ROWS,
    "extension": rows_extension.ROWS,
    "exchange": rows_exchange.ROWS,
    "order": rows_order.ROWS,
    "finished": rows_finished.ROWS,
    "sealed": rows_sealed.ROWS,
    "data": rows_data.ROWS,
    "auth": rows_auth.ROWS,
    "served": rows_served.ROWS,
}
TABLE: dict[str, Row] = {f"{part}/{row.name}": row for part, rows in PARTS.items() for row in rows}
assert len(TABLE) == sum(map(len, PARTS.values())), "two rows of one part have the same name"
