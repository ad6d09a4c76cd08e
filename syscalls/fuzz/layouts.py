"""The layouts behind the declarations' type names: size, and the fields whose values two runs need not share.

A name that stands in `In[...]`, `Out[...]` or `InOut[...]` of a declaration is listed here; a test compares.
"""

from __future__ import annotations

from dataclasses import dataclass

from syscalls.fuzz.rules import ANY_TIME, SEQUENCE, Any, Bijection, Rule, Without

DEVICE, INODE, PID, ADDRESS = Bijection("device"), Bijection("inode"), Bijection("pid"), Bijection("address")
FILE = Bijection("file")
"""A device and an inode number together: numbers alone are only unique on one device."""


@dataclass(frozen=True)
class Field:
    name: str
    offset: int
    size: int
    rule: Rule | None = None
    """None: the same in both runs."""


@dataclass(frozen=True)
class Layout:
    size: int
    fields: tuple[Field, ...] = ()

    def field_at(self, offset: int) -> Field | None:
        return next((item for item in self.fields if item.offset <= offset < item.offset + item.size), None)


def times(*named: tuple[str, int]) -> tuple[Field, ...]:
    return tuple(Field(name, offset, 16, ANY_TIME) for name, offset in named)


SPACE = Any("free space changes under both runs, and the size of /dev is the layer's own")
NEW_MASK = Without(0xC0 | 0x2000 | 0x8000 | 0x10000 | 0x20000,
                   "file systems with fine timestamps tell mtime and ctime only when asked (6.13); some have "
                   "subvolumes and sizes for direct I/O")
HOST_ATTRIBUTES = Without(0x8 | 0x10 | 0x20 | 0x40 | 0x4 | 0x800 | 0x2000 | 0x100000 | 0x400000,
                          "which attributes there are depends on the file system: compression, encryption and others; "
                          "and the place of the scratch directories is a mount of the side's own")
ONE_MOUNT = Any("the host's mounts are one mount here: rename and link tell the difference, too")
DIRECT_IO = Any("depends on the disk")
RESIDENT = Any("what is resident is the affair of the page cache")
USAGE = Any("a measure of the machine's work")
MACHINE = Any("the state of the machine")

