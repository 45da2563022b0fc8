"""Words about the job that a worker is doing, on a socket of their own."""

from __future__ import annotations

import struct

# A word, the number of the job that it is about, and seconds where the word needs some.
WORD = struct.Struct("<cQd")
STOP = b"s"  # end it
STAGE = b"?"  # what is it at? Answered with one of these:
OPENING, RUNNING = b"o", b"r"
DEADLINE = b"d"  # a worker has read that a job may take no more than so many seconds
