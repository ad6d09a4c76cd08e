# needs: ps
ps -o comm= -p $$
cat /proc/self/comm
readlink /proc/self/exe
tr '\0' ' ' < /proc/$$/cmdline | cut -c1-9
ls /proc/self/fd | head -n 3
grep -c . /proc/self/maps | awk '{print ($1 > 5)}'
head -n 1 /proc/self/status
cat /proc/sys/kernel/ostype
test -e /proc/1
awk '/MemTotal/ {print ($2 > 1000)}' /proc/meminfo
grep -c processor /proc/cpuinfo
free | wc -l
