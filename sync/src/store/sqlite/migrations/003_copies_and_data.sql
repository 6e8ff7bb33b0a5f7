-- How many copies of a bundle may still be handed on; 255: as many as one likes. What was held before knew no limit.
-- The table is made anew, as a column added at its end would lie behind the bytes: reading all rows on opening would read them too.

CREATE TABLE bundle_new (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    id BLOB NOT NULL,
    size INTEGER NOT NULL,
    class INTEGER NOT NULL,
    lifetime INTEGER NOT NULL,
    created INTEGER NOT NULL,
    tag BLOB NOT NULL,
    commitment BLOB NOT NULL,
    origin INTEGER NOT NULL,
    age INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    forwarded INTEGER NOT NULL,
    copies INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

INSERT INTO bundle_new
SELECT sequence, id, size, class, lifetime, created, tag, commitment, origin, age, stored, forwarded, 255, bytes FROM bundle;

-- The last sequence given, also where that bundle is gone: none is given twice.
DELETE FROM sqlite_sequence WHERE name = 'bundle_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'bundle_new', seq FROM sqlite_sequence WHERE name = 'bundle';
DROP TABLE bundle;
ALTER TABLE bundle_new RENAME TO bundle;

-- A large message: what its manifest says, and the parts of its content. They go where its message goes. A part is as long as a chunk holds, so
-- that it is the same on both sides; those that are there are counted in an index alone.
CREATE TABLE data (
    row INTEGER PRIMARY KEY NOT NULL,
    contact INTEGER NOT NULL,
    outgoing INTEGER NOT NULL,
    id BLOB NOT NULL,
    length INTEGER NOT NULL,
    hash BLOB NOT NULL,
    key BLOB,
    created INTEGER NOT NULL,
    state INTEGER NOT NULL,
    number INTEGER,
    UNIQUE (contact, outgoing, id),
    FOREIGN KEY (contact, outgoing, id) REFERENCES message (contact, outgoing, id) ON UPDATE CASCADE ON DELETE CASCADE
) STRICT;

CREATE INDEX data_open ON data (contact) WHERE state < 3;

CREATE TABLE part (
    data INTEGER NOT NULL REFERENCES data (row) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (data, number)
) STRICT;
