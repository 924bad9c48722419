"""Downloads: whatever a server or a line does, a wrong file never gets the model's name."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from sqlite_utils_muninn.models.errors import PullError
from sqlite_utils_muninn.models.files.pull import Wanted, pull
from tests.models.file_server import FileServer

CONTENT = random.Random(1).randbytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


def known(url: str) -> Wanted:
    return Wanted(url, SIZE, DIGEST)


def left_over(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_comes_whole_and_progress_reaches_its_size(tmp_path):
    seen = []
    with FileServer(CONTENT) as server:
        digest = pull(
            known(server.url),
            tmp_path / "m.gguf",
            progress=lambda done, total: seen.append((done, total)),
        )
    assert digest == DIGEST
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert left_over(tmp_path) == ["m.gguf"]
    assert seen[0] == (0, SIZE)
    assert seen[-1] == (SIZE, SIZE)
    assert sorted(seen) == seen


def test_unknown_size_and_checksum_are_taken_as_they_come(tmp_path):
    with FileServer(CONTENT, length=False, etag=None) as server:
        assert pull(Wanted(server.url), tmp_path / "m.gguf") == DIGEST


def test_a_cut_connection_is_taken_up_where_it_broke(tmp_path):
    with FileServer(CONTENT, cut_after=1_000_000) as server:
        pull(known(server.url), tmp_path / "m.gguf", pause=0.01)
        ranges = [request.get("Range") for request in server.does.requests]
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert ranges == [None, "bytes=1000000-", "bytes=2000000-"]


def pull_until_it_breaks(server: FileServer, wanted: Wanted, directory: Path) -> None:
    """The first answer is cut, every later one is an error; then the server is well again."""

    def progress(done: int, total: int | None) -> None:
        if done:
            server.does.status, server.does.statuses = 503, 1_000_000

    with pytest.raises(PullError, match=r"broke off.*1000000 bytes are kept"):
        pull(wanted, directory / "m.gguf", pause=0.001, progress=progress)
    server.does.status = None


def test_a_part_of_an_earlier_process_is_taken_up(tmp_path):
    with FileServer(CONTENT, cut_after=1_000_000, cuts=1) as server:
        pull_until_it_breaks(server, known(server.url), tmp_path)
        pull(known(server.url), tmp_path / "m.gguf")
        last = server.does.requests[-1]
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT
    assert (last["Range"], last["If-Range"]) == ("bytes=1000000-", '"v1"')


def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path):
    with FileServer(b"old" * 500_000, cut_after=1_000_000, cuts=1) as server:
        pull_until_it_breaks(server, Wanted(server.url), tmp_path)
        server.does.content, server.does.etag = CONTENT, '"v2"'
        assert pull(Wanted(server.url), tmp_path / "m.gguf") == DIGEST
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_without_a_validator_a_part_is_mended_by_the_checksum(tmp_path):
    """A part of another file is only found out at the end: then all is fetched again."""
    (tmp_path / "m.gguf.part").write_bytes(b"x" * 1000)
    with FileServer(CONTENT, etag=None) as server:
        (tmp_path / "m.gguf.part.json").write_text(f'{{"url": "{server.url}", "validator": null}}')
        assert pull(known(server.url), tmp_path / "m.gguf") == DIGEST
        assert [request.get("Range") for request in server.does.requests] == ["bytes=1000-", None]
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


def test_without_validator_and_checksum_a_part_is_not_trusted(tmp_path):
    (tmp_path / "m.gguf.part").write_bytes(b"x" * 1000)
    with FileServer(CONTENT, etag=None) as server:
        (tmp_path / "m.gguf.part.json").write_text(f'{{"url": "{server.url}", "validator": null}}')
        assert pull(Wanted(server.url), tmp_path / "m.gguf") == DIGEST
        assert "Range" not in server.does.requests[0]


@pytest.mark.parametrize("note", [None, "{", '{"url": "http://elsewhere/"}', "[]"])
def test_a_part_of_unknown_origin_is_not_trusted(tmp_path, note):
    (tmp_path / "m.gguf.part").write_bytes(b"x" * 1000)
    if note is not None:
        (tmp_path / "m.gguf.part.json").write_text(note)
    with FileServer(CONTENT) as server:
        assert pull(known(server.url), tmp_path / "m.gguf") == DIGEST
        assert "Range" not in server.does.requests[0]


def test_a_server_that_ignores_ranges(tmp_path):
    with FileServer(CONTENT, ranges=False, cut_after=1_000_000, cuts=1) as server:
        assert pull(known(server.url), tmp_path / "m.gguf", pause=0.01) == DIGEST
    assert (tmp_path / "m.gguf").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_complete_part_needs_no_second_download(tmp_path, size):
    (tmp_path / "m.gguf.part").write_bytes(CONTENT)
    with FileServer(CONTENT) as server:
        (tmp_path / "m.gguf.part.json").write_text(
            f'{{"url": "{server.url}", "validator": "\\"v1\\""}}'
        )
        assert pull(Wanted(server.url, size, DIGEST), tmp_path / "m.gguf") == DIGEST
        assert len(server.does.requests) == (0 if size else 1)


def test_a_part_that_is_too_long_is_thrown_away(tmp_path):
    (tmp_path / "m.gguf.part").write_bytes(CONTENT + b"more")
    with FileServer(CONTENT) as server:
        (tmp_path / "m.gguf.part.json").write_text(
            f'{{"url": "{server.url}", "validator": "\\"v1\\""}}'
        )
        assert pull(known(server.url), tmp_path / "m.gguf", pause=0.01) == DIGEST


def test_wrong_bytes_are_deleted_and_both_checksums_told(tmp_path):
    wrong = bytes(SIZE)
    with FileServer(wrong) as server, pytest.raises(PullError) as caught:
        pull(known(server.url), tmp_path / "m.gguf")
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value)
    assert DIGEST in str(caught.value)
    assert left_over(tmp_path) == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(tmp_path):
    with (
        FileServer(b"<html>login</html>") as server,
        pytest.raises(PullError, match="has 18 bytes, but 3000000 are expected"),
    ):
        pull(known(server.url), tmp_path / "m.gguf")
    assert left_over(tmp_path) == []


def test_an_endless_answer_is_stopped_at_the_known_size(tmp_path):
    with (
        FileServer(CONTENT + b"x", length=False) as server,
        pytest.raises(PullError, match="goes on after its 3000000 bytes"),
    ):
        pull(known(server.url), tmp_path / "m.gguf")


def test_a_file_that_is_not_accepted_leaves_nothing(tmp_path):
    def refuse(path: Path) -> None:
        assert path.read_bytes() == CONTENT
        raise ValueError("m.gguf is corrupt")

    with FileServer(CONTENT) as server, pytest.raises(ValueError, match=r"m\.gguf is corrupt"):
        pull(known(server.url), tmp_path / "m.gguf", accept=refuse)
    assert left_over(tmp_path) == []


def test_an_older_file_stays_when_the_new_one_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"old")
    with FileServer(bytes(SIZE)) as server, pytest.raises(PullError):
        pull(known(server.url), tmp_path / "m.gguf")
    assert (tmp_path / "m.gguf").read_bytes() == b"old"


def test_a_short_outage_is_waited_for(tmp_path):
    with FileServer(CONTENT, status=503, statuses=2) as server:
        assert pull(known(server.url), tmp_path / "m.gguf", pause=0.01) == DIGEST


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "is not there: the server answered 404"),
        (403, r"wants a login \(403\).*muninn models add"),
        (401, r"wants a login \(401\)"),
        (503, r"broke off \(the server answered 503 Service Unavailable\)"),
    ],
)
def test_a_refusal_is_told_in_one_sentence(tmp_path, status, message):
    with FileServer(CONTENT, status=status) as server, pytest.raises(PullError, match=message):
        pull(known(server.url), tmp_path / "m.gguf", pause=0.001)
    assert left_over(tmp_path) == []


def test_no_network(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/m.gguf"
        with pytest.raises(PullError, match=r"cannot be reached .*muninn models add"):
            pull(Wanted(url), tmp_path / "m.gguf")
    assert left_over(tmp_path) == []


def test_compressed_content_is_refused(tmp_path):
    with (
        FileServer(CONTENT, extra={"Content-Encoding": "gzip"}) as server,
        pytest.raises(PullError, match="comes compressed"),
    ):
        pull(known(server.url), tmp_path / "m.gguf")


def test_a_directory_that_cannot_be_written(tmp_path):
    with FileServer(CONTENT) as server, pytest.raises(PullError, match="cannot be written"):
        pull(known(server.url), tmp_path / "missing" / "m.gguf")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_keeps_the_part_and_says_so(tmp_path):
    """A limit on the size of files stands for the full disk: the write fails half-way."""
    script = """
        import resource, sys
        from pathlib import Path
        from sqlite_utils_muninn.models.files.pull import Wanted, pull
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
        try:
            pull(Wanted(sys.argv[1]), Path(sys.argv[2]))
        except ValueError as error:
            print(error)
    """
    with FileServer(CONTENT) as server:
        target = tmp_path / "m.gguf"
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), server.url, str(target)],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            check=True,
        )
        assert f"{target} cannot be written: File too large" in done.stdout
        assert not target.exists()
        assert os.path.getsize(tmp_path / "m.gguf.part") == 1_500_000
        assert pull(known(server.url), target) == DIGEST
        assert server.does.requests[-1]["Range"] == "bytes=1500000-"


def test_more_than_the_disk_holds_is_refused_at_once(tmp_path):
    with (
        FileServer(b"", extra={"Content-Length": str(1 << 60)}, length=False) as server,
        pytest.raises(PullError, match=r"bytes free, but 1152921504606846976 more are needed"),
    ):
        pull(Wanted(server.url), tmp_path / "m.gguf")
