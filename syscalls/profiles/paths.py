"""Files of /proc, /sys and /dev that another kernel did not have, or had empty.

A rule names a path whose last part is the beginning of names: /dev/loop stands for /dev/loop0 and /dev/loop-control.
`*` stands for any process.  Directories are changed as they are looked up: most of /proc is made only then.
"""

from __future__ import annotations

from syscalls.fs.inode import S_IFDIR, S_IFMT, FileSystem, Inode
from syscalls.fs.simple import SimpleDirectory, SimpleFileSystem, TextFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from syscalls.profiles.met import Met
    from syscalls.task import Task

ABSENT, EMPTY, TOLD = "absent", "empty", "told"
ANSWERS = {"ENOENT": ABSENT, "empty": EMPTY, "-": TOLD}


class PathRule:
    __slots__ = ("effect", "kind", "parts", "path", "reason", "result", "source")

    def __init__(self, row: dict[str, str]) -> None:
        self.path = row["prefix"]
        self.result = row["result"]
        self.kind = ANSWERS[row["answer"]]
        self.reason = row["reason"]
        self.source = row["source"]
        self.effect = row.get("effect", "decides")
        self.parts = tuple(self.path.encode().strip(b"/").split(b"/"))

    @property
    def what(self) -> str:
        return self.path

    @property
    def answer_text(self) -> str:
        return self.result


def pattern(prefix: str) -> bytes:
    """A regular expression for the paths that a rule is about, as programs write them."""
    from re import escape
    return escape(prefix.encode()).replace(rb"\*", rb"(?:\d+|self|thread-self)(?:/task/\d+)?")


class Tree:
    """Rules by directory: those about names in it, and those further down."""

    def __init__(self) -> None:
        self.rules: list[tuple[bytes, PathRule]] = []
        self.below: dict[bytes, Tree] = {}

    def add(self, parts: Sequence[bytes], rule: PathRule) -> None:
        if len(parts) == 1:
            self.rules.append((parts[0], rule))
        else:
            self.below.setdefault(parts[0], Tree()).add(parts[1:], rule)

    def rule_of(self, name: bytes) -> PathRule | None:
        return next((rule for start, rule in self.rules if name.startswith(start)), None)

    def subtree(self, name: bytes) -> Tree | None:
        return self.below.get(name) or (self.below.get(b"*") if name.isdigit() else None)

    def first(self) -> PathRule:
        return self.rules[0][1] if self.rules else next(iter(self.below.values())).first()


def dress(rules: Sequence[PathRule], filesystem: FileSystem, top: bytes, met: Met) -> None:
    assert isinstance(filesystem, SimpleFileSystem)
    tree = Tree()
    for rule in rules:
        if rule.parts[0] == top and len(rule.parts) > 1:
            tree.add(rule.parts[1:], rule)
            if rule.parts[:2] == (b"proc", b"net"):  # a link to that of the process
                tree.add((b"*", *rule.parts[1:]), rule)
            if rule.parts[:2] == (b"proc", b"*"):
                tree.add((b"*", b"task", *rule.parts[1:]), rule)
    if tree.rules or tree.below:
        _hook(filesystem.root, tree, filesystem, met)


def _hook(directory: Inode, tree: Tree, filesystem: SimpleFileSystem, met: Met) -> None:
    if not isinstance(directory, SimpleDirectory) or "child" in vars(directory):
        return
    find, list_children = directory.child, directory.children_of
    replaced: dict[bytes, Inode] = {}

    def seen(name: bytes, node: Inode | None) -> Inode | None:
        """What is there instead."""
        rule = tree.rule_of(name)
        if rule is None or rule.kind == TOLD:
            return node
        if rule.kind == ABSENT or node is None:
            return None
        if name not in replaced:
            replaced[name] = (SimpleDirectory(filesystem, {}, node.mode & 0o7777) if node.mode & S_IFMT == S_IFDIR
                              else TextFile(filesystem, b"", mode=node.mode & 0o7777))
        return replaced[name]

    def child(task: Task, name: bytes) -> Inode | None:
        rule = tree.rule_of(name)
        if rule is not None:
            met.count(rule, task)
        node = seen(name, find(task, name))
        subtree = tree.subtree(name)
        if subtree is not None and rule is None:
            if node is None:
                if name in tree.below:
                    met.count(subtree.first(), task)
            else:
                _hook(node, subtree, filesystem, met)
        return node

    def children_of(task: Task) -> dict[bytes, Inode]:
        shown = {name: seen(name, node) for name, node in list_children(task).items()}
        return {name: node for name, node in shown.items() if node is not None}

    directory.child = child  # type: ignore[method-assign]
    directory.children_of = children_of  # type: ignore[method-assign]


__all__ = ["PathRule", "dress", "pattern"]
