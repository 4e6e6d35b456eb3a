-- Schedules (L54): what is started, when, on whose behalf, and how far it has come.
--
-- A firing moves `next_at` in the same transaction that holds the root it starts; should it ever begin anew all the same, the
-- root's key names schedule and moment, so that it is found and not started twice. Looked up by due time, one index entry each.

CREATE TABLE schedules (
  tenant TEXT NOT NULL,                 -- '' for none
  name TEXT NOT NULL,
  expression TEXT NOT NULL,
  zone TEXT NOT NULL,
  skipped TEXT,                         -- null: as in Debian's cron
  repeated TEXT,
  overlap TEXT NOT NULL,
  catch_up_ms INTEGER NOT NULL,
  target TEXT NOT NULL,
  versions TEXT NOT NULL,
  input BLOB NOT NULL,
  owner TEXT,
  region TEXT,
  limit_tokens INTEGER,                 -- the budget of each root it starts
  limit_cost INTEGER,
  registered_by TEXT,                   -- the execution; null: from outside
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  next_at INTEGER,                      -- null: it fires no more
  last_at INTEGER,
  last_execution TEXT,
  waiting BLOB,                         -- firings that queue for the end of the last execution, as a JSON list of moments
  fired INTEGER NOT NULL,
  skips INTEGER NOT NULL,
  missed INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
CREATE INDEX schedule_by_next ON schedules (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedule_waiting ON schedules (tenant, name) WHERE waiting IS NOT NULL;
