"""Requests that one parser reads differently from another: one row a case, in bytes.

A row's bytes hold what is odd about it between << and >>; `sent` takes the marks out. $KEY is the
caller's key, $SERVICE the service's name. Most carry a second request inside, /call/smuggled,
which nobody may see as a request of its own.
"""

import re

# class: (its title, what the standards say)
RULES = {
    "length": ("Content-Length", "RFC 9110 8.6, RFC 9112 6.3: digits, once; a list of equal ones "
               "may be refused or made one; beside Transfer-Encoding it is an attack"),
    "coding": ("Transfer-Encoding", "RFC 9112 6.1, 7: chunked is last and once; what is unknown "
               "is refused; in HTTP/1.0 the framing is faulty"),
    "chunk": ("Chunks", "RFC 9112 7.1: digits in hexadecimal, an extension, CR LF, and exactly so "
              "many bytes"),
    "trailer": ("Trailers", "RFC 9110 6.5, RFC 9112 7.1.2: fields; never framing, routing or "
                "authentication"),
    "line": ("Line ends and folding", "RFC 9112 2.2, 5.2: CR LF; a bare CR is invalid; a folded "
             "line is refused or replaced by spaces"),
    "field": ("Fields", "RFC 9110 5.1, 5.5, RFC 9112 5.1: a token, a colon at once, a value "
              "without control characters"),
    "target": ("Targets", "RFC 9112 3.2, RFC 3986: a path, an absolute form, * for OPTIONS; no "
               "white space, no fragment"),
    "host": ("Host", "RFC 9112 3.2, 3.2.2: exactly one, valid; an absolute form replaces it"),
    "version": ("Versions and the request line", "RFC 9112 2.3, 3: HTTP/1.x in capitals, one "
                "space between"),
    "method": ("Methods", "RFC 9110 9.1: a token, case-sensitive"),
    "expect": ("Expect", "RFC 9110 10.1.1: 100-continue, and nothing else is defined"),
    "upgrade": ("Upgrade", "RFC 9110 7.8: hop by hop; passed on only by who understands it; "
                "RFC 9113 3.1: h2c by upgrade is obsolete"),
    "hops": ("Hop by hop", "RFC 9110 7.6.1: what Connection names is for the next hop alone"),
    "size": ("Sizes", "RFC 9110 5.4, RFC 9112 3: 431, 414, 413 where it is too much"),
}

HOST = b"Host: $SERVICE.localhost\r\n"
KEY = b"X-API-Key: $KEY\r\n"
GET = b"GET /call/evil HTTP/1.1\r\n" + HOST + KEY
POST = b"POST /call/evil HTTP/1.1\r\n" + HOST + KEY
SMUGGLED = b"GET /call/smuggled HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n"


def length(value):
    return POST + b"<<Content-Length:" + value + b">>\r\n\r\nhello" + SMUGGLED


def coding(value, line=b"Transfer-Encoding:", post=POST):
    return post + b"<<" + line + value + b">>\r\n\r\n" + END + SMUGGLED


def chunk(odd, behind=END):
    return CHUNKED + b"<<" + odd + b">>" + behind + SMUGGLED


def trailer(odd):
    return CHUNKED + HELLO + b"0\r\n<<" + odd + b">>\r\n\r\n" + SMUGGLED


def field(line):
    return GET + b"<<" + line + b">>\r\n\r\n" + SMUGGLED


def line(text, host=HOST):
    return b"<<" + text + b">>\r\n" + host + KEY + b"\r\n" + SMUGGLED


def host(fields, target=b"/call/evil"):
    return b"GET " + target + b" HTTP/1.1\r\n<<" + fields + b">>" + KEY + b"\r\n" + SMUGGLED


def target(text):
    return b"GET <<" + text + b">> HTTP/1.1\r\n" + HOST + KEY + b"\r\n" + SMUGGLED


