# A server with clients and a load, snapshots by a forked child, and a clean end.  PORT: a free one; LOAD: requests.
mkdir db
redis-server --port "$PORT" --bind 127.0.0.1 --dir "$PWD/db" --save '' --appendonly yes > db/log 2>&1 &
server=$!
until redis-cli -p "$PORT" ping > /dev/null 2>&1; do
    kill -0 $server || { cat db/log; exit 1; }
    sleep 0.05
done
ask() { redis-cli -p "$PORT" "$@"; }
ask set greeting hello
ask get greeting
ask rpush list a b c
ask lrange list 0 -1
# (What -q prints of a test that is over at once differs from run to run.)
redis-benchmark -p "$PORT" -q -n "$LOAD" -c 20 -r 1000 -t set,get,lpush,incr > load.1 || echo "failed: $?"
redis-benchmark -p "$PORT" -q -n "$LOAD" -c 20 -P 16 -t set,get > load.2 || echo "failed: $?"
grep -i error load.1 load.2
rm load.1 load.2
ask llen mylist
ask bgsave
until ask info persistence | grep -q rdb_bgsave_in_progress:0; do sleep 0.05; done
ask bgrewriteaof
until ask info persistence | grep -q aof_rewrite_in_progress:0; do sleep 0.05; done
ask info persistence | tr -d '\r' | grep -E '^(rdb_last_bgsave_status|aof_last_bgrewrite_status|aof_last_write_status)'
ask info stats | tr -d '\r' | grep -E '^(rejected_connections|total_error_replies)'
ask shutdown nosave
wait $server
echo "server ended with $?"
redis-check-rdb db/dump.rdb | grep -c 'RDB looks OK'
grep -E ' # (Fatal|Error|Can|Failed)' db/log
rm -r db
