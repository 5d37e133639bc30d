-- Tickets leave when their time is over. How long a tenant's are kept stands on its gate: a page commit takes that row
-- first, so that no page decides by another policy than the one in force. What is here from before there was a policy
-- is kept as long as any may be: an upgrade shortens nothing.
ALTER TABLE tenant_gates                                  -- intent
    ADD COLUMN ticket_days     int NOT NULL DEFAULT 3650 CHECK (ticket_days BETWEEN 7 AND 3650), -- since the last activity
    ADD COLUMN held_days       int NOT NULL DEFAULT 3650 CHECK (held_days BETWEEN 7 AND 3650), -- the same, under a hold; never fewer than without
    ADD COLUMN attachment_days int NOT NULL DEFAULT 3650 CHECK (attachment_days BETWEEN 7 AND 3650); -- since a body was loaded
ALTER TABLE tenant_gates
    ALTER COLUMN ticket_days     SET DEFAULT 30,
    ALTER COLUMN held_days       SET DEFAULT 365,
    ALTER COLUMN attachment_days SET DEFAULT 180;

ALTER TABLE tickets
    ADD COLUMN expired     boolean NOT NULL DEFAULT false, -- its time was over and nothing of it is here; nor was it asked for again
    ADD COLUMN held        boolean NOT NULL DEFAULT false, -- kept for longer, because somebody wants it
    ADD COLUMN hold_reason text CHECK (length(hold_reason) BETWEEN 1 AND 200),
    ADD COLUMN held_at     timestamptz,
    ADD CHECK (held = (hold_reason IS NOT NULL)),
    ADD CHECK (held = (held_at IS NOT NULL));
-- What is due, and what is wanted again, without a walk over all that went before. Their predicates keep them from look-ups
-- by a ticket's own key, for which a planner that does not know the tenant may find any index as good as the right one.
-- Each change of a ticket writes all of its indexes anyway: it has a new place in the feed.
CREATE INDEX tickets_due ON tickets (tenant_id, held, last_activity_at) WHERE NOT expired;
CREATE INDEX tickets_left ON tickets (tenant_id, held, last_activity_at) WHERE expired;
CREATE INDEX files_due ON files (tenant_id, connection_id, updated_at) WHERE state = 1;

-- One outcome more for a record that was read: it belongs to a ticket whose time is over.
ALTER TABLE checkpoints                                   -- fleet
    ADD COLUMN expired bigint NOT NULL DEFAULT 0;
ALTER TABLE checkpoints DROP CONSTRAINT checkpoints_check2;
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_outcomes
    CHECK (records_read = written + unchanged + superseded + quarantined + suppressed + expired);

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('incremental', 'backfill', 'bulk', 'deleted', 'sweep', 'related', 'record', 'transcript', 'file', 'verify', 'expire'));
