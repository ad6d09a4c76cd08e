trap 'echo int' INT
trap 'echo usr1' USR1
kill -INT $$
kill -USR1 $$
trap 'echo exit $?' EXIT
trap 'echo err' ERR
false
trap - ERR
(trap 'echo sub' EXIT)
exit 5
