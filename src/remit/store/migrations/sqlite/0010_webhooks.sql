-- Whom operators let know of what happens to versions, and what is still to be delivered.

CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  secret TEXT NOT NULL,                 -- whsec_…: what messages are signed with
  owner TEXT,                           -- only what concerns versions that this one published; null: everything
  private INTEGER NOT NULL,             -- whether its host need not be public
  added_at INTEGER NOT NULL,
  added_by TEXT
) WITHOUT ROWID;

CREATE TABLE outbox (
  id TEXT PRIMARY KEY,                  -- the same at every attempt
  webhook TEXT NOT NULL,
  body BLOB NOT NULL,                   -- JSON, as it is signed and sent
  created_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_at INTEGER,                      -- null: delivered, or given up
  delivered_at INTEGER,
  problem TEXT                          -- why the last attempt failed
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (next_at) WHERE next_at IS NOT NULL;
