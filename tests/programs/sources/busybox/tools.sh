seq 5 | awk '{s+=$1} END {print s}'
echo abc | sed s/b/X/
printf 'x\ty\n' | cut -f2
expr 3 + 4
echo hello | md5sum
echo hello | sha256sum
date -u -d @0
