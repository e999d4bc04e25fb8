"""``hung_fuse.py FOLDER``: mounts a FUSE file system there that takes every request and answers none, but for the first.

Spoken to the kernel directly: the device, the ``mount`` call, and the one answer that makes the file system usable.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

HEADER = struct.Struct("=IIQQIIII")  # length, opcode, unique, node, uid, gid, pid, padding
ANSWER = struct.Struct("=IiQ")  # length, error, unique


def main(folder: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    data = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"hung", folder.encode(), b"fuse.hung", 0, data) != 0:
        raise OSError(ctypes.get_errno(), f"mount on {folder}")
    _, _, unique, *_ = HEADER.unpack_from(os.read(device, 1 << 17))
    init = struct.pack("=IIIIHHI", 7, 31, 0, 0, 0, 0, 4096).ljust(64, b"\0")
    os.write(device, ANSWER.pack(ANSWER.size + len(init), 0, unique) + init)
    print("mounted", flush=True)
    while True:
        os.read(device, 1 << 17)  # taken, and never answered
        print("taken", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    main(sys.argv[1])
