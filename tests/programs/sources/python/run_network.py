import socket, threading, http.server, urllib.request, select

s = http.server.ThreadingHTTPServer(
    ("127.0.0.1", 0),
    type(
        "H",
        (http.server.BaseHTTPRequestHandler,),
        {
            "do_GET": lambda h: (
                h.send_response(200),
                h.end_headers(),
                h.wfile.write(h.path.encode() * 1000),
            ),
            "log_message": lambda *a: None,
        },
    ),
)
threading.Thread(target=s.serve_forever, daemon=True).start()
print(len(urllib.request.urlopen(f"http://127.0.0.1:{s.server_port}/abc").read()))
s.shutdown()
a, b = socket.socketpair()
a.sendall(b"q" * 1000)
print(len(b.recv(2000)), select.select([b], [a], [], 0)[1] == [a])
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 0))
u.sendto(b"dgram", u.getsockname())
print(u.recvfrom(99)[0])
print(socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4], socket.gethostbyname("localhost"))
c = socket.socket()
try:
    c.connect(("127.0.0.1", 1))
except ConnectionRefusedError as e:
    print(e)
