-- What makes lists and counts quick in a large store.

-- Where flow runs come from: flow, deployment, work pool and work queue together. Few rows, of which
-- a filter chooses; a flow run carries the number.
CREATE TABLE origins (
    id              INTEGER PRIMARY KEY,
    flow_id         BLOB NOT NULL,
    flow_name       TEXT NOT NULL,
    deployment_id   BLOB,
    deployment_name TEXT,
    work_pool       TEXT,
    work_queue      TEXT
);
CREATE UNIQUE INDEX origins_once ON origins (
    flow_id, flow_name, ifnull(deployment_id, x''), ifnull(deployment_name, ''), ifnull(work_pool, ''),
    ifnull(work_queue, '')
);
INSERT INTO origins (flow_id, flow_name, deployment_id, deployment_name, work_pool, work_queue)
    SELECT DISTINCT flow_id, flow_name, deployment_id, deployment_name, work_pool, work_queue FROM flow_runs;

ALTER TABLE flow_runs ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
UPDATE flow_runs SET origin = (
    SELECT o.id FROM origins o
    WHERE o.flow_id = flow_runs.flow_id AND o.flow_name = flow_runs.flow_name
        AND ifnull(o.deployment_id, x'') = ifnull(flow_runs.deployment_id, x'')
        AND ifnull(o.deployment_name, '') = ifnull(flow_runs.deployment_name, '')
        AND ifnull(o.work_pool, '') = ifnull(flow_runs.work_pool, '')
        AND ifnull(o.work_queue, '') = ifnull(flow_runs.work_queue, '')
);

-- One index for all that a run comes from, instead of one for each.
DROP INDEX flow_runs_flow;
DROP INDEX flow_runs_flow_name;
DROP INDEX flow_runs_deployment;
DROP INDEX flow_runs_pool;
DROP INDEX flow_runs_state;
CREATE INDEX flow_runs_origin
    ON flow_runs (origin, state_type, state_name, expected_start, start_time, end_time);
CREATE INDEX flow_runs_state ON flow_runs (state_type, state_name, expected_start);
CREATE INDEX task_runs_state ON task_runs (state_type, state_name, expected_start);
CREATE INDEX task_runs_name ON task_runs (name, expected_start);
CREATE INDEX task_runs_start ON task_runs (start_time);
CREATE INDEX task_runs_end ON task_runs (end_time);

-- Who waits for a deployment is found in order, however many there are.
DROP INDEX slots_deployment;
CREATE INDEX slots_deployment
    ON slots (deployment_id, held, expected_start, since, run_id) WHERE deployment_id IS NOT NULL;

-- Commands that are still to be sent, among those that are and wait for their end.
CREATE INDEX outbox_unsent ON outbox (id) WHERE sent_at IS NULL;

-- How many runs there are: flow runs (of = 0) and task runs (of = 1). Origin 0 is the sum over all.
-- Changed in the transaction that changes a run.
CREATE TABLE tallies (
    of         INTEGER NOT NULL,
    origin     INTEGER NOT NULL,
    state_type TEXT NOT NULL,
    state_name TEXT NOT NULL,
    runs       INTEGER NOT NULL,
    PRIMARY KEY (of, origin, state_type, state_name)
) WITHOUT ROWID;
INSERT INTO tallies SELECT 0, origin, state_type, state_name, count(*) FROM flow_runs GROUP BY 2, 3, 4;
INSERT INTO tallies SELECT 1, r.origin, t.state_type, t.state_name, count(*)
    FROM task_runs t JOIN flow_runs r ON r.id = t.run_id GROUP BY 2, 3, 4;
INSERT INTO tallies SELECT of, 0, state_type, state_name, sum(runs) FROM tallies GROUP BY 1, 3, 4;

-- The column `tags` says what a run has; these say who has a tag.
CREATE TABLE flow_run_tags (
    tag    TEXT NOT NULL,
    run_id BLOB NOT NULL,
    PRIMARY KEY (tag, run_id)
) WITHOUT ROWID;
CREATE INDEX flow_run_tags_run ON flow_run_tags (run_id);
INSERT OR IGNORE INTO flow_run_tags SELECT tag.value, r.id FROM flow_runs r, json_each(r.tags) tag;

CREATE TABLE task_run_tags (
    tag    TEXT NOT NULL,
    run_id BLOB NOT NULL,
    task   INTEGER NOT NULL,
    item   INTEGER NOT NULL,
    PRIMARY KEY (tag, run_id, task, item)
) WITHOUT ROWID;
CREATE INDEX task_run_tags_run ON task_run_tags (run_id);
INSERT OR IGNORE INTO task_run_tags
    SELECT tag.value, t.run_id, t.task, t.item FROM task_runs t, json_each(t.tags) tag WHERE t.tags <> '[]';
