"""JPS as bytes: the worked examples and vectors of the format notes."""

from __future__ import annotations

import bisect
import hashlib
import struct
from pathlib import Path

import pytest

from archives import examples
from archives.trees import TIME, begin, file_source, fill, write
from backstay.archives import Entry, EntryType, Source, create_archive, open_archive, pack, resume_archive
from backstay.archives.codec import stored_blocks
from backstay.archives.jps.cipher import Decryptor, derived_key, encrypt, encrypted_size, legacy_key
from backstay.archives.jps.layout import CHUNK_HEAD, pack_archive_header
from backstay.archives.jps.writing import largest_chunk
from backstay.errors import DamagedArchiveError, UsageError, WrongPasswordError

FILE = EntryType.FILE
SALT = bytes(range(64))


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (examples.JPS_19, "96e5a657b362d62259bf746267f07fef1185bd4ba76af6fc31351e488dc930c9"),
        (examples.JPS_110, "30f2192511443fbbd269c3f71772ecbd78a4d8d0dd3d67ae9979a50228e4e771"),
        (examples.JPS_20, "150258bdb871539b31d246fdc4e22f512dcc05e46485f02c7a1f7c48bc8acb4f"),
    ],
)
def test_examples_are_read(tmp_path: Path, data: bytes, digest: str) -> None:
    assert hashlib.sha256(data).hexdigest() == digest
    path = tmp_path / "a.jps"
    path.write_bytes(data)
    with open_archive(path, password="password") as archive:
        assert list(archive) == [Entry("a.txt", EntryType.FILE, 14, 16, 0o100644, TIME)]
        assert b"".join(archive.read(archive.entry("a.txt"))) == b"Hello, world!\n"
        assert archive.verify().ok
    for wrong in ("Password", "", None):
        with pytest.raises(WrongPasswordError):
            open_archive(path, password=wrong)


def test_an_archive_with_a_salt_in_each_block_is_read(tmp_path: Path) -> None:
    def block(plain: bytes, salt: bytes) -> bytes:
        made = encrypt(derived_key(b"password", salt, "sha1", 2500), plain)
        return made[:-24] + b"JPST" + salt + made[-24:]

    plain = bytes.fromhex("0500612e74787401010e000000a481000000f15365")
    deflated = bytes.fromhex("f348cdc9c9d75128cf2fca4951e40200")
    header, chunk = block(plain, SALT), block(deflated, SALT[::-1])
    start = pack_archive_header(bytes(64), split=False)
    start = start[:15] + struct.pack("<IB", 2500, 0) + start[20:]
    path = tmp_path / "a.jps"
    path.write_bytes(
        start
        + struct.pack("<3sHH", b"JPF", len(header), len(plain))
        + header
        + struct.pack("<II", len(chunk), len(deflated))
        + chunk
        + struct.pack("<3sHIII", b"JPE", 1, 1, 14, 16)
    )
    with open_archive(path, password="password") as archive:
        assert b"".join(archive.read(archive.entry("a.txt"))) == b"Hello, world!\n"
    with pytest.raises(WrongPasswordError):
        open_archive(path, password="wrong")


LEGACY = {
    "": "66e94bd4ef8a2c3b884cfa59ca342b2e",
    "a": "6084dd49147b5d057ae3f881b90ee7dd",
    "password": "dbd7bb45c7b0ea45eabca45360d459c4",
    "test": "a1992e7823d9df860df53c925335a9da",
    "hello": "86f274b4974e6982ad7c4e04db2aaa54",
    "bar": "7a34fc9a7106f3dff3708cddf6b9f9ac",
    "0123456789abcdef": "72727e881edcfd0100a718687909b565",
    "0123456789abcdef0123456789abcdef": "72727e881edcfd0100a718687909b565",
    "correct horse battery staple": "ae0837669a89d10c6a5863169994dbf9",
    "pässwörd": "ee5f7efe41037c022837554ff9936d37",
    "ThisIsASecretKeyLongerThan32Bytes!!": "511ac9151b88d11d6bda9df6789b14a6",
}


@pytest.mark.parametrize("password", LEGACY)
def test_legacy_keys(password: str) -> None:
    assert legacy_key(password.encode()).hex() == LEGACY[password]


