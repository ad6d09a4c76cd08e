"""System V IPC: semaphores and message queues (include/uapi/linux/{ipc,sem,msg}.h)."""

from __future__ import annotations

from struct import Struct

IPC_CREAT, IPC_EXCL, IPC_NOWAIT = 0o1000, 0o2000, 0o4000
IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO = 0, 1, 2, 3
IPC_PRIVATE = 0

SEM_UNDO = 0x1000
GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL, SEM_STAT, SEM_INFO, SEM_STAT_ANY = range(11, 21)
SEMMNI, SEMMSL, SEMMNS, SEMOPM, SEMVMX = 32000, 32000, 1024000000, 500, 32767

MSG_NOERROR, MSG_EXCEPT, MSG_COPY = 0o10000, 0o20000, 0o40000
MSG_STAT, MSG_INFO, MSG_STAT_ANY = 11, 12, 13
MSGMNI, MSGMAX, MSGMNB = 32000, 8192, 16384

PERM = Struct("<iIIIIIHxxxxxx16x")
"""struct ipc64_perm: key, uid, gid, cuid, cgid, mode, seq."""
SEMID_DS = Struct("<qqqqQ16x")
"""After the perm: otime, unused, ctime, unused, nsems."""
MSQID_DS = Struct("<qqqQQQii16x")
"""After the perm: stime, rtime, ctime, cbytes, qnum, qbytes, lspid, lrpid."""
SEMBUF = Struct("<Hhh")
SEMINFO = Struct("<10i")
MSGINFO = Struct("<7iHxx")
