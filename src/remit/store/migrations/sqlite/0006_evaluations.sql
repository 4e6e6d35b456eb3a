-- What evaluations of versions have shown, and what they must show before a version is promoted (L41).

CREATE TABLE evaluations (
  n INTEGER PRIMARY KEY,
  process TEXT NOT NULL,
  version TEXT NOT NULL,
  digest BLOB NOT NULL,                 -- of the content that was evaluated
  summary BLOB NOT NULL,                -- JSON: everything but the cases
  evaluated_at INTEGER NOT NULL,
  evaluated_by TEXT
);
CREATE INDEX evaluations_by_version ON evaluations (process, version);

CREATE TABLE requirements (
  process TEXT PRIMARY KEY,
  terms BLOB NOT NULL,                  -- JSON: cases (their digest), recorded, min_pass, max_…_increase; null: nothing
  cases_file TEXT,                      -- where the cases stood, for the hint
  required_at INTEGER NOT NULL,
  required_by TEXT
) WITHOUT ROWID;
