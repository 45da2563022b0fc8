"""Words about the job that a worker is doing, on a socket of their own."""

from __future__ import annotations

import struct

WORD = struct.Struct("<cQ")  # a word, and the number of the job that it is about
STOP = b"s"  # end it
STAGE = b"?"  # what is it at? Answered with one of these:
OPENING, RUNNING = b"o", b"r"
