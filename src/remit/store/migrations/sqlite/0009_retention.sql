-- What is kept, for how long, sealed with what, and what was erased (L49, L53).

CREATE TABLE encryption (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  ring TEXT NOT NULL,                   -- the keyring that payloads are sealed with
  since INTEGER NOT NULL
);

-- An erasure is decided before anything of it is done, so that whoever opens the store next ends what a crash broke off.
CREATE TABLE erasures (
  n INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  asked_at INTEGER NOT NULL,
  asked_by TEXT,
  until_n INTEGER NOT NULL,             -- of the last execution it is about
  until_key INTEGER NOT NULL,           -- the tenant's keys up to here are destroyed
  from_n INTEGER NOT NULL,              -- how far it has come
  executions INTEGER NOT NULL,
  done_at INTEGER
);
CREATE INDEX erasure_open ON erasures (n) WHERE done_at IS NULL;

CREATE TABLE retention (
  tenant TEXT PRIMARY KEY,              -- '': all that have no row of their own
  keep_ms INTEGER,                      -- null: for ever
  set_at INTEGER NOT NULL,
  set_by TEXT
) WITHOUT ROWID;

-- What is left of a deleted root. `rest`: executions below it are still to be deleted.
CREATE TABLE tombstones (
  id TEXT PRIMARY KEY,
  key BLOB,
  tenant TEXT,
  process TEXT NOT NULL,
  deleted_at INTEGER NOT NULL,
  rest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX tombstone_by_key ON tombstones (key) WHERE key IS NOT NULL;
CREATE INDEX tombstone_rest ON tombstones (id) WHERE rest;
CREATE INDEX root_by_end ON executions (tenant, ended_at) WHERE parent_n = 0 AND ended_at IS NOT NULL;

CREATE INDEX event_of ON events (execution_id);
CREATE INDEX inbox_replied ON inbox (replied_at) WHERE replied_at IS NOT NULL;

-- No row number is used twice, though the newest rows be deleted.
CREATE TABLE row_numbers (only INTEGER PRIMARY KEY CHECK (only = 1), highest INTEGER NOT NULL);
INSERT INTO row_numbers VALUES (1, 0);

ALTER TABLE alerts ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE alerts ADD COLUMN last_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN acknowledged_at INTEGER;
ALTER TABLE alerts ADD COLUMN acknowledged_by TEXT;
UPDATE alerts SET last_at = raised_at, subject = coalesce(execution_id, 'alert ' || n);
CREATE INDEX alert_by_subject ON alerts (subject, code) WHERE acknowledged_at IS NULL;
CREATE INDEX alert_by_last ON alerts (last_at);
