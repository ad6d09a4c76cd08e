trap 'echo woke' USR1
sleep 5 & pid=$!
(sleep 0.2; kill -USR1 $$) & wait $pid
echo status $?
kill $pid
wait $pid 2>/dev/null
echo status $?
