import subprocess, sys, os, signal

print(
    subprocess.run(["echo", "x"], capture_output=True).stdout,
    subprocess.check_output("echo $((2+3)) | cat", shell=True),
)
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(p.communicate(b"z" * 100000)[0] == b"z" * 100000)
print(subprocess.run([sys.executable, "-c", "import sys; sys.exit(7)"]).returncode)
p = subprocess.Popen(["sleep", "10"])
p.send_signal(signal.SIGTERM)
print(p.wait())
try:
    subprocess.run(["sleep", "10"], timeout=0.2)
except subprocess.TimeoutExpired as e:
    print("timeout", round(e.timeout, 1))
try:
    subprocess.run(["/nonexistent"])
except FileNotFoundError as e:
    print(e)
print(
    subprocess.run(
        ["env"], env={"A": "1"}, capture_output=True, close_fds=True, start_new_session=True
    ).stdout,
    os.getpid() != os.getppid(),
)
