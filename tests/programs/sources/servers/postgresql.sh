# A cluster from nothing: initdb, server, clients side by side, a crash and its recovery, a clean stop.  PORT: a free one.
set -e
if [ "$(id -u)" = 0 ]; then
    # It refuses to be root.
    chown 65534:65534 .
    exec setpriv --reuid=65534 --regid=65534 --clear-groups bash "$0"
fi
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGHOST=$PWD PGPORT=$PORT PGUSER=tester PGDATABASE=postgres
initdb -D data -A trust -U tester --no-sync > initdb.log 2>&1 || { cat initdb.log; exit 1; }
start() {
    pg_ctl -D data -l server.log -w -t 120 -o "-p $PORT -k $PWD -c listen_addresses=127.0.0.1" start > start.log ||
        { cat start.log server.log; exit 1; }
}
start
psql -v ON_ERROR_STOP=1 <<SQL
CREATE TABLE t (id serial PRIMARY KEY, name text, n int);
INSERT INTO t (name, n) SELECT 'row ' || g, g * g FROM generate_series(1, 2000) g;
CREATE INDEX ON t (n);
SELECT count(*), sum(n) FROM t;
SELECT * FROM t WHERE n = 144;
BEGIN;
UPDATE t SET n = n + 1 WHERE id < 10;
ROLLBACK;
SELECT max(n) FROM t WHERE id < 10;
SELECT pg_sleep(0.05);
VACUUM ANALYZE t;
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT count(*) FROM t WHERE name LIKE '%7%';
SET statement_timeout = '50ms';
\set ON_ERROR_STOP 0
SELECT pg_sleep(100);
SQL
psql -h 127.0.0.1 -Atc "SELECT inet_server_addr() IS NOT NULL"
clients=
for i in 1 2 3 4; do
    psql -Atc "SELECT count(*) FROM t, generate_series(1, 20)" &
    clients="$clients $!"
done
wait $clients
# The server dies with a transaction open; what was committed is there after the restart.
psql -qAtc "INSERT INTO t (name, n) VALUES ('committed', -1)"
pg_ctl -D data -m immediate stop > /dev/null
start
psql -Atc "SELECT name FROM t WHERE n = -1"
pg_ctl -D data -m fast -w -t 120 stop
grep -cE 'database system is shut down|automatic recovery in progress' server.log
grep -E 'PANIC|FATAL:  (could|semaphores|pre-existing)' server.log || true
rm -r data ./*.log
