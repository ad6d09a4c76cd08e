"""O_ASYNC: a signal to the description's owner when it becomes ready (fs/fcntl.c, kill_fasync)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ESRCH, LinuxError
from syscalls.fd import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM
from syscalls.wait import Waiter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.credentials import Credentials
    from syscalls.fd import FileDescription
    from syscalls.kernel import Kernel
    from syscalls.siginfo import SigInfo
    from syscalls.task import Task

SIGURG, SIGIO = 23, 29
SI_KERNEL = 0x80
F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP = 0, 1, 2
POLL_IN, POLL_OUT, POLL_MSG, POLL_ERR, POLL_PRI, POLL_HUP = range(1, 7)

BAND = {
    POLL_IN: POLLIN | POLLRDNORM,
    POLL_OUT: POLLOUT | POLLWRNORM | POLLWRBAND,
    POLL_ERR: POLLERR,
    POLL_PRI: POLLPRI | POLLRDBAND,
    POLL_HUP: POLLHUP | POLLERR,
}
"""si_band by si_code (fs/fcntl.c, band_table)."""


class Owner:
    """Who gets the signals of a description, and who asked for that (struct fown_struct)."""

    __slots__ = ("cred", "id", "type")

    def __init__(self, type: int, id: int, cred: Credentials | None) -> None:
        """id 0: nobody, but the type stays.  cred None: there never was anybody."""
        self.type = type
        self.id = id
        self.cred = cred


def check_number(kernel: Kernel, number: int) -> None:
    """ESRCH for a number that nothing has, in any role (find_vpid); 0 is nobody's and allowed."""
    if number and not any(number in having for having in (kernel.tasks, kernel.groups, kernel.process_groups,
                                                          kernel.sessions)):
        raise LinuxError(ESRCH)


def set_owner_number(task: Task, file: FileDescription, who: int) -> None:
    """f_setown: a process, or minus a process group.  EINVAL, ESRCH."""
    if who == -0x80000000:
        raise LinuxError(EINVAL)
    check_number(task.kernel, abs(who))
    set_owner(task, file, F_OWNER_PGRP if who < 0 else F_OWNER_PID, abs(who))


def set_owner(task: Task, file: FileDescription, type: int, id: int) -> None:
    """f_modown: with nobody for an owner, who asked before stays."""
    old = file.owner_record
    file.owner_record = Owner(type, id, task.cred if id else old.cred if old is not None else None)


def living_owner(kernel: Kernel, owner: Owner) -> int:
    """The owner's number; 0 when nobody has it in that role any more (pid_task)."""
    having = (kernel.tasks if owner.type == F_OWNER_TID else kernel.groups if owner.type == F_OWNER_PID
              else kernel.process_groups)
    return owner.id if owner.id in having else 0


def owner_number(kernel: Kernel, file: FileDescription) -> int:
    """f_getown: a process, or minus a process group."""
    owner = file.owner_record
    if owner is None:
        return 0
    number = living_owner(kernel, owner)
    return -number if owner.type == F_OWNER_PGRP else number


class SigioWaiter(Waiter):
    """Hears of every change of a description and signals its owner.  `fd`: the number that F_SETFL was given."""

    __slots__ = ("fd", "file", "kernel")

    def __init__(self, kernel: Kernel, file: FileDescription, fd: int) -> None:
        self.kernel = kernel
        self.file = file
        self.fd = fd

    def notify(self, mask: int) -> bool:
        file = self.file
        if mask == -1:
            mask = file.ready(POLLIN | POLLOUT | POLLPRI)
        if mask & (POLLIN | POLLRDNORM):
            reason = POLL_IN
        elif mask & (POLLOUT | POLLWRNORM):
            reason = POLL_OUT
        elif mask & POLLPRI:
            reason = POLL_PRI
        else:
            reason = POLL_HUP
        send_sigio(self.kernel, file, self.fd, reason)
        return False


def send_sigio(kernel: Kernel, file: FileDescription, fd: int, reason: int) -> None:
    """kill_fasync: F_SETSIG's signal with details, or a plain SIGIO."""
    from syscalls.siginfo import SigInfo
    if file.owner_signal:
        info = SigInfo(file.owner_signal, reason, band=BAND.get(reason, 0), fd=fd)
    else:
        info = SigInfo(SIGIO, SI_KERNEL)
    send_to_owner(kernel, file, info)


def send_sigurg(kernel: Kernel, file: FileDescription) -> None:
    """Out-of-band data came (sk_send_sigurg).  O_ASYNC adds F_SETSIG's signal where there is one."""
    owner = file.owner_record
    if owner is None or not owner.id:
        return
    from syscalls.siginfo import SigInfo
    send_to_owner(kernel, file, SigInfo(SIGURG, SI_KERNEL))
    if file.sigio is not None and file.owner_signal:
        send_sigio(kernel, file, file.sigio.fd, POLL_PRI)


def send_to_owner(kernel: Kernel, file: FileDescription, info: SigInfo) -> None:
    from syscalls import signals
    owner = file.owner_record
    if owner is None or not owner.id:
        return
    if owner.type == F_OWNER_TID:
        task = kernel.tasks.get(owner.id)
        if task is not None and _permitted(owner, task):
            signals.send_task(task, info)
    elif owner.type == F_OWNER_PID:
        group = kernel.groups.get(owner.id)
        if group is not None and _permitted(owner, group.leader):
            signals.send_group(group, info)
    else:
        pgrp = kernel.process_groups.get(owner.id)
        if pgrp is not None:
            for group in list(pgrp.members):
                if _permitted(owner, group.leader):
                    signals.send_group(group, info)


def _permitted(owner: Owner, task: Task) -> bool:
    """sigio_perm: the one who set the owner could signal it."""
    cred, target = owner.cred, task.cred
    assert cred is not None
    return cred.euid == 0 or cred.euid in (target.suid, target.uid) or cred.uid in (target.suid, target.uid)


def switch(task: Task, file: FileDescription, fd: int, on: bool) -> None:
    """F_SETFL or FIOASYNC changed O_ASYNC."""
    if on and file.sigio is None:
        file.sigio = SigioWaiter(task.kernel, file, fd)
        file.queue.add(file.sigio)
    elif not on and file.sigio is not None:
        file.queue.remove(file.sigio)
        file.sigio = None
