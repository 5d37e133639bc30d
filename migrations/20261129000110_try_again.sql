-- What is set aside is tried again from its sealed bytes: once a day, when other fields are read or another build reads
-- them, and when a person asks.
ALTER TABLE quarantine
    ADD COLUMN sample       text,                         -- the shape of the value at fault: its length and kinds of characters
    ADD COLUMN field_set_id int,                          -- what it was read with; none before this was noted
    ADD COLUMN tries        int NOT NULL DEFAULT 0,       -- how often it was tried again
    ADD COLUMN tried_at     timestamptz,
    ADD CHECK ((tries = 0) = (tried_at IS NULL));

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('incremental', 'backfill', 'bulk', 'deleted', 'sweep', 'related', 'record', 'transcript', 'file', 'verify',
                    'expire', 'reproject', 'follow', 'refresh', 'retry'));

-- What was set aside before has nobody yet who tries it again.
INSERT INTO jobs (tenant_id, connection_id, object_id, org_id, kind, class, unique_key)
SELECT o.tenant_id, o.connection_id, o.object_id, c.org_id, 'retry', 2, 'retry/' || o.object_id
  FROM object_syncs o JOIN connections c USING (connection_id) JOIN checkpoints p ON p.object_id = o.object_id
 WHERE p.quarantined > 0 AND c.org_id IS NOT NULL;
