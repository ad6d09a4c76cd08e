"""Real programs, natively and under pylx: shells, coreutils, tools, and language run times.

`sources/` holds what the guests run.  A script's first line may say `# needs: PROGRAM...` (skipped without them) and
`# sorted` (the order of its output lines is not determined natively either), `# hosts: NAME...` (other hosts lack what
it needs: see their capabilities).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.runner import ENGINES, FULL, HOSTS, PYLX, Rule, compare, environment, need

SOURCES = Path(__file__).parent / "sources"
TIME_LIMIT = 1200 if FULL else 150
SIZES = {"FILES": "5000" if FULL else "120", "SORT_LINES": "1000000" if FULL else "20000",
         "SOURCES": str(SOURCES)}

RULES: list[Rule] = [
    (rb"(line \d+:) +\d+", rb"\1 <pid>"),          # bash naming a killed job's pid
    (rb"\[(\d+)\] \d+", rb"[\1] <pid>"),           # ... or a background one's
    (rb"\btmp\.\w+", b"tmp.<random>"),
    (rb"/tmp/cc\w+", b"/tmp/cc<random>"),
    (rb"thread '<unnamed>' \(\d+\)", b"thread '<unnamed>'"),
]
MAY_DIFFER = r"\.db(-\w+)?$|^db$|\.git/(index|logs|objects|ORIG_HEAD|packed-refs)"
"""Files with time stamps or temporary names of the run inside."""


def scripts(folder: str) -> list[Path]:
    found = sorted(path for path in (SOURCES / folder).iterdir() if path.suffix in (".sh", ".py"))
    assert found, f"no sources in {folder}"
    return found


def run_script(shell: list[str], script: Path, tmp_path: Path, engine: str, host: str) -> None:
    text = script.read_text()
    wanted = re.match(r"# needs: (.*)", text)
    if wanted:
        need(*wanted.group(1).split())
    hosts = re.search(r"^# hosts: (.*)", text, re.M)
    if hosts and host not in hosts.group(1).split():
        pytest.skip(f"the {host} host lacks what this needs")
    compare([*shell, str(script)], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT, rules=RULES,
            ignore=MAY_DIFFER, extra_env=SIZES, sort_lines="# sorted" in text)


def script_cases(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", scripts(folder), ids=lambda path: path.stem)


every_machine = pytest.mark.parametrize(("engine", "host"), [(engine, host) for engine in ENGINES for host in HOSTS])


@every_machine
@script_cases("busybox")
def test_busybox_sh(script: Path, engine: str, host: str, tmp_path: Path) -> None:
    need("/bin/busybox")
    run_script(["/bin/busybox", "sh"], script, tmp_path, engine, host)


@every_machine
@script_cases("bash")
def test_bash(script: Path, engine: str, host: str, tmp_path: Path) -> None:
    run_script(["/bin/bash"], script, tmp_path, engine, host)


@every_machine
@script_cases("coreutils")
def test_coreutils(script: Path, engine: str, host: str, tmp_path: Path) -> None:
    run_script(["/bin/bash"], script, tmp_path, engine, host)


@every_machine
@script_cases("tools")
def test_tools(script: Path, engine: str, host: str, tmp_path: Path) -> None:
    run_script(["/bin/bash"], script, tmp_path, engine, host)


@every_machine
@script_cases("python")
def test_python(script: Path, engine: str, host: str, tmp_path: Path) -> None:
    need("/usr/bin/python3")
    run_script(["/usr/bin/python3"], script, tmp_path, engine, host)


@every_machine
def test_exit_status_and_death_by_signal_are_the_programs_own(engine: str, host: str, tmp_path: Path) -> None:
    for script in ("exit 42", "kill -TERM $$", "kill -KILL $$", "kill -SEGV $$"):
        compare(["/bin/sh", "-c", script], tmp_path, engine=engine, host=host)


@every_machine
def test_standard_input_is_passed_through(engine: str, host: str, tmp_path: Path) -> None:
    compare(["/bin/bash", "-c", "read x; echo got $x; cat | wc -c"], tmp_path, stdin=b"first\n" + b"z" * 200_000,
            engine=engine, host=host)


COMPILERS = {
    "sqrt": ("sqrt.c", ["gcc", "-O2", "-o", "{out}", "{source}", "-lm"]),
    "sqrt-musl-static": ("sqrt.c", ["musl-gcc", "-static", "-O2", "-o", "{out}", "{source}", "-lm"]),
    "sqrt-static-pie": ("sqrt.c", ["gcc", "-static-pie", "-O2", "-o", "{out}", "{source}", "-lm"]),
    "sqrt-static": ("sqrt.c", ["gcc", "-static", "-no-pie", "-O2", "-o", "{out}", "{source}", "-lm"]),
    "exceptions": ("exceptions.cc", ["g++", "-O1", "-pthread", "-o", "{out}", "{source}"]),
    "go-http": ("http.go", ["go", "build", "-o", "{out}", "{source}"]),
    "rust-channels": ("channels.rs", ["rustc", "-O", "-o", "{out}", "{source}"]),
}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@every_machine
@pytest.mark.parametrize("name", COMPILERS)
def test_compiled_program(name: str, engine: str, host: str, built: Path, tmp_path: Path) -> None:
    source, command = COMPILERS[name]
    env = {**environment(built), **{key: os.environ[key] for key in ("RUSTUP_HOME", "CARGO_HOME") if key in os.environ}}
    env["PATH"] += ":" + os.path.expanduser("~/.cargo/bin")
    env["HOME"] = os.path.expanduser("~")
    compiler = shutil.which(command[0], path=env["PATH"])
    if compiler is None:
        pytest.skip(f"not installed: {command[0]}")
    program = built / name
    if not program.exists():
        words = [word.format(out=program, source=SOURCES / "compiled" / source) for word in command[1:]]
        subprocess.run([compiler, *words], check=True, timeout=300, env=env, capture_output=True)
    compare([str(program), "9", "16"], tmp_path, engine=engine, host=host, rules=RULES, timeout=TIME_LIMIT)


@pytest.mark.skipif(not FULL, reason="debootstrap takes minutes: make test-full")
@pytest.mark.parametrize("engine", ENGINES)
def test_debian_tree_through_root(engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    need("debootstrap")
    tree = tmp_path_factory.mktemp("debian") / "root"
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(tree)], check=True, timeout=900,
                   capture_output=True)
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
    for command in (["/usr/bin/dpkg", "-l"], ["/usr/bin/apt-get", "--version"],
                    ["/bin/sh", "-c", "cat /etc/debian_version; ls /usr; echo $$ > /tmp/x; rm /tmp/x"]):
        native = subprocess.run(["chroot", str(tree), *command], capture_output=True, timeout=60, env=env, check=False)
        guest = subprocess.run([*PYLX, "--engine", engine, "--root", str(tree), *command], capture_output=True,
                               timeout=120, env=env, check=False)
        assert (guest.returncode, guest.stdout) == (native.returncode, native.stdout)
