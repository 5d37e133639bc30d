-- The mapping under which everything that is here of an object was projected. Where another is wanted by now, what is here
-- is projected anew from the sealed records. Nothing tells under which one older rows were: they are projected once more.
ALTER TABLE checkpoints                                   -- fleet
    ADD COLUMN projected jsonb;

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('incremental', 'backfill', 'bulk', 'deleted', 'sweep', 'related', 'record', 'transcript', 'file',
                    'verify', 'expire', 'reproject'));
