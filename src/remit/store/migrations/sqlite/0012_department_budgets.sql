-- What departments may spend in a day, a week or a month, and what they have spent (L45).
--
-- A ledger row holds a sum, written with what was charged; what is reserved stands in the rows of open executions.

CREATE TABLE department_budgets (
  department TEXT NOT NULL,
  tenant TEXT NOT NULL,                 -- '' for all tenants together
  period TEXT NOT NULL,                 -- day, week, month
  zone TEXT NOT NULL,
  limit_tokens INTEGER,
  limit_cost INTEGER,
  on_exhausted TEXT NOT NULL,
  set_at INTEGER NOT NULL,
  set_by TEXT,
  PRIMARY KEY (department, tenant, period)
) WITHOUT ROWID;

CREATE TABLE department_ledgers (
  department TEXT NOT NULL,
  tenant TEXT NOT NULL,
  begins INTEGER NOT NULL,              -- the period, in milliseconds since 1970
  ends INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (department, tenant, begins, ends)
) WITHOUT ROWID;
