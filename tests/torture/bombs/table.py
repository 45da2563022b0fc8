"""The bombs: what each does to a service, and the answers that are right."""

from __future__ import annotations

from functools import partial

from torture.bombs import bodies, nets, wires
from torture.bombs.attacks import Body, Bomb, Net, Wire, asking

JSON = partial(Body, content_type="application/json")
NPZ = partial(Body, content_type="application/x-npz")
GZIP = partial(JSON, content_encoding="gzip")

LATE = "call 504 deadline_exceeded"
MEMORY = "call 422 out_of_memory"
# A size that stands in the file is known before anything runs.
KNOWN = ("call 413 value_too_large", "upload 422 out_of_memory")
DEEP = "upload 413 subgraphs_too_deep"
NODES = "upload 413 too_many_nodes"
ARRAYS = "call 413 too_many_arrays"
PAIR = {"x": [0.5, 0.25]}
SQUARE = [[1, 2], [3, 4]]
MANY = 25 * 10**9  # float32 numbers of 100 GB

ENDLESS = (
    Bomb("endless Loop", Net(nets.endless_loop, PAIR), (LATE,)),
    Bomb("endless Loop, own deadline", Net(nets.endless_loop, PAIR, deadline=0.5), (LATE,)),
    Bomb("endless Loop, its gradient", Net(nets.endless_loop, PAIR, "gradient"), (LATE, MEMORY)),
    Bomb("one endless node", Net(nets.huge_product, {"x": 1, "n": [6000]}), (LATE,)),
)
LARGE = (
    Bomb("ConstantOfShape of 100 GB", Net(nets.filled, {"x": 1, "shape": [MANY]}), (MEMORY,)),
    Bomb("the same in the file", Net(partial(nets.filled_within, MANY), {"x": 1}), KNOWN),
    Bomb("Loop that stacks", Net(nets.growing_loop, {"x": 1}), (MEMORY, LATE)),
    Bomb("Loop that grows a sequence", Net(nets.growing_sequence, {"x": 1}), (MEMORY, LATE)),
    Bomb("a constant of 2 GB", Net(partial(nets.folded, 5 * 10**8), {"x": 1}, "gradient"), KNOWN),
    Bomb("a constant doubled", Net(partial(nets.doubling, 40), {"x": 1}, "gradient"), KNOWN),
    Bomb(
        "Resize by 100,000",
        Net(nets.resized, {"x": [[SQUARE]], "scales": [1, 1, 1e5, 1e5]}),
        (MEMORY,),
    ),
    Bomb("Expand to 100 GB", Net(nets.expanded, {"x": 1, "shape": [10**6, 25000]}), (MEMORY,)),
    Bomb("Range to 10^12", Net(nets.ranged, {"x": 1, "limit": 10**12}), (MEMORY,)),
    Bomb("Tile to 16 TB", Net(nets.tiled, {"x": SQUARE, "repeats": [10**6, 10**6]}), (MEMORY,)),
)
INTRICATE = (
    Bomb("If, 20 deep", Net(partial(nets.deep_if, 20), {}), (DEEP,)),
    Bomb("If, 2,000 deep", Net(partial(nets.bottomless_if, 2000), {}), (DEEP,)),
    Bomb("200,000 nodes", Net(partial(nets.many_nodes, 200_000), {}), (NODES,)),
    Bomb("recursion", Net(nets.recursive_functions, {}), ("upload 422 recursive_function",)),
    Bomb("functions of 2^40 nodes", Net(partial(nets.exponential_functions, 40), {}), (NODES,)),
)
BODIES = (
    Bomb("npz of 1 GiB", NPZ(partial(bodies.npz_bomb, 1024)), ("call 413 body_too_large",)),
    Bomb("npz that lies", NPZ(partial(bodies.lying_npz, 1024)), ("call 400 invalid_npz",)),
    Bomb("npz of 60,000 members", NPZ(partial(bodies.many_members, 60_000)), (ARRAYS,)),
    Bomb("gzip", GZIP(partial(bodies.gzip_bomb, 1024)), ("call 415 unsupported_encoding",)),
    Bomb("JSON, 10^6 deep", JSON(partial(bodies.deep_json, 10**6)), ("call 413 json_too_deep",)),
    Bomb(
        "JSON, 5 10^6 numbers",
        JSON(partial(bodies.long_json, 5 * 10**6)),
        ("call 422 wrong_shape",),
    ),
    Bomb("JSON, 10^6 keys", JSON(partial(bodies.many_keys, 10**6)), (ARRAYS,)),
)
SLOW = (
    Bomb(
        "slow headers",
        Wire(lambda t: wires.slow_headers(t.address, 3 * t.header_seconds), "header_seconds"),
        ("408 headers_too_slow", "closed"),
    ),
    Bomb(
        "a silent connection",
        Wire(lambda t: wires.silent(t.address, 3 * t.header_seconds), "header_seconds"),
        ("408 headers_too_slow", "closed"),
    ),
    Bomb(
        "slow body",
        Wire(lambda t: wires.slow_body(t.address, 3 * t.body_seconds), "body_seconds"),
        ("408 body_too_slow",),
    ),
    Bomb(
        "slow upload",
        Wire(lambda t: wires.slow_upload(t.address, 3 * t.body_seconds), "body_seconds"),
        ("408 body_too_slow",),
    ),
)
RUDE = (
    Bomb("500 aborted bodies", Wire(lambda t: wires.aborted_bodies(t.address, 500)), ("aborted",)),
    Bomb(
        "2,000 idle connections",
        Wire(lambda t: wires.idle_connections(t.address, 2000, 3)),
        ("held 2000",),
    ),
    Bomb(
        "an answer of 200 MB, never read",
        Wire(
            asking(
                "evaluate",
                nets.expanded,
                {"x": 1, "shape": [1000, 50000]},
                lambda *to: wires.never_reading(*to, 3),
            )
        ),
        ("not read",),
    ),
    Bomb(
        "a caller of an endless Loop who leaves",
        Wire(asking("evaluate", nets.endless_loop, PAIR, lambda *to: wires.leaving(*to, 0.3))),
        ("left",),
    ),
)
BOMBS: tuple[Bomb, ...] = (*ENDLESS, *LARGE, *INTRICATE, *BODIES, *SLOW, *RUDE)
