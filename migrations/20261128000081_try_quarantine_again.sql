-- What is set aside is tried again from its sealed bytes: a person's wish, once a day, and when other fields are read.
ALTER TABLE quarantine
    ADD COLUMN sample       text,                         -- the shape of the value at fault: its length and kinds of characters
    ADD COLUMN field_set_id int,                          -- what it was read with
    ADD COLUMN tries        int NOT NULL DEFAULT 0,       -- how often it was tried again
    ADD COLUMN tried_at     timestamptz;

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('incremental', 'backfill', 'bulk', 'deleted', 'sweep', 'related', 'record', 'transcript', 'file',
                    'verify', 'expire', 'reproject', 'retry'));
