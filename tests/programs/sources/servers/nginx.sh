# A master and two workers serve files and load; reload and end by signals.  PORT: a free one; LOAD: requests.
mkdir -p www tmp
seq 1 20000 > www/numbers
# Workers of root would be nobody, who cannot enter this directory.
[ "$(id -u)" != 0 ] || echo 'user root;' > nginx.conf
cat >> nginx.conf <<CONF
worker_processes 2;
daemon off;
pid $PWD/tmp/pid;
error_log $PWD/tmp/error info;
events { worker_connections 64; }
http {
    access_log $PWD/tmp/access;
    client_body_temp_path $PWD/tmp/body; proxy_temp_path $PWD/tmp/proxy; fastcgi_temp_path $PWD/tmp/fastcgi;
    uwsgi_temp_path $PWD/tmp/uwsgi; scgi_temp_path $PWD/tmp/scgi;
    sendfile on;
    server {
        listen 127.0.0.1:$PORT;
        root $PWD/www;
        location /hello { return 200 "hello\n"; }
        location /proxy/ { proxy_pass http://127.0.0.1:$PORT/; }
    }
}
CONF
nginx -e "$PWD/tmp/error" -c "$PWD/nginx.conf" &
server=$!
get() { curl -s --noproxy '*' "http://127.0.0.1:$PORT/$1"; }
until get hello; do
    kill -0 $server || { cat tmp/error; exit 1; }
    sleep 0.05
done
get numbers | cmp - www/numbers && echo "file is the same"
get proxy/numbers | cmp - www/numbers && echo "through a proxy too"
curl -s -o /dev/null -w '%{http_code}\n' --noproxy '*' "http://127.0.0.1:$PORT/absent"
load() { ab -q "$@" | grep -E '^(Complete|Failed|Non-2xx)'; }
load -n "$LOAD" -c 10 "http://127.0.0.1:$PORT/numbers"
load -k -n "$LOAD" -c 10 "http://127.0.0.1:$PORT/hello"
kill -HUP $server
until [ "$(grep -c 'exited with code 0' tmp/error)" = 2 ]; do sleep 0.05; done
get hello
kill -QUIT $server
wait $server
echo "server ended with $?"
awk '{ print $9 }' tmp/access | sort | uniq -c
grep -E '\[(emerg|alert|crit)\]' tmp/error
rm -r tmp nginx.conf
