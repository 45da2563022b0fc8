"""Long proofs that strangers' nets and requests do no harm: `make torture`, not `make test`.

Each part starts a service of its own as a process, over a data folder of its own, and ends in rows
of one table: what was measured, what it should be, and whether it is.
"""
