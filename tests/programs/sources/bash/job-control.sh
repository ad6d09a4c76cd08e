set -m
sleep 0.3 & jobs | sed 's/  */ /g'
kill -STOP %1
sleep 0.1
jobs | sed 's/  */ /g'
kill -CONT %1
wait %1
echo $?
(kill -TSTP $BASHPID; echo resumed) & sleep 0.2
kill -CONT %%
wait