@pytest.mark.parametrize(
    ("password", "name", "iterations", "salt", "key"),
    [
        ("password", "sha1", 1000, bytes(64), "9aa949658ae4362c910687180eac9403"),
        ("password", "sha1", 1000, SALT, "a6eae636537d038b8606d71c546732a4"),
        ("password", "sha1", 2500, bytes(64), "e356c31c749475ed4d0c1b39daedfb09"),
        ("password", "sha1", 2500, SALT, "b4476b0b26003c4849adc2f0592ab4e8"),
        ("password", "sha1", 128000, bytes(64), "d3ded7b6e0dbc1e758ee27826107af6c"),
        ("password", "sha1", 128000, SALT, "08820fd6657639ced4778821fe71999e"),
        ("password", "sha256", 1000, bytes(64), "25a3466e3ea770ab7d054354f0c11b60"),
        ("password", "sha256", 1000, SALT, "5f13e6f0ef9102086dea98d9375105b7"),
        ("password", "sha512", 1000, bytes(64), "314755ff25edfcc08a1f26ff2a6d1a60"),
        ("password", "sha512", 1000, SALT, "b1ea1939de322a9e2a7a99c77919ce22"),
        ("", "sha1", 1000, bytes(64), "94cb91d9ae850808e11ab6617fc42069"),
        ("", "sha1", 128000, bytes(64), "76bb3596d9c01b8c452b4ceb27c92518"),
        ("", "sha1", 128000, SALT, "c65ca679dda5987a87a39e4bded447e0"),
        ("pässwörd", "sha1", 1000, bytes(64), "851cd506752be868f6d1f89adb9b1b6e"),
        ("pässwörd", "sha1", 128000, bytes(64), "4b4f5793ab400eec3f7b85a4847ccaa7"),
        ("pässwörd", "sha1", 128000, SALT, "7b45e64161ff9bfd25bb7f7499461047"),
        ("correct horse battery staple", "sha1", 128000, bytes(64), "89b06371332f845859bcbbd2b21e6c40"),
        ("correct horse battery staple", "sha1", 128000, SALT, "f0bf86ce3020cd1df7736fcd6172a70f"),
        ("password", "sha1", 1000, bytes(16), "45e2221d2866f6b4a40214079def4cf4"),
    ],
)
def test_derived_keys(password: str, name: str, iterations: int, salt: bytes, key: str) -> None:
    assert derived_key(password.encode(), salt, name, iterations).hex() == key


DYNAMIC = f"5e98ebe2bf625f9fa79bfbf17960b55c4a505354{SALT.hex()}4a504956{bytes(range(16, 32)).hex()}05000000"


@pytest.mark.parametrize(
    ("block", "salt", "iterations", "plain", "password"),
    [
        ("2eb9420ef1d646c5b7565462ccf1fa8605000000", None, 0, b"hello", "password"),
        (
            "190960c5aeef849f23f1d655269c3aca4a504956101112131415161718191a1b1c1d1e1f05000000",
            None,
            0,
            b"hello",
            "password",
        ),
        (
            "010d8a68f1e085faacfdeed44beb25e94a504956101112131415161718191a1b1c1d1e1f05000000",
            SALT,
            128000,
            b"hello",
            "password",
        ),
        (DYNAMIC, None, 1000, b"hello", "password"),
        ("f7be979b87b1e2f284b85bbf52cad5cf05000000", None, 0, b"hello", "0123456789abcdef0123456789abcdef"),
        ("d373987b21dacaa018b52223eadd35a410000000", None, 0, b"A" * 16, "password"),
        ("00000000", None, 0, b"", "any"),
    ],
)
def test_blocks_are_decrypted(block: str, salt: bytes | None, iterations: int, plain: bytes, password: str) -> None:
    raw = bytes.fromhex(block)
    decryptor = Decryptor(password, salt, "sha1", iterations)
    assert decryptor.decrypt(raw, len(plain)) == plain
    with pytest.raises(DamagedArchiveError):
        decryptor.decrypt(raw, len(plain) + 1)


@pytest.mark.parametrize(
    ("size", "padded"),
    [(0, 16), (1, 16), (15, 16), (16, 16), (17, 32), (31, 32), (32, 48), (33, 48), (47, 48), (48, 64)],
)
def test_blocks_are_padded_as_the_vendor_pads(size: int, padded: int) -> None:
    key = derived_key(b"x", SALT, "sha1", 1)
    block = encrypt(key, bytes(size))
    assert len(block) == padded + 24 == encrypted_size(size)
    assert Decryptor("x", SALT, "sha1", 1).decrypt(block, size) == bytes(size)


def test_an_archive_that_is_written_begins_and_ends_as_the_notes_say(tmp_path: Path) -> None:
    summary = write(tmp_path, "jps", [file_source("a.txt", b"Hello, world!\n")])
    data = summary.parts[0].read_bytes()
    assert data[:20].hex() == "4a50530200004c004a4800014c0000" + "00f4010001"
    assert data[84:91] == b"JPF" + struct.pack("<HH", 32 + 24, 21)
    assert data[-17:-10] == b"JPE" + struct.pack("<HH", 1, 3)
    other = write(tmp_path / "other", "jps", [file_source("a.txt", b"Hello, world!\n")])
    assert other.parts[0].read_bytes()[20:84] != data[20:84]


