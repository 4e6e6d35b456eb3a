-- Income is a year's, in euros.
CREATE TABLE applicants (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, mail TEXT NOT NULL, income INTEGER NOT NULL,
    late_payments INTEGER NOT NULL, years_known INTEGER NOT NULL);
CREATE TABLE loans (id TEXT PRIMARY KEY, applicant TEXT NOT NULL REFERENCES applicants, amount INTEGER NOT NULL);

INSERT INTO applicants VALUES
    ('lind', 'M. Lind', 'lind@customers.example', 52000, 0, 9),
    ('osei', 'A. Osei', 'osei@customers.example', 61000, 1, 4),
    ('varga', 'P. Varga', 'varga@customers.example', 24000, 6, 1);
