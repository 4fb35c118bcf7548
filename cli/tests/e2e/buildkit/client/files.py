"""File synchronisation, both ways: a directory is sent packet by packet, or received."""

import fnmatch
import os
import queue
import stat as modes
import threading

from wire import fsutil_pb2

STAT, REQ, DATA, FIN, ERR = range(5)

# Go's FileMode bits beside the permissions.
DIRECTORY, SYMLINK, DEVICE, PIPE = 1 << 31, 1 << 27, 1 << 26, 1 << 25

PIECE = 32 << 10


def packet(kind, **fields):
    return fsutil_pb2.Packet(type=kind, **fields)


def go_mode(status):
    kind = {modes.S_IFDIR: DIRECTORY, modes.S_IFLNK: SYMLINK, modes.S_IFIFO: PIPE}.get(modes.S_IFMT(status.st_mode), 0)
    return kind | (status.st_mode & 0o777)


def walk(root, include, exclude):
    """Paths below root in the protocol's order: that of their parts."""
    found = []
    for directory, names, files in os.walk(root):
        below = os.path.relpath(directory, root)
        for name in names + files:
            path = name if below == "." else f"{below}/{name}"
            found.append(path)
    found.sort(key=lambda path: path.split("/"))
    wanted = [path for path in found if matches(path, include, True) and not matches(path, exclude, False)]
    return wanted


def matches(path, patterns, default):
    if not patterns:
        return default
    parts = path.split("/")
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatch.fnmatchcase(prefix, pattern) for prefix in prefixes for pattern in patterns)


def send(root, requests, metadata, sent):
    """Answers one DiffCopy call about `root`; the paths whose content was asked for are added to `sent`."""
    get = lambda key: [value for name, value in metadata if name == key]
    paths = walk(root, get("include-patterns") + get("followpaths"), get("exclude-patterns"))
    outgoing = queue.Queue()

    def answer():
        try:
            for request in requests:
                if request.type == REQ:
                    sent.append(paths[request.ID])
                    with open(os.path.join(root, paths[request.ID]), "rb") as file:
                        while data := file.read(PIECE):
                            outgoing.put(packet(DATA, ID=request.ID, data=data))
                    outgoing.put(packet(DATA, ID=request.ID))
                elif request.type == FIN:
                    outgoing.put(packet(FIN))
                    break
                elif request.type == ERR:
                    break
        finally:
            outgoing.put(None)

    threading.Thread(target=answer, daemon=True).start()
    for path in paths:
        yield packet(STAT, stat=describe(root, path))
    yield packet(STAT)
    while (message := outgoing.get()) is not None:
        yield message


def describe(root, path):
    status = os.lstat(os.path.join(root, path))
    is_link = modes.S_ISLNK(status.st_mode)
    return fsutil_pb2.Stat(
        path=path,
        mode=go_mode(status),
        size=status.st_size if modes.S_ISREG(status.st_mode) else 0,
        modTime=status.st_mtime_ns,
        linkname=os.readlink(os.path.join(root, path)) if is_link else "",
    )


def receive(root, packets):
    """Takes a directory over; yields what is to be said to the sender."""
    files, names = {}, []
    os.makedirs(root, exist_ok=True)
    for message in packets:
        if message.type == STAT and message.HasField("stat"):
            names.append(message.stat)
            make(root, message.stat)
            if is_file(message.stat):
                files[len(names) - 1] = open(os.path.join(root, message.stat.path), "wb")
                yield packet(REQ, ID=len(names) - 1)
        elif message.type == STAT:
            if not files:
                yield packet(FIN)
        elif message.type == DATA:
            if message.data:
                files[message.ID].write(message.data)
                continue
            files.pop(message.ID).close()
            if not files:
                yield packet(FIN)
        elif message.type == FIN:
            return
        else:
            raise RuntimeError(f"the sender says {message.data!r}")


def is_file(stat):
    return not stat.mode & (DIRECTORY | SYMLINK | DEVICE | PIPE) and not stat.linkname


def make(root, stat):
    path = os.path.join(root, stat.path)
    if stat.mode & DIRECTORY:
        os.makedirs(path, exist_ok=True)
    elif stat.mode & SYMLINK:
        os.symlink(stat.linkname, path)
    elif stat.linkname:
        os.link(os.path.join(root, stat.linkname), path)
