-- What the audit log's digests of a tenant's payloads are keyed with: an erasure deletes it, and no guess can be checked (L53).

CREATE TABLE audit_salts (
  tenant TEXT PRIMARY KEY,              -- '' for none
  salt BLOB NOT NULL
) WITHOUT ROWID;
