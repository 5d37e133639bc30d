-- What a tenant allows us over a connection: {lanes, calls_per_second, share_percent, reserve_percent}; what is not given is
-- the installation's default. The strictest of an org's connections stands in org_limits.settings.
ALTER TABLE connections ADD COLUMN limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'); -- intent
