-- The audit log: one chain of hashes per root, and one per tenant for what is done outside of executions (L49).
--
-- Rows are only ever added, in the commit of what they tell of. They hold digests, never payloads. `id` tells this store's
-- chains from any other's; executions from `first_n` on have their admission in the log.

CREATE TABLE audit (
  chain TEXT NOT NULL,                  -- the root's id, or 'tenant:' and the tenant's name
  seq INTEGER NOT NULL,                 -- from 1, without a gap
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  execution TEXT NOT NULL,              -- '' in a tenant's chain
  actor TEXT NOT NULL,                  -- '' for Remit itself
  details BLOB NOT NULL,                -- JSON
  hash BLOB NOT NULL,                   -- SHA-256 over the hash before and all of the above
  PRIMARY KEY (chain, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_store (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  id BLOB NOT NULL,
  first_n INTEGER NOT NULL
) STRICT;
INSERT INTO audit_store SELECT 1, randomblob(16), coalesce(max(n), 0) + 1 FROM executions;
