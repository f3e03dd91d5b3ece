"""Conversions and brackets against PHP itself, whose habits the API inherited."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from typing import Any
from urllib.parse import parse_qsl

import pytest

from backstay.api.conversion import integer
from backstay.api.envelope import php_json
from backstay.api.wire import decode_parameters, encode_parameters

pytestmark = pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed")


def php(program: str, value: Any) -> Any:
    """Runs a program on ``$value`` and gives what it returns."""
    read = "$value = json_decode(stream_get_contents(STDIN), true);"
    code = f"{read} $run = function($value) {{ {program} }}; echo json_encode($run($value));"
    done = subprocess.run(["php", "-r", code], input=json.dumps(value), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_integers_are_read_as_php_reads_them() -> None:
    texts = [
        "12abc",
        "abc",
        "",
        " 7",
        "\t\n8",
        "-3",
        "+3",
        "- 3",
        "3.9",
        ".5",
        "-.5",
        "1e3",
        "1e",
        "1e+2x",
        "0x1A",
        "0b1",
    ]
    texts += ["1_000", "٣", "9" * 18, "007", "1.", "1.5e1", "--1", "e5", "\x0b9", "12 34"]
    assert [integer(text) for text in texts] == php("return array_map('intval', $value);", texts)


def test_brackets_are_read_as_php_reads_them() -> None:
    queries = [
        "a[]=x&a[]=y",
        "a[b][c]=x&a[b][d]=y",
        "a[5]=x&a[]=y",
        "a=1&a[b]=2",
        "a[b]=1&a=2",
        "a[b]c=1",
        "a[b][c=1",
        "a[b][]=1&a[b][]=2",
        "data[filters][tables][0]=x&data[filters][tables][1]=y",
        "o[x.y]=1&o[p q]=2",
        "a[0][b]=1&a[1][b]=2",
    ]
    read = php("return array_map(function($q) { parse_str($q, $r); return $r; }, $value);", queries)
    assert [decode_parameters(parse_qsl(query, keep_blank_values=True)) for query in queries] == read


def test_our_brackets_are_read_by_php() -> None:
    data: dict[str, Any] = {
        "profile": 1,
        "overrides": {"a.b": "ż", "c": {"d": ["1", "2"]}},
        "list": ["x", ["y"]],
        "on": True,
    }
    pairs = [list(pair) for pair in encode_parameters(data)]
    program = """
        $query = implode('&', array_map(fn($p) => urlencode($p[0]) . '=' . urlencode($p[1]), $value));
        parse_str($query, $read);
        return $read;
    """
    assert php(program, pairs) == data | {"profile": "1", "on": "1"}


def test_random_brackets_are_read_as_php_reads_them() -> None:
    chance = random.Random(11)
    queries = []
    for _ in range(400):
        names = [
            "abc"[chance.randrange(3)]
            + "".join(f"[{chance.choice(['', 'x', 'y', '0', '1', '7'])}]" for _ in range(chance.randrange(4)))
            for _ in range(chance.randrange(1, 5))
        ]
        queries.append("&".join(f"{name}={index}" for index, name in enumerate(names)))
    read = php("return array_map(function($q) { parse_str($q, $r); return $r; }, $value);", queries)
    for query, by_php in zip(queries, read, strict=True):
        assert decode_parameters(parse_qsl(query, keep_blank_values=True)) == by_php, query


def test_our_json_is_written_as_php_writes_it() -> None:
    values: list[Any] = ["a/b", "é😀", 'x"\\\n\t\x01', {"k": [1, True, None, 1.5, "</script>"]}, [], "###"]
    assert [php_json(value) for value in values] == php("return array_map('json_encode', $value);", values)
