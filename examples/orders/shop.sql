-- A shop for spare parts of wind turbines that go out by air. Amounts are cents, weights grams.

CREATE TABLE customers (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, tier TEXT NOT NULL, card TEXT NOT NULL,
    credit_limit INTEGER NOT NULL, blocked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE parts (
    sku TEXT PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL, value INTEGER NOT NULL, weight INTEGER NOT NULL);
CREATE TABLE warehouses (id TEXT PRIMARY KEY, city TEXT NOT NULL, books_open INTEGER NOT NULL DEFAULT 1);
CREATE TABLE stock (
    warehouse TEXT NOT NULL REFERENCES warehouses, sku TEXT NOT NULL REFERENCES parts, on_hand INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (warehouse, sku), CHECK (held BETWEEN 0 AND on_hand));
CREATE TABLE flights (
    number TEXT PRIMARY KEY, country TEXT NOT NULL, free INTEGER NOT NULL CHECK (free >= 0));
CREATE TABLE carriers (id TEXT PRIMARY KEY, name TEXT NOT NULL, warehouse TEXT NOT NULL REFERENCES warehouses);

-- What workflows do. `ref` is the execution that did it; a row is taken back by its state, never deleted.
CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL, stage TEXT NOT NULL);
CREATE TABLE backorders (order_id TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE plans (ref TEXT PRIMARY KEY, warehouse TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE held (
    ref TEXT NOT NULL, sku TEXT NOT NULL, warehouse TEXT NOT NULL, quantity INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (ref, sku));
CREATE TABLE cargo (ref TEXT PRIMARY KEY, flight TEXT NOT NULL REFERENCES flights, weight INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE credit (ref TEXT PRIMARY KEY, customer TEXT NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE pickups (ref TEXT PRIMARY KEY, carrier TEXT NOT NULL, cost INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE returns (ref TEXT PRIMARY KEY, order_id TEXT NOT NULL, sku TEXT NOT NULL, quantity INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE transfers (ref TEXT PRIMARY KEY, target TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE reservations (ref TEXT PRIMARY KEY, customer TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY, ref TEXT NOT NULL, debit TEXT NOT NULL, credit TEXT NOT NULL, amount INTEGER NOT NULL);

-- The shop's diary: a line for everything that was really done, in the order in which it was done.
CREATE TABLE diary (line INTEGER PRIMARY KEY, ref TEXT NOT NULL, what TEXT NOT NULL);

INSERT INTO customers VALUES
    ('aurora', 'Aurora Wind AS', 'NO', 'partner', 'card-4711', 5000000, 0),
    ('bancal', 'Parque Bancal SL', 'ES', 'standard', 'card-0815', 2000000, 0),
    ('cirrus', 'Cirrus Energy ApS', 'DK', 'standard', 'card-9999', 2000000, 0),
    ('dormant', 'Dormant Ltd', 'NO', 'standard', 'card-1234', 0, 1);
INSERT INTO parts VALUES
    ('PITCH-MOTOR', 'Pitch motor', 186000, 121000, 18500),
    ('YAW-SENSOR', 'Yaw sensor', 24900, 11800, 650),
    ('SLIP-RING', 'Slip ring', 92000, 60500, 7200),
    ('BLADE-BOLT', 'Blade bolt', 4600, 2100, 900);
INSERT INTO warehouses VALUES ('WH-1', 'Bremen', 1), ('WH-2', 'Aarhus', 1), ('WH-3', 'Zaragoza', 0);
INSERT INTO stock (warehouse, sku, on_hand) VALUES
    ('WH-1', 'PITCH-MOTOR', 4), ('WH-1', 'YAW-SENSOR', 30), ('WH-1', 'BLADE-BOLT', 400),
    ('WH-2', 'PITCH-MOTOR', 2), ('WH-2', 'YAW-SENSOR', 10), ('WH-2', 'BLADE-BOLT', 0),
    ('WH-3', 'SLIP-RING', 3), ('WH-3', 'YAW-SENSOR', 5);
INSERT INTO flights VALUES ('QY 204', 'NO', 500000), ('QY 311', 'ES', 300000), ('QY 118', 'DK', 400000);
INSERT INTO carriers VALUES
    ('nordlink', 'Nordlink', 'WH-1'), ('hansa', 'Hansa Express', 'WH-1'), ('fjord', 'Fjord Freight', 'WH-1'),
    ('jutland', 'Jutland Cargo', 'WH-2'), ('ebro', 'Ebro Logistica', 'WH-3');
