-- Callers an org bore after it refused one because too many were under way: {allowed, at}. Quiet gives them back.
ALTER TABLE org_limits ADD COLUMN crowding jsonb; -- fleet
