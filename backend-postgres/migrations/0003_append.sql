-- Appends. Arrays have no ragged rows, so all below an append is flattened: a write says how many events it has (`w_events`), how many there
-- are before them in the batch (`w_first`) and in its append (`w_offset`), and how many that has (`w_size`); an item names its condition, from 1; and
-- lists of names are one text with a control character between them, which no name has.
--
-- Whoever appends takes the lock of the log first: waiting for an advisory lock is first come, first served, which waiting for a row is not. Its first
-- number is this package's and the second this log's own, so that no stranger waits with us. (It never gives NULL; as part of an expression it
-- costs less than as a statement.)
--
-- `w_known` is a version that the stream of a write probably has by now, or 0. Looking for the newest from there on spares the scan of a whole
-- page of the index; where it is too high, all of the stream is looked at.
--
-- The answer: `log` and `first`, the id of the log and its head before (NULL where nothing was written); for each
-- write in `versions` the version of its stream before; and, unless all appends were simply accepted, in `kinds` what became of each (0
-- accepted, 1 committed before, 2 an expectation that does not hold, 3 a condition that matches, 4 an id that was used before, 5 a position
-- past the head), in `subjects` of which write (or, negative, check), condition or event that is said, in `founds` the version or position found,
-- and for each write in `positions` the position before its first event.

