# needs: python3 curl wget
echo content > file
python3 -u -m http.server 0 --bind 127.0.0.1 > log 2>/dev/null &
server=$!
until grep -qs port log; do sleep 0.05; done
port=$(sed 's/.*port \([0-9]*\).*/\1/' log)
curl -s http://127.0.0.1:$port/file
wget -q -O - http://127.0.0.1:$port/file
curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:$port/missing
exec 3<>/dev/tcp/127.0.0.1/$port
printf 'GET /file HTTP/1.0\r\n\r\n' >&3
tail -n 1 <&3
exec 3>&-
kill $server
wait $server
echo "server $?"
curl -s http://127.0.0.1:$port/
echo "refused $?"
rm log
