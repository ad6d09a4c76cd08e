import os, pty, threading, tty, hashlib, time, sys
m,s=os.openpty(); tty.setraw(s)
data=os.urandom(300000)
def w(fd): 
    n=0
    while n<len(data): n+=os.write(fd,data[n:n+70000])
def rd(fd):
    h=b''
    while len(h)<len(data): h+=os.read(fd,5000)
    return h==data
for a,b in ((m,s),(s,m)):
    t=threading.Thread(target=w,args=(a,)); t.start(); print(rd(b)); t.join()
pid,fd=pty.fork()
if pid==0: os.execvp('sh',['sh','-c','stty -onlcr; seq 1 60000; echo END'])
out=b''
while True:
    try: d=os.read(fd,10000)
    except OSError: break
    if not d: break
    out+=d
print(len(out), hashlib.md5(out).hexdigest(), out[-5:]); os.waitpid(pid,0)
pid,fd=pty.fork()
if pid==0: os.execvp('cat',['cat'])
def feed():
    for i in range(300): os.write(fd, b'line %d\n'%i)
    os.write(fd, b'\x04')
t=threading.Thread(target=feed); t.start(); out=b''
while True:
    try: d=os.read(fd,10000)
    except OSError: break
    out+=d
t.join(); print(len(out), sorted(out.split(b'\r\n'))[:3]); os.waitpid(pid,0)
