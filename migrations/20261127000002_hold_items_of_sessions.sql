-- What was said in a session, a call or a chat belongs to that item, and through it to the ticket; and an item that only
-- announces another (a feed row of an e-mail) names it.
ALTER TABLE messages ADD COLUMN same_as text COLLATE "C";            -- the record that says the same, of another object
ALTER TABLE messages ADD COLUMN holds   boolean NOT NULL DEFAULT false; -- items of other objects belong to this one
