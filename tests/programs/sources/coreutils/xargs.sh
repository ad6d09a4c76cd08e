. "$SOURCES/make-tree.sh"
find tree -type f | sort | xargs -P4 -n 10 wc -c | awk '{s+=$1} END {print (s > 0)}'
seq 40 | xargs -P4 -I{} sh -c 'echo {} > out{}'
cat out* | sort -n | md5sum
rm out*