def sent(wire, key, service):
    """The row's bytes as they go out."""
    wire = wire.replace(b"<<", b"", 1).replace(b">>", b"", 1)
    return wire.replace(b"$KEY", key.encode()).replace(b"$SERVICE", service.encode())


def odd_piece(wire, key, service):
    """What is odd about the row."""
    found = re.search(rb"<<(.*?)>>", wire, re.DOTALL).group(1)
    return found.replace(b"$KEY", key.encode()).replace(b"$SERVICE", service.encode())


# ---- refused: name, Stoa's status, class, bytes. The connection closes.

REFUSED = [
    ("length and chunked", 400, "length",
     POST + b"<<Content-Length: 5\r\nTransfer-Encoding: chunked>>\r\n\r\n" + END + SMUGGLED),
    ("chunked and length", 400, "length",
     POST + b"<<Transfer-Encoding: chunked\r\nContent-Length: 5>>\r\n\r\n" + END + SMUGGLED),
    ("chunked and length 0", 400, "length",
     POST + b"<<Transfer-Encoding: chunked\r\nContent-Length: 0>>\r\n\r\n" + END + SMUGGLED),
    ("two lengths", 400, "length", length(b" 5\r\nContent-Length: 0")),
    ("two lengths, the smaller first", 400, "length", length(b" 0\r\nContent-Length: 5")),
    ("two equal lengths", 400, "length", length(b" 5\r\nContent-Length: 5")),
    ("two lengths in a GET", 400, "length",
     field(b"Content-Length: 0\r\nContent-Length: 70")),
    ("list of lengths", 400, "length", length(b" 5, 5")),
    ("list of different lengths", 400, "length", length(b" 5, 0")),
    ("length and a comma", 400, "length", length(b" 5,")),
    ("empty length", 400, "length", length(b"")),
    ("empty length beside another", 400, "length", length(b"\r\nContent-Length: 5")),
    ("length +5", 400, "length", length(b" +5")),
    ("length -1", 400, "length", length(b" -1")),
    ("length -0", 400, "length", length(b" -0")),
    ("length 0x5", 400, "length", length(b" 0x5")),
    ("length 5e0", 400, "length", length(b" 5e0")),
    ("length 5.0", 400, "length", length(b" 5.0")),
    ("length 5;", 400, "length", length(b" 5;")),
    ("length \"5\"", 400, "length", length(b' "5"')),
    ("length 5_0", 400, "length", length(b" 5_0")),
    ("length 5 0", 400, "length", length(b" 5 0")),
    ("length 2^40", 413, "size", length(b" 1099511627776")),
    ("length 2^63", 400, "length", length(b" 9223372036854775808")),
    ("length 2^64+5", 400, "length", length(b" 18446744073709551621")),
    ("length of 100 digits", 400, "length", length(b" " + b"0" * 99 + b"5")),
    ("length behind NBSP", 400, "length", length(b" \xa05")),
    ("length behind VT", 400, "length", length(b" \x0b5")),
    ("tab behind a length", 400, "length", length(b" 5\t")),
    ("length before FF", 400, "length", length(b" 5\x0c")),
    ("length behind a space before the colon", 400, "length",
     POST + b"<<Content-Length : 5>>\r\n\r\nhello" + SMUGGLED),
    ("length folded", 400, "length", length(b"\r\n 5")),
    ("xchunked", 400, "coding", coding(b" xchunked")),
    ("chunkedx", 400, "coding", coding(b" chunkedx")),
    ("identity", 400, "coding", coding(b" identity")),
    ("no coding", 400, "coding", coding(b"")),
    ("chunked, identity", 400, "coding", coding(b" chunked, identity")),
    ("identity, chunked", 400, "coding", coding(b" identity, chunked")),
    ("identity, then chunked", 400, "coding",
     coding(b" identity\r\nTransfer-Encoding: chunked")),
    (",chunked", 400, "coding", coding(b" ,chunked")),
    ("chunked,", 400, "coding", coding(b" chunked,")),
    ("chunked;q=1", 400, "coding", coding(b" chunked;q=1")),
    ("chunked in quotes", 400, "coding", coding(b' "chunked"')),
    ("chunked twice", 400, "coding", coding(b" chunked\r\nTransfer-Encoding: chunked")),
    ("chunked, chunked", 400, "coding", coding(b" chunked, chunked")),
    ("chunked, then an empty one", 400, "coding", coding(b" chunked\r\nTransfer-Encoding:")),
    ("gzip, chunked", 400, "coding", coding(b" gzip, chunked")),
    ("gzip alone", 400, "coding", coding(b" gzip")),
    ("chunked behind VT", 400, "coding", coding(b" \x0bchunked")),
    ("chunked before FF", 400, "coding", coding(b" chunked\x0c")),
    ("chunked behind NBSP", 400, "coding", coding(b" \xa0chunked")),
    ("chunked behind NUL", 400, "coding", coding(b" \0chunked")),
    ("chunked folded", 400, "coding", coding(b"\r\n chunked")),
    ("chunked behind a space before the colon", 400, "coding",
     coding(b" chunked", b"Transfer-Encoding :")),
    ("chunked behind a tab before the colon", 400, "coding",
     coding(b" chunked", b"Transfer-Encoding\t:")),
    ("chunked in a line that begins with a space", 400, "coding",
     coding(b" chunked", b" Transfer-Encoding:")),
    ("chunked behind a bare LF", 400, "coding",
     coding(b" y\nTransfer-Encoding: chunked", b"X:")),
    ("chunked behind a bare CR", 400, "coding",
     coding(b" y\rTransfer-Encoding: chunked", b"X:")),
    ("chunked in HTTP/1.0", 400, "coding",
     coding(b" chunked", post=POST.replace(b"HTTP/1.1", b"HTTP/1.0"))),
    ("empty chunk size", 400, "chunk", chunk(b"\r\nhello\r\n")),
    ("chunk size 0x5", 400, "chunk", chunk(b"0x5\r\nhello\r\n")),
    ("chunk size +5", 400, "chunk", chunk(b"+5\r\nhello\r\n")),
    ("chunk size -1", 400, "chunk", chunk(b"-1\r\nhello\r\n")),
    ("chunk size 0_5", 400, "chunk", chunk(b"0_5\r\nhello\r\n")),
    ("chunk size 5h", 400, "chunk", chunk(b"5h\r\nhello\r\n")),
    ("chunk size with space before", 400, "chunk", chunk(b" 5\r\nhello\r\n")),
    ("chunk size with space", 400, "chunk", chunk(b"5 \r\nhello\r\n")),
    ("chunk size with tab", 400, "chunk", chunk(b"5\t\r\nhello\r\n")),
    ("chunk size with space and extension", 400, "chunk", chunk(b"5 ;a=b\r\nhello\r\n")),
    ("chunk size of 17 digits", 400, "chunk", chunk(b"00000000000000005\r\nhello\r\n")),
    ("chunk size 2^64+5", 400, "chunk", chunk(b"10000000000000005\r\nhello\r\n")),
    ("chunk size of 10,000 zeros", 400, "chunk", chunk(b"0" * 10000 + b"\r\n\r\n", b"")),
    ("chunk size 2^64-1", 413, "size", CHUNKED + b"<<" + b"f" * 16 + b">>\r\nhello"),
    ("chunk extension of 1 MB", 400, "size",
     chunk(b"5;" + b"a" * 1000000 + b"\r\nhello\r\n")),
    ("CR in a chunk extension", 400, "chunk", chunk(b"5;a\rb\r\nhello\r\n")),
    ("LF in a chunk extension", 400, "chunk", chunk(b"5;a\nhello\r\n")),
    ("NUL in a chunk extension", 400, "chunk", chunk(b"5;a\0b\r\nhello\r\n")),
    ("LF behind a chunk size", 400, "chunk", chunk(b"5\nhello\r\n")),
    ("CR behind a chunk size", 400, "chunk", chunk(b"5\rhello\r\n")),
    ("CR CR LF behind a chunk size", 400, "chunk", chunk(b"5\r\r\nhello\r\n")),
    ("LF behind a chunk", 400, "chunk", chunk(b"5\r\nhello\n")),
    ("nothing behind a chunk", 400, "chunk", chunk(b"5\r\nhello")),
    ("chunk longer than its size", 400, "chunk", chunk(b"5\r\nhello!\r\n")),
    ("two other bytes behind a chunk", 400, "chunk", chunk(b"5\r\nhelloXX")),
    ("LF at the last chunk's end", 400, "chunk", chunk(b"0\n\n", b"")),
    ("LF instead of the last line", 400, "chunk", chunk(b"0\r\n\n", b"")),
    ("more framing than content", 400, "size",
     CHUNKED + b"<<1;" + (b"a" * 40 + b"\r\nx\r\n1;") * 4000 + b">>"),
    ("folded trailer", 400, "trailer", trailer(b"X: y\r\n z")),
    ("trailer without colon", 400, "trailer", trailer(b"X")),
    ("trailer with a space before the colon", 400, "trailer", trailer(b"X : y")),
    ("LF behind a trailer", 400, "trailer", trailer(b"X: y\nZ: w")),
    ("NUL in a trailer", 400, "trailer", trailer(b"X: a\0b")),
    ("a thousand trailers", 431, "size", trailer(b"X: y\r\n" * 999 + b"X: y")),
    ("LF behind a field", 400, "line", field(b"X: y\nZ: w")),
    ("LF everywhere", 400, "line",
     b"<<" + (GET + b"\r\n").replace(b"\r\n", b"\n") + b">>" + SMUGGLED),
    ("LF behind the request line", 400, "line",
     b"<<GET /call/evil HTTP/1.1\n>>" + HOST + KEY + b"\r\n" + SMUGGLED),
    ("LF as the empty line", 400, "line", GET + b"<<\n>>" + SMUGGLED),
    ("LF first", 400, "line", b"<<\n>>" + GET + b"\r\n" + SMUGGLED),
    ("bare CR in a value", 400, "line", field(b"X: y\rZ: w")),
    ("bare CR in a name", 400, "line", field(b"X\rY: w")),
    ("bare CR behind the version", 400, "line",
     b"<<GET /call/evil HTTP/1.1\r>>" + HOST + KEY + b"\r\n" + SMUGGLED),
    ("CR CR LF", 400, "line", field(b"X: y\r")),
    ("CR CR LF as the empty line", 400, "line", GET + b"<<\r\r\n>>" + SMUGGLED),
    ("folded line", 400, "line", field(b"X: y\r\n z")),
    ("line folded by a tab", 400, "line", field(b"X: y\r\n\tz")),
    ("folded Host", 400, "line", host(b"Host:\r\n $SERVICE.localhost\r\n")),
    ("space before the first field", 400, "line", host(b" " + HOST)),
    ("line of a space", 400, "line", field(b" ")),
    ("a thousand blank lines first", 400, "line",
     b"<<" + b"\r\n" * 1000 + b">>" + GET + b"\r\n" + SMUGGLED),
    ("NUL in a value", 400, "field", field(b"X: a\0b")),
    ("NUL in a name", 400, "field", field(b"X\0Y: b")),
    ("a control character in a value", 400, "field", field(b"X: a\x01b")),
    ("DEL in a value", 400, "field", field(b"X: a\x7fb")),
    ("no colon", 400, "field", field(b"X")),
    ("space before the colon", 400, "field", field(b"X : y")),
    ("space in a name", 400, "field", field(b"X Y: z")),
    ("space before Host's colon", 400, "host", host(b"Host : a\r\n")),
    ("empty name", 400, "field", field(b": y")),
    ("8-bit name", 400, "field", field(b"X\xe9: y")),
    ("name in quotes", 400, "field", field(b'"X": y')),
    ("name with a slash", 400, "field", field(b"X/Y: z")),
    ("name of 64 KB", 431, "size", field(b"x" * 65536 + b": y")),
    ("value of 10 MB", 431, "size", field(b"X: " + b"y" * 10000000)),
    ("101 fields", 431, "size", field(b"X: y\r\n" * 98 + b"X: z")),
    ("100,000 fields", 431, "size", field(b"X: y\r\n" * 100000 + b"X: z")),
    ("many Cookie fields", 431, "size", field(b"Cookie: a=b\r\n" * 5000 + b"X: z")),
    ("absolute form of another host", 400, "host", target(b"http://other.localhost/call/evil")),
    ("absolute form of another port", 400, "host", target(b"http://$SERVICE.localhost:1/")),
    ("absolute form without Host", 400, "host",
     host(b"", b"http://$SERVICE.localhost/call/evil")),
    ("absolute form with a user", 400, "target", target(b"http://u@$SERVICE.localhost/")),
    ("absolute form of another scheme", 400, "target", target(b"ftp://$SERVICE.localhost/x")),
    ("absolute form with a backslash", 400, "target",
     target(b"http://$SERVICE.localhost\\@other/")),
    ("absolute form without host", 400, "target", target(b"http:///call/evil")),
    ("absolute form with a query alone", 400, "target", target(b"http://$SERVICE.localhost?x")),
    ("authority form with GET", 400, "target", target(b"$SERVICE.localhost:80")),
    ("two Hosts", 400, "host", host(HOST + b"Host: $SERVICE.localhost\r\n")),
    ("another Host", 400, "host", host(HOST + b"Host: other.localhost\r\n")),
    ("another Host first", 400, "host", host(b"Host: other.localhost\r\n" + HOST)),
    ("no Host", 400, "host", host(b"")),
    ("empty Host", 400, "host", host(b"Host:\r\n")),
    ("Host a, b", 400, "host", host(b"Host: $SERVICE.localhost, b\r\n")),
    ("Host with a space", 400, "host", host(b"Host: $SERVICE.localhost b\r\n")),
    ("Host with a user", 400, "host", host(b"Host: u@$SERVICE.localhost\r\n")),
    ("Host with a path", 400, "host", host(b"Host: $SERVICE.localhost/x\r\n")),
    ("Host with a query", 400, "host", host(b"Host: $SERVICE.localhost?x\r\n")),
    ("Host with a fragment", 400, "host", host(b"Host: $SERVICE.localhost#x\r\n")),
    ("Host with a backslash", 400, "host", host(b"Host: $SERVICE.localhost\\x\r\n")),
    ("Host in 8 bits", 400, "host", host(b"Host: $SERVICE\xe9.localhost\r\n")),
    ("Host with port 0", 400, "host", host(b"Host: $SERVICE.localhost:0\r\n")),
    ("Host with port 65536", 400, "host", host(b"Host: $SERVICE.localhost:65536\r\n")),
    ("Host with port -1", 400, "host", host(b"Host: $SERVICE.localhost:-1\r\n")),
    ("Host with two ports", 400, "host", host(b"Host: $SERVICE.localhost:80:80\r\n")),
    ("HTTP/0.9", 400, "version", b"<<GET /call/evil>>\r\n\r\n" + SMUGGLED),
    ("HTTP/0.9 by name", 505, "version", line(b"GET /call/evil HTTP/0.9")),
    ("HTTP/1.2", 505, "version", line(b"GET /call/evil HTTP/1.2")),
    ("HTTP/2.0", 505, "version", line(b"GET /call/evil HTTP/2.0")),
    ("HTTP/9.9", 505, "version", line(b"GET /call/evil HTTP/9.9")),
    ("HTTP/1.10", 400, "version", line(b"GET /call/evil HTTP/1.10")),
    ("HTTP/01.1", 400, "version", line(b"GET /call/evil HTTP/01.1")),
    ("HTTP/1", 400, "version", line(b"GET /call/evil HTTP/1")),
    ("HTTP/+1.1", 400, "version", line(b"GET /call/evil HTTP/+1.1")),
    ("ICY/1.1", 400, "version", line(b"GET /call/evil ICY/1.1")),
    ("HTTP/1.1junk", 400, "version", line(b"GET /call/evil HTTP/1.1junk")),
    ("small letters in the version", 400, "version", line(b"GET /call/evil http/1.1")),
    ("two spaces", 400, "version", line(b"GET  /call/evil HTTP/1.1")),
    ("two spaces before the version", 400, "version", line(b"GET /call/evil  HTTP/1.1")),
    ("space behind the version", 400, "version", line(b"GET /call/evil HTTP/1.1 ")),
    ("space before the method", 400, "version", line(b" GET /call/evil HTTP/1.1")),
    ("tabs", 400, "version", line(b"GET\t/call/evil\tHTTP/1.1")),
    ("no target", 400, "version", line(b"GET HTTP/1.1")),
    ("space in the target", 400, "target", target(b"/call/evil x")),
    ("a version in the target", 400, "target", target(b"/call/evil HTTP/1.1")),
    ("tab in the target", 400, "target", target(b"/call/evil\tx")),
    ("CR in the target", 400, "target", target(b"/call/evil\rx")),
    ("fragment", 400, "target", target(b"/call/evil#x")),
    ("NUL in the target", 400, "target", target(b"/call/evil\0")),
    ("DEL in the target", 400, "target", target(b"/call/evil\x7f")),
    ("8-bit target", 400, "target", target(b"/call/\xc0\xaf")),
    ("* with GET", 400, "target", target(b"*")),
    ("*/ with OPTIONS", 400, "target", line(b"OPTIONS */call/evil HTTP/1.1")),
    ("target without a slash", 400, "target", target(b"call/evil")),
    ("target of a query", 400, "target", target(b"?x")),
    ("target of a backslash", 400, "target", target(b"\\call\\evil")),
    ("target of 10 KB", 414, "size", target(b"/" + b"a" * 10000)),
    ("target of 1 MB", 414, "size", target(b"/" + b"a" * 1000000)),
    ("CONNECT", 501, "method", line(b"CONNECT $SERVICE.localhost:80 HTTP/1.1")),
    ("TRACE with a body", 400, "method",
     b"<<TRACE>> /call/evil HTTP/1.1\r\n" + HOST + KEY + b"Content-Length: 5\r\n\r\nhello"
     + SMUGGLED),
    ("unknown method", 501, "method", line(b"BREW /call/evil HTTP/1.1")),
    ("method in small letters", 501, "method", line(b"get /call/evil HTTP/1.1")),
    ("method that is no token", 400, "method", line(b"G(T /call/evil HTTP/1.1")),
    ("method with a colon", 400, "method", line(b"GET: /call/evil HTTP/1.1")),
    ("no method", 400, "method", line(b"/call/evil HTTP/1.1")),
    ("method of 1 MB", 414, "size", line(b"G" * 1000000 + b" /call/evil HTTP/1.1")),
    ("a TLS client", 400, "version",
     b"<<\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300 + b">>"),
    ("random binary", 400, "version", b"<<" + bytes(range(256)) * 4 + b">>"),
    ("Expect in disguise", 417, "expect",
     POST + b"<<Expect: y 100-continue>>\r\nContent-Length: 5\r\n\r\nhello"),
    ("Expect twice", 417, "expect",
     POST + b"<<Expect: 100-continue\r\nExpect: x>>\r\nContent-Length: 1\r\n\r\nx"),
    ("Expect of something else", 417, "expect",
     POST + b"<<Expect: 200-ok>>\r\nContent-Length: 1\r\n\r\nx"),
]

# ---- odd but clear: name, class, bytes, what the service sees, the body that it gets

CALL = b"GET /call/odd HTTP/1.1\r\n" + HOST + KEY
SEND = b"POST /call/odd HTTP/1.1\r\n" + HOST + KEY
CODED = SEND + b"Transfer-Encoding: chunked\r\n\r\n"


def odd_target(text, seen=None):
    """The target goes on as it is, or as `seen`."""
    return (b"GET <<" + text + b">> HTTP/1.1\r\n" + HOST + KEY + b"\r\n",
            "GET " + (seen or text.decode()), b"")


PASSED = [
    ("absolute form", "host", *odd_target(b"http://$SERVICE.LOCALHOST/call/odd", "/call/odd")),
    ("HTTP/1.0", "version", b"<<GET /call/odd HTTP/1.0>>\r\n" + HOST + KEY + b"\r\n",
     "GET /call/odd", b""),
    ("HTTP/1.0 that keeps the connection", "version",
     b"GET /call/odd HTTP/1.0\r\n" + HOST + KEY + b"<<Connection: keep-alive>>\r\n\r\n",
     "GET /call/odd", b""),
    ("a blank line first", "line", b"<<\r\n>>" + CALL + b"\r\n", "GET /call/odd", b""),
    ("dots and slashes", "target", *odd_target(b"//a/..;/%2e%2e/%00/call/odd")),
    ("dot segments", "target", *odd_target(b"/a/../call/./odd")),
    ("double slashes", "target", *odd_target(b"/call//odd")),
    ("a backslash", "target", *odd_target(b"/call\\..\\x/odd")),
    ("escaped slash", "target", *odd_target(b"/call%2fx/odd")),
    ("escaped CR LF", "target", *odd_target(b"/call/%0d%0aX:%20y/odd")),
    ("escapes of letters", "target", *odd_target(b"/%63all/odd")),
    ("a percent sign alone", "target", *odd_target(b"/call/%/%zz/odd")),
    ("a URL in the path", "target", *odd_target(b"/http://other/odd")),
    ("brackets and braces", "target", *odd_target(b"/call/[]{}|^`\"<x>/odd")),
    ("a query of queries", "target", *odd_target(b"/call/odd?a=/b?c=http://d/&e")),
    ("OPTIONS *", "target", b"<<OPTIONS * HTTP/1.1>>\r\n" + HOST + KEY + b"\r\n",
     "OPTIONS *", b""),
    ("GET with a body", "length", CALL + b"<<Content-Length: 5>>\r\n\r\nhello",
     "GET /call/odd", b"hello"),
    ("DELETE with a body", "length",
     b"DELETE /call/odd HTTP/1.1\r\n" + HOST + KEY + b"<<Content-Length: 5>>\r\n\r\nhello",
     "DELETE /call/odd", b"hello"),
    ("length 005", "length", SEND + b"<<Content-Length: 005>>\r\n\r\nhello",
     "POST /call/odd", b"hello"),
    ("white space around a length", "length", SEND + b"<<Content-Length:\t 5 >>\r\n\r\nhello",
     "POST /call/odd", b"hello"),
    ("chunked in capitals", "coding",
     SEND + b"<<TRANSFER-ENCODING:\tCHUNKED >>\r\n\r\n" + HELLO + END, "POST /call/odd",
     b"hello"),
    ("GET in chunks", "coding", CALL + b"<<Transfer-Encoding: chunked>>\r\n\r\n" + HELLO + END,
     "GET /call/odd", b"hello"),
    ("chunks with extensions", "chunk",
     CODED + b"<<2;a=\"b\"\r\nhe\r\n003\r\nllo\r\n0;z>>\r\n\r\n", "POST /call/odd", b"hello"),
    ("a last chunk of zeros", "chunk", CODED + HELLO + b"<<000>>\r\n\r\n", "POST /call/odd",
     b"hello"),
    ("chunks of one byte", "chunk", CODED + b"<<" + b"1\r\na\r\n" * 2000 + b">>" + END,
     "POST /call/odd", b"a" * 2000),
    ("trailers that frame and authorize", "trailer",
     CODED + HELLO + b"0\r\n<<Content-Length: 0\r\nHost: other\r\nAuthorization: x\r\n"
     b"Transfer-Encoding: chunked>>\r\n\r\n", "POST /call/odd", b"hello"),
    ("a trailer of no matter", "trailer", CODED + HELLO + b"0\r\n<<X-Sum: 5>>\r\n\r\n",
     "POST /call/odd", b"hello"),
    ("8 bits in a value", "field", CALL + b"<<X-Odd: \xe9\xff>>\r\n\r\n", "GET /call/odd", b""),
    ("an empty value", "field", CALL + b"<<X-Odd:>>\r\n\r\n", "GET /call/odd", b""),
    ("an underscore in a name", "field", CALL + b"<<Content_Length: 5>>\r\n\r\n",
     "GET /call/odd", b""),
    ("a dot and a bar in a name", "field", CALL + b"<<x.y|z: 5>>\r\n\r\n", "GET /call/odd",
     b""),
    ("Connection names fields", "hops",
     CALL + b"<<Connection: x-private, stoa-call\r\nX-Private: 1>>\r\n\r\n", "GET /call/odd",
     b""),
    ("Connection names Host", "hops", CALL + b"<<Connection: host>>\r\n\r\n", "GET /call/odd",
     b""),
    ("Connection names Content-Length", "hops",
     SEND + b"<<Connection: content-length\r\nContent-Length: 5>>\r\n\r\nhello",
     "POST /call/odd", b"hello"),
    ("Connection names Transfer-Encoding", "hops",
     SEND + b"<<Connection: transfer-encoding\r\nTransfer-Encoding: chunked>>\r\n\r\n" + HELLO
     + END, "POST /call/odd", b"hello"),
    ("Keep-Alive and Proxy-Connection", "hops",
     CALL + b"<<Keep-Alive: timeout=1\r\nProxy-Connection: keep-alive>>\r\n\r\n",
     "GET /call/odd", b""),
    ("h2c", "upgrade", CALL + b"<<Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA>>\r\n\r\n", "GET /call/odd", b""),
    ("h2c without the option", "upgrade", CALL + b"<<Connection: Upgrade\r\nUpgrade: h2c\r\n"
     b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA>>\r\n\r\n", "GET /call/odd", b""),
    ("h2c in a list", "upgrade",
     CALL + b"<<Connection: Upgrade\r\nUpgrade: websocket, h2c>>\r\n\r\n", "GET /call/odd", b""),
    ("Upgrade without Connection", "upgrade", CALL + b"<<Upgrade: websocket>>\r\n\r\n",
     "GET /call/odd", b""),
    ("Upgrade to HTTP/2.0", "upgrade",
     CALL + b"<<Connection: Upgrade\r\nUpgrade: HTTP/2.0>>\r\n\r\n", "GET /call/odd", b""),
    ("Upgrade to TLS", "upgrade", CALL + b"<<Connection: Upgrade\r\nUpgrade: TLS/1.0>>\r\n\r\n",
     "GET /call/odd", b""),
    ("fields of Stoa's own", "hops", CALL
     + b"<<Stoa-Account: globex\r\nStoa-App: globex/x\r\nStoa-Call: forged\r\nStoa-Plan: free\r\n"
     b"Stoa-Units: pixels=1\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4>>\r\n\r\n",
     "GET /call/odd", b""),
    ("Expect, and the body at once", "expect",
     SEND + b"<<Expect: 100-continue>>\r\nContent-Length: 5\r\n\r\nhello", "POST /call/odd",
     b"hello"),
    ("Expect without a body", "expect", CALL + b"<<Expect: 100-continue>>\r\n\r\n",
     "GET /call/odd", b""),
]
