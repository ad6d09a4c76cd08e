"""/proc/config.gz: what this kernel is built with, in the words of Linux's Kconfig.

Programs and test suites ask it which interfaces to expect.  An option is set when the personality serves what its
help text says; what is not set is named too, where programs are known to ask.  No option of drivers is listed.
"""

from __future__ import annotations

from syscalls.abi.uts import RELEASE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

SET = """
64BIT X86_64 X86 MMU SMP GENERIC_CPU
SYSVIPC SYSVIPC_SYSCTL POSIX_MQUEUE POSIX_MQUEUE_SYSCTL CROSS_MEMORY_ATTACH
NO_HZ HIGH_RES_TIMERS POSIX_TIMERS
MULTIUSER SYSFS_SYSCALL FHANDLE
EPOLL SIGNALFD TIMERFD EVENTFD AIO ADVISE_SYSCALLS MEMBARRIER KCMP RSEQ FUTEX FUTEX_PI
CHECKPOINT_RESTORE HUGETLBFS HUGETLB_PAGE SHMEM TMPFS TMPFS_XATTR TMPFS_POSIX_ACL
PRINTK IKCONFIG IKCONFIG_PROC
KEYS BIG_KEYS SECURITY SECURITY_PATH SECURITY_LANDLOCK
BINFMT_ELF BINFMT_SCRIPT ELF_CORE COREDUMP
UNIX98_PTYS TTY DEVTMPFS
NET UNIX INET IPV6
FILE_LOCKING DNOTIFY INOTIFY_USER FSNOTIFY
PROC_FS PROC_SYSCTL PROC_PAGE_MONITOR SYSFS
""".split()

NOT_SET = """
NAMESPACES UTS_NS TIME_NS IPC_NS USER_NS PID_NS NET_NS CGROUPS
BSD_PROCESS_ACCT QUOTA SWAP NUMA TRANSPARENT_HUGEPAGE USERFAULTFD PERSISTENT_KEYRINGS
SECCOMP SECCOMP_FILTER FANOTIFY FANOTIFY_ACCESS_PERMISSIONS
IO_URING BPF_SYSCALL PERF_EVENTS PREEMPT_RT MODULES KEXEC HIBERNATION
BLOCK BLK_DEV_LOOP BLK_DEV_RAM EXT4_FS XFS_FS BTRFS_FS FUSE_FS OVERLAY_FS
TUN PACKET NETFILTER VSOCKETS IP_SCTP TLS CAN KVM
""".split()


def config(task: Task) -> bytes:
    """The file's content, gzip-compressed as Linux has it."""
    import gzip
    version = RELEASE.decode()
    lines = ["#", "# Automatically generated file; DO NOT EDIT.", f"# Linux/x86 {version} Kernel Configuration", "#",
             f'CONFIG_LOCALVERSION="{version.removeprefix("6.1.0")}"', 'CONFIG_DEFAULT_HOSTNAME="(none)"',
             "CONFIG_PGTABLE_LEVELS=4", "CONFIG_HZ_100=y", "CONFIG_HZ=100"]
    lines += [f"CONFIG_{name}=y" for name in SET]
    lines += [f"# CONFIG_{name} is not set" for name in NOT_SET]
    return gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0)
