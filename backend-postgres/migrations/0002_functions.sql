-- What runs in the server. Names carry a version: a later version of this package brings new functions, so that processes of both work side
-- by side.
--
-- Whatever decides on an append is done in statements of their own after the lock is held: under READ COMMITTED a statement sees all that
-- was committed before it began, and one that began by waiting would decide on what it saw before it waited.

-- Refuses a transaction that would decide on what it saw when it began.
CREATE FUNCTION {schema}.check_isolation_v1(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION '% needs the isolation level READ COMMITTED, not %', what, upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'ANL01';
    END IF;
END $$;

-- Makes a transaction fit for an append: one that decides on what is there once it has the lock, and that is flushed.
CREATE FUNCTION {schema}.make_fit_v1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.check_isolation_v1('an append');
    PERFORM set_config('synchronous_commit', 'on', true);
END $$;

-- Whether a stream at a version meets an expectation: -1 is any, -2 is an existing stream, all else is that very version.
CREATE FUNCTION {schema}.meets_v1(actual bigint, expected bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE expected WHEN -1 THEN true WHEN -2 THEN actual > 0 ELSE actual = expected END
$$;

-- Whether an event matches an item of a query. NULL is a part that is not given.
CREATE FUNCTION {schema}.matches_v1(
    stream text, type text, tags text[],
    of_streams text[], of_prefixes text[], of_categories text[], of_types text[], of_tags text[]
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (of_tags IS NULL OR tags @> of_tags)
        AND (of_streams IS NULL OR stream = ANY (of_streams))
        AND (of_prefixes IS NULL OR stream ^@ ANY (of_prefixes))
        AND (of_categories IS NULL OR split_part(stream, '-', 1) = ANY (of_categories))
        AND (of_types IS NULL OR type = ANY (of_types))
$$;

-- The first `most` positions above `low` and up to `high` whose events match an item of a query. Stable: it sees what the statement
-- around it sees. The part that likely fits the fewest events drives. The settings and OFFSET 0 keep the planner to reading an index in its order
-- until there is enough: all else reads all that is left of the log for each page, and looks cheaper in a plan that is made once for all bounds.
-- Such a plan looks so dear without its favourites that it would be compiled each time, which takes longer than it runs.
--
-- matching_backward_v1 is the same from the other end: the last `most` positions, the last first.
DO $make$
DECLARE
    text CONSTANT text := $text$
CREATE FUNCTION {schema}.%NAME%(
    low bigint, high bigint, most bigint,
    of_streams text[], of_prefixes text[], of_categories text[], of_types text[], of_tags text[]
) RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 100 SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    -- Up to so many positions are looked through, which is quicker than any index.
    few CONSTANT bigint := 500;
BEGIN
    IF high - low <= few OR coalesce(of_tags, of_streams, of_types, of_categories) IS NULL THEN
        RETURN QUERY SELECT e.position FROM {schema}.event e
            WHERE e.position > low AND e.position <= high
                AND {schema}.matches_v1(e.stream, e.type, e.tags, of_streams, of_prefixes, of_categories, of_types, of_tags)
            ORDER BY e.position %ORDER% LIMIT most;
    ELSIF of_tags IS NOT NULL THEN
        RETURN QUERY SELECT t.position FROM {schema}.event_tag t
            CROSS JOIN LATERAL (SELECT * FROM {schema}.event WHERE event.position = t.position OFFSET 0) e
            WHERE t.tag = of_tags[1] AND t.position > low AND t.position <= high
                AND {schema}.matches_v1(e.stream, e.type, e.tags, of_streams, of_prefixes, of_categories, of_types, of_tags)
            ORDER BY t.position %ORDER% LIMIT most;
    ELSIF of_streams IS NOT NULL THEN
        RETURN QUERY SELECT m.position FROM unnest(of_streams) u(stream) CROSS JOIN LATERAL (
                SELECT e.position FROM {schema}.event e
                WHERE e.stream = u.stream AND e.position > low AND e.position <= high
                    AND {schema}.matches_v1(e.stream, e.type, e.tags, of_streams, of_prefixes, of_categories, of_types, of_tags)
                ORDER BY e.version %ORDER% LIMIT most
            ) m ORDER BY m.position %ORDER% LIMIT most;
    ELSIF of_types IS NOT NULL THEN
        RETURN QUERY SELECT m.position FROM unnest(of_types) u(type) CROSS JOIN LATERAL (
                SELECT e.position FROM {schema}.event e
                WHERE e.type = u.type AND e.position > low AND e.position <= high
                    AND {schema}.matches_v1(e.stream, e.type, e.tags, of_streams, of_prefixes, of_categories, of_types, of_tags)
                ORDER BY e.position %ORDER% LIMIT most
            ) m ORDER BY m.position %ORDER% LIMIT most;
    ELSE
        RETURN QUERY SELECT m.position FROM unnest(of_categories) u(category) CROSS JOIN LATERAL (
                SELECT e.position FROM {schema}.event e
                WHERE split_part(e.stream, '-', 1) = u.category AND e.position > low AND e.position <= high
                    AND {schema}.matches_v1(e.stream, e.type, e.tags, of_streams, of_prefixes, of_categories, of_types, of_tags)
                ORDER BY e.position %ORDER% LIMIT most
            ) m ORDER BY m.position %ORDER% LIMIT most;
    END IF;
END $$;
$text$;
BEGIN
    EXECUTE replace(replace(text, '%NAME%', 'matching_v1'), '%ORDER%', '');
    EXECUTE replace(replace(text, '%NAME%', 'matching_backward_v1'), '%ORDER%', 'DESC');
END $make$;
