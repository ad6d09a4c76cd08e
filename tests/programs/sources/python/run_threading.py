import threading, queue, time

q = queue.Queue()
out = []
lock = threading.Lock()
n = [0]


def work():
    while (x := q.get()) is not None:
        with lock:
            n[0] += x


ts = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in ts]
for i in range(2000):
    q.put(i)
[q.put(None) for _ in ts]
[t.join() for t in ts]
print(n[0])
e = threading.Event()
threading.Timer(0.05, e.set).start()
print(e.wait(5), e.wait(0))
c = threading.Condition()
state = []


def wait():
    with c:
        c.wait_for(lambda: state, 5)
        print("seen", state)


t = threading.Thread(target=wait)
t.start()
time.sleep(0.05)
with c:
    state.append(1)
    c.notify_all()
t.join()
b = threading.Barrier(3)
[threading.Thread(target=b.wait).start() for _ in range(2)]
b.wait()
print(b.broken)


def spin():
    x = 0
    for i in range(200000):
        x += i


ts = [threading.Thread(target=spin) for _ in range(3)]
[t.start() for t in ts]
[t.join() for t in ts]
print("spun")
