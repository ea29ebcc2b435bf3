"""The example services by themselves, driven as a gateway or an attacker would: what they promise
in their README files holds."""

import json
import random
import re
import struct
import subprocess
import zlib

import pytest
import yaml
from example_program import EXAMPLES, PICTURES, ROOT, Program, chunked_request, request

JPEG = (PICTURES / "stoa.jpg").read_bytes()
PNG = (PICTURES / "island.png").read_bytes()
SEED = random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="module")
def thumbs(tmp_path_factory):
    program = Program("thumbs", tmp_path_factory.mktemp("thumbs"))
    yield program
    program.terminate()
    assert program.wait() == 0


@pytest.fixture(scope="module")
def words():
    program = Program("words")
    yield program
    program.terminate()
    assert program.wait() == 0


def short(value):
    """The name of a parameter in the test's name."""
    if isinstance(value, bytes):
        return f"{ascii(value[:40])[2:-1]}({len(value)})"
    return None


def size_of(picture):
    """(format, width, height), read from the picture's own header."""
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("png", *struct.unpack(">II", picture[16:24]))
    if picture[8:12] == b"WEBP":
        frame = picture.index(b"\x9d\x01\x2a") + 3
        return ("webp", *struct.unpack("<HH", picture[frame:frame + 4]))
    assert picture.startswith(b"\xff\xd8\xff"), picture[:16]
    frame = re.search(rb"\xff[\xc0-\xc2]..\x08(....)", picture, re.DOTALL)
    height, width = struct.unpack(">HH", frame.group(1))
    return "jpeg", width, height


def png_with_header(width, height):
    """A PNG file that announces a size and brings one row."""

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(width + 1))) + chunk(b"IEND", b""))


def assert_refused(answer, status):
    assert answer.status == status, answer
    assert answer.fields["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == status and len(problem["detail"]) > 10


# ---- what lies beside the programs


@pytest.mark.parametrize("name", ["thumbs", "words"])
def test_the_manifests_relative_paths_lead_somewhere_from_the_build_folder(name):
    folder = EXAMPLES / name
    manifest = yaml.safe_load((folder / "service.yaml").read_text())
    assert manifest["service"] == name
    for path in (manifest["run"]["command"][0], manifest["docs"], manifest["openapi"]):
        assert (folder / path).is_file(), path
    assert (folder / "service.yaml").read_text() == (
        ROOT / "examples" / name / "service.yaml").read_text()


@pytest.mark.parametrize("name", ["thumbs", "words"])
def test_the_api_description_names_the_manifests_version_and_health_path(name):
    manifest = yaml.safe_load((EXAMPLES / name / "service.yaml").read_text())
    described = yaml.safe_load((EXAMPLES / name / "openapi.yaml").read_text())
    assert described["info"]["version"] == manifest["version"]
    assert manifest["run"]["health"] in described["paths"]


def test_the_pictures_are_what_their_program_draws(tmp_path):
    subprocess.run([EXAMPLES / "pictures" / "make_pictures", tmp_path], check=True)
    assert size_of((tmp_path / "stoa.jpg").read_bytes()) == size_of(JPEG) == ("jpeg", 800, 500)
    assert size_of((tmp_path / "island.png").read_bytes()) == size_of(PNG) == ("png", 512, 512)
    assert len(JPEG) < 60000 and len(PNG) < 60000


# ---- thumbs: what it does


@pytest.mark.parametrize("source, target, size, pixels", [
    (JPEG, "/resize?w=200", ("jpeg", 200, 125), 400000),
    (JPEG, "/resize?w=4096", ("jpeg", 800, 500), 400000),
    (JPEG, "/resize?w=400&h=100", ("jpeg", 160, 100), 400000),
    (JPEG, "/resize?w=1", ("jpeg", 1, 1), 400000),
    (PNG, "/resize?w=200", ("png", 200, 200), 262144),
    (PNG, "/resize?w=100&format=jpeg", ("jpeg", 100, 100), 262144),
    (PNG, "/resize?format=webp&w=128", ("webp", 128, 128), 262144),
], ids=short)
def test_resize_answers_the_picture_and_its_units(thumbs, source, target, size, pixels):
    answer = thumbs.ask("POST", target, source)
    assert answer.status == 200, answer.body
    assert size_of(answer.body) == size
    assert answer.fields["content-type"] == f"image/{size[0]}"
    assert answer.fields["stoa-units"] == f"pixels={pixels}"


def test_resize_takes_webp(thumbs):
    webp = thumbs.ask("POST", "/resize?w=300&format=webp", PNG).body
    answer = thumbs.ask("POST", "/resize?w=60", webp)
    assert size_of(answer.body) == ("webp", 60, 60)
    assert answer.fields["stoa-units"] == "pixels=90000"


def with_exif(jpeg, artist, orientation):
    """The JPEG with a camera's metadata in front."""
    text = artist + b"\0"
    entries = (struct.pack("<HHII", 0x0112, 3, 1, orientation)
               + struct.pack("<HHII", 0x013B, 2, len(text), 8 + 2 + 24 + 4))
    exif = (b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0) + text)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("target_format", ["jpeg", "png", "webp"])
