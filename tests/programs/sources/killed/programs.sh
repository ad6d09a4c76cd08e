# Programs in the middle of their work, each by its name; "ready" is printed when it is there.
case $1 in
node)
    exec node -e '
        const { Worker } = require("worker_threads");
        for (let i = 0; i < 3; i++) new Worker("for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)", { eval: true });
        require("http").createServer(() => {}).listen(0, "127.0.0.1", () => console.log("ready"));' ;;
java)
    javac -d . "$SOURCES/killed/Sleepers.java" && exec java Sleepers ;;
redis)
    exec redis-server --port "$PORT" --bind 127.0.0.1 --save '' --appendonly yes --logfile '' |
        sed -u 's/.*Ready to accept.*/ready/' ;;
nginx)
    mkdir tmp
    printf '%s\n' 'worker_processes 2; daemon off; pid tmp/pid; events {}' "http { server { listen 127.0.0.1:$PORT; }
        access_log off; client_body_temp_path tmp/b; proxy_temp_path tmp/p; fastcgi_temp_path tmp/f;
        uwsgi_temp_path tmp/u; scgi_temp_path tmp/s; }" > nginx.conf
    (until curl -s -o answer --noproxy '*' "http://127.0.0.1:$PORT/"; do sleep 0.05; done; echo ready) &
    exec nginx -e tmp/error -p "$PWD" -c nginx.conf ;;
postgresql)
    chown 65534:65534 . && exec setpriv --reuid=65534 --regid=65534 --clear-groups bash "$0" cluster ;;
cluster)
    PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
    initdb -D data -A trust -U tester --no-sync > initdb.log 2>&1 || cat initdb.log
    (until psql -h "$PWD" -p "$PORT" -U tester postgres -Atc "SELECT 'ready'" 2> /dev/null; do sleep 0.1; done) &
    exec postgres -D data -p "$PORT" -k "$PWD" -c listen_addresses= > log 2>&1 ;;
gdb)
    DEBUGINFOD_URLS='' exec gdb -q -nx -ex 'set debug-file-directory /nonexistent' -ex 'break fork' -ex 'run -c "(sleep 600)"' \
        -ex 'echo ready\n' /bin/sh ;;
strace)
    # Both have to sleep: a vfork(2) in progress can be neither interrupted nor detached from.  With -o it would ignore
    # signals.
    (until [ "$(grep -c 'nanosleep.*tv_sec=60[01]' trace)" = 2 ]; do sleep 0.05; done; echo ready) 2> /dev/null &
    exec strace -f sh -c 'sleep 600 & (sleep 601; :) & wait' 2> trace ;;
make)
    printf 'all: %s\n%%:\n\t@while :; do expr 1 + 1 > $@.out; test $@ != d || echo ready; done\n' 'a b c d' > Makefile
    exec make -j4 ;;
vim)
    printf 'rea%s\n' dy > file
    exec vim.tiny -u NONE file ;;
threads)
    exec python3 -c '
import threading, time
for _ in range(50):
    threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
while True:
    pass' ;;
raw)
    exec python3 -c '
import os, subprocess, sys, tty
tty.setraw(0)
print("ready", flush=True)
subprocess.run(["cat"])' ;;
esac
