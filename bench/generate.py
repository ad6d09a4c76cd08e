"""The inputs of the workloads, made from a fixed seed: the same bytes on every machine, and no network.

The sizes are those of real inputs: 6,190 files of 12 KB on average (a source release of 75 MB), 4,080 files under git,
73 npm packages in a cache, a C project of 40 files.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

WORDS = ("static int return if else struct node list buffer length offset value error flags state next prev queue "
         "lock index count const char void size_t unsigned table entry parse read write open close handle result "
         "break continue switch case default include define ifdef endif assert init free alloc memory page file "
         "name path").split()
EXTENSIONS = (".c", ".c", ".c", ".h", ".h", ".txt", ".py", ".S", ".mk", ".rst")
EPOCH = 1_600_000_000
BLOCK = 1 << 20


def _text(seed: random.Random) -> bytes:
    """A megabyte of lines that look like source and compress like it (about four to one)."""
    lines, size = [], 0
    while size < BLOCK:
        indent = "\t" * seed.randrange(4)
        words = seed.choices(WORDS, k=seed.randrange(2, 9))
        left = f"{words[0]} {words[1]}_{seed.randrange(3000)}"
        line = f"{indent}{left} = {' '.join(words[1:])}({seed.randrange(100000)});\n"
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()


def source_files(count: int, mean_bytes: int, seed_number: int) -> Iterator[tuple[str, bytes]]:
    """Relative names, a dozen files a directory and at most five deep, and contents."""
    seed = random.Random(seed_number)
    text = _text(seed)
    directories = ["."]
    for number in range(count):
        if number % 12 == 0:
            parent = seed.choice(directories[-40:])
            directories.append(f"{parent}/{seed.choice(WORDS)}{number // 12}" if parent.count("/") < 5 else
                               f"./{seed.choice(WORDS)}{number // 12}")
        size = min(int(seed.lognormvariate(0, 1.1) * mean_bytes * 0.55), 400_000)
        start = seed.randrange(len(text) - 1)
        content = (text[start:] + text)[:size]
        yield f"{directories[-1][2:]}/{seed.choice(WORDS)}_{number}{seed.choice(EXTENSIONS)}", content


def write_tarball(path: Path, count: int) -> None:
    """A gzipped tar as `git archive` makes one: directories first, times and owners fixed."""
    with tarfile.open(path, "w:gz", compresslevel=6, format=tarfile.GNU_FORMAT) as archive:
        made: set[str] = set()
        for name, content in source_files(count, 12_000, 1):
            parts = f"source-1.0/{name}".split("/")
            for depth in range(1, len(parts)):
                directory = "/".join(parts[:depth])
                if directory not in made:
                    made.add(directory)
                    entry = tarfile.TarInfo(directory)
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, EPOCH
                    archive.addfile(entry)
            entry = tarfile.TarInfo("/".join(parts))
            entry.size, entry.mode, entry.mtime = len(content), 0o644, EPOCH
            archive.addfile(entry, io.BytesIO(content))


def write_repository(directory: Path, count: int) -> None:
    """A git repository with one packed commit."""
    directory.mkdir()
    for name, content in source_files(count, 8_000, 2):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    environment = {**os.environ, "GIT_AUTHOR_DATE": f"{EPOCH} +0000", "GIT_COMMITTER_DATE": f"{EPOCH} +0000",
                   "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "-q", "-b", "main"], ["add", "."],
                  ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "-q", "-m", "bench"],
                  ["-c", "gc.writeCommitGraph=false", "repack", "-q", "-a", "-d"]):
        subprocess.run(["git", *words], cwd=directory, env=environment, check=True)


def write_packages(directory: Path, count: int) -> None:
    """An npm project with its lock file, and the cache that serves its packages: `project/`, `cache/`."""
    seed = random.Random(3)
    text = _text(seed)
    tarballs, project = directory / "tarballs", directory / "project"
    tarballs.mkdir(parents=True)
    project.mkdir()
    names = [f"bench-{seed.choice(WORDS).replace('_', '')}-{number}" for number in range(count)]
    manifest = {"name": "bench", "version": "1.0.0", "dependencies": dict.fromkeys(names, "1.0.0")}
    (project / "package.json").write_text(json.dumps(manifest, indent=2))
    locked: dict[str, object] = {"": manifest}
    for number, name in enumerate(names):
        depends = {names[other]: "^1.0.0" for other in {seed.randrange(number) for _ in range(3)}} if number else {}
        own = {"name": name, "version": "1.0.0", "main": "index.js", "license": "MIT", "dependencies": depends}
        path = tarballs / f"{name}.tgz"
        with tarfile.open(path, "w:gz", compresslevel=6) as archive:
            files = {"package.json": json.dumps(own, indent=2).encode(), "index.js": b"module.exports = 1;\n"}
            for part in range(seed.randrange(6, 40)):
                start = seed.randrange(len(text) - 20_000)
                files[f"lib/part{part}.js"] = text[start:start + seed.randrange(300, 9_000)]
            for inside, content in files.items():
                entry = tarfile.TarInfo(f"package/{inside}")
                entry.size, entry.mode, entry.mtime = len(content), 0o644, EPOCH
                archive.addfile(entry, io.BytesIO(content))
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        locked[f"node_modules/{name}"] = {
            "version": "1.0.0", "resolved": f"https://packages.example/{name}-1.0.0.tgz",
            "integrity": f"sha512-{digest}", "license": "MIT", "dependencies": depends}
    (project / "package-lock.json").write_text(json.dumps(
        {"name": "bench", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": locked}, indent=2))
    # Packages are found in the cache by their digest, whatever address they were put in with.
    subprocess.run(["npm", "cache", "add", "--offline", "--cache", str(directory / "cache"),
                    *sorted(map(str, tarballs.iterdir()))], check=True, stdout=subprocess.DEVNULL, cwd=project)


def write_c_project(directory: Path, count: int) -> None:
    """A library of `count` C files that use the C library's headers, a program, and a CMakeLists.txt that probes."""
    directory.mkdir()
    headers = ("stdio.h", "stdlib.h", "string.h", "errno.h", "sys/stat.h", "unistd.h")
    includes = "".join(f"#include <{header}>\n" for header in headers)
    for number in range(count):
        functions = "".join(
            f"int part{number}_{index}(int value) {{\n    char text[64];\n"
            f"    snprintf(text, sizeof text, \"%d-%d\", value, {index});\n"
            f"    for (size_t i = 0; text[i]; i++)\n        value = value * 31 + text[i];\n"
            f"    return value ^ {number * 131 + index};\n}}\n\n" for index in range(12))
        total = " + ".join(f"part{number}_{index}(value)" for index in range(12))
        (directory / f"part{number}.c").write_text(
            f"{includes}#include \"parts.h\"\n\n{functions}int part{number}(int value) {{ return {total}; }}\n")
    (directory / "parts.h").write_text("".join(f"int part{number}(int value);\n" for number in range(count)))
    calls = "".join(f"    value = part{number}(value) & 0xffff;\n" for number in range(count))
    (directory / "main.c").write_text(
        f"#include <stdio.h>\n#include \"parts.h\"\n\nint main(void) {{\n    int value = 1;\n{calls}"
        "    printf(\"%d\\n\", value);\n    return 0;\n}\n")
    parts = " ".join(f"part{number}.c" for number in range(count))
    probes = "".join(f"check_include_file({header} HAVE_{header.upper().replace('.', '_').replace('/', '_')})\n"
                     for header in headers)
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(bench C)\n"
        f"include(CheckIncludeFile)\ninclude(CheckFunctionExists)\n{probes}"
        "check_function_exists(openat HAVE_OPENAT)\ncheck_function_exists(strlcpy HAVE_STRLCPY)\n"
        f"add_library(parts STATIC {parts})\nadd_executable(bench main.c)\ntarget_link_libraries(bench parts)\n")