def test_the_cameras_orientation_is_applied_and_its_metadata_dropped(thumbs, target_format):
    source = with_exif(JPEG, b"Somebody Private", 6)
    answer = thumbs.ask("POST", f"/resize?w=100&format={target_format}", source)
    assert size_of(answer.body) == (target_format, 100, 160)
    assert b"Private" not in answer.body


def test_equal_requests_get_equal_answers(thumbs):
    assert thumbs.ask("POST", "/resize?w=77", JPEG).body == thumbs.ask(
        "POST", "/resize?w=77", JPEG).body


def test_health_answers_get_and_head(thumbs):
    assert thumbs.is_well()
    answer = thumbs.ask("HEAD", "/healthz")
    assert (answer.status, answer.fields["content-length"], answer.body) == (200, "3", b"")


def test_a_connection_is_kept_and_requests_that_come_together_are_answered_in_order(thumbs):
    with thumbs.connect() as peer:
        peer.send(request("POST", "/resize?w=50", JPEG) + request("GET", "/none")
                  + b"\r\n" + request("POST", "/resize?w=60", PNG))
        assert size_of(peer.read().body) == ("jpeg", 50, 31)
        assert_refused(peer.read(), 404)
        assert size_of(peer.read().body) == ("png", 60, 60)
        peer.send(request("GET", "/healthz", fields="Connection: close\r\n"))
        assert peer.read().fields["connection"] == "close" and peer.is_closed()


def test_a_chunked_body_with_extensions_and_trailers_is_taken(thumbs):
    with thumbs.connect() as peer:
        peer.send(chunked_request("/resize?w=20", JPEG[:1], JPEG[1:20000], JPEG[20000:],
                                  trailers="Digest: none\r\n")
                  .replace(b"\r\n\r\n1\r\n", b"\r\n\r\n1;a=b\r\n", 1))
        assert size_of(peer.read().body) == ("jpeg", 20, 12)
        peer.send(request("GET", "/healthz"))
        assert peer.read().status == 200


def test_a_request_in_pieces_is_put_together(thumbs):
    whole = request("POST", "/resize?w=20", PNG)
    with thumbs.connect() as peer:
        for begin in range(0, 120):
            peer.send(whole[begin:begin + 1])
        peer.send(whole[120:])
        assert size_of(peer.read().body) == ("png", 20, 20)


def test_a_client_that_expects_it_is_told_to_continue(thumbs):
    with thumbs.connect() as peer:
        whole = request("POST", "/resize?w=20", PNG, "Expect: 100-continue\r\n")
        peer.send(whole[:-len(PNG)])
        assert peer.read().status == 100
        peer.send(PNG)
        assert peer.read().status == 200


