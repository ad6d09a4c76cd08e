"""`pylx explain FLAG`: what is known of a flag, an option, an ioctl code or a file, in the calls that take it."""

from __future__ import annotations

from re import match

from syscalls.profiles.load import all_wsl1_rules, calls
from syscalls.profiles.met import plain
from syscalls.profiles.paths import pattern
from syscalls.reports import facts
from syscalls.reports.explain import paragraph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.profiles.rules import Rule


def explanation(word: str) -> str | None:
    """The text for a name such as CLONE_NEWUSER, FS_IOC_SETFLAGS or /dev/fuse; None when nothing is known of it."""
    if word.startswith("/"):
        return _file(word)
    lines: list[str] = []
    for name, record in calls().items():
        told = []
        if word in record.unsupported:
            told.append(("here", f"not served ({record.unsupported[word]:#x})"
                         + (f": {record.support.note}" if record.support.note else "")))
        told += [("since", f"Linux {row['since']}; an older one answers: {row['answer']}")
                 for row in facts.table("linux_since") if row["call"] == name and named(word, row["title"])]
        told += [("WSL 1", wsl1_text(rule)) for rule in all_wsl1_rules(name) if named(word, rule.title)]
        if told and facts.wsl1_status(name) in ("unimplemented", "never listed"):
            told.append(("WSL 1", "no such call: ENOSYS"))
        if told:
            lines += ["", f"{name}({', '.join(record.params)})"]
            for head, text in told:
                lines += paragraph(head, text)
    if not lines:
        return None
    return "\n".join([word, *lines]) + "\n"


def named(word: str, title: str) -> bool:
    return word in title.replace(",", " ").split()


def wsl1_text(rule: Rule) -> str:
    return f"{rule.answer_text}{rule.builds_text}: {plain(rule.reason)} ({rule.source})"


def _file(path: str) -> str | None:
    rows = [row for row in facts.table("wsl1_paths") if match(pattern(row["prefix"]), path.encode())]
    if not rows:
        return None
    lines = [path, ""]
    for row in rows:
        lines += paragraph("WSL 1", f"{row['result']}: {plain(row['reason'])} ({row['source']})")
    return "\n".join(lines) + "\n"
