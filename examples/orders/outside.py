"""The world outside the shop, on the loopback interface: a payment provider with books of its own, and the carriers' rates."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

__all__ = ["Outside", "outside"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS authorizations (order_id TEXT PRIMARY KEY, card TEXT NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS statement (line INTEGER PRIMARY KEY, what TEXT NOT NULL);
"""
_CARDS = {"card-4711": 10_000_000, "card-0815": 5_000_000, "card-9999": 50_000}
"""What each card is good for, in cents."""
_RATES = {"nordlink": (900, 4), "hansa": (1_500, 3), "jutland": (700, 5), "ebro": (1_100, 4)}
"""Cents for a pick-up and for each kilogram; a carrier that is not here has nothing to offer."""
_TOKEN = "windward-parts-0001"  # noqa: S105  # of a provider that only this example has
Answer = tuple[int, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Outside:
    """Where it is reached: 'http://127.0.0.1:…'."""

    host: str
    token: str
    books: Path

    @property
    def url(self) -> str:
        """As requests begin."""
        return f"http://{self.host}"

    def statement(self) -> list[str]:
        """What the payment provider did, in its order."""
        with closing(sqlite3.connect(self.books)) as books:
            return [row[0] for row in books.execute("SELECT what FROM statement ORDER BY line")]


@contextmanager
def outside(books: Path) -> Iterator[Outside]:
    """A provider that remembers in `books`, and carriers, on a free port until the block ends."""
    books.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(books)) as connection:
        connection.executescript(_SCHEMA)
    server = _Server(books)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Outside(f"127.0.0.1:{server.server_port}", _TOKEN, books)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, books: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.books = books
        self.one_at_a_time = Lock()

    def authorize(self, order: str, card: str, amount: int) -> Answer:
        """Block an amount; the same order again is the same authorization."""
        with self._writing() as books:
            found = books.execute("SELECT state FROM authorizations WHERE order_id = ?", (order,)).fetchone()
            if found is None or found[0] == "void":
                if amount > _CARDS.get(card, 0):
                    return 402, {"reason": "insufficient_funds"}
                books.execute("INSERT OR REPLACE INTO authorizations VALUES (?, ?, ?, 'open')", (order, card, amount))
                books.execute("INSERT INTO statement (what) VALUES (?)", (f"authorized {order} {amount}",))
            return 201, {"authorization": f"auth-{order}", "amount": amount}

    def void(self, order: str) -> Answer:
        """Give an amount back; what is not blocked is given back already."""
        with self._writing() as books:
            changed = books.execute(
                "UPDATE authorizations SET state = 'void' WHERE order_id = ? AND state = 'open'", (order,)
            )
            if changed.rowcount:
                books.execute("INSERT INTO statement (what) VALUES (?)", (f"voided {order}",))
            return 200, {"authorization": f"auth-{order}", "state": "void"}

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self.one_at_a_time, closing(sqlite3.connect(self.books)) as books, books:
            yield books


class _Requests(BaseHTTPRequestHandler):
    server: _Server

    def do_PUT(self) -> None:
        """`PUT /authorizations/ORDER {card, amount}`."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._is_known():
            self._answer(self.server.authorize(self._last(), asked["card"], asked["amount"]))

    def do_DELETE(self) -> None:
        """`DELETE /authorizations/ORDER`."""
        if self._is_known():
            self._answer(self.server.void(self._last()))

    def do_GET(self) -> None:
        """`GET /rates/CARRIER?grams=…`."""
        rate = _RATES.get(self._last())
        if rate is None:
            self._answer((404, {"reason": "no_service"}))
            return
        grams = int(parse_qs(urlsplit(self.path).query)["grams"][0])
        self._answer((200, {"cost": rate[0] + rate[1] * grams // 10, "days": 1 + rate[1] % 3}))

    def _is_known(self) -> bool:
        """Whether the caller is the shop; others are turned away."""
        known = self.headers["Authorization"] == f"Bearer {_TOKEN}"
        if not known:
            self._answer((401, {"reason": "unknown_token"}))
        return known

    def _last(self) -> str:
        return urlsplit(self.path).path.rpartition("/")[2]

    def _answer(self, answer: Answer) -> None:
        status, told = answer
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the demo's reader is told by the demo."""
