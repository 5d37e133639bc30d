-- Where a merged ticket went, and which records a sweep did not find: those are told apart from the rest until a second
-- look has settled what became of them.
ALTER TABLE tickets ADD COLUMN merged_into text COLLATE "C";          -- the surviving record; names its own ticket, synced or not

CREATE TABLE missing_records (
    tenant_id     uuid        NOT NULL,
    connection_id uuid        NOT NULL,
    object_id     int         NOT NULL,
    record_id     text        COLLATE "C" NOT NULL,
    missed_at     timestamptz NOT NULL,                   -- Date of the response that lacked it
    PRIMARY KEY (tenant_id, connection_id, object_id, record_id)
);
ALTER TABLE missing_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE missing_records FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON missing_records TO refrain_tenant USING (tenant_id = (SELECT current_tenant()))
    WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON missing_records TO refrain_tenant;
