"""What connects the guests to the streams, the terminal (console_tty.py) and the job that pylx was started in.

`Job` makes the first process's job pylx's own: signals sent to pylx are sent on, and when that job stops, pylx stops.
"""

from __future__ import annotations

from syscalls.abi.errno import LinuxError
from syscalls.abi.fs import O_ACCMODE, O_APPEND, O_LARGEFILE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY
from syscalls.abi.signal import (
    SI_USER,
    SIGCONT,
    SIGHUP,
    SIGINT,
    SIGQUIT,
    SIGTSTP,
    SIGWINCH,
)
from syscalls.fd import FileDescription
from syscalls.fs.inode import S_IFCHR, S_IFMT, S_IFREG
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.console_tty import Console
    from syscalls.fs.inode import Inode, Stat
    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.hosts.base import HostFile

STOP_CHECK_NS = 1_000_000
STDIN, STDERR = 0, 2


class Job:
    """The first process as the host sees it: signals and stops of pylx are its own."""

    def __init__(self, kernel: Kernel, console: Console | None) -> None:
        self.kernel = kernel
        self.console = console
        self.stop_signal = 0
        self.continued = False
        """SIGCONT has come since pylx was to stop."""
        self.passed_on = 0
        """The last signal that went to the first process alone."""

    def received(self, signo: int) -> None:
        """The host reports a signal sent to pylx."""
        console = self.console
        init = self.kernel.init
        if init.ended:
            self._send_rest(signo)
            return
        if signo == SIGWINCH and console is not None and console.update_size():
            return
        if signo == SIGCONT:
            self.continued = True
            if console is not None:
                console.resume()
            self._send(init.signals.stopped, signo)
        elif signo in {SIGINT, SIGQUIT, SIGTSTP} and console is not None and not console.is_raw:
            # Most likely typed at the terminal, whose own line discipline is in charge.
            pgrp = console.pgrp
            if pgrp is not None and console.terminal.foreground():
                console.ldisc.flush_input()
                console.signal_group(signo)
            else:
                self._send(False, signo)
        else:
            # The shell sends SIGHUP to whole jobs; of others it is not known.
            self._send(signo == SIGHUP, signo)

    def _send(self, whole_job: bool, signo: int) -> None:
        from syscalls.siginfo import SigInfo
        from syscalls.signals import send_group, send_pgrp
        init = self.kernel.init
        info = SigInfo(signo, SI_USER)
        if whole_job and init.pgrp.members:
            send_pgrp(init.pgrp, info)
        else:
            self.passed_on = signo
            send_group(init, info)

    def _send_rest(self, signo: int) -> None:
        """The first process is gone, and what it left behind is all of pylx's job."""
        from syscalls.siginfo import SigInfo
        from syscalls.signals import send_group
        if signo != SIGWINCH:
            for group in list(self.kernel.groups.values()):
                send_group(group, SigInfo(signo, SI_USER))
                if group.signals.stopped and signo != SIGTSTP:
                    send_group(group, SigInfo(SIGCONT, SI_USER))

    def first_ended(self) -> None:
        """The terminal goes back to the host; processes that remain find themselves in the background.

        Whoever kills pylx with SIGTERM (timeout, a supervisor, `kill %1`) means the job, most of them by a signal to a
        whole process group, of which pylx only gets its part: what ended the first process goes to the rest."""
        if self.console is not None:
            self.console.give_back()
        init = self.kernel.init
        if self.passed_on and init.exit_status & 0x7F == self.passed_on and init.pgrp.members:
            from syscalls.siginfo import SigInfo
            from syscalls.signals import send_pgrp
            send_pgrp(init.pgrp, SigInfo(self.passed_on, SI_USER))

    def first_stopped(self, signo: int) -> None:
        """The first process has stopped: pylx stops once its whole job has."""
        self.stop_signal = signo
        self._check(STOP_CHECK_NS)

    def _check(self, delay_ns: int) -> None:
        init = self.kernel.init
        if not init.signals.stopped:
            return
        if all(group.signals.stopped for group in init.pgrp.members if group.leader.state not in {"Z", "X"}):
            self.kernel.start_timer(0, self._suspend)
        else:
            self.kernel.start_timer(self.kernel.clock.monotonic() + delay_ns,
                                    lambda: self._check(min(delay_ns * 2, 100_000_000)))

    def _suspend(self) -> None:
        """Stop pylx; returns when it goes on, and so does the job."""
        kernel, console = self.kernel, self.console
        if not kernel.init.signals.stopped:
            return
        if console is not None:
            console.drain()
            if console.is_raw:
                console.terminal.suspend()
        self.continued = False
        kernel.host.stop_self(self.stop_signal)
        kernel.poller.poll(0)
        if console is not None:
            console.host_orphan = not self.continued and not console.terminal.foreground()
            console.resume()
        if kernel.init.signals.stopped:
            self._send(True, SIGCONT)


