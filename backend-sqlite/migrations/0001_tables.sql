-- One file is one namespace: one log with its own order, id and lock.

-- The log: one row.
CREATE TABLE log (
    id BLOB NOT NULL,
    -- The oldest migration whose users can still work with the file as it is now.
    works_with INTEGER NOT NULL
) STRICT;

-- Names are compared byte by byte. There is no row per stream: its version is that of its newest event. Positions have no holes: appends take turns,
-- and each gives those that follow the newest.
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    -- Where the event stands in its append, from 0, and how many events that has: what tells one append from another.
    append_offset INTEGER NOT NULL,
    append_size INTEGER NOT NULL,
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    -- Microseconds since 1970.
    recorded_at INTEGER NOT NULL,
    stream TEXT NOT NULL,
    category TEXT NOT NULL AS (substr(stream, 1, instr(stream || '-', '-') - 1)) VIRTUAL,
    type TEXT NOT NULL,
    -- NULL is application/json.
    content_type TEXT,
    data BLOB NOT NULL,
    metadata TEXT,
    -- One after another, with U+001F between them, which no tag holds.
    tags TEXT
) STRICT;

-- Every index ends with the position, whether it says so or not.
CREATE UNIQUE INDEX event_version ON event (stream, version);
-- The id comes first: ids are mostly made in the order of time, and new entries then meet on the same pages.
CREATE UNIQUE INDEX event_id ON event (id, stream);
CREATE INDEX event_type ON event (type);
CREATE INDEX event_category ON event (category);

CREATE TABLE event_tag (
    tag TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tag, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
    stream TEXT NOT NULL,
    schema TEXT NOT NULL,
    version INTEGER NOT NULL,
    data BLOB NOT NULL,
    metadata TEXT,
    UNIQUE (stream, schema, version)
) STRICT;

CREATE TABLE checkpoint (
    name TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    -- The log and the event at or before the position, by which a restored log is noticed. All NULL: claimed and never saved.
    log BLOB,
    position INTEGER,
    -- A position between two events, where not 0.
    fraction INTEGER,
    event BLOB
) STRICT, WITHOUT ROWID;

-- For people: text where it is text.
CREATE VIEW events AS
SELECT position, stream, version, type,
    lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)) AS id,
    strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at / 1e6, 'unixepoch') AS recorded_at,
    coalesce(content_type, 'application/json') AS content_type,
    CASE WHEN content_type IS NULL OR content_type LIKE '%json%' OR content_type LIKE 'text/%' THEN CAST(data AS TEXT) ELSE data END AS data,
    metadata, replace(tags, char(31), ', ') AS tags
FROM event;
