# needs: flock
flock lock -c 'flock -n lock true; echo inner $?'
(flock 9; sleep 0.2; echo first) 9>lock & sleep 0.1
flock lock echo second
wait
