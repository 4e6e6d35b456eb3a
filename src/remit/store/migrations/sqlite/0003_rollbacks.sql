-- Executions that are being rolled back, so that the next owner finds them among all that have ended (L37).

CREATE INDEX execution_by_rollback ON executions (n) WHERE compensation = 'running';
