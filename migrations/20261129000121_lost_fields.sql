-- Paths that were read of an object's records once, and that the integration user may see no more: tickets are projected
-- without them.
ALTER TABLE checkpoints ADD COLUMN lost jsonb NOT NULL DEFAULT '[]';
UPDATE checkpoints c SET lost = (
    SELECT coalesce(jsonb_agg(DISTINCT f->>'path' ORDER BY f->>'path'), '[]')
      FROM field_sets s, jsonb_array_elements(s.fields) f
     WHERE s.tenant_id = c.tenant_id AND s.object_id = c.object_id
       AND NOT EXISTS (SELECT FROM field_sets n, jsonb_array_elements(n.fields) g
                        WHERE n.field_set_id = c.field_set_id AND n.tenant_id = c.tenant_id AND g->>'path' = f->>'path'))
 WHERE c.field_set_id IS NOT NULL;
