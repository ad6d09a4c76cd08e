import faulthandler, os, pty, sys, termios, tty, fcntl, struct, signal, select, time
faulthandler.dump_traceback_later(40, exit=True)


def typed(data):
    """Write to the master; Linux processes it in the background."""
    os.write(m, data)
    time.sleep(0.02)


m, s = pty.openpty()
print(os.ttyname(s).startswith('/dev/pts/'), os.isatty(m))
typed(b'hello\n'); print(os.read(s, 100)); print(os.read(m, 100))
os.write(s, b'a\nb\tc\n'); print(os.read(m, 100))
typed(b'ab\x7fc \x16\x03d\x17xy\x15kk\n'); print(os.read(s, 100)); print(os.read(m, 1000))
typed(b'par'); time.sleep(0.05)
print(select.select([s],[],[],0)[0])
typed(b'\x04'); print(os.read(s,100)); typed(b'\x04'); print(os.read(s,100)); print(os.read(m,100))
typed('é€x'.encode()+b'\x7f\x7f\x7f\n'); print(os.read(s, 100)); print(os.read(m, 1000))
a = termios.tcgetattr(s); a[0] |= 0x4000; termios.tcsetattr(s, termios.TCSANOW, a)
typed('é€x'.encode()+b'\x7f\x7f\n'); print(os.read(s, 100)); print(os.read(m, 1000))
typed(b'\ta\t\x7f\x7f\x12\n'); print(os.read(s, 100)); print(os.read(m, 1000))
fcntl.ioctl(s, termios.TIOCSWINSZ, struct.pack('HHHH', 10, 20, 0, 0)); print(struct.unpack('HHHH', fcntl.ioctl(m, termios.TIOCGWINSZ, b'\0'*8)))
typed(b'one\ntwo\n'); time.sleep(0.2); print(struct.unpack('i', fcntl.ioctl(s, termios.FIONREAD, b'\0'*4))); print(os.read(s, 2), os.read(s,100), os.read(s,100)); os.read(m,100)
tty.setraw(s)
typed(b'raw\r\x03'); print(os.read(s, 100))
a = termios.tcgetattr(s); a[6][termios.VMIN]=0; a[6][termios.VTIME]=2; termios.tcsetattr(s, termios.TCSANOW, a)
t=time.time(); print(os.read(s, 10), 0.15 < time.time()-t < 0.9)
a[6][termios.VMIN]=3; a[6][termios.VTIME]=0; termios.tcsetattr(s, termios.TCSANOW, a)
typed(b'12'); time.sleep(0.1); print(select.select([s],[],[],0)[0] == []); typed(b'3'); print(os.read(s,10))
fcntl.ioctl(m, termios.TIOCPKT, struct.pack('i',1))
os.write(s, b'pk'); print(os.read(m, 10)); termios.tcflush(s, termios.TCIOFLUSH); print(os.read(m,10))
a = termios.tcgetattr(s); a[0]|=termios.IXON; termios.tcsetattr(s, termios.TCSANOW, a); print(os.read(m,10))
typed(b'\x13'); print(os.read(m,10)); typed(b'\x11'); print(os.read(m,10))
os.close(s)
p=select.poll(); p.register(m, select.POLLIN); print(p.poll(0)[0][1])
try: os.read(m,10)
except OSError as e: print(e.errno)
os.close(m)
# child with ctty
pid, fd = pty.fork()
if pid == 0:
    print('child', os.getsid(0)==os.getpid(), os.tcgetpgrp(0)==os.getpgrp(), open('/dev/tty').fileno()>2, flush=True)
    signal.signal(signal.SIGINT, lambda *a: print('INT', flush=True))
    signal.signal(signal.SIGWINCH, lambda *a: print('WINCH', os.get_terminal_size(), flush=True))
    signal.signal(signal.SIGHUP, lambda *a: (open('hup','w').write('hup'), os._exit(3)))
    print('ready', flush=True)
    try:
        while True:
            l = input()
            print('got', l, flush=True)
    except EOFError: print('EOF')
    time.sleep(5)
    os._exit(1)
out=b''
def until(w):
    global out
    while w not in out: out += os.read(fd, 1000)
    r=out; out=b''; print(r)
until(b'ready\r\n')
os.write(fd, b'hi\n')
until(b'got hi\r\n')
time.sleep(0.3)  # until it waits in read(2): a signal just before that would not end it
os.write(fd, b'\x03')
until(b'INT\r\n')
time.sleep(0.3)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 11, 22, 0, 0))
until(b'lines=11)\r\n')
time.sleep(0.3)
os.close(fd)
print(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1])); print(open('hup').read())
