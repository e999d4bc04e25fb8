"""What people send who mean no good: bodies that no route takes."""

from __future__ import annotations

import json

BODIES: dict[str, bytes] = {
    "empty list": b"[]",
    "list": b'["cpu"]',
    "list of objects": b'[{"profile": "analysis"}]',
    "string": b'"analysis"',
    "empty string": b'""',
    "number": b"7",
    "zero": b"0",
    "float": b"1.5",
    "true": b"true",
    "false": b"false",
    "null": b"null",
    "lists 10,000 deep": b"[" * 10_000 + b"]" * 10_000,
    "objects 10,000 deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "10,000 deep in options": b'{"user_options":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    "33 deep": b'{"profile":' + b"[" * 32 + b"]" * 32 + b"}",
    "open 10,000 deep": b"[" * 10_000,
    "1 MB": b'{"profile": "' + b"a" * 2**20 + b'"}',
    "60,000 keys": json.dumps({f"key{number}": 1 for number in range(60_000)}).encode(),
    "invalid UTF-8": b'{"profile": "\xff"}',
    "no UTF-8 at all": b"\xff\xfe\x00",
    "overlong UTF-8": b'{"profile": "\xc0\xaf"}',
    "UTF-16": '{"profile": "analysis"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"profile": "analysis"}',
    "half a surrogate": b'{"profile": "\\ud800"}',
    "half a surrogate as key": b'{"\\udfff": "x"}',
    "NaN": b'{"profile": NaN}',
    "Infinity": b'{"expires_in": -Infinity}',
    "1e400": b'{"expires_in": 1e400}',
    "a number of 5,000 digits": b'{"expires_in": ' + b"9" * 5000 + b"}",
    "twice the same key": b'{"profile": "analysis", "profile": "training"}',
    "no JSON": b"profile=analysis",
    "half JSON": b'{"profile": ',
    "two objects": b"{} {}",
    "a comment": b"{} // so",
    "single quotes": b"{'profile': 'analysis'}",
}
"""Bodies that are no JSON object, for every route."""
