-- What a workflow file said when executions of it began: a running one keeps it when the file is edited (L39).
--
-- The row with the greatest first_n that is not above an execution's n is the one that drives it.

CREATE TABLE definitions (
  process TEXT NOT NULL,
  version TEXT NOT NULL,
  first_n INTEGER NOT NULL,             -- of the first execution that may have begun with it
  digest BLOB NOT NULL,                 -- of the source
  source BLOB NOT NULL,                 -- canonical JSON
  kept_at INTEGER NOT NULL,
  PRIMARY KEY (process, version, first_n)
) WITHOUT ROWID;
