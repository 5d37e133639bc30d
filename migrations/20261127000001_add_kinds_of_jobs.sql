-- Further kinds of work, and a class for transcripts that are read conversation by conversation: they have an hourly
-- limit of their own at Salesforce.
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('incremental', 'backfill', 'bulk', 'deleted', 'sweep', 'related', 'record', 'transcript', 'file'));
ALTER TABLE jobs DROP CONSTRAINT jobs_class_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_class_check CHECK (class BETWEEN 0 AND 7);
