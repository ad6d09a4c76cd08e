id -u
whoami
uname -s -m
pwd | wc -w
nproc
tty
printenv HOME
env -i A=1 env
date -u -d @86400 +%F
arch