def test_http_1_0_closes_unless_it_asks_to_keep(thumbs):
    with thumbs.connect() as peer:
        peer.send(b"GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
        assert peer.read().status == 200
        peer.send(b"GET http://example/healthz HTTP/1.0\r\n\r\n")
        assert peer.read().status == 200 and peer.is_closed()


# ---- thumbs: what it refuses


@pytest.mark.parametrize("query", [
    "", "?", "?w=", "?w=0", "?w=4097", "?w=-1", "?w=1e3", "?w=20x", "?w=99999999999999999999",
    "?w=20&h=0", "?w=20&format=gif", "?w=20&colour=red", "?w", "?W=20", "?w=%32",
])
def test_a_wrong_parameter_is_refused(thumbs, query):
    assert_refused(thumbs.ask("POST", f"/resize{query}", PNG), 400)


@pytest.mark.parametrize("method, target, body, status", [
    ("GET", "/", b"", 404),
    ("POST", "/resize/x?w=20", PNG, 404),
    ("OPTIONS", "*", b"", 404),
    ("GET", "/resize?w=20", b"", 405),
    ("PUT", "/resize?w=20", PNG, 405),
    ("POST", "/healthz", PNG, 405),
    ("POST", "/resize?w=20", b"", 400),
    ("POST", "/resize?w=20", b"no picture", 415),
    ("POST", "/resize?w=20", b"GIF89a" + bytes(100), 415),
    ("POST", "/resize?w=20", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    ("POST", "/resize?w=20", b"\xff\xd8\xff", 422),
    ("POST", "/resize?w=20", JPEG[:2000], 422),
    ("POST", "/resize?w=20", PNG[:2000], 422),
    ("POST", "/resize?w=20", PNG[:1000] + bytes(1000) + PNG[2000:], 422),
    ("POST", "/resize?w=20", b"RIFF\x10\x00\x00\x00WEBPVP8 \x00\x00\x00\x00", 422),
    ("POST", "/resize?w=20", png_with_header(60000, 60000), 422),
    ("POST", "/resize?w=20", png_with_header(1 << 30, 1 << 30), 422),
], ids=short)
def test_what_cannot_be_resized_is_refused_and_the_connection_stays(
        thumbs, method, target, body, status):
    with thumbs.connect() as peer:
        peer.send(request(method, target, body))
        answer = peer.read()
        assert_refused(answer, status)
        assert ("allow" in answer.fields) == (status == 405)
        assert "stoa-units" not in answer.fields
        peer.send(request("GET", "/healthz"))
        assert peer.read().status == 200


@pytest.mark.parametrize("head, status", [
    (b"GET\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"GET / JUNK/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
    (b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 17000 + b"\r\n\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777217\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     400),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nab\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1"
     + b"0" * 8 + b"\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;"
     + b"a" * 2000 + b"\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
     + b"a: b\r\n" * 102, 431),
], ids=short)
def test_a_malformed_request_is_refused_and_the_connection_closed(thumbs, head, status):
    with thumbs.connect() as peer:
        peer.send_what_is_taken(head)
        answer = peer.read()
        assert_refused(answer, status)
        assert answer.fields["connection"] == "close"
        assert peer.is_closed()
    assert thumbs.is_well()


def test_a_body_too_large_in_chunks_is_refused_while_it_is_sent(thumbs):
    with thumbs.connect() as peer:
        chunk = bytes(1 << 20)
        peer.send_what_is_taken(chunked_request("/resize?w=20", *[chunk] * 17))
        assert_refused(peer.read(), 413)


# ---- thumbs: what it survives


def test_random_bytes_harm_nobody(thumbs):
    print("seed", SEED)
    chance = random.Random(SEED)
    for _ in range(150):
        data = bytearray(request("POST", "/resize?w=20", PNG[:400]))
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with thumbs.connect() as peer:
            peer.send_what_is_taken(bytes(data[:chance.randrange(len(data))]))
    assert thumbs.is_well()


def test_damaged_pictures_harm_nobody(thumbs):
    print("seed", SEED)
    chance = random.Random(SEED)
    webp = thumbs.ask("POST", "/resize?w=200&format=webp", PNG).body
    for source in [JPEG, PNG, webp] * 12:
        damaged = bytearray(source)
        for _ in range(chance.randrange(1, 40)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        assert thumbs.ask("POST", "/resize?w=30", bytes(damaged)).status in (200, 415, 422)
    assert thumbs.is_well()


def test_peers_that_leave_in_the_middle_harm_nobody(thumbs):
    for cut in (1, 30, 70, 200, 5000):
        for whole in (request("POST", "/resize?w=20", PNG), chunked_request("/resize?w=2", PNG)):
            with thumbs.connect() as peer:
                peer.send(whole[:cut])
    with thumbs.connect() as peer:
        peer.send(request("POST", "/resize?w=800&format=png", JPEG))
    assert thumbs.is_well()


def test_idle_connections_hold_no_thread_and_give_way_to_new_ones(thumbs):
    peers = [thumbs.connect() for _ in range(300)]  # more than are kept
    assert thumbs.is_well()
    peers[-1].send(request("GET", "/healthz"))
    assert peers[-1].read().status == 200
    assert peers[0].is_closed()
    for peer in peers:
        peer.socket.close()
    assert thumbs.is_well()


def test_a_stopped_program_finishes_the_request_in_flight(tmp_path):
    program = Program("thumbs", tmp_path)
    whole = request("POST", "/resize?w=40", JPEG)
    with program.connect() as idle, program.connect() as peer:
        peer.send(request("POST", "/resize?w=40", JPEG, "Expect: 100-continue\r\n")[:-len(JPEG)])
        assert peer.read().status == 100  # a worker has it
        program.terminate()
        assert idle.is_closed()  # the end has begun
        peer.send(whole[-len(JPEG):])
        answer = peer.read()
        assert answer.status == 200 and answer.fields["connection"] == "close"
        assert peer.is_closed()
    assert program.wait() == 0


def test_a_socket_left_behind_is_replaced_and_a_file_is_not(tmp_path):
    first = Program("thumbs", tmp_path)
    first.process.kill()
    first.wait()
    second = Program("thumbs", tmp_path)
    assert second.is_well()
    second.terminate()
    assert second.wait() == 0
    (tmp_path / "file").write_text("keep")
    refused = subprocess.run([EXAMPLES / "thumbs" / "thumbs"], capture_output=True, text=True,
                             env={"STOA_SOCKET": str(tmp_path / "file")})
    assert refused.returncode == 1 and "cannot listen on" in refused.stderr
    assert (tmp_path / "file").read_text() == "keep"


def test_thumbs_listens_on_a_port_too():
    program = Program("thumbs")
    assert program.is_well()
    program.terminate()
    assert program.wait() == 0


@pytest.mark.parametrize("name, environment", [
    ("thumbs", {}), ("thumbs", {"PORT": "70000"}), ("thumbs", {"PORT": "http"}),
    ("thumbs", {"STOA_SOCKET": "/" + "a" * 200}), ("thumbs", {"STOA_SOCKET": "/none/such"}),
    ("words", {}), ("words", {"PORT": "-1"}), ("words", {"PORT": "70000"}),
])
def test_a_program_that_cannot_listen_says_so(name, environment):
    result = subprocess.run([EXAMPLES / name / name], env=environment, capture_output=True,
                            text=True)
    assert result.returncode in (1, 2) and result.stderr.startswith(f"{name}: ")


# ---- words


@pytest.mark.parametrize("text, expected", [
    ("", (0, 0, 0, 0)),
    ("one", (1, 3, 1, 1)),
    ("It isn't well-known,\nis it?", (5, 27, 2, 2)),
    ("Ἡ στοά — στοᾶς ἔνδον\r\n\r\n", (4, 24, 2, 2)),
    ("a " * 230, (230, 460, 1, 60)),
    ("___ --- ...", (0, 11, 1, 0)),
], ids=["nothing", "one", "English", "Greek", "a minute", "no words"])
def test_words_are_counted_and_told_as_units(words, text, expected):
    answer = words.ask("POST", "/count", text.encode())
    counts = json.loads(answer.body)
    assert (counts["words"], counts["characters"], counts["lines"],
            counts["reading_seconds"]) == expected
    assert answer.fields["stoa-units"] == f"words={expected[0]}"


def test_words_keeps_a_connection_and_takes_chunks(words):
    with words.connect() as peer:
        peer.send(chunked_request("/count", b"one tw", b"o three", trailers="A: b\r\n")
                  + request("HEAD", "/healthz") + request("GET", "/healthz"))
        assert json.loads(peer.read().body)["words"] == 3
        assert peer.read(head_only=True).status == 200
        assert peer.read().body == b"ok\n"
        peer.send(request("GET", "/healthz", fields="Connection: close\r\n"))
        assert peer.read().status == 200 and peer.is_closed()


@pytest.mark.parametrize("method, target, body, fields, status", [
    ("GET", "/", b"", "", 404),
    ("POST", "/", b"text", "", 404),
    ("GET", "/count", b"", "", 405),
    ("DELETE", "/count", b"", "", 405),
    ("POST", "/healthz", b"", "", 405),
    ("POST", "/count", b"caf\xe9", "", 400),
    ("POST", "/count", b"text", "Content-Type: text/plain; charset=utf-16\r\n", 415),
], ids=short)
def test_words_refuses_and_keeps_the_connection(words, method, target, body, fields, status):
    with words.connect() as peer:
        peer.send(request(method, target, body, fields))
        assert_refused(peer.read(), status)
        peer.send(request("GET", "/healthz"))
        assert peer.read().status == 200


@pytest.mark.parametrize("head, status", [
    (b"GET\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505),
    (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (b"POST /count HTTP/1.1\r\nHost: a\r\n\r\n", 411),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n", 400),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
    (b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n", 413),
], ids=short)
def test_words_refuses_a_malformed_request_and_closes(words, head, status):
    with words.connect() as peer:
        peer.send_what_is_taken(head)
        answer = peer.read()
        assert_refused(answer, status)
        assert answer.fields["connection"] == "close"
    assert words.is_well()


def test_words_finishes_the_request_in_flight():
    program = Program("words")
    with program.connect() as peer:
        peer.send(request("POST", "/count", b"one two three")[:-5])
        with program.connect() as other:  # accepted after it, so it is being read
            other.send(request("GET", "/healthz"))
            assert other.read().status == 200
        program.terminate()
        peer.send(b"three")
        answer = peer.read()
        assert json.loads(answer.body)["words"] == 3
    assert program.wait() == 0
