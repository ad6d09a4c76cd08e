head -c 3000000 /bin/bash > f
sha256sum f /bin/ls
md5sum < f
cksum f
b2sum f
sha512sum f
