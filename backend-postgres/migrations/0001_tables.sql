-- One schema is one namespace: one log with its own order, id and lock. "{schema}" stands for its quoted name.

-- The log. Its head is the position of its newest event, and at least this one: nothing moves it but what takes away the newest events.
CREATE TABLE {schema}.log (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id uuid NOT NULL,
    head bigint NOT NULL
);

INSERT INTO {schema}.log (id, head) VALUES ('{log_id}', 0);

-- Names are compared byte by byte. There is no row per stream: its version is that of its newest event.
CREATE TABLE {schema}.event (
    position bigint PRIMARY KEY,
    -- Where the event stands in its append, from 0, and how many events that has: what tells one append from another.
    append_offset int NOT NULL,
    append_size int NOT NULL,
    version bigint NOT NULL,
    id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    stream text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    -- NULL is application/json.
    content_type text COLLATE "C",
    data bytea NOT NULL,
    metadata text COLLATE "C",
    tags text[] COLLATE "C",
    CONSTRAINT event_version UNIQUE (stream, version),
    -- The id comes first: ids are mostly made in the order of time, and new entries then meet on the same pages.
    CONSTRAINT event_id UNIQUE (id, stream)
)
-- Statistics of a small table would have every plan read all of it, and plans are kept while it grows. Without any, indexes are used.
WITH (autovacuum_analyze_threshold = 10000);
-- The log as it stands. Appends take turns, and each gives the positions that follow the head; so positions have no holes, and go by the order of commits.
CREATE VIEW {schema}.log_state AS
SELECT l.id, greatest(l.head, coalesce((SELECT e.position FROM {schema}.event e ORDER BY e.position DESC LIMIT 1), 0)) AS head
FROM {schema}.log l LIMIT 1;

CREATE INDEX event_category ON {schema}.event (split_part(stream, '-', 1), position);
CREATE INDEX event_type ON {schema}.event (type, position);

CREATE TABLE {schema}.event_tag (
    tag text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (tag, position)
) WITH (autovacuum_analyze_threshold = 10000);

CREATE TABLE {schema}.snapshot (
    stream text COLLATE "C" NOT NULL,
    schema text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    data bytea NOT NULL,
    metadata text COLLATE "C",
    PRIMARY KEY (stream, schema, version)
);

CREATE TABLE {schema}.checkpoint (
    name text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    -- The log and the event at or before the position, by which a restored log is noticed. All NULL: claimed and never saved.
    log uuid,
    position bigint,
    -- A position between two events, where not 0.
    fraction int,
    event uuid
);

-- For people: payloads and metadata as JSON where they are JSON by their content type and the server can hold them as such, and as base64 of
-- the bytes otherwise. Not all JSON can be held: not NUL, not half a surrogate pair, no number of a million digits, nor what is nested deeply.
CREATE FUNCTION {schema}.as_json(content_type text, data bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF content_type IS NULL OR content_type LIKE '%json%' THEN
        RETURN convert_from(data, 'UTF8')::jsonb;
    END IF;
    RETURN to_jsonb(encode(data, 'base64'));
EXCEPTION WHEN OTHERS THEN
    RETURN to_jsonb(encode(data, 'base64'));
END $$;

CREATE VIEW {schema}.events AS
SELECT position, stream, version, type, id, recorded_at, coalesce(content_type, 'application/json') AS content_type,
    {schema}.as_json(content_type, data) AS data, {schema}.as_json(NULL, convert_to(metadata, 'UTF8')) AS metadata, coalesce(tags, '{}') AS tags
FROM {schema}.event;
