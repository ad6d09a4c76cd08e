"""Run times with many threads and a compiler of their own: node and a JVM, natively and under pylx."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs.test_programs import SOURCES, TIME_LIMIT, every_machine
from tests.runner import ENGINES, FULL, compare, need

fastest_engine = pytest.mark.parametrize("engine", ENGINES if FULL else ENGINES[-1:])
"""For what takes an emulated CPU long: the native one where it is permitted, and all in a full run."""


@every_machine
def test_node_with_worker_threads_and_an_http_server(engine: str, host: str, tmp_path: Path) -> None:
    need("node")
    compare(["node", str(SOURCES / "runtimes" / "workers.js")], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT)


@fastest_engine
def test_npm_installs_from_a_local_package(engine: str, tmp_path: Path) -> None:
    need("node", "npm")
    compare(["/bin/bash", str(SOURCES / "runtimes" / "npm.sh")], tmp_path, engine=engine, timeout=TIME_LIMIT,
            ignore=r"^\.npm/", rules=[(rb" in \d+m?s", b" in <time>")])


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("java", "javac")
    directory = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-d", str(directory), str(SOURCES / "runtimes" / "Hello.java")], check=True, timeout=120)
    return directory


@every_machine
def test_jvm_with_threads(engine: str, host: str, classes: Path, tmp_path: Path) -> None:
    compare(["java", "-version"], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT)
    compare(["java", "-cp", str(classes), "Hello"], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT)


@pytest.mark.parametrize("collector", ["Serial", "Parallel", "G1", "Shenandoah", "Z"])
@fastest_engine
def test_jvm_with_each_collector(engine: str, collector: str, classes: Path, tmp_path: Path) -> None:
    options = [f"-XX:+Use{collector}GC", "-Xmx128m"]
    if subprocess.run(["java", *options, "-version"], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip(f"this JVM has no {collector}")
    compare(["java", *options, "-cp", str(classes), "Hello"], tmp_path, engine=engine, timeout=TIME_LIMIT)


@fastest_engine
def test_javac(engine: str, tmp_path: Path) -> None:
    need("javac")
    source = shutil.copy(SOURCES / "runtimes" / "Hello.java", tmp_path)
    compare(["javac", "-d", ".", source], tmp_path, engine=engine, timeout=TIME_LIMIT)
