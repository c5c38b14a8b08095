-- When a flow run that has ended starts again, if not at once; expected_start stays what it was,
-- because the run is still the one for that time.
ALTER TABLE flow_runs ADD COLUMN starts_again INTEGER;
