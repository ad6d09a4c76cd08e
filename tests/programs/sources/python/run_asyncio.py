import asyncio, os


async def handle(r, w):
    data = await r.readline()
    w.write(data.upper())
    await w.drain()
    w.close()


async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def one(i):
        r, w = await asyncio.open_connection("127.0.0.1", port)
        w.write(f"msg {i}\n".encode())
        x = await r.readline()
        w.close()
        return x

    print(sorted(await asyncio.gather(*(one(i) for i in range(10)))))
    p = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    print((await p.communicate(b"via cat"))[0])
    try:
        await asyncio.wait_for(asyncio.sleep(5), 0.05)
    except asyncio.TimeoutError:
        print("timeout")
    s = await asyncio.start_unix_server(handle, "sock")
    r, w = await asyncio.open_unix_connection("sock")
    w.write(b"unix\n")
    print(await r.readline())
    w.close()
    s.close()
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, lambda: 42))
    server.close()
    loop.add_signal_handler(10, lambda: print("usr1"))
    os.kill(os.getpid(), 10)
    await asyncio.sleep(0.05)
    os.unlink("sock") if os.path.exists("sock") else None


asyncio.run(main())
