"""The buyer's books in SQLite: suppliers, orders, receipts, and what has been claimed and booked."""

from __future__ import annotations

from pathlib import Path

from examples.books import begin, reading, writing

__all__ = ["SCHEMA", "create_book", "reading", "writing"]

SCHEMA = """
CREATE TABLE company (name TEXT NOT NULL, party_id TEXT PRIMARY KEY);
CREATE TABLE accounts (
    currency TEXT PRIMARY KEY, iban TEXT NOT NULL, bic TEXT NOT NULL, approval_above TEXT NOT NULL);
CREATE TABLE suppliers (id TEXT PRIMARY KEY, name TEXT NOT NULL, party_id TEXT NOT NULL UNIQUE);
CREATE TABLE supplier_accounts (
    supplier TEXT NOT NULL REFERENCES suppliers, iban TEXT NOT NULL, PRIMARY KEY (supplier, iban));
CREATE TABLE orders (
    number TEXT PRIMARY KEY, supplier TEXT NOT NULL REFERENCES suppliers, currency TEXT NOT NULL,
    charges_limit TEXT NOT NULL DEFAULT '0');
CREATE TABLE order_lines (
    order_number TEXT NOT NULL REFERENCES orders, line TEXT NOT NULL, item TEXT NOT NULL, name TEXT NOT NULL,
    quantity TEXT NOT NULL, price TEXT NOT NULL, PRIMARY KEY (order_number, line));
CREATE TABLE receipts (
    order_number TEXT NOT NULL, line TEXT NOT NULL, quantity TEXT NOT NULL, received_on TEXT NOT NULL,
    FOREIGN KEY (order_number, line) REFERENCES order_lines);

-- What a document claims: quantities of order lines, and its number so that it comes only once.
CREATE TABLE claims (
    document TEXT NOT NULL, order_number TEXT NOT NULL, line TEXT NOT NULL, quantity TEXT NOT NULL,
    PRIMARY KEY (document, order_number, line));
CREATE INDEX claims_by_line ON claims (order_number, line);
CREATE TABLE numbers (
    supplier TEXT NOT NULL, number TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (supplier, number));

-- A run is one payment file; it stays open, and grows, until it is released to the bank.
CREATE TABLE runs (id INTEGER PRIMARY KEY, opened_at TEXT NOT NULL, released_at TEXT);
CREATE UNIQUE INDEX one_open_run ON runs (released_at IS NULL) WHERE released_at IS NULL;
CREATE TABLE bookings (
    document TEXT PRIMARY KEY, supplier TEXT NOT NULL REFERENCES suppliers, kind TEXT NOT NULL,
    number TEXT NOT NULL, issued TEXT NOT NULL, creditor TEXT NOT NULL, iban TEXT NOT NULL, bic TEXT NOT NULL,
    currency TEXT NOT NULL, amount TEXT NOT NULL, reference TEXT NOT NULL, due TEXT NOT NULL,
    end_to_end_id TEXT NOT NULL UNIQUE, booked_at TEXT NOT NULL, run INTEGER REFERENCES runs);
"""


def create_book(path: Path, data: str) -> None:
    """Create the book with its `data` (SQL) where there is none yet."""
    begin(path, f"{SCHEMA} {data}")
