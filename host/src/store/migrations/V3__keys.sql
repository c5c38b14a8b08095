-- Who may talk to the host. Of a key only its SHA-256 is kept.
CREATE TABLE api_keys (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    digest       BLOB NOT NULL,
    scope        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    -- To the minute, so that using a key costs nothing.
    last_used_at INTEGER,
    revoked_at   INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);
CREATE UNIQUE INDEX api_keys_name ON api_keys (name) WHERE revoked_at IS NULL;

-- Who changed what. The oldest rows go when there are too many.
CREATE TABLE audit (
    n       INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    address TEXT,
    method  TEXT NOT NULL,
    route   TEXT NOT NULL,
    path    TEXT NOT NULL,
    -- HTTP status; NULL when the host stopped before the answer.
    status  INTEGER,
    note    TEXT
);
