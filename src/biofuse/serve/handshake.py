"""More requests under way than the kernel allows a FUSE mount by default.

The kernel reads ahead with requests in the background, of which a mount has twelve unless
its first reply, to INIT, says otherwise. Twelve that wait for a slow store would hold up
every other file. libfuse and pyfuse3 have no way to say so; here the reply is edited on
its way: for that one request, libfuse has an end of a socket pair in place of the device.
"""

import contextlib
import logging
import os
import select
import socket
import stat
import struct

import pyfuse3
import trio

logger = logging.getLogger("biofuse.serve")

# As many as anyone has readers for. The kernel lowers it for an ordinary user of a small machine.
MAX_BACKGROUND = 1024
# From here on the kernel reads less ahead; three quarters are what libfuse takes.
CONGESTION = MAX_BACKGROUND * 3 // 4

_FUSE_DEVICE = os.makedev(10, 229)
_INIT = 26
# struct fuse_in_header begins with length and opcode.
_REQUEST = struct.Struct("=II")
# struct fuse_out_header: length, error, unique.
_REPLY = struct.Struct("=IiQ")
# struct fuse_init_out: major, minor, max_readahead, flags come before these two.
_LIMITS = struct.Struct("=HH")
_LIMITS_AT = _REPLY.size + 16
# Beyond what an INIT takes.
_MAX_MESSAGE = 1 << 16


async def shake_hands() -> None:
    """Have libfuse answer the kernel's first request, and raise the limits in its answer.

    Between `pyfuse3.init` and the `pyfuse3.main` that serves. Where the device's descriptor
    cannot be told, the limits stay what they are.
    """
    session = _session_fd()
    # The request was there when mounting returned.
    if session is None or not _is_readable(session):
        logger.info("the mount has the kernel's default of background requests")
        return
    device = os.dup(session)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    try:
        os.dup2(theirs.fileno(), session, inheritable=False)
        # A mount that has ended meanwhile is what `pyfuse3.main` finds out as ever.
        with contextlib.suppress(OSError):
            await _relay(device, trio.socket.from_stdlib_socket(ours))
    finally:
        os.dup2(device, session, inheritable=False)
        os.close(device)
        ours.close()
        theirs.close()


async def _relay(device: int, libfuse: trio.socket.SocketType) -> None:
    request = os.read(device, _MAX_MESSAGE)
    await libfuse.send(request)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pyfuse3.main)
        reply = await libfuse.recv(_MAX_MESSAGE)
        # It waits for the next request, and is to do so at the device.
        nursery.cancel_scope.cancel()
    if _REQUEST.unpack_from(request)[1] == _INIT:
        reply = raise_limits(reply)
    os.write(device, reply)


def raise_limits(reply: bytes) -> bytes:
    """A reply to INIT with more requests in the background; one that is an error as it is."""
    if _REPLY.unpack_from(reply)[1] != 0 or len(reply) < _LIMITS_AT + _LIMITS.size:
        return reply
    edited = bytearray(reply)
    _LIMITS.pack_into(edited, _LIMITS_AT, MAX_BACKGROUND, CONGESTION)
    return bytes(edited)


def _is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _session_fd() -> int | None:
    """The descriptor of /dev/fuse that libfuse has opened; None if there is not one."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            continue
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _FUSE_DEVICE:
            found.append(int(name))
    return found[0] if len(found) == 1 else None
