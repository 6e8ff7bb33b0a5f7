-- What a person has chosen for a contact, and what is written to it and not sent yet.

ALTER TABLE contact ADD COLUMN receipts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE contact ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;

CREATE TABLE draft (
    contact INTEGER PRIMARY KEY NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    text TEXT NOT NULL
) STRICT;
