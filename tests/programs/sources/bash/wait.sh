for i in 3 1 2; do (sleep 0.$i; exit $i) & done
wait -n
echo first $?
wait
echo all $?
