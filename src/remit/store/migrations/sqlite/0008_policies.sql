-- Policies (L43): every version that was ever applied, which of them are in force, and how far each rate is used up.
--
-- A version's content never changes. Executions keep the labels of those they were admitted under, so rows stay when a policy ends.

CREATE TABLE policies (
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  digest BLOB NOT NULL,                 -- of the content
  content BLOB NOT NULL,                -- JSON: what the file says
  source TEXT NOT NULL,                 -- the file as it was written
  applied_at INTEGER NOT NULL,
  applied_by TEXT,
  ended_at INTEGER,                     -- null: in force
  ended_by TEXT,
  PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE UNIQUE INDEX policy_in_force ON policies (name) WHERE ended_at IS NULL;

CREATE TABLE rates (
  policy TEXT NOT NULL,
  counted TEXT NOT NULL,                -- for what it is counted: '' or 'tenant:acme'
  due INTEGER NOT NULL,                 -- until when the rate is used up, in 1/scale milliseconds
  scale INTEGER NOT NULL,
  PRIMARY KEY (policy, counted)
) WITHOUT ROWID;
