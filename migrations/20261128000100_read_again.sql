-- What a person wants done with what is here of an object, until the object's standing job has planned it. So far only to
-- read once more what is stamped since a moment: {"what": "resync", "from": …}.
ALTER TABLE checkpoints                                   -- fleet
    ADD COLUMN wish jsonb CHECK (wish->>'what' = 'resync' AND wish ? 'from');
