"""Every vector of archive-formats.md 4 that the API's ciphers meet."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.api.ciphers import (
    BlockForm,
    UndecryptableError,
    base64_bytes,
    decrypt_block,
    decrypt_counter_text,
    encrypt_block,
    encrypt_counter_text,
    legacy_key,
)
from backstay.archives import cipher

KEYS = [
    ("", "66e94bd4ef8a2c3b884cfa59ca342b2e", "aae06992acbf52a3e8f4a96ec9300bd7", "dc95c078a2408989ad48a21492842087"),
    ("a", "6084dd49147b5d057ae3f881b90ee7dd", "e37fb34145b5ed2f5e52170122c242fa", "8a182adce7d18072ed6a215e4c85eb4b"),
    (
        "password",
        "dbd7bb45c7b0ea45eabca45360d459c4",
        "c585a9cb6a1ab2b2e6ff38b4f443d8f1",
        "050ed874b24597d8f966a9f93ac7fd6e",
    ),
    (
        "test",
        "a1992e7823d9df860df53c925335a9da",
        "4d409946a684586eddcb50944ced06dd",
        "0deb0bc2f34dab3803ebc412ccf8432a",
    ),
    (
        "hello",
        "86f274b4974e6982ad7c4e04db2aaa54",
        "80fd514559066b515728fcd18930902e",
        "b3c7387539f1789d577e55d38fe8437d",
    ),
    ("bar", "7a34fc9a7106f3dff3708cddf6b9f9ac", "91fd123ebc388d6abd87fd57e50f7f57", "f0f089521831c8b58b8f0657e455a97a"),
    (
        "0123456789abcdef",
        "72727e881edcfd0100a718687909b565",
        "89b14a4cb5838aba9c2619c9ecc4718b",
        "45ffe7840a4559169be71309b6373707",
    ),
    (
        "0123456789abcdef0123456789abcdef",
        "72727e881edcfd0100a718687909b565",
        "da6c0e29c6927225e61f590db4ea78f7",
        "f83c9a60dc0cdb98219f79d6d5db1635",
    ),
    (
        "correct horse battery staple",
        "ae0837669a89d10c6a5863169994dbf9",
        "7141cc67beb3acf11e19827beeecb716",
        "120d9df8d5dcb5ee1ddb3a241c023938",
    ),
    (
        "pässwörd",
        "ee5f7efe41037c022837554ff9936d37",
        "9c2bbf4218ff504566baefd6b8bef3f5",
        "638dc2863c4deee7493d40ba94ac7759",
    ),
    (
        "ThisIsASecretKeyLongerThan32Bytes!!",
        "511ac9151b88d11d6bda9df6789b14a6",
        "d86f5826f8dcd2be8c77d8725670e336",
        "5c41bc0e718f05421fe3ab75c5ccac27",
    ),
]

LONG = "0123456789abcdef0123456789abcdef"
REQUEST = '{"challenge":"x","method":"getVersion"}'

LEGACY_BLOCKS = [
    ("hello", "password", 128, bytes.fromhex("2eb9420ef1d646c5b7565462ccf1fa8605000000")),
    ("hello", "password", 256, bytes.fromhex("781b4825475d587ddbb33ef65f10fc7205000000")),
    ("hello", LONG, 128, bytes.fromhex("f7be979b87b1e2f284b85bbf52cad5cf05000000")),
    ("hello", LONG, 256, bytes.fromhex("064ce2145fba92891fc7e1c2cc4a26f005000000")),
    ("A" * 16, "password", 128, bytes.fromhex("d373987b21dacaa018b52223eadd35a410000000")),
    ("A" * 16, "password", 256, bytes.fromhex("10160e221107451399a06f7e7813739710000000")),
    ("", "any", 128, bytes(4)),
    ("", "any", 256, bytes(4)),
    (
        REQUEST,
        "password",
        128,
        base64.b64decode("yuue08t2iSrlsTtwl7cDH4Kt8YcjHI0BLpYW6roR0R+51x0twxeFeeHKW+XKpfzcJwAAAA=="),
    ),
    (
        REQUEST,
        "password",
        256,
        base64.b64decode("esznWCe7KzOxmRFM0iyvN9kCyqv/UhZ/iKRIHOVOpROBFJVk7p5+76kOWCaxtvnrJwAAAA=="),
    ),
]

STORED_IV = "190960c5aeef849f23f1d655269c3aca4a504956101112131415161718191a1b1c1d1e1f05000000"
SALTED = (
    "Xpjr4r9iX5+nm/vxeWC1XEpQU1QAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5Ojs8PT4/"
    "SlBJVhAREhMUFRYXGBkaGxwdHh8FAAAA"
)

COUNTER_TEXTS = [
    ("hello", "password", "AQIDBAUGBwg45WcbsA==", "AQIDBAUGBwg5F7vqeg=="),
    ("hello", "pässwörd", "AQIDBAUGBwjYzR3NGg==", "AQIDBAUGBwiG1Y6U0Q=="),
    ("hello", LONG, "AQIDBAUGBwg7aAxjhw==", "AQIDBAUGBwhw/dJYdQ=="),
    (
        "The quick brown fox jumps over the lazy dog",
        "password",
        "AQIDBAUGBwgE6G5Xrj0Q3T0Y8PnaSUitIyL+gn7ZRU/lfoXQ8jIojZMCd+zfhbVxBZLL",
        "AQIDBAUGBwgFGrKmZDWj98lRkVxatf+suDUeyAN2DVRJQeA5TC+DrA4xgMO/YRgMwtM2",
    ),
    (
        REQUEST,
        "password",
        "AQIDBAUGBwgromgfviQV2zhf96mPHF6vaW/rx2DER1u0ZMjB8jRenIkUPu/Q3bE=",
        "AQIDBAUGBwgqULTudCym8cwWlgwP4Omu8ngLjR1rD0AYW60oTCn1vRQnycCwORw=",
    ),
    ("", "any", "AQIDBAUGBwg=", "AQIDBAUGBwg="),
]


@pytest.mark.parametrize(("password", "for_128", "for_192", "for_256"), KEYS)
def test_the_legacy_key_is_the_documented_one(password: str, for_128: str, for_192: str, for_256: str) -> None:
    assert legacy_key(password, 128).hex() == for_128
    assert legacy_key(password, 192).hex() == for_192 + for_192[:16]
    assert legacy_key(password, 256).hex() == for_256 * 2


@pytest.mark.parametrize(("plain", "password", "bits", "block"), LEGACY_BLOCKS)
def test_legacy_blocks_are_written_and_read_as_documented(plain: str, password: str, bits: int, block: bytes) -> None:
    assert encrypt_block(plain.encode(), password, bits, BlockForm.LEGACY) == block
    assert decrypt_block(block, password, bits).plain == plain.encode()
    assert decrypt_block(block, password, bits).form is BlockForm.LEGACY


def test_a_block_with_a_stored_vector_is_read() -> None:
    opened = decrypt_block(bytes.fromhex(STORED_IV), "password", 128)
    assert (opened.plain, opened.form) == (b"hello", BlockForm.RANDOM_IV)


@pytest.mark.parametrize("bits", [128, 256])
def test_a_salted_block_is_read_with_either_size(bits: int) -> None:
    opened = decrypt_block(base64.b64decode(SALTED), "password", bits)
    assert (opened.plain, opened.form) == (b"hello", BlockForm.SALTED)


@pytest.mark.parametrize(("plain", "password", "for_128", "for_256"), COUNTER_TEXTS)
def test_counter_texts_are_written_and_read_as_documented(
    plain: str, password: str, for_128: str, for_256: str
) -> None:
    nonce = bytes(range(1, 9))
    for bits, text in ((128, for_128), (256, for_256)):
        assert encrypt_counter_text(plain.encode(), password, bits, nonce=nonce) == text
        assert decrypt_counter_text(text, password, bits) == plain.encode()


def test_a_counter_text_of_the_real_encryptor_is_read() -> None:
    assert decrypt_counter_text("8NIBa1RUVFSS9O6JOA==", "password", 128) == b"hello"


def test_generated_nonces_begin_with_the_second_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0x1_FE0D0C0B + 0.9)
    made = [base64.b64decode(encrypt_counter_text(b"x", "password", 128)) for _ in range(2)]
    assert [len(text) for text in made] == [9, 9]
    assert [text[:4] for text in made] == [b"\x0b\x0c\x0d\xfe"] * 2
    assert made[0][4:8] != made[1][4:8]


def test_vectors_and_salts_are_made_anew_for_each_block() -> None:
    for form, ends in ((BlockForm.RANDOM_IV, [-20]), (BlockForm.SALTED, [-20, -88])):
        first, second = (encrypt_block(b"x" * 16, "password", 128, form) for _ in range(2))
        assert first[:16] != second[:16]
        assert all(first[end : end + 16] != second[end : end + 16] for end in ends)


@pytest.mark.parametrize("size", [0, 16, 17, 64, 100])
@pytest.mark.parametrize("form", BlockForm)
def test_the_trailer_is_told_from_the_content_at_every_length(form: BlockForm, size: int) -> None:
    plain = bytes(range(size))
    opened = decrypt_block(encrypt_block(plain, "password", 128, form), "password", 128)
    assert (opened.plain, opened.form) == (plain, form)


def test_passwords_of_any_bytes_are_taken() -> None:
    assert legacy_key("caf\udce9", 128) == cipher.legacy_key(b"caf\xe9", 128)
    for form in BlockForm:
        opened = decrypt_block(encrypt_block(b"x", "caf\udce9", 128, form), "caf\udce9", 128)
        assert opened.plain == b"x"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("+/8=", b"\xfb\xff"),
        (" +/8= \n", b"\xfb\xff"),
        ("Y /8", b"c\xef\xfc"),
        ("Y\nW\rJ\r\nj", b"abc"),
        ("YWI", b"ab"),
        ("YQ", b"a"),
        ("YQ=", b"a"),
    ],
)
def test_base64_that_a_form_or_a_mailer_changed_is_put_right(text: str, data: bytes) -> None:
    assert base64_bytes(text) == data


@pytest.mark.parametrize("text", ["Y", "Y*Jj", "YWJj!", "é", "Y\tWJj", "YQ==YQ==", "_-8="])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(UndecryptableError):
        base64_bytes(text)


@pytest.mark.parametrize("text", ["", "AQIDBAUGBw=="])
def test_texts_without_a_whole_nonce_are_refused(text: str) -> None:
    with pytest.raises(UndecryptableError):
        decrypt_counter_text(text, "password", 128)


@pytest.mark.parametrize(
    "block", [b"", b"abc", b"x" * 15 + bytes(4), b"x" * 16 + b"\x11\0\0\0", b"x" * 16 + b"\xff" * 4]
)
def test_blocks_that_are_cut_or_of_another_length_are_refused(block: bytes) -> None:
    with pytest.raises(UndecryptableError):
        decrypt_block(block, "password", 128)


@given(
    st.binary(max_size=200),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.sampled_from([128, 256]),
    st.sampled_from(BlockForm),
)
def test_what_was_encrypted_decrypts_to_the_same(plain: bytes, password: str, bits: int, form: BlockForm) -> None:
    opened = decrypt_block(encrypt_block(plain, password, bits, form), password, bits)
    assert (opened.plain, opened.form) == (plain, form)


@given(st.binary(max_size=300))
def test_any_bytes_decrypt_to_something_or_are_refused(block: bytes) -> None:
    try:
        opened = decrypt_block(block, "password", 128)
    except UndecryptableError:
        return
    assert len(opened.plain) <= len(block)


@given(st.text(max_size=100))
def test_any_text_decrypts_to_something_or_is_refused(text: str) -> None:
    try:
        plain = decrypt_counter_text(text, "password", 256)
    except UndecryptableError:
        return
    assert len(plain) <= len(text)
