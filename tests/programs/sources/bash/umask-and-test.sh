umask 027
touch f
mkdir d
stat -c '%a %n' f d
[ -r f ] && echo r
[ -x f ] || echo no-x
test f -ef ./f && echo same
