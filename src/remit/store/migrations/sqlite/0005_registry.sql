-- Published versions and what their callers have declared (L40-L42).
--
-- A version's content never changes: the digest says what it was. How its executions end is counted while it is rolled out.

CREATE TABLE versions (
  process TEXT NOT NULL,
  version TEXT NOT NULL,
  digest BLOB NOT NULL,                 -- of the contract and of the source
  contract BLOB NOT NULL,               -- JSON: input, result, calls, callers, department, recursion, doc
  state TEXT NOT NULL,                  -- published, promoted, deprecated, retired
  published_at INTEGER NOT NULL,
  published_by TEXT,
  changed_at INTEGER NOT NULL,          -- when its state was set
  changed_by TEXT,
  rollout BLOB,                         -- JSON: {"callers": […], "stages": [[since, parts of 10,000], …]}
  violations INTEGER NOT NULL,
  recent TEXT NOT NULL,                 -- the last ends, 'x' for a failure, else '.'
  PRIMARY KEY (process, version)
) WITHOUT ROWID;

CREATE TABLE declarations (
  caller TEXT NOT NULL,
  caller_version TEXT NOT NULL,
  target TEXT NOT NULL,
  versions TEXT NOT NULL,
  declared_at INTEGER NOT NULL,
  declared_by TEXT,
  PRIMARY KEY (caller, caller_version, target, versions)
) WITHOUT ROWID;
