"""A download that goes on where it stopped."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from faststyle import __version__
from faststyle.errors import DataError

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
AGENT = {"User-Agent": f"faststyle/{__version__} (style transfer; Python urllib)"}  # Wikimedia refuses those without


def download(url: str, path: Path, check: Callable[[Path], None] | None = None) -> Path:
    """Fetches ``url`` into ``path``, through ``path``.part, checking the size that the server names.

    A file that is there already is taken as it is. check: raises ``DataError`` on a file that is whole, but not what it
    should be; it is removed. Raises ``DataError`` if the server cannot be reached or the
    transfer breaks; the next call goes on from there.
    """
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{path} is a folder, expected a file to download to")
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    try:
        headers = AGENT | ({"Range": f"bytes={have}-"} if have else {})
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
            have = have if resumed else 0
            total = have + int(response.headers["Content-Length"])
            with (
                part.open("ab" if resumed else "wb") as file,
                tqdm(total=total, initial=have, desc=path.name, unit="B", unit_scale=True) as bar,
            ):
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise DataError(f"cannot download {url}: {error}") from error
        total = int(error.headers["Content-Range"].rpartition("/")[2])  # "bytes */TOTAL": all of it may be here
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"download of {url} broke ({error}); the same command goes on from {part}") from error
    except (ValueError, TypeError) as error:  # of the address, or of a size that the server leaves out
        raise DataError(f"cannot download {url}: {error}") from error
    found = part.stat().st_size
    if found != total:
        raise DataError(f"{part} has {found} of {total} bytes: the same command goes on, or delete it to start afresh")
    if check:
        try:
            check(part)
        except DataError:
            part.unlink()
            raise
    part.replace(path)
    return path
