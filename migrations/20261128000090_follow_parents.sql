-- Values of parents that are read along with their children: a parent's change does not stamp the child, so parents are
-- followed by their own stamps, and the children of a changed one are read again.
ALTER TABLE checkpoints                                   -- fleet
    ADD COLUMN derived jsonb;                             -- which values are not the object's own, as last looked at: lookups followed, formulas

-- How far the changes of an object to which others look up are known; whether it is kept here itself does not matter.
CREATE TABLE followed_parents (
    tenant_id      uuid        NOT NULL,
    connection_id  uuid        NOT NULL,
    api_name       text        NOT NULL,
    body           jsonb,                                 -- its describe; none of what the integration user cannot see
    described_at   timestamptz,                           -- none: to be looked at again
    watermark_at   timestamptz NOT NULL,                  -- each change stamped before this is noted; moves only at a window's end
    followed_at    timestamptz,                           -- when a window ended last; none: it is due whatever the pace
    window_hi      timestamptz,                           -- end of the window being read
    position_stamp timestamptz,                           -- last parent noted inside the window …
    position_id    text        COLLATE "C",               -- … and its id, as Salesforce orders ids
    records_read   bigint      NOT NULL DEFAULT 0,        -- parents that answers brought, in committed pages
    PRIMARY KEY (tenant_id, connection_id, api_name),
    CHECK ((position_stamp IS NULL) = (position_id IS NULL))
);

-- What a parent showed to its children when it changed last: one that was touched and shows the same leads to nothing.
CREATE TABLE parents_seen (
    tenant_id     uuid        NOT NULL,
    connection_id uuid        NOT NULL,
    parent_id     text        COLLATE "C" NOT NULL,
    shown         bytea       NOT NULL,                   -- keyed hash
    seen_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, connection_id, parent_id)
);

-- Changed parents whose children are to be read again; many changes of one are one row.
CREATE TABLE stale_links (
    tenant_id     uuid        NOT NULL,
    connection_id uuid        NOT NULL,
    object_id     int         NOT NULL,                   -- the children's object …
    field         text        NOT NULL,                   -- … and the reference, perhaps over others, by which they name the parent
    parent_id     text        COLLATE "C" NOT NULL,
    changed_at    timestamptz NOT NULL,                   -- stamp of the first change that the children may lack
    noted_at      timestamptz NOT NULL DEFAULT now(),     -- of the last one
    PRIMARY KEY (tenant_id, connection_id, object_id, field, parent_id)
);

DO $$
DECLARE
    tbl text;
BEGIN
    FOREACH tbl IN ARRAY ARRAY['followed_parents', 'parents_seen', 'stale_links'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tbl);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tbl);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I TO refrain_tenant USING (tenant_id = (SELECT current_tenant())) '
            'WITH CHECK (tenant_id = (SELECT current_tenant()))', tbl);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO refrain_tenant', tbl);
    END LOOP;
END
$$;

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('incremental', 'backfill', 'bulk', 'deleted', 'sweep', 'related', 'record', 'transcript', 'file', 'verify',
                    'expire', 'reproject', 'follow', 'refresh'));
