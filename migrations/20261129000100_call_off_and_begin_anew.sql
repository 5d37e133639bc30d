-- What of an object's history a person called off, and what is to be done about it: {"what": "close"} asks the object's
-- standing job for what belongs to the tickets that are here, from before where history begins now.
ALTER TABLE checkpoints                                   -- fleet
    ADD COLUMN called_off int CHECK (called_off >= 0);    -- history_days then, 0 for all of it: while they stay so, no more of history is read by itself
ALTER TABLE checkpoints DROP CONSTRAINT checkpoints_wish_check;
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_wish_check
    CHECK (wish->>'what' = 'close' OR (wish->>'what' = 'resync' AND wish ? 'from'));
