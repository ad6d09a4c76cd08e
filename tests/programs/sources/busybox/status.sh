false
echo $?
(exit 7)
echo $?
sh -c 'kill -9 $$'
echo $?
nosuchcommand 2>/dev/null
echo $?
