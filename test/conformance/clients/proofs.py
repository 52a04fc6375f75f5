"""What the Python clients have in common: how a proof is run and reported, and the emulator's clock.

Each client is a program `CLIENT.py ENDPOINT SNS_ENDPOINT`. It prints a line of JSON for each proof:
`{"what": ..., "operations": [...], "error": null}`, or with the error's text.
"""

import hashlib
import json
import sys
import traceback
import urllib.request

ENDPOINT = sys.argv[1]
SNS_ENDPOINT = sys.argv[2]
REGION = "us-east-1"
ACCOUNT = "012345678901"
ACCESS_KEY = "moraine"
SECRET_KEY = "moraine-local"
MIB = 1024 * 1024


def prove(what, *operations):
    """Runs the function below it at once, as the proof of these operations."""

    def run(check):
        error = None
        try:
            check()
        except Exception:  # noqa: BLE001 - a proof may fail in any way, and the next one is run all the same
            error = traceback.format_exc(limit=-3)
        print(json.dumps({"what": what, "operations": operations, "error": error}), flush=True)
        return check

    return run


def equal(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def control(path, body=None):
    request = urllib.request.Request(f"{ENDPOINT}/_emulator/{path}", data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request) as reply:
        text = reply.read()
        return json.loads(text) if text else None


def advance(duration):
    """Moves the emulator's clock: an ISO 8601 duration."""
    control("clock", {"advance": duration})


def pattern(length, seed):
    """Bytes that look random and are the same each time."""
    block = b"".join(hashlib.sha256(f"{seed}/{i}".encode()).digest() for i in range(MIB // 32))
    return (block * (length // MIB + 1))[:length]


def tree_hash(data):
    """Straight from the definition, independent of client and emulator."""
    level = [hashlib.sha256(data[at : at + MIB]).digest() for at in range(0, len(data), MIB)]
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [hashlib.sha256(b"".join(pair)).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0].hex()
