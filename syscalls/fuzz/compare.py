"""Compare what a program did on two sides, by the rules: the first difference, named so that equal ones are told from
new ones."""

from __future__ import annotations

import re
from dataclasses import dataclass

from syscalls.abi.errno import EFAULT, EINVAL, EISDIR, NAMES
from syscalls.fuzz.layouts import ADDRESS, LAYOUTS, PID
from syscalls.fuzz.outcome import BLOCK, BLOCK_END, CALL, CONTENT, SIGNAL, Outcome, Record
from syscalls.fuzz.program import (
    DATA_AT,
    DATA_ROOM,
    Block,
    Call,
    Const,
    Data,
    Operation,
    Program,
    Result,
    Store,
    StoreValue,
    Value,
    walk,
)
from syscalls.fuzz.rules import RESULTS, Any, Bijection, Bijections, Rule, Without, ZeroOrNot
from syscalls.fuzz.special import (
    CUT_LISTING,
    LISTINGS,
    PROCESS_PLACE,
    SPECIAL,
    cut_entries,
    link_of_process,
    may_be_cut,
    text_rules,
)
from syscalls.table import TABLE

SI_USER, SI_QUEUE, SI_TIMER, SI_TKILL = 0, -1, -2, -6
SIGKILL, SIGCHLD, SIGXCPU = 9, 17, 24
RLIMIT_CPU = 0
SEEK_CUR, SEEK_END = 1, 2
NO_FILE_ENDS_THERE = 1 << 62
LINK_LENGTH = Any("as long as the number of a process")
CUT = Any("the end of the memory cuts it: how much is written before the fault is the processor's")


@dataclass(frozen=True)
class Difference:
    """`call` and `kind` name it; `left` and `right` are what each side had."""
    call: str
    kind: str
    left: str
    right: str
    slot: int = -1
    detail: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.call, self.kind

    def __str__(self) -> str:
        return f"{self.call}: {self.kind}: natively {self.left}, here {self.right}"


def shown(result: int) -> str:
    if -4095 <= result < 0:
        return NAMES.get(-result, str(result))
    return str(result) if result < 0x10000 else hex(result)


def coarse(result: int) -> str:
    """A result as the name of a difference has it: an error's name, or just that it was none."""
    return NAMES.get(-result, "an error") if -4095 <= result < 0 else "success"


