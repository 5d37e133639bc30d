-- What waits for a person is few among many, and is looked for by people.
CREATE INDEX jobs_parked ON jobs (tenant_id, object_id) WHERE state = 3;
