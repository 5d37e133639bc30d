-- Control tables: who our tenants are, what they asked for, and what the fleet is doing. No customer content.
-- Owner of a column = the pool that changes it. "intent" columns are changed by the control plane (sqlx);
-- "fleet" columns by workers and the dispatcher (deadpool-postgres). The grants hold it.

CREATE TABLE tenants (                                    -- intent
    tenant_id  uuid        PRIMARY KEY,
    name       text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    state      text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'closing', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Keys of a tenant, each wrapped by the key-encryption key. Destroying the row's material destroys the data.
CREATE TABLE tenant_keys (                                -- intent
    key_id     int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  uuid        NOT NULL REFERENCES tenants,
    purpose    text        NOT NULL CHECK (purpose IN ('data', 'index')),
    state      text        NOT NULL CHECK (state IN ('active', 'retired', 'destroyed')),
    kek_id     text        NOT NULL,                      -- which key-encryption key wraps it
    wrapped    bytea,                                     -- sealed key material; gone when destroyed
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'destroyed') = (wrapped IS NULL))
);
-- One active key per purpose; the index key never rotates.
CREATE UNIQUE INDEX tenant_keys_active ON tenant_keys (tenant_id, purpose) WHERE state = 'active';

-- The tenant gate. A page commit takes this row FOR SHARE before anything else; erasure, key destruction,
-- publication of a mapping and off-boarding take it FOR UPDATE and raise their epoch. A page planned under
-- other values commits nothing and is planned again.
CREATE TABLE tenant_gates (                               -- intent
    tenant_id         uuid   PRIMARY KEY REFERENCES tenants,
    state             text   NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')),
    suppression_epoch bigint NOT NULL DEFAULT 0,          -- raised with each suppression
    mapping_epoch     bigint NOT NULL DEFAULT 0,          -- raised with each published change of fields or roles
    data_key_id       int    NOT NULL REFERENCES tenant_keys,
    index_key_id      int    NOT NULL REFERENCES tenant_keys
);

-- Head of the tenant's changes feed: dense, in commit order. Incremented as a commit's last lock.
CREATE TABLE tenant_feed (                                -- fleet
    tenant_id uuid   PRIMARY KEY REFERENCES tenants,
    epoch     int    NOT NULL DEFAULT 1,                  -- raised by a restore; older cursors get 410
    head      bigint NOT NULL DEFAULT 0,                  -- sequence of the newest change
    tickets   bigint NOT NULL DEFAULT 0 CHECK (tickets >= 0), -- live tickets, counted under this row's lock
    shells    bigint NOT NULL DEFAULT 0 CHECK (shells >= 0)   -- tickets whose own record has not come yet
) WITH (fillfactor = 50);

CREATE TABLE connections (                                -- intent, but for the verdict columns
    connection_id uuid        PRIMARY KEY,
    tenant_id     uuid        NOT NULL REFERENCES tenants,
    name          text        NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    login_url     text        NOT NULL,                   -- where tokens are asked for
    auth_method   text        NOT NULL CHECK (auth_method IN ('client_credentials', 'jwt_bearer', 'refresh_token')),
    client_id     text        NOT NULL,
    username      text,                                   -- JWT bearer's subject
    org_id        text        COLLATE "C" CHECK (length(org_id) = 18),
    user_id       text        COLLATE "C" CHECK (length(user_id) = 18), -- the integration user
    state         text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'active', 'parked', 'revoked')),
    ask           jsonb,                                  -- what a person must do; present when parked
    state_since   timestamptz NOT NULL DEFAULT now(),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'parked') = (ask IS NOT NULL)),
    CHECK (state <> 'active' OR org_id IS NOT NULL),
    CHECK (auth_method <> 'jwt_bearer' OR username IS NOT NULL)
);
CREATE INDEX connections_tenant ON connections (tenant_id);

-- Secrets of a connection, sealed under the tenant's data key. Only the tenant role may touch them.
CREATE TABLE connection_secrets (                         -- fleet
    tenant_id        uuid        NOT NULL,
    connection_id    uuid        NOT NULL,
    credentials      bytea       NOT NULL,                -- client secret, private key or refresh token
    previous         bytea,                               -- the refresh token before the last rotation, for one recovery try
    access_token     bytea,                               -- shared by the fleet
    instance_url     text,                                -- as of the last token answer
    generation       bigint      NOT NULL DEFAULT 0,      -- counts token answers; a reader names the one that failed
    obtained_at      timestamptz,
    PRIMARY KEY (tenant_id, connection_id)
);

