"""One declaration per system call: the registry, and what is generated from it.

A handler is a plain function (it cannot sleep) or an `async def` (it may).  Its annotations are the decode: each
names one of the argument kinds below, and the decoder made from them truncates and sign-extends as Linux does
(SYSCALL_DEFINE's types).  The trace line, the coverage row and the fuzz strategies read the same record.

    @syscall(293, since="2.6.27", support=FULL)
    def pipe2(task: Task, fds: Out[Int32Pair], flags: S32) -> int: ...
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, TypeVar

    from syscalls.task import Task

    T = TypeVar("T")
    F = TypeVar("F", bound=Callable[..., Any])

    # Argument kinds.  All are plain integers at run time, except Path, which arrives as bytes.
    Fd = int       # file descriptor, s32
    DirFd = int    # the same, AT_FDCWD allowed
    S32 = int
    U32 = int
    S64 = int
    U64 = int
    Size = int     # size_t, u64
    Offset = int   # loff_t, s64
    Addr = int     # an address that is not dereferenced here, u64
    Pid = int      # s32
    Signal = int   # s32
    Mode = int     # umode_t, u32 (only the low 16 bits reach the kernel)
    Octal = int

    class Path(bytes):
        """A path: read from guest memory before the handler runs; may be empty.  Where it cannot be read (EFAULT,
        ENAMETOOLONG) the error is raised when the path is looked up, after the checks of other arguments."""

    OptPath = bytes | None
    """A path that may be NULL: None then."""

    class Text(bytes):
        """Another NUL-terminated string of at most a page (xattr names, filesystem types)."""

    class In(int, Generic[T]):
        """Address of a T that the call reads."""

    class Out(int, Generic[T]):
        """Address of a T that the call writes."""

    class InOut(int, Generic[T]):
        """Address of a T that the call reads and writes."""

    class Flags(int, Generic[T]):
        """s32 bit set; T names the flag list in the abi module."""

    class Buf(int):
        """Address of input bytes whose length is the next argument."""

    class OutBuf(int):
        """Address of output bytes whose room is the next argument."""


class Support:
    """How far a call is served.  `note`: what is not (PARTIAL), why it is safe (FAKE), why not (REFUSED)."""

    __slots__ = ("errno", "level", "note")

    def __init__(self, level: str, note: str = "", errno: int = 0) -> None:
        self.level = level
        self.note = note
        self.errno = errno

    def __repr__(self) -> str:
        return f"{self.level}({self.note!r})" if self.note else self.level


FULL = Support("FULL")


def PARTIAL(note: str) -> Support:
    return Support("PARTIAL", note)


def FAKE(note: str) -> Support:
    return Support("FAKE", note)


def STUB(errno: int, note: str) -> Support:
    return Support("STUB", note, errno)


def REFUSED(errno: int, reason: str) -> Support:
    return Support("REFUSED", reason, errno)


class Syscall:
    """One declared call."""

    __slots__ = (
        "call",
        "handler",
        "is_async",
        "kinds",
        "name",
        "needs",
        "number",
        "params",
        "since",
        "support",
        "unsupported",
    )

    def __init__(self, number: int, handler: Callable[..., Any], since: str, support: Support,
                 needs: tuple[str, ...], unsupported: dict[str, int]) -> None:
        self.number = number
        self.handler = handler
        self.name = handler.__name__.rstrip("_")
        self.since = since
        self.support = support
        self.needs = needs
        self.unsupported = unsupported
        code = handler.__code__
        self.params = code.co_varnames[1:code.co_argcount]
        self.is_async = bool(code.co_flags & 0x80)
        self.kinds: tuple[str, ...] | None = None
        self.call: Callable[[Task, tuple[int, ...]], Any] = self._first_call

    def argument_kinds(self) -> tuple[str, ...]:
        """The annotation of each argument, as written."""
        if self.kinds is None:
            notes = self.handler.__annotations__
            self.kinds = tuple(notes[name] for name in self.params)
        return self.kinds

    def _first_call(self, task: Task, args: tuple[int, ...]) -> Any:
        # Decoders are compiled when first used: compiling all of them would double the start-up time.
        self.call = _decoder(self)
        return self.call(task, args)


def _decoder(record: Syscall) -> Callable[[Task, tuple[int, ...]], Any]:
    handler = record.handler
    if not record.params:
        return lambda task, args: handler(task)
    parts = []
    for index, kind in enumerate(record.argument_kinds()):
        word = f"a[{index}]"
        base = kind.partition("[")[0]
        if base in ("Fd", "DirFd", "S32", "Pid", "Signal", "Flags"):
            parts.append(f"(({word} & 0xffffffff) ^ 0x80000000) - 0x80000000")
        elif base in ("U32", "Octal"):
            parts.append(f"{word} & 0xffffffff")
        elif base == "Mode":
            parts.append(f"{word} & 0xffff")
        elif base in ("S64", "Offset"):
            parts.append(f"({word} ^ 0x8000000000000000) - 0x8000000000000000")
        elif base == "Path":
            parts.append(f"task.mem.filename({word})")
        elif base == "OptPath":
            parts.append(f"(task.mem.filename({word}) if {word} else None)")
        elif base == "Text":
            parts.append(f"task.mem.text({word})")
        elif base in ("U64", "Size", "Addr", "In", "Out", "InOut", "Buf", "OutBuf"):
            parts.append(word)
        else:
            raise TypeError(f"{record.name}: argument kind {kind!r} is not known")
    code: Callable[[Task, tuple[int, ...]], Any] = eval(
        f"lambda task, a: handler(task, {', '.join(parts)})", {"handler": handler})
    return code


TABLE: list[Syscall | None] = [None] * 512
"""Declared calls by number."""


def syscall(number: int, *, since: str = "2.6.0", support: Support = FULL, needs: tuple[str, ...] = (),
            unsupported: dict[str, int] | None = None) -> Callable[[F], F]:
    """Declare a handler.  `since`: the Linux version that has the call.  `needs`: host primitives it
    reaches, by the names of `Host.capabilities`, the main one first; what the kernel has of its own needs none.
    `unsupported`: names and values of flags and codes that are refused, or accepted without effect."""

    def declare(handler: F) -> F:
        if TABLE[number] is not None:
            raise ValueError(f"system call {number} is declared twice")
        TABLE[number] = Syscall(number, handler, since, support, needs, unsupported or {})
        return handler

    return declare