-- Writes the events of the writes `low` to `high` of a batch, on which it is decided: their positions begin after `newest`.
CREATE FUNCTION {schema}.insert_v1(
    newest bigint, low int, high int, versions bigint[], w_stream text[],
    w_events int[], w_first int[], w_offset int[], w_size int[],
    e_id uuid[], e_type text[], e_content_type text[], e_data bytea[], e_metadata text[], e_tags text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now timestamptz := clock_timestamp();
BEGIN
    INSERT INTO {schema}.event (position, append_offset, append_size, version, id, recorded_at, stream, type, content_type, data, metadata, tags)
    SELECT w.position + n, w.offset + n - 1, w.size, w.version + n, e_id[w.first + n], now, w.stream,
        e_type[w.first + n], e_content_type[w.first + n], e_data[w.first + n], e_metadata[w.first + n], string_to_array(e_tags[w.first + n], E'\x1f')
    FROM (
        SELECT newest + w_first[w] - w_first[low] AS position, w_offset[w] AS offset, w_size[w] AS size, versions[w] AS version,
            w_stream[w] AS stream, w_first[w] AS first, w_events[w] AS events
        FROM generate_series(low, high) w OFFSET 0
    ) w CROSS JOIN LATERAL generate_series(1, w.events) n;
    IF e_tags IS NOT NULL THEN
        INSERT INTO {schema}.event_tag (tag, position)
        SELECT t.tag, newest + n - w_first[low]
        FROM generate_series(w_first[low] + 1, w_first[high] + w_events[high]) n
        CROSS JOIN LATERAL unnest(string_to_array(e_tags[n], E'\x1f')) t(tag);
    END IF;
END $$;

-- Plans are kept, and are mostly made while the log is still small. OFFSET 0 keeps the planner from a join that reads all of it, which would
-- be quick then and ever slower as it grows. For lists whose length it does not know the planner takes them to be long, and would have machine code made
-- for each call.

-- Decides on a batch of appends and writes those that are accepted. `ordered` says that appends of the batch touch one another, so that
-- each must be decided in the state that the ones before it left.
CREATE FUNCTION {schema}.append_v1(
    ordered boolean, a_writes int[], a_events int[], a_checks int[], a_conditions int[],
    w_stream text[], w_expected bigint[], w_before bigint[], w_known bigint[],
    w_events int[], w_first int[], w_offset int[], w_size int[], c_stream text[], c_expected bigint[],
    e_id uuid[], e_type text[], e_content_type text[], e_data bytea[], e_metadata text[], e_tags text[],
    k_log uuid, k_after bigint[], k_reach bigint[], i_condition int[],
    i_streams text[], i_prefixes text[], i_categories text[], i_types text[], i_tags text[],
    OUT log uuid, OUT first bigint, OUT versions bigint[],
    OUT kinds int[], OUT subjects bigint[], OUT founds bigint[], OUT positions bigint[]
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    events CONSTANT int := coalesce(cardinality(e_id), 0);
    writes CONSTANT int := coalesce(cardinality(w_stream), 0);
    holds boolean := NOT ordered;
    newest bigint;
    -- The last write, check and condition of the appends before the present one.
    w int := 0; c int := 0; k int := 0;
    known record; kind int; subject bigint; found bigint; actual bigint; base bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' OR current_setting('synchronous_commit') IN ('off', 'local') THEN
        PERFORM {schema}.make_fit_v1();
    END IF;
    IF pg_advisory_xact_lock(1634627169, '{schema}.log'::regclass::oid::int) IS NULL THEN
        RETURN;
    END IF;
    IF k_after IS NOT NULL THEN
        SELECT l.id, l.head INTO log, newest FROM {schema}.log_state l;
        -- Positions of another log than the caller takes this one for cannot be judged here: nothing is decided.
        IF log <> k_log THEN
            kinds := '{}';
            RETURN;
        END IF;
    END IF;

    -- All at once, which is how it goes unless somebody is refused or comes again.
    IF holds THEN
        SELECT l.id, l.head, f.versions, coalesce(f.holds, true) INTO log, newest, versions, holds
        FROM {schema}.log_state l, (
            SELECT array_agg(s.actual + s.before ORDER BY s.w) AS versions, bool_and({schema}.meets_v1(s.actual, s.expected)) AS holds
            FROM (
                SELECT u.w, u.expected, u.before, coalesce(
                    (SELECT x.version FROM {schema}.event x WHERE x.stream = u.stream AND x.version >= u.known ORDER BY x.version DESC LIMIT 1),
                    CASE WHEN u.known > 0 THEN
                        (SELECT x.version FROM {schema}.event x WHERE x.stream = u.stream ORDER BY x.version DESC LIMIT 1)
                    END, 0) AS actual
                FROM unnest(w_stream, w_expected, w_before, w_known) WITH ORDINALITY u(stream, expected, before, known, w) OFFSET 0
            ) s
        ) f;
    END IF;
    IF holds AND c_stream IS NOT NULL THEN
        holds := NOT EXISTS (
            SELECT FROM unnest(c_stream, c_expected) u(stream, expected) WHERE NOT {schema}.meets_v1(
                coalesce((SELECT x.version FROM {schema}.event x WHERE x.stream = u.stream ORDER BY x.version DESC LIMIT 1), 0), u.expected));
    END IF;
    IF holds AND k_after IS NOT NULL THEN
        holds := NOT EXISTS (SELECT FROM unnest(k_reach) u(reach) WHERE u.reach > newest) AND NOT EXISTS (
            SELECT FROM unnest(i_condition, i_streams, i_prefixes, i_categories, i_types, i_tags) i(condition, streams, prefixes, categories, types, tags)
            CROSS JOIN LATERAL {schema}.matching_v1(k_after[i.condition], newest, 1,
                string_to_array(i.streams, E'\x1f'), string_to_array(i.prefixes, E'\x1f'), string_to_array(i.categories, E'\x1f'),
                string_to_array(i.types, E'\x1f'), string_to_array(i.tags, E'\x1f')));
    END IF;
    IF holds AND events = 0 THEN
        RETURN;
    END IF;
    -- Whether ids were used before, the index tells by itself, without a look for each. That nothing of it stays then takes a subtransaction.
    IF holds THEN
        BEGIN
            PERFORM {schema}.insert_v1(newest, 1, writes, versions, w_stream, w_events, w_first, w_offset, w_size,
                e_id, e_type, e_content_type, e_data, e_metadata, e_tags);
            first := newest;
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            holds := false;
        END;
    END IF;

    -- One by one.
    SELECT l.id, l.head INTO log, first FROM {schema}.log_state l;
    newest := first;
    versions := array_fill(0::bigint, ARRAY[writes]);
    positions := versions;
    FOR a IN 1 .. cardinality(a_writes) LOOP
        kind := 0; subject := 0; found := 0;

        -- Committed before, whole, unchanged and in this order? Or some of its ids used for something else? Mostly neither.
        IF EXISTS (
            SELECT FROM generate_series(w + 1, w + a_writes[a]) u CROSS JOIN LATERAL generate_series(1, w_events[u]) nth
            CROSS JOIN LATERAL (
                SELECT FROM {schema}.event x WHERE x.id = e_id[w_first[u] + nth] AND x.stream = w_stream[u] OFFSET 0) x
        ) THEN
            SELECT count(*) AS events, min(n) AS n, min(x.position - x.append_offset) AS low, max(x.position - x.append_offset) AS high,
                min(x.append_size) AS size, bool_and(s.same) AS same, min(n) FILTER (WHERE NOT s.same) AS other,
                count(DISTINCT (u, x.version - nth)) = count(DISTINCT u) AS in_order
            INTO known
            FROM generate_series(w + 1, w + a_writes[a]) u CROSS JOIN LATERAL generate_series(1, w_events[u]) nth
            CROSS JOIN LATERAL (SELECT w_first[u] + nth AS n) n
            CROSS JOIN LATERAL (SELECT * FROM {schema}.event x WHERE x.id = e_id[n] AND x.stream = w_stream[u] OFFSET 0) x
            CROSS JOIN LATERAL (SELECT x.type = e_type[n] AND x.data = e_data[n]
                AND x.tags IS NOT DISTINCT FROM string_to_array(e_tags[n], E'\x1f') AS same) s;
            IF known.events = a_events[a] AND known.size = a_events[a] AND known.low = known.high AND known.same AND known.in_order THEN
                kind := 1;
                FOR subject, actual, base IN
                    SELECT DISTINCT u, x.version - nth, x.position - nth
                    FROM generate_series(w + 1, w + a_writes[a]) u CROSS JOIN LATERAL generate_series(1, w_events[u]) nth
                    CROSS JOIN LATERAL (
                        SELECT * FROM {schema}.event x WHERE x.id = e_id[w_first[u] + nth] AND x.stream = w_stream[u] OFFSET 0) x
                LOOP
                    versions[subject] := actual; positions[subject] := base;
                END LOOP;
            ELSE
                kind := 4; subject := coalesce(known.other, known.n);
                SELECT x.version INTO found FROM generate_series(w + 1, w + a_writes[a]) u CROSS JOIN LATERAL (
                    SELECT x.version FROM {schema}.event x WHERE x.id = e_id[subject] AND x.stream = w_stream[u] OFFSET 0) x
                WHERE subject BETWEEN w_first[u] + 1 AND w_first[u] + w_events[u];
            END IF;
        END IF;

        IF kind = 0 THEN
            FOR n IN w + 1 .. w + a_writes[a] LOOP
                actual := coalesce((SELECT x.version FROM {schema}.event x WHERE x.stream = w_stream[n] ORDER BY x.version DESC LIMIT 1), 0);
                versions[n] := actual;
                IF NOT {schema}.meets_v1(actual, w_expected[n]) THEN
                    kind := 2; subject := n; found := actual;
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        IF kind = 0 THEN
            FOR n IN c + 1 .. c + a_checks[a] LOOP
                actual := coalesce((SELECT x.version FROM {schema}.event x WHERE x.stream = c_stream[n] ORDER BY x.version DESC LIMIT 1), 0);
                IF NOT {schema}.meets_v1(actual, c_expected[n]) THEN
                    kind := 2; subject := -n; found := actual;
                    EXIT;
                END IF;
            END LOOP;
        END IF;
        IF kind = 0 THEN
            FOR n IN k + 1 .. k + a_conditions[a] LOOP
                IF k_reach[n] > newest THEN
                    kind := 5; subject := n; found := newest;
                    EXIT;
                END IF;
                SELECT min(m) INTO found
                FROM unnest(i_condition, i_streams, i_prefixes, i_categories, i_types, i_tags) i(condition, streams, prefixes, categories, types, tags)
                CROSS JOIN LATERAL {schema}.matching_v1(k_after[n], newest, 1,
                    string_to_array(i.streams, E'\x1f'), string_to_array(i.prefixes, E'\x1f'), string_to_array(i.categories, E'\x1f'),
                    string_to_array(i.types, E'\x1f'), string_to_array(i.tags, E'\x1f')) m
                WHERE i.condition = n;
                IF found IS NOT NULL THEN
                    kind := 3; subject := n;
                    EXIT;
                END IF;
                found := 0;
            END LOOP;
        END IF;

        IF kind = 0 AND a_events[a] > 0 THEN
            FOR n IN w + 1 .. w + a_writes[a] LOOP
                positions[n] := newest + w_offset[n];
            END LOOP;
            PERFORM {schema}.insert_v1(newest, w + 1, w + a_writes[a], versions, w_stream, w_events, w_first, w_offset, w_size,
                e_id, e_type, e_content_type, e_data, e_metadata, e_tags);
            newest := newest + a_events[a];
        END IF;
        kinds[a] := kind; subjects[a] := subject; founds[a] := found;
        w := w + a_writes[a]; c := c + a_checks[a]; k := k + a_conditions[a];
    END LOOP;
END $$;
