-- The policy of files that is in force for what is here. Where a person has set another since, all files are judged anew.
ALTER TABLE checkpoints ADD COLUMN files_policy jsonb;
UPDATE checkpoints c SET files_policy = o.settings->'files' FROM object_syncs o WHERE o.object_id = c.object_id;
