-- What is kept of an object may be narrowed by a filter, which stands in its settings. What was read of history is told by
-- the filter under which it was read: where another one is wanted, history may have to be read once more.
ALTER TABLE checkpoints                                   -- fleet
    ADD COLUMN filter       jsonb,                        -- the filter under which history is here; none for all of it
    ADD COLUMN filter_since jsonb,                        -- what else records had to pass since then: other filters, not looked at yet
    ADD COLUMN filtered     bigint NOT NULL DEFAULT 0;    -- one outcome more for a record that was read: outside of the filter, or of a ticket that is
ALTER TABLE checkpoints DROP CONSTRAINT checkpoints_outcomes;
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_outcomes
    CHECK (records_read = written + unchanged + superseded + quarantined + suppressed + expired + filtered);

-- Tickets that are outside of the filter and of which items may be here still; each is in it for a moment only.
CREATE INDEX tickets_filtered ON tickets (tenant_id, connection_id, object_id) WHERE reason = 1 AND NOT expired;
