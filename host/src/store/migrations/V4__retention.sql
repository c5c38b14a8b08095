-- Flow runs that are being removed: their rows go in steps, so that nobody waits for long.
CREATE TABLE removals (
    run_id BLOB PRIMARY KEY
) WITHOUT ROWID;

-- Who has ended before a given time.
CREATE INDEX flow_runs_ended ON flow_runs (state_type, end_time) WHERE terminal = 1;