class Comparison:
    def __init__(self, program: Program, left: Outcome, right: Outcome) -> None:
        self.program, self.left, self.right = program, left, right
        self.calls = {item.slot: item for item in walk(program.operations) if isinstance(item, Call)}
        self.bijections = Bijections()
        self.memory = (bytearray(DATA_ROOM), bytearray(DATA_ROOM))
        """What is compared: where a rule lets values differ, both sides have the native one."""
        self.raw = (bytearray(DATA_ROOM), bytearray(DATA_ROOM))
        self.computed: set[int] = set()
        """Bytes that the program itself stored from values: of those the log does not tell."""
        self.values: dict[int, int] = {}
        self.cut_listing = False
        """A directory was read into too little room: from then on the order of entries matters."""
        self.directories: set[int] = set()
        """Descriptors that are known for directories: they were listed, or their end is no file's."""
        self.moved: set[int] = set()
        """Descriptors that are not at 0."""
        self.parted = False
        """A call succeeded after which areas that look equal in /proc/self/maps are not."""
        self.unequal_gifts = False
        """A file was given bytes that a rule lets differ."""

    def difference(self) -> Difference | None:
        if self.right.failure:
            return Difference(self.at(self.right), self.right.failure, "it goes on", self.right.failure,
                              detail=self.right.detail)
        found = self.operations()
        return found or self.end()

    def at(self, outcome: Outcome) -> str:
        """The call at which a side ended."""
        call = self.calls.get(outcome.last_slot)
        return call.name if call is not None else "program"

    def operations(self) -> Difference | None:
        left, right = self.aligned(self.left.records, self.right.records)
        slots = {getattr(item, "slot", None): item for item in walk(self.program.operations)}
        stores = self.stores_before()
        saved: list[tuple[bytes, ...]] = []
        for one, other in zip(left, right, strict=False):
            if (one.kind, one.slot) != (other.kind, other.slot):
                if (was_killed(one) or was_killed(other)) and self.limits_time():
                    return None  # as `raced`
                return self.other_order(one, other)
            if one.kind == BLOCK:
                saved.append(tuple(bytes(memory) for memory in (*self.memory, *self.raw)))
                continue
            if one.kind == BLOCK_END:
                block = slots.get(one.slot)
                before = saved.pop() if saved else None
                if before is not None and isinstance(block, Block) and block.kind == "fork":
                    self.memory = (bytearray(before[0]), bytearray(before[1]))
                    self.raw = (bytearray(before[2]), bytearray(before[3]))
                if not self.matches(PID, one.result, other.result):
                    return self.results("clone", one, other)
                if one.words != other.words and isinstance(block, Block) and not (
                        has_thread(block) or self.limits_time()):
                    return Difference("fork", "how the child ended", ended(one), ended(other), one.slot)
                continue
            if one.kind == SIGNAL:
                found = self.signal(one, other)
            elif one.kind == CALL:
                for offset, data, is_computed in stores.get(one.slot, ()):
                    for memory in (*self.memory, *self.raw):
                        memory[offset:offset + len(data)] = data
                    (self.computed.update if is_computed else self.computed.difference_update)(
                        range(offset, offset + len(data)))
                found = self.call(self.calls[one.slot], one, other)
            elif one.kind == CONTENT:
                found = self.content(one, other)
            else:
                found = None if one.result == other.result else Difference(
                    self.before(one.slot), "memory access", fault(one.result), fault(other.result), one.slot)
            if found is not None:
                return found
        if len(left) > len(right):
            return self.missing(left[len(right)], self.right, True)
        if len(right) > len(left):
            return self.missing(right[len(left)], self.left, False)
        return None

    def aligned(self, left: list[Record], right: list[Record]) -> tuple[list[Record], list[Record]]:
        """The records, without those of a child that was killed while it had a second thread, from where one side has
        no more of them: how far the threads came meanwhile is a race."""
        raced = {item.slot: {getattr(part, "slot", None) for part in walk(item.body)}
                 for item in walk(self.program.operations)
                 if isinstance(item, Block) and item.kind == "fork" and has_thread(item)}
        if not raced:
            return left, right
        left, right = left[:], right[:]
        at = 0
        while at < min(len(left), len(right)):
            for one, other in ((left, right), (right, left)):
                if at >= len(one):
                    break  # the last records of this side were those that only it had
                record = one[at]
                if record.kind != BLOCK_END or record.slot not in raced or not was_killed(record):
                    continue
                while at < len(other) and (other[at].kind == SIGNAL or other[at].slot in raced[record.slot]):
                    del other[at]
            at += 1
        return left, right

    def stores_before(self) -> dict[int, list[tuple[int, bytes, bool]]]:
        """What the program itself puts into memory before each call, and whether it is computed (zeros then)."""
        out: dict[int, list[tuple[int, bytes, bool]]] = {}
        pending: list[tuple[int, bytes, bool]] = []
        for item in walk(self.program.operations):
            if isinstance(item, Store):
                pending.append((item.offset, item.data, False))
            elif isinstance(item, StoreValue):
                pending.append((item.offset, bytes(item.width), True))
            elif isinstance(item, Call):
                out[item.slot] = pending
                pending = []
        return out

    def before(self, slot: int) -> str:
        """The last call of the program before this slot: what a probe looks at the effect of."""
        name = "program"
        for item in walk(self.program.operations):
            if getattr(item, "slot", None) == slot:
                break
            if isinstance(item, Call):
                name = item.name
        return name

    def matches(self, rule: Rule | None, left: int, right: int) -> bool:
        if rule is None or -4095 <= left < 0 or -4095 <= right < 0:
            return left == right
        if isinstance(rule, Any):
            return True
        if isinstance(rule, ZeroOrNot):
            return bool(left) == bool(right)
        if isinstance(rule, Without):
            return not (left ^ right) & ~rule.bits
        if rule == ADDRESS:
            # Pages correspond, not the bytes in them.
            return left & 0xFFF == right & 0xFFF and self.bijections.match(rule, left & ~0xFFF, right & ~0xFFF)
        return self.bijections.match(rule, left, right)

    def results(self, name: str, one: Record, other: Record) -> Difference:
        left, right = coarse(one.result), coarse(other.result)
        kind = f"{left} or {right}" if left != right else "result"
        if right == "ENOSYS" and left != right:
            kind = "not there (ENOSYS)"  # one difference, whatever Linux answers
        return Difference(name, kind, shown(one.result), shown(other.result), one.slot)

    def call(self, call: Call, one: Record, other: Record) -> Difference | None:
        rule = RESULTS.get(call.name)
        special = SPECIAL.get(call.name)
        if special is not None and special.result is not None:
            rule = special.result(call)
        if call.name in LISTINGS:
            self.cut_listing = self.cut_listing or may_be_cut(call) or self.number(call.args[0]) in self.moved
            rule = CUT_LISTING if self.cut_listing else rule
            if one.result >= 0:
                self.directories.add(self.number(call.args[0]))
                self.moved.add(self.number(call.args[0]))
        elif call.name == "lseek" and self.is_position_of_directory(call, one.result):
            return None
        elif call.name in ("read", "readv") and self.number(call.args[0]) in self.directories & self.moved and (
                {one.result, other.result} == {-EINVAL, -EISDIR}):
            return None  # whether its end is so far away that a read would pass the largest position
        elif self.has_number_in_text(call, (one, other)):
            rule = LINK_LENGTH
        if not self.matches(rule, one.result, other.result):
            return self.results(name_of(call), one, other)
        self.values[call.slot] = one.result
        self.parted = self.parted or (call.name in PARTING and one.result >= 0)
        if call.name in GIVING and one.result >= 0:
            start, size = place(call.args[GIVING[call.name]]), self.number(call.args[GIVING[call.name] + 1])
            if start is not None and self.raw[0][start:start + size] != self.raw[1][start:start + size]:
                self.unequal_gifts = True
        changed = self.apply(one, other)
        for offset, size, field_rule in self.fields(call, one.result):
            if not changed.isdisjoint(range(offset, offset + size)):
                # Written as a whole, though some of its bytes were there by chance.
                for memory, raw in zip(self.memory, self.raw, strict=True):
                    memory[offset:offset + size] = raw[offset:offset + size]
            left, right = (bytes(memory[offset:offset + size]) for memory in self.memory)
            if left == right:
                continue
            numbers = int.from_bytes(left, "little"), int.from_bytes(right, "little")
            if isinstance(field_rule, Bijection) and not self.matches(field_rule, *numbers):
                break
            if isinstance(field_rule, Without) and (numbers[0] ^ numbers[1]) & ~field_rule.bits:
                break
            self.memory[1][offset:offset + size] = left
        if special is not None and special.memory is not None:
            special.memory(call, one.result, self.memory, self.bijections)
        if self.cut_listing and call.name in LISTINGS:
            cut_entries(call, (one.result, other.result), self.memory)
        if self.memory[0] == self.memory[1]:
            return None
        return self.memory_difference(call)

    def has_number_in_text(self, call: Call, records: tuple[Record, Record]) -> bool:
        """Whether the result is the length of a text with the process's number in it: readlink of /proc/self, getcwd
        below /proc/PID on both sides."""
        if call.name in ("readlink", "readlinkat"):
            return link_of_process(call, self.memory)
        if call.name != "getcwd":
            return False
        start = place(call.args[0])
        if start is None or min(record.result for record in records) <= 0:
            return False
        texts = []
        for raw, record in zip(self.raw, records, strict=True):
            memory = bytearray(raw)  # what was there already is not among the changes
            for at, data in record.changes:
                memory[at:at + len(data)] = data
            texts.append(bytes(memory[start:start + record.result]))
        return all(PROCESS_PLACE.fullmatch(text) for text in texts)

    def number(self, value: Value) -> int:
        """A descriptor as an argument, natively."""
        if isinstance(value, Result):
            return self.values.get(value.slot, -1) + value.add
        return value.number if isinstance(value, Const) else -1

    def is_position_of_directory(self, call: Call, result: int) -> bool:
        """Whether lseek answers with a position in a directory, which means something to its file system only (on
        ext4: a hash, and the end is the largest number)."""
        fd, whence = self.number(call.args[0]), call.args[2]
        if whence == Const(SEEK_END) and result >= NO_FILE_ENDS_THERE:
            self.directories.add(fd)
        if fd in self.directories and whence in (Const(SEEK_CUR), Const(SEEK_END)):
            self.moved.add(fd)
            return True
        if result == 0:
            self.moved.discard(fd)
        elif result > 0:
            self.moved.add(fd)
        return False

    def apply(self, one: Record, other: Record) -> set[int]:
        """Put what a call changed into the memories; which bytes those are.  The log has whole words: bytes beside,
        which did not change, may be such as a rule let differ before."""
        changed: set[int] = set()
        for raw, record in zip(self.raw, (one, other), strict=True):
            for start, data in record.changes:
                before = raw[start:start + len(data)]
                changed.update(start + index for index, byte in enumerate(data) if byte != before[index])
                raw[start:start + len(data)] = data
        for offset in changed:
            self.memory[0][offset], self.memory[1][offset] = self.raw[0][offset], self.raw[1][offset]
        for offset in self.computed:
            self.memory[1][offset] = self.memory[0][offset]
        return changed

    def fields(self, call: Call, result: int) -> list[tuple[int, int, Rule]]:
        """(offset in memory, size, rule) of what this call may have written and need not be equal."""
        out: list[tuple[int, int, Rule]] = []
        record = TABLE[call.number] if call.number < len(TABLE) else None
        if record is None:
            return out
        for value, kind in zip(call.args, record.argument_kinds(), strict=False):
            base, _, name = kind.partition("[")
            offset = place(value)
            if offset is None:
                continue
            if base not in ("Out", "InOut") or name[:-1] not in LAYOUTS:
                if result == -EFAULT and offset > DATA_ROOM - 512:
                    out.append((offset, DATA_ROOM - offset, CUT))
                continue
            for field in LAYOUTS[name[:-1]].fields:
                start = offset + field.offset
                if field.rule is not None and start < DATA_ROOM:
                    # What the end of the memory cuts is a part of a value, of which no rule can tell.
                    whole = start + field.size <= DATA_ROOM
                    out.append((start, min(field.size, DATA_ROOM - start), field.rule if whole else CUT))
            if result == -EFAULT and offset > DATA_ROOM - 512:
                out.append((offset, DATA_ROOM - offset, CUT))
        special = SPECIAL.get(call.name)
        if special is not None and special.fields is not None:
            out += special.fields(call, result)
        return out

    def memory_difference(self, call: Call) -> Difference:
        left, right = self.memory
        offset = next(at for at in range(DATA_ROOM) if left[at] != right[at])
        end = next(at for at in range(DATA_ROOM - 1, -1, -1) if left[at] != right[at]) + 1
        where = self.where(call, offset)
        end = min(end, offset + 32)
        return Difference(call.name, f"memory: {where}", left[offset:end].hex(" "), right[offset:end].hex(" "),
                          call.slot)

    def where(self, call: Call, offset: int) -> str:
        """The argument, and the field of its layout, that this byte of memory belongs to."""
        record = TABLE[call.number] if call.number < len(TABLE) else None
        best = ("memory", "", offset)
        for name, kind, value in zip(record.params if record else (), record.argument_kinds() if record else (),
                                     call.args, strict=False):
            start = place(value)
            if start is not None and start <= offset < start + 512 and offset - start < best[2]:
                best = (name, kind.partition("[")[2][:-1], offset - start)
        name, layout, distance = best
        field = LAYOUTS[layout].field_at(distance) if layout in LAYOUTS else None
        return f"{name}.{field.name}" if field is not None else f"{name}+{distance & ~7}" if name != "memory" else name

    def signal(self, one: Record, other: Record) -> Difference | None:
        (signo, code, who, value), (signo2, code2, who2, value2) = one.words, other.words
        name = f"signal {signo}"
        if signo != signo2:
            return Difference("signal", "number", str(signo), str(signo2))
        code, code2 = (word - (1 << 64) if word >> 63 else word for word in (code, code2))
        if code != code2:
            return Difference(name, "si_code", str(code), str(code2))
        if code in (SI_USER, SI_QUEUE, SI_TKILL) or signo == SIGCHLD:
            same = self.matches(PID, who & 0xFFFFFFFF, who2 & 0xFFFFFFFF) and who >> 32 == who2 >> 32
        elif code == SI_TIMER:
            same = who & 0xFFFFFFFF == who2 & 0xFFFFFFFF   # the other half: overruns, which depend on the load
        else:
            same = who == who2
        if not same:
            return Difference(name, "sender or address", hex(who), hex(who2))
        if code in (SI_USER, SI_TKILL) or (code > 0 and signo != SIGCHLD):
            return None  # no value there: what stands in these bytes is not defined
        if signo == SIGCHLD:
            value, value2 = value & 0xFFFFFFFF, value2 & 0xFFFFFFFF
        return None if value == value2 else Difference(name, "value", hex(value), hex(value2))

    def content(self, one: Record, other: Record) -> Difference | None:
        texts = [text_rules(record.text) for record in (one, other)]
        if min(one.result, other.result) < 0:
            return None if one.result == other.result else self.results("open", one, other)
        if texts[0] == texts[1]:
            return None
        if len(texts[0]) > len(texts[1]) and not self.parted and (
                text_rules(one.text, True) == text_rules(other.text, True)):
            return None
        pairs = list(zip(texts[0], texts[1], strict=False))
        left, right = next(((a, b) for a, b in pairs if a != b),
                           (f"{len(texts[0])} lines", f"{len(texts[1])} lines"))
        return Difference(self.before(one.slot), "text of a /proc file", left, right, one.slot,
                          "\n".join(["natively:", *texts[0], "here:", *texts[1]]))

    def other_order(self, one: Record, other: Record) -> Difference:
        names = [f"signal {record.words[0]}" if record.kind == SIGNAL else self.name_of(record)
                 for record in (one, other)]
        subject = "signal" if SIGNAL in (one.kind, other.kind) else names[0]
        kind = f"{names[0] if one.kind == SIGNAL else 'none'} or {names[1] if other.kind == SIGNAL else 'none'}"
        return Difference(subject, kind, names[0], names[1])

    def name_of(self, record: Record) -> str:
        call = self.calls.get(record.slot)
        return call.name if call is not None else f"operation {record.slot}"

    def has_blocks(self) -> bool:
        return any(isinstance(item, Block) for item in walk(self.program.operations))

    def raced(self) -> bool:
        """Whether it is a race when a signal takes effect.  RLIMIT_CPU is looked at in the timer's tick, which many
        programs never meet.  And each side may have died of another one of the signals that one thread sent to another:
        those that dump core take effect when the other thread runs, others at once (complete_signal)."""
        left, right = (0 if side.timed_out else side.status & 0x7F for side in (self.left, self.right))
        if left != right and {left, right} & {SIGKILL, SIGXCPU} and self.limits_time():
            return True
        if left == right or not any(isinstance(item, Block) and item.kind == "thread"
                                    for item in walk(self.program.operations)):
            return False
        sent = {value.number for call in self.calls.values() if call.name in SENDERS for value in call.args[1:3]
                if isinstance(value, Const)}
        return {left, right} <= sent

    def limits_time(self) -> bool:
        return any(Const(RLIMIT_CPU) in (call.args[:1] if call.name == "setrlimit" else call.args[1:2])
                   for call in self.calls.values() if call.name in ("setrlimit", "prlimit64"))

    def missing(self, record: Record, ended: Outcome, right_ended: bool) -> Difference | None:
        """One side went on where the other ended."""
        if self.left.status == self.right.status and ended.status & 0x7F and self.has_blocks():
            return None  # both were killed alike; how far another thread or a child came meanwhile is a race
        if self.raced():
            return None
        what = f"signal {record.words[0]}" if record.kind == SIGNAL else f"{self.name_of(record)} returns"
        how = self.how(ended)
        name = self.at(ended)
        sides = (what, how) if right_ended else (how, what)
        return Difference(name,
                          f"{sides[0] if not right_ended else 'goes on'} or {sides[1] if right_ended else 'goes on'}",
                          *sides, ended.last_slot)

    @staticmethod
    def how(outcome: Outcome) -> str:
        if outcome.timed_out:
            return "sleeps on"
        if outcome.log_full:
            return "a full log"
        if outcome.status & 0x7F:
            return f"killed by signal {outcome.status & 0x7F}"
        return f"exit status {outcome.status >> 8}"

    def end(self) -> Difference | None:
        left, right = self.how(self.left), self.how(self.right)
        if self.raced():
            return None
        if left != right:
            return Difference(self.at(self.left), f"{left} or {right}", left, right)
        if self.left.status != self.right.status:
            return Difference(self.at(self.left), "wait status", hex(self.left.status), hex(self.right.status))
        if self.left.timed_out:
            return None
        return self.trees()

    def trees(self) -> Difference | None:
        left, right = self.left.tree, self.right.tree
        if left is None or right is None:
            return None  # the command says so
        for path in sorted(set(left) | set(right)):
            one, other = left.get(path, "not there"), right.get(path, "not there")
            if one != other:
                kind = tree_kind(one, other)
                if kind == WHAT_IS_IN_IT and self.unequal_gifts:
                    continue
                changed = [item.name for item in walk(self.program.operations) if isinstance(item, Call)]
                return Difference(changed[-1] if changed else "program", f"file left behind: {kind}",
                                  f"{path}: {one}", f"{path}: {other}")
        return None


