-- Calls ever paid for an org, less those given back: what was paid since the org said how many it counted.
ALTER TABLE org_limits ADD COLUMN paid bigint NOT NULL DEFAULT 0 CHECK (paid >= 0); -- fleet
