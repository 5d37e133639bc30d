-- A pause is a gate with a name to it; and a pause of one object is one of its own, so that what people want of the object
-- (`enabled`) stays apart from what they hold up just now. A gate's subject is now a tenant, a connection, an org or an object.
ALTER TABLE gates ADD COLUMN set_by text;                 -- name of the API key by which a person closed it

-- When the org last said that it is the one this connection belongs to.
ALTER TABLE connections ADD COLUMN org_checked_at timestamptz; -- fleet
GRANT UPDATE (org_checked_at) ON connections TO refrain_control;
