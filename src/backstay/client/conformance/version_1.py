"""Checks of version 1: envelope, tolerated forms, order of errors (api-v1-encapsulation.md)."""

from __future__ import annotations

import json
from dataclasses import replace

from backstay.api.envelope import Encapsulation
from backstay.client.conformance.probe import Checks, FailedError, Group, NotOfferedError, Probe, expect, require
from backstay.client.endpoints import Verb
from backstay.client.sync import Client
from backstay.errors import AuthenticationError

checks = Checks(Group.VERSION_1)


def _envelope(body: object, **members: object) -> str:
    return json.dumps({"encapsulation": 1, "body": body, **members})


@checks
def plain(probe: Probe) -> None:
    """A plain request with a good challenge is answered."""
    expect(probe.answer_1(_envelope(probe.inner_1())), 200)


@checks
def get(probe: Probe) -> None:
    """GET is answered as POST is."""
    endpoint = replace(probe.endpoint(1), verb=Verb.GET)
    with Client(probe.url, probe.secret, endpoint=endpoint, timeout=probe.timeout, verify=probe.verify) as client:
        client.get_version()


@checks
def marks(probe: Probe) -> None:
    """The reply stands between ### marks, its body an object, its data a string."""
    text = probe.ask_1(_envelope(probe.inner_1())).text
    require(text.count("###") >= 2, "there are no marks")
    reply = json.loads(text[text.find("###") + 3 : text.rfind("###")])
    require(isinstance(reply["body"]["status"], int), "the status is no number")
    require(isinstance(reply["body"]["data"], str), "the data is no string")
    require(isinstance(json.loads(reply["body"]["data"]), dict), "the data holds no object")


@checks
def partial(probe: Probe) -> None:
    """A request without an encapsulation is taken as plain."""
    expect(probe.answer_1(json.dumps({"body": probe.inner_1()})), 200)


@checks
def legacy(probe: Probe) -> None:
    """The old form, a JSON string, is taken as plain."""
    expect(probe.answer_1(json.dumps(probe.inner_1())), 200)


@checks
def nuls(probe: Probe) -> None:
    """NULs behind the body do not matter."""
    expect(probe.answer_1(_envelope(probe.inner_1() + "\0\0")), 200)


@checks
def blanks(probe: Probe) -> None:
    """A line break behind the body, or a blank before it, is refused with status 401."""
    expect(probe.answer_1(_envelope(probe.inner_1() + "\n")), 401)
    expect(probe.answer_1(_envelope(" " + probe.inner_1())), 401)


@checks
def numeric_text(probe: Probe) -> None:
    """A numeric text is taken as the number of an encapsulation, and echoed as a text."""
    reply = probe.ask_1(_envelope(probe.inner_1(), encapsulation="1")).text
    require('"encapsulation":"1"' in reply.replace(" ", ""), "the id is not echoed as it was sent")


@checks
def no_json(probe: Probe) -> None:
    """What is not JSON is answered with status 500 and JSON decoding error."""
    for text in ("{oops", "null"):
        expect(probe.answer_1(text), 500, "JSON decoding error")


@checks
def unknown(probe: Probe) -> None:
    """An unknown encapsulation is answered with status 503 before the body is looked at."""
    expect(probe.answer_1(_envelope("rubbish", encapsulation=9)), 503)


@checks
def refused(probe: Probe) -> None:
    """A missing body, a wrong challenge and a salt of one character are answered with status 401."""
    for text in ("{}", "[]", "true", "5"):
        expect(probe.answer_1(text), 401, "Authentication failed")
    for wrong in ("foo:" + "0" * 32, "foo", "", None):
        expect(probe.answer_1(_envelope(probe.inner_1(challenge=wrong))), 401, "Authentication failed")


@checks
def methods(probe: Probe) -> None:
    """Methods are matched without regard to case; an unknown one is status 405, named as sent."""
    expect(probe.answer_1(_envelope(probe.inner_1("GETVERSION"))), 200)
    expect(probe.answer_1(_envelope(probe.inner_1("noSuchMethod"))), 405, "Invalid method noSuchMethod")


def _encrypted(probe: Probe, kind: Encapsulation) -> None:
    probe.endpoint(1)
    address = f"{probe.endpoint(1).url}?{'&'.join('='.join(pair) for pair in probe.endpoint(1).query)}"
    with Client(address, probe.secret, encapsulation=kind, timeout=probe.timeout, verify=probe.verify) as client:
        try:
            client.get_version()
        except AuthenticationError as error:
            if "encapsulation" in str(error):
                raise NotOfferedError("the server does not take this encryption") from None
            raise FailedError(str(error)) from None


@checks
def counter_128(probe: Probe) -> None:
    """AES-CTR with 128 bits is understood."""
    _encrypted(probe, Encapsulation.AESCTR128)


@checks
def counter_256(probe: Probe) -> None:
    """AES-CTR with 256 bits is understood."""
    _encrypted(probe, Encapsulation.AESCTR256)


@checks
def block_128(probe: Probe) -> None:
    """AES-CBC with 128 bits is understood."""
    _encrypted(probe, Encapsulation.AESCBC128)


@checks
def block_256(probe: Probe) -> None:
    """AES-CBC with 256 bits is understood."""
    _encrypted(probe, Encapsulation.AESCBC256)
