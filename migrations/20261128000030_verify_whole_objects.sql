-- What a scan of an object's ids and stamps set down until it is compared, and what came of each scan.

-- Not logged: a crash of the server empties it, which the scan's own count of rows tells, and the scan begins anew.
CREATE UNLOGGED TABLE scanned_records (
    tenant_id     uuid        NOT NULL,
    connection_id uuid        NOT NULL,
    object_id     int         NOT NULL,
    record_id     text        COLLATE "C" NOT NULL,
    modstamp      timestamptz NOT NULL,                   -- value of the cursor field, there
    deleted       boolean     NOT NULL,                   -- in the recycle bin
    PRIMARY KEY (tenant_id, connection_id, object_id, record_id)
);

-- Numbers only. The balance's kinds are the code's: every record of a scan is in exactly one.
CREATE TABLE verifications (
    tenant_id       uuid        NOT NULL,
    verification_id bigint      GENERATED ALWAYS AS IDENTITY,
    connection_id   uuid        NOT NULL,
    object_id       int         NOT NULL,
    began_at        timestamptz NOT NULL,                 -- Salesforce's clock at the scan's first answer
    ended_at        timestamptz NOT NULL DEFAULT now(),
    way             text        NOT NULL CHECK (way IN ('rest', 'bulk')),
    calls           bigint      NOT NULL,
    balance         jsonb       NOT NULL,                 -- how many records of each kind
    unexplained     bigint      NOT NULL CHECK (unexplained >= 0), -- zero, or somebody must look
    PRIMARY KEY (tenant_id, verification_id)
);
CREATE INDEX verifications_object ON verifications (tenant_id, object_id, verification_id DESC);

DO $$
DECLARE
    tbl text;
BEGIN
    FOREACH tbl IN ARRAY ARRAY['scanned_records', 'verifications'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tbl);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tbl);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I TO refrain_tenant USING (tenant_id = (SELECT current_tenant())) '
            'WITH CHECK (tenant_id = (SELECT current_tenant()))', tbl);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON scanned_records TO refrain_tenant;
GRANT SELECT, INSERT, DELETE ON verifications TO refrain_tenant;
