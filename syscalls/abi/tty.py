"""Terminal settings: include/uapi/asm-generic/termbits.h, termbits-common.h and termios.h."""

from __future__ import annotations

from struct import Struct

# c_iflag
IGNBRK, BRKINT, IGNPAR, PARMRK, INPCK, ISTRIP = 0o1, 0o2, 0o4, 0o10, 0o20, 0o40
INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY, IXOFF, IMAXBEL, IUTF8 = (
    0o100, 0o200, 0o400, 0o1000, 0o2000, 0o4000, 0o10000, 0o20000, 0o40000)

# c_oflag
OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, OFILL, OFDEL = 0o1, 0o2, 0o4, 0o10, 0o20, 0o40, 0o100, 0o200
TABDLY, XTABS = 0o14000, 0o14000

# c_cflag
CBAUD, CSIZE, CS8, CREAD, PARENB, HUPCL, BOTHER = 0o10017, 0o60, 0o60, 0o200, 0o400, 0o2000, 0o10000
B38400 = 0o17
IBSHIFT = 16

# c_lflag
ISIG, ICANON, XCASE, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, TOSTOP = (
    0o1, 0o2, 0o4, 0o10, 0o20, 0o40, 0o100, 0o200, 0o400)
ECHOCTL, ECHOPRT, ECHOKE, FLUSHO, PENDIN, IEXTEN, EXTPROC = (
    0o1000, 0o2000, 0o4000, 0o10000, 0o40000, 0o100000, 0o200000)

# c_cc
(VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL, VREPRINT, VDISCARD, VWERASE,
 VLNEXT, VEOL2) = range(17)
NCCS = 19
DISABLED = 0
"""_POSIX_VDISABLE: the value of a c_cc entry that is off."""
INIT_C_CC = bytes((0o3, 0o34, 0o177, 0o25, 0o4, 0, 1, 0, 0o21, 0o23, 0o32, 0, 0o22, 0o17, 0o27, 0o26, 0, 0, 0))

TERMIOS = Struct("<IIIIB19s")
"""struct termios: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc."""
TERMIOS2 = Struct("<IIIIB19sII")
"""struct termios2: the same, and c_ispeed, c_ospeed."""
TERMIO = Struct("<HHHHB8sx")
"""struct termio of System V."""
WINSIZE = Struct("<HHHH")
"""struct winsize: rows, columns, x and y pixels."""

BAUD_RATES = {0: 0, 1: 50, 2: 75, 3: 110, 4: 134, 5: 150, 6: 200, 7: 300, 8: 600, 9: 1200, 10: 1800, 11: 2400,
              12: 4800, 13: 9600, 14: 19200, 15: 38400, 0o10001: 57600, 0o10002: 115200, 0o10003: 230400,
              0o10004: 460800, 0o10005: 500000, 0o10006: 576000, 0o10007: 921600, 0o10010: 1000000,
              0o10011: 1152000, 0o10012: 1500000, 0o10013: 2000000, 0o10014: 2500000, 0o10015: 3000000,
              0o10016: 3500000, 0o10017: 4000000}
"""Bits per second by the CBAUD bits."""

# TIOCPKT status bits (include/uapi/asm-generic/ioctls.h)
(TIOCPKT_DATA, TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE, TIOCPKT_STOP, TIOCPKT_START, TIOCPKT_NOSTOP, TIOCPKT_DOSTOP,
 TIOCPKT_IOCTL) = 0, 1, 2, 4, 8, 16, 32, 64

# tcflow(3), tcflush(3)
TCOOFF, TCOON, TCIOFF, TCION = range(4)
TCIFLUSH, TCOFLUSH, TCIOFLUSH = range(3)

TTYAUX_MAJOR, TTY_MAJOR, PTS_MAJOR, PTM_MAJOR = 5, 4, 136, 128


class Termios:
    """The settings of a terminal (struct ktermios).  Speeds are bits per second."""

    __slots__ = ("cc", "cflag", "iflag", "ispeed", "lflag", "line", "oflag", "ospeed")

    def __init__(self, iflag: int, oflag: int, cflag: int, lflag: int, line: int = 0, cc: bytes = INIT_C_CC,
                 ispeed: int = 38400, ospeed: int = 38400) -> None:
        self.iflag = iflag
        self.oflag = oflag
        self.cflag = cflag
        self.lflag = lflag
        self.line = line
        self.cc = cc
        self.ispeed = ispeed
        self.ospeed = ospeed

    def copy(self) -> Termios:
        return Termios(self.iflag, self.oflag, self.cflag, self.lflag, self.line, self.cc, self.ispeed, self.ospeed)

    def same(self, other: Termios) -> bool:
        return self.pack2() == other.pack2()

    def pack(self) -> bytes:
        """struct termios, 36 bytes."""
        return TERMIOS.pack(self.iflag, self.oflag, self.cflag, self.lflag, self.line, self.cc)

    def pack2(self) -> bytes:
        """struct termios2, 44 bytes."""
        return TERMIOS2.pack(self.iflag, self.oflag, self.cflag, self.lflag, self.line, self.cc, self.ispeed,
                             self.ospeed)

    def pack_termio(self) -> bytes:
        """struct termio: the low halves, and eight characters."""
        return TERMIO.pack(self.iflag & 0xFFFF, self.oflag & 0xFFFF, self.cflag & 0xFFFF, self.lflag & 0xFFFF,
                           self.line, self.cc[:8])

    @classmethod
    def unpack(cls, data: bytes, old: Termios) -> Termios:
        """From struct termios; the speeds follow c_cflag, BOTHER keeps those of `old` (tty_termios_baud_rate)."""
        iflag, oflag, cflag, lflag, line, cc = TERMIOS.unpack(data)
        out = cls(iflag, oflag, cflag, lflag, line, cc, old.ispeed, old.ospeed)
        out.set_speeds()
        return out

    @classmethod
    def unpack2(cls, data: bytes) -> Termios:
        out = cls(*TERMIOS2.unpack(data))
        out.set_speeds()
        return out

    def set_speeds(self) -> None:
        baud = self.cflag & CBAUD
        if baud != BOTHER:
            self.ospeed = BAUD_RATES.get(baud, 0)
        input_baud = self.cflag >> IBSHIFT & CBAUD
        if input_baud == 0:
            self.ispeed = self.ospeed
        elif input_baud != BOTHER:
            self.ispeed = BAUD_RATES.get(input_baud, 0)

    @classmethod
    def unpack_termio(cls, data: bytes, old: Termios) -> Termios:
        iflag, oflag, cflag, lflag, line, cc = TERMIO.unpack(data)
        high = 0xFFFF0000
        out = cls(old.iflag & high | iflag, old.oflag & high | oflag, old.cflag & high | cflag,
                  old.lflag & high | lflag, line, cc + old.cc[8:], old.ispeed, old.ospeed)
        out.set_speeds()
        return out


def default_termios() -> Termios:
    """tty_std_termios, without the HUPCL that ptys leave out (unix98_pty_init)."""
    return Termios(ICRNL | IXON, OPOST | ONLCR, B38400 | CS8 | CREAD,
                   ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN)


def device_number(major: int, minor: int) -> int:
    """dev_t as stat(2) shows it (new_encode_dev)."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def split_device(number: int) -> tuple[int, int]:
    return number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
