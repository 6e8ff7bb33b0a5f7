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
