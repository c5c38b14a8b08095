-- Limits with a name of their own, kept by the host; a tag's is called tag:NAME.
CREATE TABLE concurrency_limits (
    id               BLOB PRIMARY KEY,
    name             TEXT NOT NULL,
    slots            INTEGER NOT NULL,
    active           INTEGER NOT NULL,
    -- Of a limit that gives slots back by itself: those that were taken, as they stood at filled_at.
    decay_per_second REAL NOT NULL,
    filled           REAL NOT NULL,
    filled_at        INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX concurrency_limits_name ON concurrency_limits (name);

-- Who holds slots of the others, and until when at most. Occupancy is the sum of these rows.
CREATE TABLE leases (
    limit_id   BLOB NOT NULL,
    id         BLOB NOT NULL,
    slots      INTEGER NOT NULL,
    holder     TEXT,
    since      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (limit_id, id)
) WITHOUT ROWID;
CREATE INDEX leases_id ON leases (id);
CREATE INDEX leases_end ON leases (expires_at);

CREATE INDEX flow_runs_parent_run ON flow_runs (parent_run) WHERE parent_run IS NOT NULL;
