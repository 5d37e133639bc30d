-- What tells the death of a worker from an outage; how long an attempt took, whoever tells of its end; and the leaving of old
-- attempts.

ALTER TABLE jobs ADD COLUMN leased_at timestamptz;        -- fleet: when it was last leased

-- One row: how the reapers of all replicas look at leases. While the database cannot be asked, no worker can prolong a lease
-- and no reaper can look: a gap between two looks means that what has run out by then proves nothing.
CREATE TABLE reaper_watch (                               -- fleet
    only_row  boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    since     timestamptz NOT NULL DEFAULT '-infinity',   -- looked at without a gap from here on
    looked_at timestamptz                                 -- the last look; null before the first
) WITH (fillfactor = 50);
INSERT INTO reaper_watch DEFAULT VALUES;
GRANT SELECT, UPDATE ON reaper_watch TO refrain_control;

-- What went as it should leaves sooner than what went wrong. An attempt's outcome never changes.
CREATE INDEX job_attempts_routine ON job_attempts (ended_at) WHERE outcome IN ('done', 'more', 'defer', 'drained');
CREATE INDEX job_attempts_other ON job_attempts (ended_at) WHERE outcome NOT IN ('done', 'more', 'defer', 'drained');
