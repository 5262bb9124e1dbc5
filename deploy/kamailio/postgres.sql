-- The tables of kamailio.cfg in an empty PostgreSQL database, from the files of Debian's kamailio-postgres-modules:
--   psql -d kamailio -f postgres.sql

\set ON_ERROR_STOP on
\i /usr/share/kamailio/postgres/standard-create.sql
\i /usr/share/kamailio/postgres/auth_db-create.sql
\i /usr/share/kamailio/postgres/usrloc-create.sql
\i /usr/share/kamailio/postgres/presence-create.sql
\i /usr/share/kamailio/postgres/rls-create.sql

-- A node that vanishes in the middle of a transaction must not hold up the other ones.
ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '10s';

-- A publication that was withdrawn waits for its watchers to be told, under a tag that is the same for all. Two devices of one
-- user may do so at once: with a unique index the second one would stay published.
ALTER TABLE presentity DROP CONSTRAINT presentity_presentity_idx;
CREATE INDEX presentity_presentity_idx ON presentity (username, domain, event, etag);

-- A transaction that publishes looks for watchers, and one that subscribes is told what is published. If both are open, neither
-- sees the other: the watcher would not be told. So one waits for the other, for each presentity.
CREATE FUNCTION presentity_lock(uri text) RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(hashtext(uri)) $$;

CREATE FUNCTION presentity_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM presentity_lock('sip:' || NEW.username || '@' || NEW.domain);
  RETURN NEW;
END $$;
CREATE TRIGGER presentity_before BEFORE INSERT OR UPDATE ON presentity FOR EACH ROW EXECUTE FUNCTION presentity_before();

-- Before a withdrawal Kamailio has looked already: whoever came since is to be told, too, in round 0 of the notifier.
CREATE FUNCTION presentity_withdrawn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  uri text := 'sip:' || OLD.username || '@' || OLD.domain;
BEGIN
  PERFORM presentity_lock(uri);
  UPDATE active_watchers SET updated = 0 WHERE presentity_uri = uri AND event = OLD.event AND updated < 0;
  RETURN NULL;
END $$;
CREATE TRIGGER presentity_withdrawn AFTER UPDATE ON presentity FOR EACH ROW
  WHEN (NEW.etag = '*#-OFFLINE-#*') EXECUTE FUNCTION presentity_withdrawn();
CREATE TRIGGER presentity_deleted AFTER DELETE ON presentity FOR EACH ROW
  WHEN (OLD.etag <> '*#-OFFLINE-#*') EXECUTE FUNCTION presentity_withdrawn();

-- A user who watches from two devices may do so at once: one row in watchers is for both.
CREATE FUNCTION watcher_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM presentity_lock(NEW.presentity_uri);
  IF TG_TABLE_NAME = 'watchers' AND EXISTS (SELECT FROM watchers WHERE presentity_uri = NEW.presentity_uri
      AND watcher_username = NEW.watcher_username AND watcher_domain = NEW.watcher_domain AND event = NEW.event) THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER watcher_before BEFORE INSERT ON watchers FOR EACH ROW EXECUTE FUNCTION watcher_before();
CREATE TRIGGER watcher_before BEFORE INSERT ON active_watchers FOR EACH ROW EXECUTE FUNCTION watcher_before();