WHAT_IS_IN_IT = "content, links, time or attributes"
GIVING = {"write": 1, "pwrite64": 1, "setxattr": 2, "lsetxattr": 2, "fsetxattr": 2}
"""Calls that give a file bytes: which argument says where they are; the next one is how many."""


def tree_kind(one: str, other: str) -> str:
    if "not there" in (one, other):
        return "presence"
    names = ("type and mode", "owner", "size")
    for name, a, b in zip(names, one.split(), other.split(), strict=False):
        if a != b:
            return name
    return WHAT_IS_IN_IT


def name_of(call: Call) -> str:
    """Of the call in a difference: prctl is as many calls as it has options."""
    option = call.args[0] if call.name == "prctl" and call.args else None
    return f"prctl {option.number}" if isinstance(option, Const) else call.name


def has_thread(block: Block) -> bool:
    return any(isinstance(item, Block) and item.kind == "thread" for item in walk(block.body))


CLD_KILLED, CLD_DUMPED = 2, 3
PARTING = ("mbind", "set_mempolicy_home_node", "mseal")
SENDERS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")


def was_killed(record: Record) -> bool:
    return bool(record.words) and record.words[0] >> 32 in (CLD_KILLED, CLD_DUMPED)


def ended(record: Record) -> str:
    word = record.words[0] if record.words else 0
    return f"si_code {word >> 32}, status {word & 0xFFFFFFFF}"


def fault(result: int) -> str:
    if result < -1000:
        return f"signal {-result // 1000} code {-result % 1000}"
    return str(result)


def place(value: object) -> int | None:
    """The offset in memory that a value points to."""
    if isinstance(value, Data):
        return value.offset
    number = getattr(value, "number", None)
    return number - DATA_AT if number is not None and DATA_AT <= number < DATA_AT + DATA_ROOM else None


def compare(program: Program, left: Outcome, right: Outcome) -> Difference | None:
    return Comparison(program, left, right).difference()


def operations_until(program: Program, slot: int) -> tuple[Operation, ...]:
    """The operations up to the one with this slot: what comes later cannot matter."""
    out: list[Operation] = []
    for item in program.operations:
        out.append(item)
        if slot in {getattr(part, "slot", None) for part in walk([item])}:
            return tuple(out)
    return tuple(out)


PATH_NUMBER = re.compile(r"/p\d+\b")