LAYOUTS: dict[str, Layout] = {
    "IoVec": Layout(16),
    "Int32Pair": Layout(8, (Field("[0]", 0, 4), Field("[1]", 4, 4))),
    "S64Value": Layout(8, (Field("value", 0, 8),)),
    "NodeMask": Layout(8),
    "PageVector": Layout(16, (Field("resident", 0, 16, RESIDENT),)),
    "PointerVector": Layout(32),
    "FdSet": Layout(128),
    "PollFds": Layout(32),
    "SigSet": Layout(8, (Field("set", 0, 8),)),
    "SigSetArgument": Layout(16),
    "Timespec": Layout(16, (Field("time", 0, 16, ANY_TIME),)),
    "Timeval": Layout(16, (Field("time", 0, 16, ANY_TIME),)),
    "Itimerspec": Layout(32, (Field("interval", 0, 16), Field("value", 16, 16, ANY_TIME))),
    "Itimerval": Layout(32, (Field("interval", 0, 16), Field("value", 16, 16, ANY_TIME))),
    "EpollEvent": Layout(12),
    "EpollEvents": Layout(48),
    "SigInfoLayout": Layout(128, (Field("signo", 0, 4), Field("errno", 4, 4), Field("code", 8, 4),
                                  Field("pid", 16, 4, PID), Field("uid", 20, 4), Field("value", 24, 8),
                                  Field("utime, stime", 32, 16, USAGE))),
    "LandlockRule": Layout(16),
    "LandlockRuleset": Layout(24),
    "MessageLayout": Layout(64),
    "SemOps": Layout(12),
    "ShmidDs": Layout(112, (Field("uid and mode", 4, 20), Field("seq", 24, 2, SEQUENCE),
                            Field("atime", 56, 8, ANY_TIME),
                            Field("dtime", 64, 8, ANY_TIME), Field("ctime", 72, 8, ANY_TIME),
                            Field("cpid", 80, 4, PID), Field("lpid", 84, 4, PID), Field("nattch", 88, 8))),
    "OpenHow": Layout(24),
    "StatLayout": Layout(144, (
        Field("st_dev, st_ino", 0, 16, FILE), Field("st_nlink", 16, 8), Field("st_mode", 24, 4),
        Field("st_uid", 28, 4), Field("st_gid", 32, 4), Field("st_rdev", 40, 8), Field("st_size", 48, 8),
        Field("st_blksize", 56, 8), Field("st_blocks", 64, 8),
        *times(("st_atim", 72), ("st_mtim", 88), ("st_ctim", 104)))),
    "StatxLayout": Layout(256, (
        Field("stx_mask", 0, 4, NEW_MASK), Field("stx_blksize", 4, 4), Field("stx_attributes", 8, 8, HOST_ATTRIBUTES),
        Field("stx_nlink", 16, 4),
        Field("stx_uid", 20, 4), Field("stx_gid", 24, 4), Field("stx_mode", 28, 2),
        Field("stx_ino", 32, 8, Any("as st_ino, but its device stands elsewhere")),
        Field("stx_size", 40, 8), Field("stx_blocks", 48, 8), Field("stx_attributes_mask", 56, 8, HOST_ATTRIBUTES),
        *times(("stx_atime", 64), ("stx_btime", 80), ("stx_ctime", 96), ("stx_mtime", 112)),
        Field("stx_rdev", 128, 8), Field("stx_dev", 136, 8, DEVICE), Field("stx_mnt_id", 144, 8, ONE_MOUNT),
        Field("stx_dio_align and others", 152, 104, DIRECT_IO))),
    "StatfsLayout": Layout(120, (
        Field("f_type", 0, 8), Field("f_bsize", 8, 8), Field("f_blocks, f_bfree, f_bavail", 16, 24, SPACE),
        Field("f_files, f_ffree", 40, 16, SPACE), Field("f_fsid", 56, 8, DEVICE),
        Field("f_namelen", 64, 8), Field("f_frsize", 72, 8), Field("f_flags", 80, 8, MACHINE))),
    "Timespec2": Layout(32),
    "Timeval2": Layout(32),
    "Utimbuf": Layout(16),
    "XattrArgs": Layout(16),
    "MountRequest": Layout(32),
    "FileAttr": Layout(24, (Field("fa_xflags", 0, 8), Field("the rest", 8, 16))),
    "MqAttr": Layout(64, (Field("mq_flags", 0, 8), Field("mq_maxmsg", 8, 8), Field("mq_msgsize", 16, 8),
                          Field("mq_curmsgs", 24, 8))),
    "Sigevent": Layout(64),
    "AioRequests": Layout(32),
    "AioRequest": Layout(64),
    "AioEvents": Layout(64),
    "CloneArgs": Layout(88),
    "Rusage": Layout(144, (Field("usage", 0, 144, USAGE),)),
    "Sigaction": Layout(32, (Field("handler", 0, 8), Field("flags", 8, 8), Field("restorer", 16, 8),
                             Field("mask", 24, 8))),
    "StackT": Layout(24, (Field("ss_sp", 0, 8), Field("ss_flags", 8, 4), Field("ss_size", 16, 8))),
    "CapData": Layout(24, (Field("sets", 0, 24),)),
    "CapHeader": Layout(8, (Field("version", 0, 4), Field("pid", 4, 4))),
    "SchedAttr": Layout(56, (Field("size", 0, 4), Field("policy", 4, 4), Field("flags", 8, 8), Field("nice", 16, 4),
                             Field("priority", 20, 4), Field("runtime", 24, 8), Field("deadline", 32, 8),
                             Field("period", 40, 8),
                             Field("util", 48, 8, Any("clamping of utilisation is a build option")))),
    "SchedParam": Layout(4, (Field("priority", 0, 4),)),
    "Timex": Layout(208, (Field("all", 0, 208, MACHINE),)),
    "Timezone": Layout(8),
    "Tms": Layout(32, (Field("times", 0, 32, USAGE),)),
    "FutexWaitv": Layout(48),
    "Rseq": Layout(32),
    "Rlimit": Layout(16, (Field("soft", 0, 8), Field("hard", 8, 8))),
    "Name": Layout(32),
    "Sysinfo": Layout(112, (Field("all", 0, 104, MACHINE), Field("mem_unit", 104, 4))),
    "Utsname": Layout(390, (Field("sysname", 0, 65), Field("nodename", 65, 65),
                            Field("release", 130, 65, Any("the layer's own version")),
                            Field("version", 195, 65, Any("the layer's own version")), Field("machine", 260, 65),
                            Field("domainname", 325, 65))),
    "S32": Layout(4),
    "U32": Layout(4),
    "U64": Layout(8),
}
