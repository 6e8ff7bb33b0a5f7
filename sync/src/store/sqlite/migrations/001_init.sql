-- The schema of the first release; docs/store.md says what each table reveals. Never edited once released.
-- Numbers of contacts and sequences of bundles are never reused: AUTOINCREMENT. Numbers of 64 bits without sign are stored bit by bit, except
-- message.place, whose top bit is turned so that it sorts. Columns may be NULL only where a row may lack the value.

CREATE TABLE setting (
    name INTEGER PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE contact (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    alias TEXT,
    own_name TEXT,
    card BLOB NOT NULL,
    state INTEGER NOT NULL,
    verified INTEGER NOT NULL,
    created INTEGER NOT NULL,
    last_seen INTEGER,
    last_transport INTEGER,
    why TEXT
) STRICT;

CREATE TABLE pair (
    contact INTEGER PRIMARY KEY NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE exchange (
    contact INTEGER PRIMARY KEY NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    state BLOB NOT NULL
) STRICT;

CREATE TABLE cursor (
    contact INTEGER PRIMARY KEY NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    epoch BLOB NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;

CREATE TABLE skipped (
    tag BLOB PRIMARY KEY NOT NULL,
    contact INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    stored_hour INTEGER NOT NULL,
    chain INTEGER NOT NULL,
    number INTEGER NOT NULL,
    keys BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX skipped_by_age ON skipped (contact, stored_hour, chain, number, tag);

-- Clustered in the order of a conversation: new rows go to the end, and a screen is one range.
CREATE TABLE message (
    contact INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    id BLOB NOT NULL,
    outgoing INTEGER NOT NULL,
    state INTEGER NOT NULL,
    urgent INTEGER NOT NULL,
    sealed INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    number INTEGER,
    expires INTEGER,
    handed_contacts INTEGER NOT NULL,
    handed_strangers INTEGER NOT NULL,
    log BLOB NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (contact, place, id, outgoing),
    UNIQUE (contact, outgoing, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX message_unsealed ON message (contact, urgent DESC, place, id) WHERE outgoing = 1 AND state = 0 AND number IS NULL;
CREATE INDEX message_undelivered ON message (contact) WHERE outgoing = 1 AND state <= 1;
CREATE INDEX message_delivered ON message (contact, outgoing, place, id) WHERE state = 2;

CREATE TABLE outbox (
    contact INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    message BLOB,
    wants_receipt INTEGER NOT NULL,
    bundle BLOB NOT NULL,
    ack BLOB NOT NULL,
    PRIMARY KEY (contact, number)
) STRICT, WITHOUT ROWID;

-- bundle, gone and ack have each bundle id once; the program looks ids up in memory (sqlite/ids.rs), as in an index each would cost a page.
-- Origin: a contact's number, -1 a stranger who dialled, -2 a stranger whom we dialled, -3 minus a contact's number: sealed here for it.
CREATE TABLE bundle (
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
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE gone (
    row INTEGER PRIMARY KEY NOT NULL,
    id BLOB NOT NULL,
    created INTEGER NOT NULL,
    expiry INTEGER NOT NULL,
    tag BLOB NOT NULL,
    commitment BLOB NOT NULL,
    reason INTEGER NOT NULL,
    at INTEGER NOT NULL,
    ack BLOB NOT NULL,
    origin INTEGER NOT NULL
) STRICT;

CREATE TABLE ack (
    row INTEGER PRIMARY KEY NOT NULL,
    bundle BLOB NOT NULL,
    secret BLOB NOT NULL,
    due INTEGER NOT NULL
) STRICT;
