ulimit -n 64
ulimit -n
ulimit -Sn
ulimit -f 1
head -c 4096 /dev/zero > f
echo $?
stat -c %s f
