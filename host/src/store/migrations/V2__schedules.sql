-- Runs are planned ahead: a planned run has its row (so that people see it) and no log yet.

ALTER TABLE flow_runs ADD COLUMN schedule_id BLOB;
ALTER TABLE flow_runs ADD COLUMN planned INTEGER NOT NULL DEFAULT 0;
DROP INDEX flow_runs_live;
CREATE UNIQUE INDEX flow_runs_live ON flow_runs (id) WHERE terminal = 0 AND planned = 0;
CREATE INDEX flow_runs_planned ON flow_runs (schedule_id, expected_start) WHERE planned = 1;

-- How far each schedule has come.
CREATE TABLE schedules (
    id            BLOB PRIMARY KEY,
    deployment_id BLOB NOT NULL,
    -- Digest of all that its planned runs are made of.
    rule          TEXT NOT NULL,
    -- Instants up to here have their run, or were passed over on purpose.
    handled_until INTEGER NOT NULL,
    -- The instant after handled_until; NULL when there is none.
    next_at       INTEGER,
    -- Instants up to here have a row.
    planned_until INTEGER NOT NULL
) WITHOUT ROWID;

-- Set at run time, over what the definitions say. Schedule X'' is the deployment itself.
CREATE TABLE deployment_switches (
    deployment_id BLOB NOT NULL,
    schedule_id   BLOB NOT NULL,
    active        INTEGER NOT NULL,
    PRIMARY KEY (deployment_id, schedule_id)
) WITHOUT ROWID;

-- Deployments that limit their runs.
CREATE TABLE deployments (
    id                BLOB PRIMARY KEY,
    name              TEXT NOT NULL,
    concurrency_limit INTEGER NOT NULL,
    when_busy         TEXT NOT NULL
) WITHOUT ROWID;

-- A run of such a deployment first waits for its deployment (held = -1), then for the pool.
ALTER TABLE slots ADD COLUMN deployment_id BLOB;
CREATE INDEX slots_deployment ON slots (deployment_id, held) WHERE deployment_id IS NOT NULL;