def test_neither_names_nor_content_can_be_seen(tmp_path: Path) -> None:
    summary = write(tmp_path, "jps", [file_source("a-secret-name.txt", b"some secret text")])
    data = summary.parts[0].read_bytes()
    assert b"secret" not in data
    assert b"manifest" not in data


def test_the_end_mark_may_exceed_the_size_of_a_part(tmp_path: Path) -> None:
    sources = [file_source(f"{number}.bin", hashlib.sha256(bytes([number])).digest() * 2000) for number in range(30)]
    summary = fill(begin(tmp_path, "jps", part_size=65536), sources)
    assert all(part.stat().st_size <= 65536 + 17 for part in summary.parts)
    with open_archive(summary.parts[-1], password="pässwörd") as archive:
        assert archive.verify().ok


def most_parts_of_a_chunk(paths: list[Path]) -> int:
    """Give how many parts the chunk lies in that lies in most."""
    ends: list[int] = []
    for path in paths:
        ends.append((ends[-1] if ends else 0) + path.stat().st_size)
    with open_archive(paths[-1], password="pässwörd") as archive:
        data = b"".join(path.read_bytes() for path in paths)
        most = 0
        for entry in archive:
            assert entry.location is not None
            offset = entry.location.start
            while offset < entry.location.end:
                start = offset + CHUNK_HEAD.size
                offset = start + CHUNK_HEAD.unpack_from(data, offset)[0]
                most = max(most, bisect.bisect_left(ends, offset) - bisect.bisect_right(ends, start) + 1)
        assert archive.verify().ok
    return most


@pytest.mark.parametrize("part_size", [65536, 65537, 100_000, 1 << 20, 3 << 19])
def test_no_chunk_lies_in_more_than_two_parts(tmp_path: Path, part_size: int) -> None:
    random = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(50_000))
    (tmp_path / "large.bin").write_bytes(random * 4)
    sources = [
        *(file_source(f"a{size}.bin", random[:size]) for size in (100, part_size - 60, part_size, 1 << 20, 1_500_000)),
        Source("large.bin", FILE, 0o100644, TIME, len(random) * 4, file=str(tmp_path / "large.bin")),
        file_source("z.txt", random[:70_000]),
        # With as many entries as these the manifest takes more than a part.
        *(file_source(f"many/{number}.txt", b"") for number in range(800)),
    ]
    writer = begin(tmp_path, "jps", part_size=part_size)
    state: dict[str, object] = {}
    for number, _ in enumerate(pack(writer, sources)):
        if writer.open_entry is not None and number > 4 and writer.open_entry.content.size > 2 << 20:
            state = writer.checkpoint()
            writer.release()
            break
    writer = resume_archive(state, work_directory=tmp_path / "work", password="pässwörd")
    position = [source.path for source in sources].index("large.bin")
    summary = fill(writer, sources[position:])
    assert most_parts_of_a_chunk(summary.parts) == 2
    with open_archive(summary.parts[-1], password="pässwörd") as archive:
        assert b"".join(archive.read(archive.entry("large.bin"))) == random * 4
        assert len(list(archive)) > len(sources)


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="password"):
        create_archive(tmp_path / "a.jps", format="jps", work_directory=tmp_path)
    with pytest.raises(UsageError, match="not encrypted"):
        create_archive(tmp_path / "a.jpa", format="jpa", work_directory=tmp_path, password="x")


def test_a_header_that_asks_for_endless_key_derivation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jps"
    path.write_bytes(examples.JPS_20[:15] + b"\xff\xff\xff\xff" + examples.JPS_20[19:])
    with pytest.raises(DamagedArchiveError, match="key derivation"):
        open_archive(path, password="password")


def test_a_wrong_password_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    summary = write(tmp_path, "jps", [file_source("a.txt", b"x")])
    with pytest.raises(WrongPasswordError, match="does not open"):
        open_archive(summary.parts[0], password="guess")
    with pytest.raises(WrongPasswordError, match="needed"):
        open_archive(summary.parts[0])


@pytest.mark.parametrize("part_size", [65536, 65537, 70_001, 131_072, 1 << 20, (1 << 20) + 100])
def test_a_chunk_that_does_not_shrink_is_no_longer_than_a_part(part_size: int) -> None:
    size = largest_chunk(part_size)
    assert size > 0.99 * min(part_size, 1 << 20)
    assert encrypted_size(len(stored_blocks(bytes(size), final=True))) <= part_size
