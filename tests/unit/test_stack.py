"""The initial stack, compared with what Linux 6.18 builds."""

from __future__ import annotations

from struct import unpack_from

from translator import stack

TOP = 0x7FFFFFFFF000


def words_at(image: stack.InitialStack, addr: int, count: int) -> tuple[int, ...]:
    return unpack_from(f"<{count}Q", image.content, addr - image.pointer)


def string_at(image: stack.InitialStack, addr: int) -> bytes:
    start = addr - image.pointer
    return image.content[start:image.content.index(0, start)]


def test_layout() -> None:
    auxv = [(stack.AT_PAGESZ, 4096), (stack.AT_RANDOM, 0), (stack.AT_EXECFN, 0), (stack.AT_PLATFORM, 0)]
    image = stack.build(TOP, [b"./prog", b"one"], [b"A=1", b"B=22"], b"/bin/prog", bytes(range(16)), auxv)
    assert image.pointer % 16 == 0
    assert image.pointer + len(image.content) == TOP
    assert image.content[-8:] == bytes(8)
    argc, argv0, argv1, end, env0, env1, end2 = words_at(image, image.pointer, 7)
    assert (argc, end, end2) == (2, 0, 0)
    assert [string_at(image, addr) for addr in (argv0, argv1, env0, env1)] == [b"./prog", b"one", b"A=1", b"B=22"]
    assert (image.arg_start, image.arg_end, image.env_start) == (argv0, env0, env0)
    assert image.env_end == env1 + 5
    pairs = words_at(image, image.pointer + 56, 10)
    table = dict(zip(pairs[::2], pairs[1::2], strict=True))
    assert table[stack.AT_PAGESZ] == 4096 and table[stack.AT_NULL] == 0
    assert string_at(image, table[stack.AT_PLATFORM]) == b"x86_64"
    assert string_at(image, table[stack.AT_EXECFN]) == b"/bin/prog"
    assert table[stack.AT_EXECFN] == TOP - 8 - 10
    assert image.content[table[stack.AT_RANDOM] - image.pointer:][:16] == bytes(range(16))
    assert image.auxv == image.content[56:56 + 80]


def test_addresses_as_linux_gives_them() -> None:
    """Seen with setarch -R: 23 pairs of auxv, argv at 0x7fffffffe808, argv[0] at ...eade, the name at ...efee."""
    name = b"/tmp/auxv"
    environment = [b"X" * (0x7FFFFFFFEFEE - 0x7FFFFFFFEAEC - 1)]
    argv = [name, b"a", b"b"]
    auxv = [(kind, 1) for kind in (33, 51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 26, 31, 15, 27, 28)]
    image = stack.build(TOP, argv, environment, name, bytes(16), auxv)
    assert image.arg_start == 0x7FFFFFFFEADE
    pairs = unpack_from("<46Q", image.auxv)
    table = dict(zip(pairs[::2], pairs[1::2], strict=True))
    assert table[stack.AT_RANDOM] == 0x7FFFFFFFEAB9
    assert table[stack.AT_PLATFORM] == 0x7FFFFFFFEAC9
    assert table[stack.AT_EXECFN] == 0x7FFFFFFFEFEE


def test_empty_argv_gets_one_empty_string() -> None:
    image = stack.build(TOP, [], [], b"x", bytes(16), [])
    argc, argv0, end = words_at(image, image.pointer, 3)
    assert (argc, end) == (1, 0)
    assert string_at(image, argv0) == b""


def test_limits() -> None:
    eight_mib = 8 << 20
    assert stack.fits([b"a" * 131071], [], b"f", eight_mib)
    assert not stack.fits([b"a" * 131072], [], b"f", eight_mib)
    assert not stack.fits([b"a" * 131000] * 17, [], b"f", eight_mib)
    assert stack.fits([b"a" * 131000] * 15, [], b"f", eight_mib)
    # However small the stack limit, 128 KiB are allowed; however large, not more than 6 MiB.
    assert stack.fits([b"a" * 1000] * 100, [], b"f", 4096)
    assert not stack.fits([b"a" * 1000] * 200, [], b"f", 4096)
    assert not stack.fits([b"a" * 131000] * 49, [], b"f", 2**64 - 1)
    assert not stack.fits([b""] * 300000, [], b"f", eight_mib)
