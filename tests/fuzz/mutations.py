"""Hypothesis strategies that break good files: bits, runs of bytes, lengths, pieces, and characters of text."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY_BYTES = [b"\0" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xfe", b"=cmd()"]
NASTY_TEXT = [
    "", '"', ",", "\n", "\r", "\0", "\ufeff", "nan", "inf", "-inf", "1e400", "1e30", "-1", "9" * 40, "=1+1", "../x",
    "/etc/passwd", "\u202e", "\ud7ff", "\x1b[31m", "a" * 300, "[" * 3000, "{" * 50, "true", "None", "'", "#", "=",
]  # fmt: skip


@st.composite
def broken_bytes(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good file with up to eight things wrong with it."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        if draw(st.booleans()):
            place = min(place, draw(st.integers(0, 600)))  # headers are where it hurts
        how = draw(st.sampled_from(["flip", "set", "cut", "drop", "repeat", "nasty", "insert"]))
        length = draw(st.integers(1, 64))
        if how == "flip" and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "set" and data:
            data[place] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[place:]
        elif how == "drop":
            del data[place : place + length]
        elif how == "repeat":
            data[place:place] = data[place : place + length]
        elif how == "nasty":
            nasty = draw(st.sampled_from(NASTY_BYTES))
            data[place : place + len(nasty)] = nasty
        else:
            data[place:place] = draw(st.binary(max_size=32))
    return bytes(data)


@st.composite
def broken_text(draw: st.DrawFn, seeds: list[str]) -> bytes:
    """A good text with pieces changed; sometimes not even UTF-8."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 12))
        new = draw(st.sampled_from(NASTY_TEXT) | st.text(max_size=8))
        text = text[:place] + new + text[place + length :]
    data = text.encode("utf-8", "surrogatepass")
    return draw(broken_bytes([data])) if draw(st.integers(0, 4)) == 0 else data


def said_in_one_line(error: Exception) -> None:
    """What a person sees of an error is one line."""
    assert str(error).splitlines() == [str(error)], repr(error)
