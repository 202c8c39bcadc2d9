"""Public-domain paintings from where museums and Wikimedia Commons have them."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.error import HTTPError

from faststyle.errors import DataError, FaststyleError
from faststyle.files import replacing
from faststyle.imaging.reading import read_picture
from faststyle.training.download import download

log = logging.getLogger(__name__)

SUMS = "SHA256SUMS"  # beside the paintings, as sha256sum writes and checks it


@dataclass(frozen=True)
class Source:
    """Where a painting is. sha256: of the file there; None where a server may make it anew, as Commons its sizes: then
    it is recorded at the first download, and what is there later is checked against that."""

    url: str
    sha256: str | None = None


def _commons(file: str) -> Source:
    """A file on Wikimedia Commons, 1280 pixels wide: the originals have up to 700 megapixels."""
    return Source(f"https://commons.wikimedia.org/wiki/Special:FilePath/{file}?width=1280")


def _met(file: str) -> Source:
    """The Metropolitan Museum's own photograph, CC0."""
    return Source(f"https://images.metmuseum.org/CRDImages/{file}")


SOURCES = {  # by the names of the pages in conf/style/
    "starry_night": _commons("Van_Gogh_-_Starry_Night_-_Google_Art_Project.jpg"),
    "great_wave": _commons("Tsunami_by_hokusai_19th_century.jpg"),
    "the_scream": _commons(
        "Edvard_Munch,_1893,_The_Scream,_oil,_tempera_and_pastel_on_cardboard,_91_x_73_cm,"
        "_National_Gallery_of_Norway.jpg"
    ),
    "composition_vii": _commons("Vassily_Kandinsky,_1913_-_Composition_7.jpg"),
    "van_gogh_night_cafe": _commons("Vincent_Willem_van_Gogh_076.jpg"),
    "matisse_woman_with_a_hat": _commons("Matisse-Woman-with-a-Hat.jpg"),
    "delaunay_portrait": _commons(
        "Robert_Delaunay,_1906,_Portrait_de_Metzinger,_oil_on_canvas,_55_x_43_cm,_DSC08255.jpg"
    ),
    "van_gogh_wheat_field": _met("ep/original/DT1567.jpg"),
    "van_gogh_self_portrait": _met("ep/original/DT1502_cropped2.jpg"),
}


def fetch(names: Sequence[str], folder: Path) -> list[str]:
    """Downloads the named paintings, all of ``SOURCES`` if there are none, as ``folder``/NAME.jpg; a broken download
    goes on where it stopped, and what is there is checked. Returns the failures, a line each.

    Raises ``DataError`` on a name that is not in ``SOURCES``, and where there is no connection.
    """
    if unknown := [name for name in names if name not in SOURCES]:
        raise DataError(f"no download is known of {', '.join(unknown)}; known: {', '.join(SOURCES)}")
    failures = []
    for name in dict.fromkeys(names or SOURCES):
        try:
            fetch_one(name, folder)
        except FaststyleError as error:
            if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, HTTPError):
                raise  # there is no connection: the others would fail, too
            failures.append(f"{name}: {error}")
    return failures


def fetch_one(name: str, folder: Path) -> Path:
    """Downloads one painting, or checks that which is there. Raises ``DataError``."""
    path, source = folder / f"{name}.jpg", SOURCES[name]
    known = source.sha256 or read_sums(folder).get(path.name)
    if path.is_file():
        check(path, known)
        log.info("%s is there", path)
        return path
    download(source.url, path, check=partial(check, known=known))
    write_sum(path)
    log.info("%s from %s", path, source.url)
    return path


def check(path: Path, known: str | None) -> None:
    """Raises ``DataError`` unless a file is a picture, and, if a hash is known, that very one."""
    if known not in (None, found := sha256(path)):
        raise DataError(f"{path} has SHA-256 {found[:16]}..., expected {known[:16]}...: delete it to fetch it anew")
    try:
        read_picture(path)
    except FaststyleError as error:
        raise DataError(f"what came is no picture ({error})") from None


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(folder: Path) -> dict[str, str]:
    """Hashes by file name, of the paintings that were downloaded to a folder."""
    path = folder / SUMS
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return {name: found for found, _, name in (line.partition("  ") for line in lines)}


def write_sum(path: Path) -> None:
    sums = read_sums(path.parent) | {path.name: sha256(path)}
    with replacing(path.parent / SUMS) as temporary:
        temporary.write_text("".join(f"{found}  {name}\n" for name, found in sorted(sums.items())))
