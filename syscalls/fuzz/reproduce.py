"""A program as files that a person runs: Python for `pylx fuzz`'s own executor, and C that needs nothing of pylx."""

from __future__ import annotations

from pathlib import Path

from syscalls.fuzz.compare import Difference, compare
from syscalls.fuzz.program import (
    ARENA_AT,
    DATA_AT,
    DATA_ROOM,
    Arena,
    Block,
    Call,
    Code,
    Const,
    Content,
    Data,
    Load,
    Operation,
    Own,
    Probe,
    Program,
    Result,
    Store,
    StoreValue,
    Value,
)
from syscalls.fuzz.sides import Side, World

PYTHON = '''\
"""{title}

Run it with the Python that has pylx: each side's results are printed, and the first difference.
    python {name}.py [the command that it is run under; default: {prefix}]
"""
import sys

from syscalls.fuzz.program import *
from syscalls.fuzz.reproduce import show

PROGRAM = {source}

if __name__ == "__main__":
    sys.exit(show(PROGRAM, sys.argv[1:] or {prefix_words!r}))
'''


def python_source(program: Program, found: Difference, prefix: list[str], name: str) -> str:
    return PYTHON.format(title=str(found).replace("\\", "\\\\"), name=name, prefix=" ".join(prefix),
                         source=program.source(),
                         prefix_words=prefix)


def show(program: Program, prefix: list[str]) -> int:
    """Run on both sides and print; 1 when they differ."""
    world = World()
    sides = [Side(world, "native", []), Side(world, "layer", prefix)]
    try:
        left, right = (side.run(program, 1, 5000) for side in sides)
        calls = {item.slot: item.name for item in _walk(program.operations) if isinstance(item, Call)}
        for title, outcome in (("natively", left), (" ".join(prefix), right)):
            print(f"--- {title}")
            for record in outcome.records:
                print(f"  {calls.get(record.slot, record.slot)} = {record.result}" if not record.words else
                      f"  signal {record.words}")
            print(f"  status {outcome.status:#x}{', still asleep at the time limit' if outcome.timed_out else ''}"
                  f"{', ' + outcome.failure if outcome.failure else ''}")
        found = compare(program, left, right)
        print(f"--- {found or 'no difference'}")
        if found is not None and found.detail:
            print(found.detail)
        return 1 if found is not None else 0
    finally:
        for side in sides:
            side.stop()
        world.close()


def _walk(operations: tuple[Operation, ...]) -> list[Operation]:
    from syscalls.fuzz.program import walk
    return list(walk(operations))


C_HEAD = Path(__file__).with_name("data") / "reproducer.c"
"""What every reproducer in C begins with; TITLE, NAME, PREFIX, DATA_AT and DATA_ROOM are put in."""


def c_source(program: Program, found: Difference, prefix: list[str], name: str) -> str:
    head = C_HEAD.read_text().replace("TITLE", str(found).replace("*/", "* /"))
    head = head.replace("PREFIX", " ".join(prefix)).replace("NAME", name)
    head = head.replace("DATA_AT", hex(DATA_AT)).replace("DATA_ROOM", hex(DATA_ROOM))
    functions: list[str] = []
    body = _statements(program.operations, functions)
    return head + "\n".join(functions) + "\nint main(void)\n{\n" + "\n".join([
        f"\tmmap(data, {DATA_ROOM:#x}, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);",
        "\tdup2(1, 901);", "\tif (fork() == 0) {", "\t\tsetsid();", "\t\ttree();",
        '\t\tclose(0), close(1), close(2), open("/dev/null", O_RDWR), dup(0), dup(0);',
        *("\t" + line for line in body), "\t\t_exit(0);", "\t}", "\tint status;", "\twait(&status);",
        '\tprintf("status %#x\\n", status);', "\treturn 0;", "}", ""])


def _c_value(value: Value) -> str:
    match value:
        case Const(number):
            return f"{number:#x}ul" if number > 0xFFFF else str(number)
        case Result(slot, add):
            return f"r[{slot}]" + (f" + {add}" if add else "")
        case Data(offset):
            return f"(long)data + {offset:#x}"
        case Arena(offset):
            return f"{ARENA_AT + offset:#x}"
        case Code(which):
            return ("(long)handler", "(long)restorer")[which & 1]
        case Own(which):
            return '*(long *)"aaaaaaab"' if which else "getpid() << 4"


def _c_bytes(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:03o}" for byte in data) + '"'


def _statements(operations: tuple[Operation, ...], functions: list[str]) -> list[str]:
    out = []
    for item in operations:
        match item:
            case Call(slot, name, args):
                words = ", ".join(_c_value(value) for value in (*args, *[Const(0)] * (6 - len(args))))
                out.append(f'\tr[{slot}] = call("{name}", {item.number}, {words});')
            case Store(offset, content):
                kept = content.rstrip(b"\0")
                out.append(f"\tmemset(data + {offset:#x}, 0, {len(content)});" if not kept else
                           f"\tmemcpy(data + {offset:#x}, {_c_bytes(content)}, {len(content)});")
            case StoreValue(offset, width, value):
                out.append(f"\tmemcpy(data + {offset:#x}, &(long){{{_c_value(value)}}}, {width});")
            case Load(slot, offset, width):
                out.append(f"\tr[{slot}] = *({'int' if width == 4 else 'long'} *)(data + {offset:#x});")
            case Probe(slot, address, store):
                out.append(f"\tr[{slot}] = probe({_c_value(address)}, {store});")
            case Content(_, path):
                out.append(f"\tcontent((char *)data + {path:#x});")
            case Block(slot, "fork", body):
                out += [f"\tif ((r[{slot}] = fork()) == 0) {{", *("\t" + line for line in _statements(body, functions)),
                        "\t\t_exit(0);", "\t}",
                        f"\twaitid(P_PID, r[{slot}], 0, WEXITED | WNOWAIT);"]
            case Block(slot, _, body):
                inner = _statements(body, functions)
                functions.append(f"static void *thread_{slot}(void *unused)\n{{\n" + "\n".join(inner)
                                 + "\n\treturn 0;\n}\n")
                out += ["\t{", "\t\tpthread_t thread;", f"\t\tpthread_create(&thread, 0, thread_{slot}, 0);",
                        "\t\tpthread_join(thread, 0);", "\t}"]
    return out
