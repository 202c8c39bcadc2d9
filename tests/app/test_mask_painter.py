"""What the browser sends of a painted mask."""

import base64

import pytest

pytest.importorskip("streamlit")

from faststyle.app.mask_painter import PREFIXES, decode_mask
from faststyle.errors import ImageError

PNG = PREFIXES["png"]


def test_a_mask_is_the_bytes_that_were_sent() -> None:
    assert decode_mask(None) is None
    assert decode_mask(PNG + base64.b64encode(b"png").decode()) == b"png"


@pytest.mark.parametrize("sent", ["", "x", 5, {"a": 1}, "data:text/html;base64,AAAA", PNG + "%", PNG + "é", PNG + "A"])
def test_anything_else_is_refused(sent: object) -> None:
    with pytest.raises(ImageError, match="^the painted mask is no picture$"):
        decode_mask(sent)
