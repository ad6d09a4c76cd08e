"""Core files: gdb finds in them where each thread was, and what its variables held."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runner import ENGINES, pylx_command, run

SOURCE = r"""
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
char marker[64] = "the marker";
static void *waiter(void *unused) { pause(); return unused; }
static int deep(int n) { volatile int *nowhere = 0; return n ? deep(n - 1) + 1 : *nowhere; }
int main(void) {
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &none);
    pid_t child = fork();
    if (!child) {
        pthread_t thread;
        pthread_create(&thread, 0, waiter, 0);
        usleep(20000);
        return deep(3);
    }
    int status;
    waitpid(child, &status, 0);
    printf("signal %d core %d\n", WTERMSIG(status), !!WCOREDUMP(status));
    none.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &none);
    child = fork();
    if (!child) deep(0);
    waitpid(child, &status, 0);
    printf("signal %d core %d\n", WTERMSIG(status), !!WCOREDUMP(status));
}
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_gdb_reads_a_core(engine: str, tmp_path: Path) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("not installed: gdb")
    (tmp_path / "crash.c").write_text(SOURCE)
    subprocess.run(["gcc", "-g", "-O0", "-pthread", "-o", "crash", "crash.c"], cwd=tmp_path, check=True)
    outcome = run(pylx_command(["./crash"], engine), tmp_path, 60)
    assert outcome.stdout == b"signal 11 core 1\nsignal 11 core 0\n"
    core = tmp_path / "core"
    assert core.stat().st_mode & 0o777 == 0o600
    assert core.stat().st_blocks * 512 < 1 << 20, "pages never touched take room"
    asked = ["gdb", "-nx", "-batch", "-ex", "bt", "-ex", "info threads", "-ex", "p marker", "-ex",
             "p $_siginfo.si_signo", "crash", "core"]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout
    assert all(f"in deep (n={depth})" in told for depth in range(4))
    assert "in main" in told
    assert told.count("LWP") >= 4  # both threads, in the header and in the list
    assert '$1 = "the marker"' in told
    assert "$2 = 11" in told
