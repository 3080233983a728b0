CREATE SCHEMA IF NOT EXISTS domicile;
GRANT USAGE ON SCHEMA domicile TO PUBLIC;
CREATE TABLE IF NOT EXISTS domicile.setting (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS domicile.subject (
    subject text COLLATE "C" PRIMARY KEY,
    state text NOT NULL,
    fenced boolean NOT NULL,
    move_id bigint NOT NULL,
    peer text NOT NULL,
    copied boolean NOT NULL DEFAULT false,
    shipped xid8,
    fingerprint text,
    announced_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    decided_at timestamptz
) WITH (fillfactor = 70);
CREATE TABLE IF NOT EXISTS domicile.touched (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text COLLATE "C" NOT NULL,
    tbl integer NOT NULL,
    key text[] NOT NULL,
    below boolean NOT NULL,
    xact xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id()
);
CREATE INDEX IF NOT EXISTS touched_subject ON domicile.touched (subject);
CREATE TABLE IF NOT EXISTS domicile.gone (
    subject text COLLATE "C" PRIMARY KEY,
    home text NOT NULL,
    move_id bigint NOT NULL,
    decided_at timestamptz,
    erased_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- What was erased behind an announcement: the last transaction that deleted rows, and, once nobody
-- can see them any more, when that was, how far the log had come, and the files that held them.
CREATE TABLE IF NOT EXISTS domicile.erasure (
    move_id bigint PRIMARY KEY, home text NOT NULL, people bigint NOT NULL, rows bigint NOT NULL,
    erased_at timestamptz NOT NULL, xid xid8 NOT NULL,
    horizon_at timestamptz, horizon_xid xid8, lsn pg_lsn, files oid[]);
-- Told twice, since whoever waits for an entry's lock looks only at the entry again.
ALTER TABLE domicile.subject ADD COLUMN IF NOT EXISTS on_hold boolean NOT NULL DEFAULT false;
CREATE TABLE IF NOT EXISTS domicile.directive (
    subject text COLLATE "C" PRIMARY KEY,
    hold text,
    home text,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- Where who begins to refer to a shared row and who changes it meet.
CREATE TABLE IF NOT EXISTS domicile.met (relation text, key text, times bigint NOT NULL DEFAULT 1, PRIMARY KEY (relation, key));
-- Shared rows that somebody referred to who is gone from here, to that home.
CREATE TABLE IF NOT EXISTS domicile.loose (relation text, key text, home text, PRIMARY KEY (relation, key));
-- Shared rows that a move brought here, as it brought them, from where, and by which transaction.
CREATE TABLE IF NOT EXISTS domicile.brought (relation text, key text, digest bytea NOT NULL, peer text, came xid8, PRIMARY KEY (relation, key));
CREATE TABLE IF NOT EXISTS domicile.guarded (tbl integer PRIMARY KEY, relation regclass NOT NULL);
CREATE SEQUENCE IF NOT EXISTS domicile.flag;
CREATE SEQUENCE IF NOT EXISTS domicile.refused;
REVOKE ALL ON ALL TABLES IN SCHEMA domicile FROM PUBLIC;
-- What the guards' cheap questions read, whoever writes.
GRANT SELECT (subject, fenced) ON domicile.subject TO PUBLIC;
GRANT SELECT (subject) ON domicile.gone TO PUBLIC;
GRANT SELECT ON SEQUENCE domicile.flag TO PUBLIC;
-- Few at any time, among many residents; the fences of deep tables ask whether there are any.
CREATE INDEX IF NOT EXISTS subject_moving ON domicile.subject (subject)
    WHERE state IN ('moving', 'closing');

-- Whether either is fenced. Mostly they are the same. Asked in two statements: the plan of one for
-- both would look cheaper when made for the very values, and be made for each.
CREATE OR REPLACE FUNCTION domicile.known(p_old text, p_new text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $f$
BEGIN
    IF EXISTS (SELECT 1 FROM domicile.subject s
            WHERE s.subject OPERATOR(pg_catalog.=) coalesce(p_new, p_old) COLLATE pg_catalog."C"
            AND s.fenced) THEN
        RETURN true;
    END IF;
    IF p_old OPERATOR(pg_catalog.<>) p_new COLLATE pg_catalog."C" THEN
        RETURN EXISTS (SELECT 1 FROM domicile.subject s
            WHERE s.subject OPERATOR(pg_catalog.=) p_old COLLATE pg_catalog."C" AND s.fenced);
    END IF;
    RETURN false;
END $f$;

CREATE OR REPLACE FUNCTION domicile.has_left(p_subject text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $f$
BEGIN
    RETURN EXISTS (SELECT 1 FROM domicile.gone g
        WHERE g.subject OPERATOR(pg_catalog.=) p_subject COLLATE pg_catalog."C");
END $f$;

-- Whoever writes calls them, also where functions are not public by default.
GRANT EXECUTE ON FUNCTION domicile.known(text, text), domicile.has_left(text) TO PUBLIC;

-- A decision asks for this and the next under its locks: plpgsql keeps a plan, which looks along
-- indexes however large the catalog is.
CREATE OR REPLACE FUNCTION domicile.relations() RETURNS SETOF oid
LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RETURN QUERY SELECT g.relation::oid FROM domicile.guarded g
    UNION
    SELECT (pg_partition_tree(g.relation)).relid::oid FROM domicile.guarded g;
END $f$;

CREATE OR REPLACE FUNCTION domicile.fingerprint() RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RETURN (SELECT encode(sha256(convert_to(coalesce(string_agg(concat_ws(':', c.oid, c.relfilenode,
        (SELECT string_agg(concat_ws('.', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped), ',' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
        (SELECT string_agg(concat_ws('.', t.oid, t.xmin, t.tgenabled, t.tgfoid), ',' ORDER BY t.oid)
            FROM pg_trigger t WHERE t.tgrelid = c.oid)), ';' ORDER BY c.oid), ''), 'UTF8')), 'hex')
    FROM pg_class c WHERE c.oid = ANY (ARRAY(SELECT r FROM domicile.relations() r)));
END $f$;

CREATE OR REPLACE FUNCTION domicile.refuse(p_subject text, p_home text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    -- A sequence keeps its count when the refused transaction rolls back.
    PERFORM nextval('domicile.refused');
    RAISE EXCEPTION USING ERRCODE = 'DM001', MESSAGE = format('this person has moved to %s', p_home),
        DETAIL = p_home, HINT = 'write to the new home';
END $f$;

-- Waits and locks as a writer about this person must, notes the change where the person is moving,
-- and says in which state they are; nothing of somebody who is at home here.
CREATE OR REPLACE FUNCTION domicile.note(p_subject text, p_table integer, p_key text[], p_below boolean)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $f$
DECLARE
    v_state text;
BEGIN
    SELECT s.state INTO v_state FROM domicile.subject s WHERE s.subject = p_subject;
    IF NOT FOUND THEN RETURN NULL; END IF;
    -- While a person closes, only those who have written about them already may go on.
    IF v_state = 'closing' AND NOT EXISTS (SELECT 1 FROM domicile.touched t
            WHERE t.subject = p_subject AND t.xact = pg_current_xact_id()) THEN
        PERFORM pg_advisory_xact_lock_shared(%CLOSING%, hashtext(p_subject));
    END IF;
    -- Held to the end of the writer's transaction: whoever decides must wait for it or skip.
    SELECT s.state INTO v_state FROM domicile.subject s WHERE s.subject = p_subject FOR KEY SHARE;
    IF NOT FOUND THEN RETURN 'gone'; END IF;
    IF v_state IN ('moving', 'closing') THEN
        INSERT INTO domicile.touched (subject, tbl, key, below) VALUES (p_subject, p_table, p_key, p_below);
    END IF;
    RETURN v_state;
END $f$;

CREATE OR REPLACE FUNCTION domicile.pass(p_subject text, p_table integer, p_key text[], p_entering boolean, p_below boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $f$
DECLARE
    v_state text;
    v_peer text;
BEGIN
    IF p_subject IS NULL THEN RETURN; END IF;
    v_state := domicile.note(p_subject, p_table, p_key, p_below);
    IF v_state = 'moved' THEN
        SELECT s.peer INTO v_peer FROM domicile.subject s WHERE s.subject = p_subject;
        PERFORM domicile.refuse(p_subject, v_peer);
    ELSIF v_state = 'arriving' THEN
        SELECT s.peer INTO v_peer FROM domicile.subject s WHERE s.subject = p_subject;
        PERFORM nextval('domicile.refused');
        RAISE EXCEPTION USING ERRCODE = 'DM002', MESSAGE = 'this person is arriving here and not yet at home',
            DETAIL = v_peer, HINT = format('until then their home is %s', v_peer);
    ELSIF v_state = 'gone' OR (v_state IS NULL AND p_entering) THEN
        SELECT g.home INTO v_peer FROM domicile.gone g WHERE g.subject = p_subject;
        IF FOUND THEN PERFORM domicile.refuse(p_subject, v_peer); END IF;
    END IF;
END $f$;
REVOKE ALL ON FUNCTION domicile.note(text, integer, text[], boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION domicile.pass(text, integer, text[], boolean, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION domicile.refuse(text, text) FROM PUBLIC;

-- What the mover did not name, a cascade or another trigger did in its session. The trigger's WHEN
-- has looked at the depth: in a function it says nothing, since what a foreign key did fires
-- outside it.
CREATE OR REPLACE FUNCTION domicile.destroyed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'DM003', MESSAGE = format('a cascade or trigger reached %I while a person was moved', TG_TABLE_NAME);
END $f$;

CREATE OR REPLACE FUNCTION domicile.fence_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    IF pg_sequence_last_value('domicile.flag'::regclass) IS NOT NULL
        AND EXISTS (SELECT 1 FROM domicile.subject s WHERE s.fenced) THEN
        RAISE EXCEPTION USING ERRCODE = 'DM004', MESSAGE = 'people are moving; this table cannot be truncated now';
    END IF;
    RETURN NULL;
END $f$;

-- Whoever makes a partition must be allowed to call what its triggers do.
GRANT EXECUTE ON FUNCTION domicile.destroyed(), domicile.fence_truncate() TO PUBLIC;

CREATE OR REPLACE FUNCTION domicile.decide(p_move bigint, p_subjects text[])
RETURNS TABLE (out_subject text, out_outcome text, out_granted timestamptz)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_held text[];
    v_granted timestamptz;
    v_fingerprint text;
BEGIN
    -- The lock statement. Its snapshot is older than the locks it gets, so nothing is read in it.
    v_held := ARRAY(SELECT s.subject FROM domicile.subject s
        WHERE s.subject = ANY (p_subjects) AND s.move_id = p_move AND s.state IN ('moving', 'closing')
        ORDER BY s.subject FOR UPDATE SKIP LOCKED);
    v_granted := clock_timestamp();
    v_fingerprint := domicile.fingerprint();
    -- The check statement, with a snapshot of its own that sees whoever wrote before the locks.
    RETURN QUERY
        WITH decided AS (
            UPDATE domicile.subject s SET state = 'moved', decided_at = clock_timestamp()
            WHERE s.subject = ANY (v_held) AND s.move_id = p_move AND s.fingerprint = v_fingerprint
              AND NOT s.on_hold
              AND NOT EXISTS (SELECT 1 FROM domicile.directive d WHERE d.subject = s.subject AND d.hold IS NOT NULL)
              AND NOT EXISTS (SELECT 1 FROM domicile.touched t WHERE t.subject = s.subject)
            RETURNING s.subject)
        SELECT w.subject,
            CASE WHEN d.subject IS NOT NULL THEN 'decided'
                 WHEN s.subject IS NULL THEN 'not ours'
                 WHEN w.subject <> ALL (v_held) THEN 'busy'
                 WHEN s.on_hold OR EXISTS (SELECT 1 FROM domicile.directive d
                     WHERE d.subject = w.subject AND d.hold IS NOT NULL) THEN 'on hold'
                 WHEN s.fingerprint <> v_fingerprint THEN 'schema changed'
                 ELSE 'touched' END,
            v_granted
        FROM unnest(p_subjects) AS w(subject)
        LEFT JOIN decided d ON d.subject = w.subject
        LEFT JOIN domicile.subject s ON s.subject = w.subject AND s.move_id = p_move
            AND s.state IN ('moving', 'closing');
END $f$;
REVOKE ALL ON FUNCTION domicile.decide(bigint, text[]) FROM PUBLIC;

-- Tells whoever listens who begins to move, gives it up or has arrived, a line each: the router
-- learns of moves so. A decision is not told: commits that tell wait for each other, and whoever is
-- known to move is looked after with domicile.stay, which knows of it. Nobody begins to move untold;
-- the rest only spares that look, and a queue that is nearly full holds up nobody who arrives.
-- A notification holds less than 8,000 bytes; who does not fit is told of without a name.
CREATE OR REPLACE FUNCTION domicile.tell() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_line text;
    v_lines text := '';
    v_told domicile.subject[];
    v_states text[] := '{moving}';
BEGIN
    IF pg_notification_queue_usage() < 0.9 THEN
        v_states := '{moving,resident,withdrawn}';
    END IF;
    IF TG_OP = 'INSERT' THEN
        v_told := ARRAY(SELECT n FROM now_told n WHERE n.state = ANY (v_states));
    ELSE
        v_told := ARRAY(SELECT n FROM now_told n JOIN before_told b ON b.subject = n.subject
            WHERE n.state = ANY (v_states) AND (b.state <> n.state OR b.move_id <> n.move_id));
    END IF;
    FOR v_line IN
        SELECT CASE WHEN octet_length(n.subject) > 7000 THEN '?'
            ELSE concat_ws(' ', n.state, replace(replace(n.subject, '\', '\\'), chr(10), '\n')) END
        FROM unnest(v_told) n
    LOOP
        IF octet_length(v_lines) + octet_length(v_line) > 7900 THEN
            PERFORM pg_notify('domicile', v_lines);
            v_lines := '';
        END IF;
        v_lines := v_lines || v_line || chr(10);
    END LOOP;
    IF v_lines <> '' THEN PERFORM pg_notify('domicile', v_lines); END IF;
    RETURN NULL;
END $f$;
REVOKE ALL ON FUNCTION domicile.tell() FROM PUBLIC;
CREATE OR REPLACE TRIGGER tell_insert AFTER INSERT ON domicile.subject
    REFERENCING NEW TABLE AS now_told FOR EACH STATEMENT EXECUTE FUNCTION domicile.tell();
CREATE OR REPLACE TRIGGER tell_update AFTER UPDATE ON domicile.subject
    REFERENCING OLD TABLE AS before_told NEW TABLE AS now_told
    FOR EACH STATEMENT EXECUTE FUNCTION domicile.tell();
ALTER TABLE domicile.subject ENABLE ALWAYS TRIGGER tell_insert;
ALTER TABLE domicile.subject ENABLE ALWAYS TRIGGER tell_update;

-- Keeps a person where they are until the transaction ends, as a writer about them does, so that a
-- transaction that the router begins at their home ends there. Whoever may only read holds nobody.
CREATE OR REPLACE FUNCTION domicile.stay(p_subject text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET row_security = off AS $f$
DECLARE
    v_state text;
    v_home text;
BEGIN
    SELECT s.state, s.peer INTO v_state, v_home FROM domicile.subject s WHERE s.subject = p_subject;
    IF FOUND AND current_setting('transaction_read_only') = 'off' THEN
        IF v_state = 'closing' AND NOT EXISTS (SELECT 1 FROM domicile.touched t
                WHERE t.subject = p_subject AND t.xact = pg_current_xact_id_if_assigned()) THEN
            -- As whoever writes about somebody who closes.
            PERFORM pg_advisory_xact_lock_shared(%CLOSING%,
                hashtext(p_subject));
        END IF;
        SELECT s.state, s.peer INTO v_state, v_home FROM domicile.subject s
            WHERE s.subject = p_subject
            FOR KEY SHARE;
    END IF;
    IF v_state IS NULL THEN
        SELECT 'moved', g.home INTO v_state, v_home FROM domicile.gone g WHERE g.subject = p_subject;
    END IF;
    CASE v_state WHEN 'moved' THEN
        RAISE EXCEPTION USING ERRCODE = 'DM001', MESSAGE = format('this person has moved to %s', v_home),
            DETAIL = v_home, HINT = 'write to the new home';
    WHEN 'arriving' THEN
        RAISE EXCEPTION USING ERRCODE = 'DM002', MESSAGE = 'this person is arriving here and not yet at home',
            DETAIL = v_home, HINT = format('until then their home is %s', v_home);
    ELSE NULL;
    END CASE;
END $f$;
GRANT EXECUTE ON FUNCTION domicile.stay(text) TO PUBLIC;
