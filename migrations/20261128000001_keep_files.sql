-- Bodies of files, sealed in chunks. What a record says of its file stays in the record; here is where its body is.
ALTER TABLE messages ADD COLUMN file_id text COLLATE "C";       -- the record that has the body: an attachment, a version
CREATE INDEX messages_file ON messages (tenant_id, file_id) WHERE file_id IS NOT NULL;

CREATE TABLE files (
    tenant_id     uuid        NOT NULL,
    connection_id uuid        NOT NULL,
    file_id       text        COLLATE "C" NOT NULL,       -- the record that has the body; several items may name it
    object        text        NOT NULL,                   -- its object …
    body          text        NOT NULL,                   -- … and its field with the body
    state         smallint    NOT NULL,                   -- 0 wanted, 1 stored, 2 left out by policy, 3 not to be had
    reason        text,                                   -- closed word, of the last two
    asked         int         NOT NULL DEFAULT 0,         -- counts how often it was wanted: what came for an older wish is not kept
    load          uuid,                                   -- whose chunks are the body; chunks of other loads are rubble
    place         text CHECK (place IN ('database', 'objects')),
    bytes         bigint,
    chunks        int,
    digest        bytea,                                  -- sealed SHA-256 of the body
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, file_id),
    CHECK ((state = 1) = (load IS NOT NULL)),
    CHECK ((state = 1) = (place IS NOT NULL)),
    CHECK ((state = 1) = (chunks IS NOT NULL)),
    CHECK ((state IN (2, 3)) = (reason IS NOT NULL))
) PARTITION BY HASH (tenant_id);

CREATE TABLE file_chunks (
    tenant_id     uuid  NOT NULL,
    connection_id uuid  NOT NULL,
    file_id       text  COLLATE "C" NOT NULL,
    load          uuid  NOT NULL,
    n             int   NOT NULL,                         -- from 0
    body          bytea NOT NULL,                         -- sealed
    PRIMARY KEY (tenant_id, connection_id, file_id, load, n)
) PARTITION BY HASH (tenant_id);
ALTER TABLE file_chunks ALTER COLUMN body SET STORAGE EXTERNAL;

DO $$
DECLARE
    tbl  text;
    leaf int;
BEGIN
    FOREACH tbl IN ARRAY ARRAY['files', 'file_chunks'] LOOP
        FOR leaf IN 0..7 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                           tbl || '_' || leaf, tbl, leaf);
        END LOOP;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tbl);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tbl);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I TO refrain_tenant USING (tenant_id = (SELECT current_tenant())) '
            'WITH CHECK (tenant_id = (SELECT current_tenant()))', tbl);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO refrain_tenant', tbl);
    END LOOP;
END
$$;
