"""A worker that is made up."""

from biofuse.protocol import Request


class FakeLink:
    """Takes note of what is done with the worker; has room for so many messages."""

    def __init__(self, room: int = 1 << 20):
        self.pid: int | None = None
        self.sent: list[Request] = []
        self.room = room
        self.kills = self.stops = self.starts = 0
        self.fails = False

    def start(self) -> None:
        if self.fails:
            raise OSError("no more processes")
        if self.pid is None:
            self.starts += 1
            self.pid = 77

    def send(self, message: bytes) -> bool:
        self.start()
        if self.room == 0:
            return False
        self.room -= 1
        self.sent.append(Request.unpack(message))
        return True

    def kill(self) -> None:
        self.kills += 1

    def stop(self) -> None:
        self.stops += 1
        self.pid = None
