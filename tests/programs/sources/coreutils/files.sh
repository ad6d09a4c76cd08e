install -m 755 /bin/ls x
stat -c '%a %s' x
ln x y
stat -c %h y
truncate -s 1M sparse
stat -c '%s %b' sparse
dd if=/dev/zero of=z bs=1k count=64 2>/dev/null; cmp z /dev/zero; mktemp -p . tmp.XXXX | wc -c; rm tmp.*; readlink -f y; realpath --relative-to=/ /usr/bin; touch -d '2020-01-01 UTC' t; stat -c %Y t; rm -rf x; mkfifo p; test -p p; echo $?
