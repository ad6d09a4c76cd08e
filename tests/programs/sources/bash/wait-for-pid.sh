(exit 9) & p=$!
wait $p
echo $?
wait 999999 2>/dev/null
echo $?