def attach(kernel: Kernel) -> None:
    """Connect the kernel, whose first process exists already, with the host's terminal and signals."""
    terminal = None if kernel.deterministic and not _any_terminal(kernel) else kernel.host.terminal()
    init = kernel.init
    console = None
    if terminal is not None:
        from syscalls.console_tty import Console
        try:
            console = Console(kernel, terminal, init.session)
        except HostError:
            console = None
    if console is not None:
        kernel.console = console
        console.session = init.session
        console.pgrp = init.pgrp
        init.session.tty = console
        kernel.at_shutdown.append(console.close)
        if console.name.startswith(b"pts/"):
            from syscalls.fs.devpts import TTY_GID, pty_table
            pty_table(kernel).add(console, int(console.name[4:]), kernel.host.ids()[0], TTY_GID, 0o620)
    job = Job(kernel, console)
    kernel.first_stopped = job.first_stopped
    kernel.first_ended = job.first_ended
    kernel.host.on_signal(job.received)


def _any_terminal(kernel: Kernel) -> bool:
    return any(kernel.host.stream_is_terminal(number) for number in range(3))


def open_standard_streams(kernel: Kernel, task: Task) -> None:
    """Install descriptors 0, 1 and 2 of the first process, and what else pylx inherited; one that is closed in pylx
    stays closed.  Streams that are the terminal share one description, as a shell's do."""
    terminal_file: FileDescription | None = None
    for number in (0, 1, 2, *kernel.host.inherited()):
        if kernel.console is not None and _is_console(kernel, kernel.console, number):
            if terminal_file is None:
                terminal_file = _open_console(kernel.console, task)
            task.files.place(task, number, terminal_file, False)
            continue
        host_file = kernel.host.stream(number)
        if host_file is not None:
            task.files.place(task, number, _open_stream(kernel, task, number, host_file), False)


def _is_console(kernel: Kernel, console: Console, number: int) -> bool:
    """Whether a stream is the terminal pylx was started on, and not another one (`pylx program >/dev/pts/5`)."""
    if not kernel.host.stream_is_terminal(number):
        return False
    file = kernel.host.stream(number)
    rdev = file.stat().rdev if file is not None else 0
    return not rdev or rdev == console.device or not console.name.startswith(b"pts/")


def _open_console(console: Console, task: Task) -> FileDescription:
    location = task.kernel.vfs.resolve(task, b"/dev/" + console.name)
    return console.open(task, O_RDWR, location.inode, location.pin())


def _open_stream(kernel: Kernel, task: Task, number: int, host_file: HostFile) -> FileDescription:
    from syscalls.hoststream import HostStream, SharedFile
    stat = host_file.stat()
    flags = _stream_flags(kernel, number)
    if stat.mode & S_IFMT == S_IFCHR:
        from syscalls.fs.devfs import device_path
        path = device_path(stat.rdev)
        if path is not None:
            # /dev/null and its like: the guest's own, which it can map and name.
            location = kernel.vfs.resolve(task, path)
            file = location.inode.open(task, flags, location.pin())
            host_file.close()
            return file
    inode: Inode | None = None
    location_or_none = _find(kernel, task, number, stat)
    if location_or_none is not None:
        inode = location_or_none.inode
    return HostStream(kernel, SharedFile(host_file), flags, stat, inode, location_or_none)


def _host_link(kernel: Kernel, name: bytes) -> bytes | None:
    """What the host's own /proc says of pylx, where there is one."""
    try:
        tree = kernel.host.tree(b"/", False)
    except HostError:
        return None
    try:
        return tree.readlink(b"proc/%d/" % kernel.host.pid() + name)
    except HostError:
        return None
    finally:
        tree.close()


def _stream_flags(kernel: Kernel, number: int) -> int:
    """The access mode and O_APPEND of a standard stream: by the host's /proc, else what such streams are for."""
    try:
        tree = kernel.host.tree(b"/", False)
    except HostError:
        tree = None
    if tree is not None:
        try:
            file = tree.open(b"proc/%d/fdinfo/%d" % (kernel.host.pid(), number), O_RDONLY, 0)
            try:
                for line in file.read(512).splitlines():
                    if line.startswith(b"flags:"):
                        return int(line.split()[1], 8) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_LARGEFILE)
            finally:
                file.close()
        except HostError:
            pass
        finally:
            tree.close()
    return O_RDONLY if number == STDIN else O_WRONLY if number < STDERR else O_RDWR


def _find(kernel: Kernel, task: Task, number: int, stat: Stat) -> Location | None:
    """Where in the guest's tree the file of a stream is, if its name on the host leads there too."""
    if stat.mode & S_IFMT != S_IFREG:
        return None
    path = _host_link(kernel, b"fd/%d" % number)
    if path is None or not path.startswith(b"/"):
        return None
    try:
        location = kernel.vfs.resolve(task, path)
        found = location.inode.stat(task)
    except (LinuxError, HostError):
        return None
    return location.pin() if (found.dev, found.ino) == (stat.dev, stat.ino) else None
