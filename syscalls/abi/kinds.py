"""Names of layouts and flag lists in declarations (`In[IoVec]`, `Flags[RwFlags]`): for the reader, the type checker and
the trace; never imported at run time."""

from __future__ import annotations


class IoVec:
    """struct iovec[]"""


class RwFlags:
    """RWF_ bits"""


class CloseRangeFlags:
    """CLOSE_RANGE_ bits"""


class Int32Pair:
    """int[2]"""


class OpenFlags:
    """O_ bits"""


class S64Value:
    """a loff_t"""


class SpliceFlags:
    """SPLICE_F_ bits"""


class FallocateFlags:
    """FALLOC_FL_ bits"""


class SyncRangeFlags:
    """SYNC_FILE_RANGE_ bits"""


class NodeMask:
    """unsigned long[]: a bit a NUMA node"""


class PageVector:
    """unsigned char[]: one a page"""


class PointerVector:
    """void *[]"""


class FdSet:
    """fd_set"""


class PollFds:
    """struct pollfd[]"""


class SigSet:
    """sigset_t of the kernel: 64 bits"""


class SigSetArgument:
    """a pointer to a sigset_t, and its size"""


class Timespec:
    """struct __kernel_timespec"""


class Timeval:
    """struct __kernel_old_timeval"""


class Itimerspec:
    """struct __kernel_itimerspec"""


class EpollEvent:
    """struct epoll_event"""


class EpollEvents:
    """struct epoll_event[]"""


class EpollFlags:
    """EPOLL_ bits"""


class EventfdFlags:
    """EFD_ bits"""


class TimerfdFlags:
    """TFD_ bits"""


class SignalfdFlags:
    """SFD_ bits"""


class PidfdFlags:
    """PIDFD_ bits of pidfd_open"""


class PidfdSignalFlags:
    """PIDFD_SIGNAL_ bits"""


class SigInfoLayout:
    """siginfo_t"""


class MessageLayout:
    """struct msgbuf: a long, then the bytes"""


class SemOps:
    """struct sembuf[]"""


class ShmidDs:
    """struct shmid64_ds"""


class InotifyFlags:
    """IN_NONBLOCK, IN_CLOEXEC"""


class InotifyMask:
    """IN_ bits"""


class FanotifyFlags:
    """FAN_ bits"""


class OpenHow:
    """struct open_how"""


class StatLayout:
    """struct stat"""


class StatxLayout:
    """struct statx"""


class StatfsLayout:
    """struct statfs"""


class AtFlags:
    """AT_ bits"""


class AccessMode:
    """R_OK, W_OK, X_OK"""


class RenameFlags:
    """RENAME_ bits"""


class Timespec2:
    """struct __kernel_timespec[2]: access and modification time"""


class Timeval2:
    """struct __kernel_old_timeval[2]"""


class Utimbuf:
    """struct utimbuf"""


class XattrFlags:
    """XATTR_CREATE, XATTR_REPLACE"""


class XattrArgs:
    """struct xattr_args"""


class FileAttr:
    """struct file_attr"""


class MountRequest:
    """struct mnt_id_req"""


class FlockOperation:
    """LOCK_ bits"""


class MountFlags:
    """MS_ bits"""


class UmountFlags:
    """MNT_ bits"""


class MqAttr:
    """struct mq_attr"""


class MqFlags:
    """O_ bits of mq_open"""


class Sigevent:
    """struct sigevent"""


class AioRequests:
    """struct iocb *[]"""


class AioRequest:
    """struct iocb"""


class AioEvents:
    """struct io_event[]"""


class CloneArgs:
    """struct clone_args"""


class CloneFlags:
    """CLONE_ bits, and the exit signal"""


class Rusage:
    """struct rusage"""


class WaitFlags:
    """WNOHANG and others"""


class Sigaction:
    """struct sigaction of the kernel"""


class StackT:
    """stack_t"""


class CapData:
    """struct __user_cap_data_struct[]"""


class CapHeader:
    """struct __user_cap_header_struct"""


class SchedAttr:
    """struct sched_attr"""


class SchedParam:
    """struct sched_param"""


class Itimerval:
    """struct __kernel_old_itimerval"""


class Timex:
    """struct __kernel_timex"""


class Timezone:
    """struct timezone"""


class Tms:
    """struct tms"""


class FutexWaitv:
    """struct futex_waitv[]"""


class Rseq:
    """struct rseq"""


class Rlimit:
    """struct rlimit64"""


class GrndFlags:
    """GRND_ bits"""


class LandlockRuleset:
    """struct landlock_ruleset_attr: handled rights of files and ports, scopes"""


class LandlockRule:
    """struct landlock_path_beneath_attr or landlock_net_port_attr"""


class Name:
    """char[], its length is the next argument or a NUL ends it"""


class Sysinfo:
    """struct sysinfo"""


class Utsname:
    """struct new_utsname"""
