-- Who may touch what. A table that is not named here is reachable by its owner only.

-- Tenant role: one tenant's rows, never more, whatever the statement says.
DO $$
DECLARE
    tbl text;
BEGIN
    FOREACH tbl IN ARRAY ARRAY[
        'records', 'tickets', 'messages', 'agents', 'customers', 'ticket_facets', 'quarantine', 'suppressions',
        'connection_secrets', 'tenant_keys', 'tenant_gates', 'tenant_feed', 'connections', 'object_syncs',
        'checkpoints', 'field_sets', 'describes', 'jobs', 'job_attempts'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tbl);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tbl);
        EXECUTE format(
            'CREATE POLICY one_tenant ON %I TO refrain_tenant USING (tenant_id = (SELECT current_tenant())) '
            'WITH CHECK (tenant_id = (SELECT current_tenant()))', tbl);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE
    ON records, tickets, messages, agents, customers, ticket_facets, quarantine, suppressions, connection_secrets,
       field_sets, describes, jobs, job_attempts
    TO refrain_tenant;
GRANT SELECT, INSERT, UPDATE ON checkpoints, tenant_feed TO refrain_tenant;
GRANT SELECT, INSERT ON tenant_keys TO refrain_tenant;
GRANT SELECT ON connections, object_syncs TO refrain_tenant;
-- UPDATE is what FOR SHARE and FOR UPDATE ask for; the state itself is changed by the control plane.
GRANT SELECT, UPDATE (suppression_epoch, mapping_epoch) ON tenant_gates TO refrain_tenant;

-- Control tables of all tenants: no content, no secrets. Both roles see all rows; which columns each changes is told by
-- its grants alone.
DO $$
DECLARE
    tbl text;
BEGIN
    FOREACH tbl IN ARRAY ARRAY[
        'tenant_keys', 'tenant_gates', 'tenant_feed', 'connections', 'object_syncs', 'checkpoints', 'field_sets',
        'describes', 'jobs', 'job_attempts'
    ] LOOP
        EXECUTE format('CREATE POLICY fleet ON %I TO refrain_intent, refrain_control USING (true) WITH CHECK (true)', tbl);
    END LOOP;
END
$$;

-- What people want.
GRANT SELECT, INSERT, UPDATE ON tenants, tenant_keys, tenant_gates, connections, object_syncs, api_keys TO refrain_intent;
GRANT SELECT, INSERT ON tenant_feed TO refrain_intent;
GRANT SELECT, INSERT, UPDATE, DELETE ON gates TO refrain_intent;
GRANT DELETE ON object_syncs TO refrain_intent;

-- What the fleet does about it. A worker that finds a connection refused may park it, and change nothing else of it.
GRANT SELECT
    ON tenants, tenant_keys, tenant_gates, tenant_feed, connections, object_syncs, field_sets, describes
    TO refrain_control;
GRANT UPDATE (state, ask, state_since, updated_at) ON connections TO refrain_control;
GRANT SELECT, INSERT, UPDATE ON checkpoints, jobs, job_attempts, gates, org_limits, workers TO refrain_control;
GRANT DELETE ON jobs, job_attempts, gates, workers TO refrain_control;
