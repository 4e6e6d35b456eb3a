-- What was used, by day (UTC), tenant, department, process and model, and by whose root it was caused (L31).
--
-- Rows are added to in the transaction that settles the usage, and outlive the executions they tell of. '' stands for none:
-- no tenant, no department, no model. Usage from before this table existed counts on the day its execution was admitted.

CREATE TABLE usage (
  day INTEGER NOT NULL,                 -- since 1970
  tenant TEXT NOT NULL,
  department TEXT NOT NULL,
  process TEXT NOT NULL,
  version TEXT NOT NULL,
  model TEXT NOT NULL,
  root_department TEXT NOT NULL,
  root_process TEXT NOT NULL,
  root_version TEXT NOT NULL,
  tokens INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (day, tenant, department, process, version, model, root_department, root_process, root_version)
) WITHOUT ROWID;

INSERT INTO usage
WITH by_model AS (
  SELECT execution_n AS n, name AS model, sum(tokens) AS tokens, sum(input_tokens) AS input_tokens,
         sum(output_tokens) AS output_tokens, sum(cost) AS cost
  FROM journal WHERE kind = 'model' GROUP BY execution_n, name
), of_models AS (
  SELECT n, sum(tokens) AS tokens, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS cost
  FROM by_model GROUP BY n
), parts AS (
  SELECT * FROM by_model
  UNION ALL
  SELECT e.n, '', e.tokens - coalesce(m.tokens, 0), e.input_tokens - coalesce(m.input_tokens, 0),
         e.output_tokens - coalesce(m.output_tokens, 0), e.cost - coalesce(m.cost, 0)
  FROM executions e LEFT JOIN of_models m ON m.n = e.n
)
SELECT e.created_at / 86400000, coalesce(e.tenant, ''), coalesce(e.department, ''), e.process, e.version, p.model,
       coalesce(r.department, ''), r.process, r.version,
       sum(p.tokens), sum(p.input_tokens), sum(p.output_tokens), sum(p.cost)
FROM parts p JOIN executions e ON e.n = p.n JOIN executions r ON r.id = substr(e.id, 1, 29)
WHERE p.tokens <> 0 OR p.cost <> 0
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
