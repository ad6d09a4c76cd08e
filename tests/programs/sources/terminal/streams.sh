# Standard streams of every kind; $X is what runs a program: nothing, or pylx.
printf 'l1\nl2\nl3\nl4\n' > in
$X cat < in
( $X sh -c 'read a; echo "a=$a"'; cat ) < in
( $X head -n 1; echo "--"; cat ) < in
echo start > out; $X echo appended >> out; cat out
( $X echo one; echo two; $X echo three ) > out2; cat out2
$X sh -c 'echo to-err >&2; echo to-out' > o 2> e; cat o e
$X sh -c 'echo x >&2; echo y' > both 2>&1; cat both
yes | $X head -n 2
$X yes | head -n 2; echo "${PIPESTATUS[0]}"
$X stat -L -c '%F' /dev/stdin < in; echo x | $X stat -L -c '%F' /dev/stdin; $X stat -L -c '%F %t,%T' /dev/stdin < /dev/null
echo viadev | $X cat /dev/stdin; $X cat /dev/stdin < in
echo proc | $X sh -c 'cat /proc/self/fd/0'
$X sh -c 'echo out > /dev/stdout; echo err > /dev/stderr' 2>&1 | cat
$X sh -c 'readlink /proc/self/fd/0' < in
$X sh -c 'ls -l /proc/self/fd/0' <&- 2>&1 | grep -c /fd$
$X sh -c 'echo hi' >&-; echo rc $?
$X /usr/bin/python3 -c 'import os,sys,mmap; print(os.lseek(0,0,1), os.fstat(0).st_size, os.pread(0,3,3)); m=mmap.mmap(0,0,prot=1); print(m[:5]); os.lseek(0,6,0)
import fcntl; print(fcntl.fcntl(0,3)&0o102003, fcntl.fcntl(1,3)&0o102003)' < in | cat
$X /usr/bin/python3 -c 'import os,sys,fcntl; print(oct(fcntl.fcntl(1,3)&0o2003)); sys.stdout.flush(); os.ftruncate(1, 3); os.write(1,b"Z")' >> trunc; od -c trunc
$X tac in | $X sort | $X sed s/l/L/
(sleep 0.3; echo late) | $X sh -c 'read -t 0.1 x; echo rc=$?; read y; echo $y' | sed s/142/1xx/
echo abc | $X /usr/bin/python3 -c 'import select,sys,os; print(select.select([0],[],[],5)[0]); p=select.epoll(); p.register(0, select.EPOLLIN); print(p.poll(5)); os.read(0,9); print(p.poll(5), os.read(0,9))'
echo abcd | $X /usr/bin/python3 -c 'import fcntl,struct,termios,time; time.sleep(0.2); print(struct.unpack("i", fcntl.ioctl(0, termios.FIONREAD, b"0000")))'
$X sh -c 'kill -TERM $$'; echo "rc $?"
$X bash -c 'echo $(</dev/stdin)' < in
$X dd if=/dev/zero bs=1000 count=3 2>/dev/null | wc -c
$X sh -c 'exec 5>file5; echo five >&5; cat file5; cat < file5 > copy5; cmp file5 copy5 && echo same'
$X /usr/bin/python3 -c 'import os; print(os.isatty(0), os.isatty(1), os.path.exists("/dev/pts"), os.listdir("/proc/self/fd")[:3], os.readlink("/proc/self/fd/1")[:5])' | cat
$X cat <(echo substituted) /dev/fd/3 3< in
$X sh -c 'echo to4 >&4' 4> out4; cat out4
