"""The direction of imports (docs/architecture.md) and the guest's own numbers, checked on the source text."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("syscalls/**/*.py"), *ROOT.glob("translator/**/*.py")])
HOST_MODULES = {"errno", "os", "signal", "socket", "select", "selectors", "stat", "fcntl", "termios", "resource",
                "time", "ctypes", "mmap", "posix", "_socket", "_signal", "subprocess"}
FUZZER = "syscalls.fuzz"
"""Not part of the personality: it reads the table from outside, and drives processes of the host."""
STATIC = "syscalls.reports.static"
"""Reads files of the host, which it finds with os.path."""
COMMAND_LINE = ("translator.cli", "translator.commands", "translator.required")
ABOVE = ("syscalls.reports", "syscalls.profiles")
"""What looks at the personality from outside: it does not know them."""
TRANSLATOR_SEAM = {"translator.machine", "translator.hosts.base", "translator.elf", "translator.stack"}


def layer(module: str) -> int:
    """How high a module of the personality stands: it may import those below and beside it."""
    parts = module.split(".")
    if parts[:2] == ["syscalls", "abi"]:
        return 0
    if module in ("syscalls.table", "syscalls.wait"):
        return 1
    if parts[:2] == ["syscalls", "calls"]:
        return 3
    if (parts[0] == "syscalls" and parts[1:2] in (["reports"], ["profiles"], ["fuzz"])) or module == "syscalls.boot":
        return 4
    return 2


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def run_time_imports(path: Path) -> list[tuple[str, int]]:
    """(module, line) of every import that runs, those inside functions included, `if TYPE_CHECKING` ones not."""
    out = []
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if is_type_checking(node):
            todo.extend(node.orelse)  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.Import):
            out += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            out += [(f"{node.module}", node.lineno)]
        todo.extend(ast.iter_child_nodes(node))
    return out


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    importer = module_name(path)
    wrong = []
    for module, line in run_time_imports(path):
        package = module.split(".")[0]
        if importer.startswith("syscalls"):
            if package in HOST_MODULES and not importer.startswith(FUZZER) and not (
                    package == "os" and importer.startswith(STATIC)):
                wrong.append(f"{path}:{line}: host module {module} inside the personality")
            if package == "translator" and module not in TRANSLATOR_SEAM:
                wrong.append(f"{path}:{line}: the personality knows the seams only, not {module}")
            if package == "syscalls" and layer(module) > layer(importer):
                wrong.append(f"{path}:{line}: {importer} stands below {module}")
            if module.startswith(FUZZER) and not importer.startswith(FUZZER):
                wrong.append(f"{path}:{line}: the fuzzer looks at the personality, it does not know it")
            if module.startswith("syscalls.reports") and not importer.startswith(ABOVE):
                wrong.append(f"{path}:{line}: reports look at the personality, it does not know them")
        elif importer not in COMMAND_LINE and package == "syscalls":
            wrong.append(f"{path}:{line}: {importer} must not know the personality ({module})")
        elif importer.startswith("translator.engines") and module.startswith("translator.hosts"):
            wrong.append(f"{path}:{line}: engines do not know hosts ({module})")
        elif importer.startswith("translator.hosts") and module.startswith("translator.engines"):
            wrong.append(f"{path}:{line}: hosts do not know engines ({module})")
    assert not wrong, "\n".join(wrong)


def test_files_stay_readable() -> None:
    long = [f"{path.relative_to(ROOT)}: {lines} lines" for path in FILES
            if (lines := path.read_text().count("\n")) > 620]
    assert not long, "split these by idea: " + ", ".join(long)
