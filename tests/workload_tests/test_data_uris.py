"""Data URIs: all that RFC 2397 allows is read to the byte, and what is something else is told."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.files.attachments import Attachments
from workloads.files.data_uri import decode_data_uri, is_data_uri
from workloads.media.limits import MOST_BYTES

DATA = bytes(range(251, 256)) * 40 + b"\0\n,;"
ENCODED = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "start",
    [
        "data:image/png;base64,",
        "data:image/png;charset=utf-8;base64,",
        "data:image/png;name=page.png;base64,",
        'data:image/png;name="a,b;c.png";base64,',
        "data:image/svg+xml;charset=utf-8;name=x;base64,",
        "data:image;base64,",
        "data:;base64,",
        "data:;charset=utf-8;base64,",
        "data:application/octet-stream;base64,",
        "DATA:IMAGE/PNG;BASE64,",
        "data:image/png; base64,",
        " data:image/png;base64,\n",
        "data: image/png ;base64,",
        "data:image/png;base64;charset=utf8,",
        "data:;name=x; base64 ;charset=utf8,",
    ],
)
def test_parameters_and_a_missing_type_are_read(start: str) -> None:
    assert is_data_uri(start)
    assert decode_data_uri(start + ENCODED, "image") == DATA
    assert decode_data_uri(start + ENCODED, "video") == DATA


@pytest.mark.parametrize("start", ["data:image/png,", "data:,", "data:image/png;base64=,", "data:image/jpeg;base_64,"])
@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xff", b"GIF89a", b"RIFF....WEBP"])
def test_base64_that_does_not_say_so_is_told(start: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^holds base64, and does not say so: write ';base64,' in place"):
        decode_data_uri(start + base64.b64encode(data + DATA).decode(), "image")


@given(
    data=st.binary(max_size=200),
    breaks=st.sampled_from(["", "\n", "\r\n", " ", "\t", "%0A", "%20"]),
    width=st.integers(1, 80),
    for_urls=st.booleans(),
)
def test_base64_is_read_however_it_is_broken_and_escaped(data: bytes, breaks: str, width: int, for_urls: bool) -> None:
    encode = base64.urlsafe_b64encode if for_urls else base64.b64encode
    encoded = encode(data).decode()
    lines = breaks.join(encoded[start : start + width] for start in range(0, len(encoded), width))
    assert decode_data_uri(f"data:image/png;base64,{lines}", "image") == data
    assert decode_data_uri(f"data:image/png;base64,{quote(encoded, safe='')}", "image") == data
    assert decode_data_uri(f"data:image/png,{quote(data, safe='')}", "image") == data


@pytest.mark.parametrize(
    ("uri", "mistake"),
    [
        ("data:text/html;base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:audio/wav;base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:application/pdf;base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:imagery/png;base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:video/mp4;base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:image/png;base64", "must be a path or start with 'data:image/...;base64,'"),
        ("data:", "must be a path or start with 'data:image/...;base64,'"),
        ('data:image/png;name="a;base64,AAAA', "must be a path or start with 'data:image/...;base64,'"),
        (f"data:image/png;x={'y' * 2000};base64,AAAA", "must be a path or start with 'data:image/...;base64,'"),
        ("data:image/png;base64,AAA", "is not valid base64 (Incorrect padding)"),
        ("data:image/png;base64,A*AA", "is not valid base64 ("),
        ("data:image/png;base64,\u00e4AAA", "is not valid base64 ("),
        ("data:image/png;base64,+A-A", "is not valid base64 (it mixes"),
    ],
)
def test_what_is_no_picture_is_told(uri: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(mistake)}"):
        decode_data_uri(uri, "image")


@given(uri=st.text(alphabet='data:image/png;base64,=%AZ+-_" \n\u00e4', max_size=60))
def test_any_text_is_read_or_told(uri: str) -> None:
    told = ""
    try:
        decode_data_uri(f"data:{uri}", "image")
    except ValueError as error:
        told = str(error)
    assert told.isprintable()


def test_too_much_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"data:,{'x' * (MOST_BYTES + 1)}"
    with pytest.raises(ValueError, match="image holds more than 64 MiB"):
        Attachments(tmp_path).load(uri, "image", "image")
