-- The audit log: who did what to what. Each tenant's events form a chain: an event's hash covers the one before it. No
-- customer content. Nobody writes here but audit_write, in the transaction of the change that it tells of; nobody
-- changes or removes anything.

CREATE TABLE audit_events (
    tenant_id     uuid        NOT NULL,
    seq           bigint      NOT NULL CHECK (seq > 0),   -- dense, in commit order
    at            timestamptz NOT NULL,
    actor         text        NOT NULL CHECK (actor IN ('operator', 'key', 'system')),
    key_id        uuid,                                   -- the API key that was used …
    key_name      text,                                   -- … and its name, then
    action        text        NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'), -- the closed set is the code's
    connection_id uuid,
    object_id     int,
    details       jsonb       NOT NULL,                   -- closed facts: numbers, words, ids
    previous      bytea       NOT NULL CHECK (length(previous) = 32), -- hash of the event before; zeros for the first
    hash          bytea       NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, seq),
    CHECK ((actor = 'system') = (key_id IS NULL)),
    CHECK ((key_id IS NULL) = (key_name IS NULL))
);

-- The newest event of each chain. Its row is the lock under which the next is numbered, the last one of a change.
CREATE TABLE audit_heads (
    tenant_id uuid   PRIMARY KEY,
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL CHECK (length(hash) = 32)
) WITH (fillfactor = 50);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = 'the audit log is append-only';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- A part of what is hashed: its length in bytes goes before it, so that no two lists of parts look alike.
CREATE FUNCTION audit_part(part text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN coalesce(octet_length(part) || ':' || part, '-') || ',';

-- Appends an event {"key", "action", "connection", "object", "details"}; without a key the system did it. Gives its number.
CREATE FUNCTION audit_write(of_tenant uuid, event jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    head  audit_heads;
    entry audit_events;
BEGIN
    IF current_setting('role') = 'refrain_tenant' AND of_tenant IS DISTINCT FROM current_tenant() THEN
        RAISE insufficient_privilege USING MESSAGE = 'an event of another tenant';
    END IF;
    INSERT INTO audit_heads VALUES (of_tenant, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM audit_heads h WHERE h.tenant_id = of_tenant FOR UPDATE;
    entry.tenant_id := of_tenant;
    entry.seq := head.seq + 1;
    entry.at := clock_timestamp();
    entry.key_id := (event->>'key')::uuid;
    SELECT CASE k.role WHEN 'operator' THEN 'operator' ELSE 'key' END, k.name INTO entry.actor, entry.key_name
      FROM api_keys k WHERE k.key_id = entry.key_id;
    entry.actor := coalesce(entry.actor, 'system');
    entry.action := event->>'action';
    entry.connection_id := (event->>'connection')::uuid;
    entry.object_id := (event->>'object')::int;
    entry.details := coalesce(event->'details', '{}');
    entry.previous := head.hash;
    entry.hash := sha256(entry.previous || convert_to(
        audit_part(entry.tenant_id::text) || audit_part(entry.seq::text)
            || audit_part((extract(epoch FROM entry.at) * 1000000)::bigint::text)
            || audit_part(entry.actor) || audit_part(entry.key_id::text) || audit_part(entry.key_name)
            || audit_part(entry.action) || audit_part(entry.connection_id::text) || audit_part(entry.object_id::text)
            || audit_part(entry.details::text), 'UTF8'));
    INSERT INTO audit_events SELECT entry.*;
    UPDATE audit_heads h SET seq = entry.seq, hash = entry.hash WHERE h.tenant_id = of_tenant;
    RETURN entry.seq;
END
$$;
REVOKE ALL ON FUNCTION audit_write FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_write TO refrain_intent, refrain_control, refrain_tenant;

DO $$
DECLARE
    tbl text;
BEGIN
    FOREACH tbl IN ARRAY ARRAY['audit_events', 'audit_heads'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tbl);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tbl);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I TO refrain_tenant USING (tenant_id = (SELECT current_tenant())) '
            'WITH CHECK (tenant_id = (SELECT current_tenant()))', tbl);
        -- The owner, in whose name audit_write runs.
        EXECUTE format('CREATE POLICY writer ON %I TO CURRENT_USER USING (true) WITH CHECK (true)', tbl);
        EXECUTE format('GRANT SELECT ON %I TO refrain_tenant', tbl);
    END LOOP;
END
$$;

-- A connection that is parked by a worker moves its tenant's gate: pages of it that are under way commit nothing.
GRANT UPDATE (mapping_epoch) ON tenant_gates TO refrain_control;
