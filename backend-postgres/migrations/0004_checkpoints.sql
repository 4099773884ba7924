-- Checkpoints. Each function answers with the log's id and head, and what stands in the checkpoint; whether it did anything is in `done`.

-- The id of the event at or before a position.
CREATE FUNCTION {schema}.event_at_v1(place bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT id FROM {schema}.event WHERE position <= place ORDER BY position DESC LIMIT 1
$$;

-- Raises the epoch, unless the stored place is not one of this log as it is now.
CREATE FUNCTION {schema}.claim_v1(
    checkpoint_name text, OUT log uuid, OUT head bigint, OUT done boolean,
    OUT epoch bigint, OUT stored_log uuid, OUT stored_position bigint, OUT stored_fraction int, OUT stored_event uuid, OUT found_event uuid
) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.checkpoint AS c (name, epoch) VALUES (checkpoint_name, 0) ON CONFLICT (name) DO UPDATE SET epoch = c.epoch;
    SELECT l.id, l.head, c.epoch, c.log, c.position, c.fraction, c.event, {schema}.event_at_v1(c.position)
    INTO log, head, epoch, stored_log, stored_position, stored_fraction, stored_event, found_event
    FROM {schema}.log_state l, {schema}.checkpoint c WHERE c.name = checkpoint_name;
    done := stored_log IS NULL
        OR (stored_log = log AND stored_position + sign(stored_fraction) <= head AND stored_event IS NOT DISTINCT FROM found_event);
    IF done THEN
        UPDATE {schema}.checkpoint c SET epoch = c.epoch + 1 WHERE c.name = checkpoint_name RETURNING c.epoch INTO epoch;
    END IF;
END $$;

-- Moves a checkpoint forward for the owner of an epoch. Not done: fenced, a place past the head, or one of another log.
CREATE FUNCTION {schema}.save_v1(
    checkpoint_name text, of_epoch bigint, of_log uuid, place bigint, part int,
    OUT log uuid, OUT head bigint, OUT done boolean, OUT epoch bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.check_isolation_v1('a checkpoint');
    SELECT c.epoch INTO epoch FROM {schema}.checkpoint c WHERE c.name = checkpoint_name FOR UPDATE;
    SELECT l.id, l.head INTO log, head FROM {schema}.log_state l;
    epoch := coalesce(epoch, 0);
    done := epoch = of_epoch AND place + sign(part) <= head AND log = of_log;
    IF done THEN
        UPDATE {schema}.checkpoint c SET log = save_v1.log, position = place, fraction = part, event = {schema}.event_at_v1(place)
        WHERE c.name = checkpoint_name AND (c.log IS NULL OR c.log <> save_v1.log OR (c.position, c.fraction) < (place, part));
    END IF;
END $$;

-- Sets a checkpoint to a place and raises its epoch. Not done: a place past the head, or one of another log.
CREATE FUNCTION {schema}.reset_v1(
    checkpoint_name text, of_log uuid, place bigint, part int,
    OUT log uuid, OUT head bigint, OUT done boolean, OUT epoch bigint
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT l.id, l.head INTO log, head FROM {schema}.log_state l;
    done := place + sign(part) <= head AND log = of_log;
    IF done THEN
        INSERT INTO {schema}.checkpoint AS c (name, epoch, log, position, fraction, event)
        VALUES (checkpoint_name, 1, log, place, part, {schema}.event_at_v1(place))
        ON CONFLICT (name) DO UPDATE SET epoch = c.epoch + 1, log = excluded.log, position = excluded.position, fraction = excluded.fraction,
            event = excluded.event
        RETURNING c.epoch INTO epoch;
    END IF;
END $$;