-- The standing instruction "keep this object of this connection fresh, like so".
CREATE TABLE object_syncs (                               -- intent
    object_id     int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     uuid        NOT NULL REFERENCES tenants,
    connection_id uuid        NOT NULL REFERENCES connections,
    api_name      text        NOT NULL,
    role          text        NOT NULL CHECK (role IN ('ticket', 'message', 'event', 'reference', 'file')),
    enabled       boolean     NOT NULL DEFAULT true,
    interval_s    int         NOT NULL DEFAULT 3600 CHECK (interval_s BETWEEN 1 AND 86400),
    settings      jsonb       NOT NULL DEFAULT '{}',      -- linked paths, facets, settle and overlap
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (connection_id, api_name)
);
CREATE INDEX object_syncs_tenant ON object_syncs (tenant_id);

-- Progress of an object sync. Rows and checkpoint move in one transaction.
CREATE TABLE checkpoints (                                -- fleet
    object_id      int         PRIMARY KEY REFERENCES object_syncs ON DELETE CASCADE,
    tenant_id      uuid        NOT NULL,
    connection_id  uuid        NOT NULL,
    state          text        NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'loading', 'current', 'parked', 'absent')),
    ask            jsonb,                                 -- what a person must do; present when parked
    generation     int         NOT NULL DEFAULT 1,        -- raised by a reset; slices of an older one are void
    key_prefix     text        COLLATE "C",               -- of the object's ids, for finding the parent's object
    cursor_field   text,                                  -- SystemModstamp, or what describe allows instead
    field_set_id   int,                                   -- the set that reads use now
    watermark_at   timestamptz,                           -- everything stamped before this is here; moves only at a window's end
    window_hi      timestamptz,                           -- end of the window being read
    position_stamp timestamptz,                           -- last row committed inside the window …
    position_id    text        COLLATE "C",               -- … and its id, as Salesforce orders ids
    covered_from   timestamptz,                           -- history is complete from here; -infinity when all of it is
    scope_from     timestamptz NOT NULL DEFAULT '-infinity', -- history is wanted from here
    open_slices    jsonb       NOT NULL DEFAULT '[]',     -- backfill slices not finished: [{"lo","hi"}], newest first
    expected       bigint,                                -- COUNT() when the backfill was planned; null where it takes too long
    records_read   bigint      NOT NULL DEFAULT 0,        -- every record read ends in exactly one of the next five
    written        bigint      NOT NULL DEFAULT 0,
    unchanged      bigint      NOT NULL DEFAULT 0,
    superseded     bigint      NOT NULL DEFAULT 0,        -- an equal or newer read was stored already
    quarantined    bigint      NOT NULL DEFAULT 0,
    suppressed     bigint      NOT NULL DEFAULT 0,
    late           bigint      NOT NULL DEFAULT 0,        -- found by the overlap: stamped before the watermark, seen after it
    api_calls      bigint      NOT NULL DEFAULT 0,
    live           bigint      NOT NULL DEFAULT 0 CHECK (live >= 0),  -- live records stored, counted with each page
    items          bigint      NOT NULL DEFAULT 0 CHECK (items >= 0), -- of them, live items of conversations
    loaded_at      timestamptz,                           -- first load complete
    passed_at      timestamptz,                           -- last window complete
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'parked') = (ask IS NOT NULL)),
    CHECK ((position_stamp IS NULL) = (position_id IS NULL)),
    CHECK (records_read = written + unchanged + superseded + quarantined + suppressed)
) WITH (fillfactor = 70);
CREATE INDEX checkpoints_connection ON checkpoints (tenant_id, connection_id);

