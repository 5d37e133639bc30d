-- Three roles without login. Every pool starts its sessions with `role` set to one of them, so that the login
-- itself (which owns the tables) never runs an application statement.
--   refrain_intent : what people want, in the control tables of all tenants (the control plane's sqlx pool).
--   refrain_control: what the fleet does about it, in the same tables (deadpool-postgres).
--   refrain_tenant : one tenant's rows, through forced row-level security and a transaction-local tenant.
-- Roles belong to the whole server: another database of the same server may have made them already, even at
-- the same moment.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['refrain_intent', 'refrain_control', 'refrain_tenant'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT pg_has_role(current_user, role_name, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role_name);
        END IF;
    END LOOP;
END
$$;

-- The tenant of this transaction; NULL matches no row. A session-level setting is never used: it would
-- survive in the pool.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant', true), '')::uuid;

GRANT SELECT ON _sqlx_migrations TO refrain_intent, refrain_control, refrain_tenant;
