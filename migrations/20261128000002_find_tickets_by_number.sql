-- "Sync this one record" takes a ticket's number.
CREATE INDEX tickets_number ON tickets (tenant_id, number) WHERE number IS NOT NULL;