-- Lists of paths an object was read with; append-only, larger is newer.
CREATE TABLE field_sets (                                 -- fleet
    field_set_id int         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid        NOT NULL,
    object_id    int         NOT NULL,
    fields       jsonb       NOT NULL,                    -- [{"path","type"}] in canonical order
    dropped      jsonb       NOT NULL DEFAULT '[]',       -- wanted paths that the integration user cannot see
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX field_sets_object ON field_sets (tenant_id, object_id, field_set_id);

-- The object as the integration user sees it, as last described.
CREATE TABLE describes (                                  -- fleet
    object_id     int         PRIMARY KEY,
    tenant_id     uuid        NOT NULL,
    body          jsonb       NOT NULL,
    linked        jsonb       NOT NULL,                   -- paths that people wanted read along, then
    last_modified text,                                   -- for the conditional request
    fetched_at    timestamptz NOT NULL
);

-- One durable unit of work. State: 0 waiting, 1 published, 2 leased, 3 parked. A finished one-shot leaves the
-- table; its attempts stay. No index names `state`: that would make every transition rewrite all indexes.
CREATE TABLE jobs (                                       -- fleet
    job_id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       uuid        NOT NULL,
    connection_id   uuid,
    object_id       int,
    org_id          text        COLLATE "C" NOT NULL,     -- whose limits bind it
    kind            text        NOT NULL CHECK (kind IN ('incremental', 'backfill')),
    class           smallint    NOT NULL CHECK (class BETWEEN 0 AND 6), -- interactive, incremental, derived, backfill, verify, files, privacy
    unique_key      text        UNIQUE,                   -- one row per standing duty or slice
    state           smallint    NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    available_at    timestamptz NOT NULL DEFAULT now(),   -- due from here on
    reason          text,                                 -- why it waits, in a closed word
    epoch           bigint      NOT NULL DEFAULT 0,       -- counts publications; a message of an older one is stale
    fence           bigint      NOT NULL DEFAULT 0,       -- counts leases; a write under an older one is refused
    published_at    timestamptz,
    lease_until     timestamptz,                          -- database clock
    worker_id       uuid,
    attempt         int         NOT NULL DEFAULT 0,       -- failed tries in a row
    crashes         int         NOT NULL DEFAULT 0,       -- leases that ended without a word, in a row
    rerun_requested boolean     NOT NULL DEFAULT false,   -- a trigger came while it ran
    params          jsonb       NOT NULL DEFAULT '{}',    -- what to do; never customer content
    progress        jsonb       NOT NULL DEFAULT '{}',    -- where a slice is
    ask             jsonb,                                -- what a person must do; present when parked
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 2) = (lease_until IS NOT NULL)),
    CHECK ((state = 3) = (ask IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX jobs_due ON jobs (available_at, class) INCLUDE (tenant_id);
CREATE INDEX jobs_tenant ON jobs (tenant_id, class, available_at);

-- History of attempts: what happened at each lease.
CREATE TABLE job_attempts (                               -- fleet
    job_id        bigint      NOT NULL,
    fence         bigint      NOT NULL,
    tenant_id     uuid        NOT NULL,
    object_id     int,
    kind          text        NOT NULL,
    worker_id     uuid,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz NOT NULL,
    outcome       text        NOT NULL,                   -- done, more, or the disposition's word; crashed
    step          text,                                   -- plan, extract, transform, load
    code          text,                                   -- the failure's closed word
    detail        text,                                   -- for people; never customer content
    pages         int         NOT NULL DEFAULT 0,
    records_read  bigint      NOT NULL DEFAULT 0,
    written       bigint      NOT NULL DEFAULT 0,
    api_calls     int         NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, fence)
);
CREATE INDEX job_attempts_recent ON job_attempts (tenant_id, ended_at DESC);

-- Conditions shared by many jobs: blackout, budget, pause, parked connection, key destruction. The subject is
-- a tenant, a connection (their uuids as text) or an org.
CREATE TABLE gates (                                      -- fleet
    subject       text        COLLATE "C" NOT NULL,
    reason        text        NOT NULL CHECK (reason IN ('blackout', 'budget', 'org_quota', 'paused', 'parked', 'closing')),
    blocked_until timestamptz NOT NULL,                   -- infinity: until a person acts
    set_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, reason)
) WITH (fillfactor = 70);

-- What all workers together may ask of one Salesforce org. One row an org: a grant locks it, decides in Rust
-- and writes it back.
CREATE TABLE org_limits (                                 -- fleet
    org_id      text        COLLATE "C" PRIMARY KEY,
    settings    jsonb       NOT NULL DEFAULT '{}',        -- lanes, calls a second, share, reserve: the strictest of its connections
    lanes       jsonb       NOT NULL DEFAULT '[]',        -- [{job, epoch, until, calls, bucket}]: one concurrent caller each
    buckets     jsonb       NOT NULL DEFAULT '[]',        -- [{start, calls}]: our calls of the rolling 24 hours
    usage       jsonb,                                    -- {used, limit, at}: the org's own count, all integrations
    updated_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Live worker processes: one heartbeat row each.
CREATE TABLE workers (                                    -- fleet
    worker_id  uuid        PRIMARY KEY,
    slots      int         NOT NULL CHECK (slots > 0),
    version    text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE api_keys (                                   -- intent
    key_id      uuid        PRIMARY KEY,
    tenant_id   uuid        REFERENCES tenants,           -- NULL: the operator's, all tenants
    name        text        NOT NULL,
    secret_hash bytea       NOT NULL CHECK (length(secret_hash) = 32),
    role        text        NOT NULL CHECK (role IN ('operator', 'tenant_admin', 'tenant_reader')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    CHECK ((role = 'operator') = (tenant_id IS NULL))
);
