-- Times are milliseconds since 1970 (UTC). Ids are the 16 bytes of a UUID. `item` is -1 for a task
-- that is not one item of a for_each. Booleans are 0 and 1.

CREATE TABLE definitions (
    digest     TEXT PRIMARY KEY,
    flow       TEXT NOT NULL,
    json       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE facts (
    run_id BLOB NOT NULL,
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    fact   TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;

-- What changes with the state of a run; what never changes and may be long is in run_inputs.
CREATE TABLE flow_runs (
    id                BLOB PRIMARY KEY,
    name              TEXT NOT NULL,
    flow_id           BLOB NOT NULL,
    flow_name         TEXT NOT NULL,
    deployment_id     BLOB,
    deployment_name   TEXT,
    definition        TEXT NOT NULL,
    tags              TEXT NOT NULL,
    idempotency_key   TEXT,
    work_pool         TEXT,
    work_queue        TEXT,
    auto_scheduled    INTEGER NOT NULL,
    parent_run        BLOB,
    parent_task       INTEGER,
    parent_item       INTEGER,
    parent_attempt    INTEGER,
    parent_key        TEXT,
    parent_task_run   BLOB,
    created_at        INTEGER NOT NULL,
    expected_start    INTEGER NOT NULL,
    start_time        INTEGER,
    end_time          INTEGER,
    total_run_time_ms INTEGER NOT NULL DEFAULT 0,
    run_count         INTEGER NOT NULL DEFAULT 0,
    reason            TEXT,
    terminal          INTEGER NOT NULL DEFAULT 0,
    states            INTEGER NOT NULL DEFAULT 0,
    state_type        TEXT NOT NULL,
    state_name        TEXT NOT NULL,
    state_message     TEXT,
    state_since       INTEGER NOT NULL
);
CREATE UNIQUE INDEX flow_runs_once ON flow_runs (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX flow_runs_live ON flow_runs (id) WHERE terminal = 0;
CREATE INDEX flow_runs_expected ON flow_runs (expected_start);
CREATE INDEX flow_runs_state ON flow_runs (state_type, expected_start);
CREATE INDEX flow_runs_flow ON flow_runs (flow_id, expected_start);
CREATE INDEX flow_runs_flow_name ON flow_runs (flow_name, expected_start);
CREATE INDEX flow_runs_deployment ON flow_runs (deployment_id, expected_start) WHERE deployment_id IS NOT NULL;
CREATE INDEX flow_runs_pool ON flow_runs (work_pool, expected_start) WHERE work_pool IS NOT NULL;
CREATE INDEX flow_runs_start ON flow_runs (start_time);
CREATE INDEX flow_runs_end ON flow_runs (end_time);
CREATE INDEX flow_runs_name ON flow_runs (name);
CREATE INDEX flow_runs_parent ON flow_runs (parent_task_run) WHERE parent_task_run IS NOT NULL;

CREATE TABLE run_inputs (
    run_id     BLOB PRIMARY KEY,
    parameters TEXT NOT NULL,
    created_by TEXT,
    labels     TEXT NOT NULL
);

-- Clustered by run: the rows of one run lie together.
CREATE TABLE task_runs (
    run_id            BLOB NOT NULL,
    task              INTEGER NOT NULL,
    item              INTEGER NOT NULL,
    id                BLOB NOT NULL,
    name              TEXT NOT NULL,
    kind              TEXT NOT NULL,
    attempt           INTEGER NOT NULL,
    state_type        TEXT NOT NULL,
    state_name        TEXT NOT NULL,
    state_message     TEXT,
    state_since       INTEGER NOT NULL,
    states            INTEGER NOT NULL,
    expected_start    INTEGER,
    start_time        INTEGER,
    end_time          INTEGER,
    total_run_time_ms INTEGER NOT NULL,
    reason            TEXT,
    status            TEXT,
    external_id       TEXT,
    tags              TEXT NOT NULL,
    result_bytes      INTEGER,
    input             TEXT,
    PRIMARY KEY (run_id, task, item)
) WITHOUT ROWID;
CREATE UNIQUE INDEX task_runs_id ON task_runs (id);
CREATE INDEX task_runs_expected ON task_runs (expected_start);

-- Task -1 is the flow run itself.
CREATE TABLE states (
    run_id  BLOB NOT NULL,
    task    INTEGER NOT NULL,
    item    INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    type    TEXT NOT NULL,
    name    TEXT NOT NULL,
    message TEXT,
    at      INTEGER NOT NULL,
    PRIMARY KEY (run_id, task, item, n)
) WITHOUT ROWID;

CREATE TABLE results (
    run_id BLOB NOT NULL,
    task   INTEGER NOT NULL,
    item   INTEGER NOT NULL,
    json   TEXT NOT NULL,
    PRIMARY KEY (run_id, task, item)
);

CREATE TABLE outbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id  BLOB NOT NULL,
    task    INTEGER NOT NULL,
    item    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    key     TEXT NOT NULL,
    op      TEXT NOT NULL,
    keep    INTEGER NOT NULL,
    sent_at INTEGER
);
CREATE INDEX outbox_attempt ON outbox (run_id, task, item, attempt);

CREATE TABLE logs (
    run_id      BLOB NOT NULL,
    n           INTEGER NOT NULL,
    task_run_id BLOB,
    at          INTEGER NOT NULL,
    level       INTEGER NOT NULL,
    logger      TEXT NOT NULL,
    message     TEXT NOT NULL,
    PRIMARY KEY (run_id, n)
) WITHOUT ROWID;
CREATE INDEX logs_task ON logs (task_run_id, at) WHERE task_run_id IS NOT NULL;

-- One row per flow run that waits for a slot (held = 0) or has one (held = 1).
CREATE TABLE slots (
    run_id         BLOB PRIMARY KEY,
    pool           TEXT NOT NULL,
    queue          TEXT NOT NULL,
    expected_start INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    held           INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX slots_waiting ON slots (pool, queue, expected_start, since, run_id) WHERE held = 0;
CREATE INDEX slots_held ON slots (pool, queue) WHERE held = 1;

CREATE TABLE pools (
    name              TEXT PRIMARY KEY,
    concurrency_limit INTEGER,
    paused            INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE queues (
    pool              TEXT NOT NULL,
    name              TEXT NOT NULL,
    priority          INTEGER NOT NULL,
    concurrency_limit INTEGER,
    paused            INTEGER NOT NULL,
    PRIMARY KEY (pool, name)
) WITHOUT ROWID;

-- Set at run time, over what the definitions say. Queue '' is the pool itself; NULL leaves the
-- definition's value; concurrency_limit -1 lifts the limit.
CREATE TABLE pool_switches (
    pool              TEXT NOT NULL,
    queue             TEXT NOT NULL,
    paused            INTEGER,
    concurrency_limit INTEGER,
    priority          INTEGER,
    PRIMARY KEY (pool, queue)
) WITHOUT ROWID;
