-- Executions, their journals, events, alerts, commands from other processes, and who owns the file.
--
-- An execution's row is at once its parent's journal entry of the call, so a governed call is one row (L8). The tree is in
-- the ids: everything below X lies between 'X.' and 'X/' in the index on id. Ids begin with the time, so inserts are local.
-- `completed` and `answered` number an execution's completions in order, the basis of replay (L11).
-- Open rows only are indexed by status and by due time, so that no cost grows with the number of finished executions.

CREATE TABLE executions (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  parent_n INTEGER NOT NULL,            -- 0 for a root
  process TEXT NOT NULL,
  version TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ttl_ms INTEGER NOT NULL,
  digest BLOB NOT NULL,                 -- of the canonical input
  input BLOB NOT NULL,
  key BLOB,                             -- idempotency key (L9); null for a root without one and for a child that a retry set aside
  label TEXT,                           -- the caller's own key=
  occurrence INTEGER NOT NULL,
  position INTEGER NOT NULL,            -- place among all that the parent has recorded
  department TEXT,
  tenant TEXT,
  owner TEXT,
  region TEXT,
  awaited INTEGER NOT NULL,
  detached INTEGER NOT NULL,
  compensation TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  result BLOB,
  error BLOB,
  progress BLOB,
  ttl_used_ms INTEGER NOT NULL,
  ttl_since INTEGER,
  started_at INTEGER,
  updated_at INTEGER NOT NULL,
  ended_at INTEGER,
  wake_at INTEGER,
  answered INTEGER,
  tokens INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  estimate_tokens INTEGER NOT NULL,
  estimate_cost INTEGER NOT NULL,
  reserved_tokens INTEGER NOT NULL,
  reserved_cost INTEGER NOT NULL,
  limit_tokens INTEGER,
  limit_cost INTEGER,
  terms BLOB
);
CREATE UNIQUE INDEX execution_by_call ON executions (parent_n, key);
CREATE INDEX execution_by_status ON executions (status, n) WHERE status <> 'COMPLETED';
CREATE INDEX execution_by_wake ON executions (wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE journal (
  execution_n INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  key BLOB NOT NULL,
  params BLOB,
  result BLOB,
  error BLOB,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  completed INTEGER,
  due_at INTEGER,
  attempt INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  reserved_tokens INTEGER NOT NULL,
  reserved_cost INTEGER NOT NULL,
  terms BLOB,
  PRIMARY KEY (execution_n, generation, position)   -- a retry sets an entry aside by a negative generation
) WITHOUT ROWID;
CREATE INDEX journal_by_due ON journal (due_at) WHERE due_at IS NOT NULL AND ended_at IS NULL;

CREATE TABLE events (
  n INTEGER PRIMARY KEY,
  execution_id TEXT NOT NULL,
  name TEXT NOT NULL,
  payload BLOB NOT NULL,
  sent_at INTEGER NOT NULL,
  dedupe TEXT,
  taken_by INTEGER                      -- journal position that took it
);
CREATE UNIQUE INDEX event_by_dedupe ON events (execution_id, name, dedupe) WHERE dedupe IS NOT NULL;
CREATE INDEX event_waiting ON events (execution_id, name, n) WHERE taken_by IS NULL;

CREATE TABLE alerts (
  n INTEGER PRIMARY KEY,
  code TEXT NOT NULL,
  execution_id TEXT,
  tenant TEXT,
  message TEXT NOT NULL,
  details BLOB NOT NULL,
  raised_at INTEGER NOT NULL
);

CREATE TABLE inbox (
  id TEXT PRIMARY KEY,
  verb TEXT NOT NULL,
  arguments BLOB NOT NULL,
  sent_at INTEGER NOT NULL,
  reply BLOB,
  replied_at INTEGER
) WITHOUT ROWID;
CREATE INDEX inbox_open ON inbox (sent_at) WHERE reply IS NULL;

CREATE TABLE ownership (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  epoch INTEGER NOT NULL,
  owner TEXT NOT NULL,
  renewed_at INTEGER NOT NULL
);
INSERT INTO ownership VALUES (1, 0, '', 0);
