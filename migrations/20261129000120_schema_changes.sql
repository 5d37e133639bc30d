-- What changed in an object between two looks at it, as the integration user sees it: fields and paths that came, went or
-- have another shape, and objects that cannot be read. API names only; nothing of any record.
CREATE TABLE schema_changes (
    tenant_id     uuid        NOT NULL,
    change_id     bigint      GENERATED ALWAYS AS IDENTITY,
    connection_id uuid        NOT NULL,
    object_id     int         NOT NULL,
    seen_at       timestamptz NOT NULL DEFAULT now(),
    kind          text        NOT NULL CHECK (kind IN ('new', 'lost', 'changed')),
    path          text,                                   -- none: the whole object
    before        jsonb,                                  -- the field's shape as it was seen last …
    after         jsonb,                                  -- … and as it is
    perhaps       text,                                   -- a field that came as this one went and looks the same
    PRIMARY KEY (tenant_id, change_id)
);
CREATE INDEX schema_changes_object ON schema_changes (tenant_id, object_id, change_id DESC);

ALTER TABLE schema_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE schema_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON schema_changes TO refrain_tenant
    USING (tenant_id = (SELECT current_tenant())) WITH CHECK (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, DELETE ON schema_changes TO refrain_tenant;
