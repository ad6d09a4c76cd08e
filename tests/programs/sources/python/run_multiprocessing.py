import multiprocessing as mp


def f(x):
    return x * x


def child(q, v, l):
    with l:
        v.value += 1
        q.put(v.value)


if __name__ == "__main__":
    with mp.Pool(3) as p:
        print(p.map(f, range(20)), sum(p.imap_unordered(f, range(10))))
    q, v, l = mp.Queue(), mp.Value("i", 0), mp.Lock()
    ps = [mp.Process(target=child, args=(q, v, l)) for _ in range(4)]
    [p.start() for p in ps]
    print(sorted(q.get() for _ in ps))
    [p.join() for p in ps]
    print(v.value, [p.exitcode for p in ps])
    a, b = mp.Pipe()
    p = mp.Process(target=lambda: b.send({"k": [1]}))
    p.start()
    print(a.recv())
    p.join()
    from multiprocessing import shared_memory

    s = shared_memory.SharedMemory(create=True, size=100)
    s.buf[:3] = b"abc"
    t = shared_memory.SharedMemory(s.name)
    print(bytes(t.buf[:3]))
    t.close()
    s.close()
    s.unlink()
    mp.set_start_method("spawn", force=True)
    print(mp.Pool(1).map(f, [5]))
