#include "base/testing.h"

#include "base/text.h"
#include "http/reader_internal.h"

/* ---- one message, fed in pieces ---- */

static int read_split(struct reader *reader, struct slice bytes, size_t split)
{
	int verdict = reader_feed(reader, slice_part(bytes, 0, split));

	if (verdict == READER_MORE)
		verdict = reader_feed(reader, slice_part(bytes, split, bytes.length));
	return verdict;
}

static int read_bytewise(struct reader *reader, struct slice bytes)
{
	int verdict = READER_MORE;

	for (size_t i = 0; i < bytes.length && verdict == READER_MORE; i++)
		verdict = reader_feed(reader, slice_part(bytes, i, i + 1));
	return verdict;
}

struct row {
	const char *claim;
	int verdict;
	struct slice bytes;
};

#define BYTES(text)                                      \
	{                                                \
		.data = text, .length = sizeof(text) - 1 \
	}

static void expect_verdict_at_every_split(enum http_head_kind kind, const struct row *row)
{
	struct reader reader;

	for (size_t split = 0; split <= row->bytes.length; split++) {
		reader_init(&reader, kind);
		const int verdict = read_split(&reader, row->bytes, split);
		reader_fini(&reader);
		if (verdict != row->verdict)
			fail_msg("%s: split at %zu: verdict %d, not %d", row->claim, split, verdict,
				 row->verdict);
	}
	reader_init(&reader, kind);
	const int verdict = read_bytewise(&reader, row->bytes);
	reader_fini(&reader);
	if (verdict != row->verdict)
		fail_msg("%s: byte by byte: verdict %d, not %d", row->claim, verdict, row->verdict);
}

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST    "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define OK      READER_WHOLE
#define MORE    READER_MORE
#define Z100                                                 \
	"00000000000000000000000000000000000000000000000000" \
	"00000000000000000000000000000000000000000000000000"
#define A256                                                               \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A2048 A256 A256 A256 A256 A256 A256 A256 A256

static const struct row request_rows[] = {
	{"a plain request", OK, BYTES(GET "\r\n")},
	{"a body of known length", OK, BYTES(POST "Content-Length: 5\r\n\r\nhello")},
	{"a length of zero", OK, BYTES(POST "Content-Length: 0\r\n\r\n")},
	{"a length with leading zeros", OK, BYTES(POST "Content-Length: 005\r\n\r\nhello")},
	{"white space around a length", OK, BYTES(POST "Content-Length: \t5 \r\n\r\nhello")},
	{"a chunked body", OK, BYTES(CHUNKED "5\r\nhello\r\n0\r\n\r\n")},
	{"chunked in capitals", OK, BYTES(POST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n")},
	{"an empty field value", OK, BYTES(GET "X:\r\nY: \r\n\r\n")},
	{"a few empty lines first", OK, BYTES("\r\n\r\n" GET "\r\n")},
	{"a body cut short", MORE, BYTES(POST "Content-Length: 6\r\n\r\nhello")},
	{"a head cut short", MORE, BYTES(GET "X: y\r\n")},

	{"length and chunked", 400,
	 BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"chunked and length", 400,
	 BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")},
	{"chunked and length zero", 400,
	 BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n")},
	{"two different lengths", 400,
	 BYTES(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")},
	{"two equal lengths", 400,
	 BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")},
	{"two lengths of zero", 400, BYTES(POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n")},
	{"a list of lengths", 400, BYTES(POST "Content-Length: 5, 5\r\n\r\nhello")},
	{"a list without space", 400, BYTES(POST "Content-Length: 5,5\r\n\r\nhello")},
	{"an empty length", 400, BYTES(POST "Content-Length:\r\n\r\nhello")},
	{"a length with plus", 400, BYTES(POST "Content-Length: +5\r\n\r\nhello")},
	{"a length with minus", 400, BYTES(POST "Content-Length: -1\r\n\r\nhello")},
	{"a hexadecimal length", 400, BYTES(POST "Content-Length: 0x5\r\n\r\nhello")},
	{"a length with an underscore", 400, BYTES(POST "Content-Length: 5_0\r\n\r\nhello")},
	{"a length with space inside", 400, BYTES(POST "Content-Length: 5 0\r\n\r\nhello")},
	{"a length with a letter", 400, BYTES(POST "Content-Length: 5a\r\n\r\nhello")},
	{"a length with a fraction", 400, BYTES(POST "Content-Length: 5.0\r\n\r\nhello")},
	{"a length of 2^32+5", 413, BYTES(POST "Content-Length: 4294967301\r\n\r\nhello")},
	{"a length of 2^63", 400, BYTES(POST "Content-Length: 9223372036854775808\r\n\r\nhello")},
	{"a length of 2^64+5", 400,
	 BYTES(POST "Content-Length: 18446744073709551621\r\n\r\nhello")},
	{"a length of 100 digits", 400, BYTES(POST "Content-Length: " Z100 "5\r\n\r\nhello")},
	{"a length beyond the limit", 413, BYTES(POST "Content-Length: 2001\r\n\r\n")},

	{"a coding that is not chunked", 400,
	 BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")},
	{"chunked not last", 400,
	 BYTES(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")},
	{"a coding before chunked", 400,
	 BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
	{"identity", 400, BYTES(POST "Transfer-Encoding: identity\r\n\r\n")},
	{"an empty coding first", 400, BYTES(POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n")},
	{"chunked with a parameter", 400,
	 BYTES(POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n")},
	{"chunked twice", 400, BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")},
	{"two chunked fields", 400,
	 BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"an empty coding", 400, BYTES(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n")},
	{"chunked in HTTP/1.0", 400,
	 BYTES("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"chunked with a vertical tab", 400,
	 BYTES(POST "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n")},
	{"chunked with a no-break space", 400,
	 BYTES(POST "Transfer-Encoding: \xa0"
		    "chunked\r\n\r\n0\r\n\r\n")},
	{"chunked folded", 400, BYTES(POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")},
	{"chunked in quotes", 400, BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n")},

	{"a folded line", 400, BYTES(GET "X: y\r\n z\r\n\r\n")},
	{"a line folded by a tab", 400, BYTES(GET "X: y\r\n\tz\r\n\r\n")},
	{"a fold right after the request line", 400, BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n")},
	{"a line of a space", 400, BYTES(GET " \r\n\r\n")},
	{"bare LF after the request line", 400, BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n")},
	{"bare LF after a field", 400, BYTES(GET "X: y\nZ: w\r\n\r\n")},
	{"bare LF as the empty line", 400, BYTES(GET "\n")},
	{"all lines by LF", 400, BYTES("GET / HTTP/1.1\nHost: a\n\n")},
	{"bare CR in a value", 400, BYTES(GET "X: y\rZ: w\r\n\r\n")},
	{"bare CR in a name", 400, BYTES(GET "X\rY: w\r\n\r\n")},
	{"CR CR LF", 400, BYTES(GET "X: y\r\r\n\r\n")},
	{"bare CR as the empty line", 400, BYTES(GET "\rX: y\r\n\r\n")},
	{"NUL in a value", 400, BYTES(GET "X: a\0b\r\n\r\n")},
	{"NUL in a name", 400, BYTES(GET "X\0: b\r\n\r\n")},
	{"NUL in the target", 400, BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a control character in a value", 400,
	 BYTES(GET "X: a\x01"
		   "b\r\n\r\n")},
	{"DEL in a value", 400, BYTES(GET "X: a\x7f\r\n\r\n")},
	{"a tab in a value", OK, BYTES(GET "X: a\tb\r\n\r\n")},
	{"a byte above ASCII in a value", OK, BYTES(GET "X: \xc3\xa4\r\n\r\n")},
	{"no colon", 400, BYTES(GET "X\r\n\r\n")},
	{"a space before the colon", 400, BYTES(GET "X : y\r\n\r\n")},
	{"a tab before the colon", 400, BYTES(GET "X\t: y\r\n\r\n")},
	{"a space before Host's colon", 400, BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n")},
	{"a space before a length's colon", 400, BYTES(POST "Content-Length : 5\r\n\r\nhello")},
	{"a name with a space", 400, BYTES(GET "X Y: z\r\n\r\n")},
	{"an empty name", 400, BYTES(GET ": y\r\n\r\n")},
	{"an 8-bit name", 400, BYTES(GET "X\xff: y\r\n\r\n")},
	{"a name with a parenthesis", 400, BYTES(GET "X(: y\r\n\r\n")},
	{"a name of the whole head", 431, BYTES(GET A2048 ": y\r\n\r\n")},
	{"a value of the whole head", 431, BYTES(GET "X: " A2048 "\r\n\r\n")},
	{"too many empty lines first", 400, BYTES("\r\n\r\n\r\n\r\n\r\n" GET "\r\n")},
	{"a line of spaces first", 400, BYTES("  \r\n" GET "\r\n")},
	{"a bare LF first", 400, BYTES("\n" GET "\r\n")},
	{"a bare CR first", 400, BYTES("\r" GET "\r\n")},

	{"no Host", 400, BYTES("GET / HTTP/1.1\r\n\r\n")},
	{"two equal Hosts", 400, BYTES(GET "Host: a\r\n\r\n")},
	{"two Hosts", 400, BYTES(GET "Host: b\r\n\r\n")},
	{"an empty Host", 400, BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n")},
	{"a list of Hosts", 400, BYTES("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n")},
	{"a Host with a path", 400, BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
	{"a Host with a user", 400, BYTES("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n")},
	{"a Host with port 0", 400, BYTES("GET / HTTP/1.1\r\nHost: a:0\r\n\r\n")},
	{"a Host with port 65536", 400, BYTES("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n")},
	{"a Host with port -1", 400, BYTES("GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n")},
	{"a Host of an IPv6 address", OK, BYTES("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")},
	{"HTTP/1.0 without Host", OK, BYTES("GET / HTTP/1.0\r\n\r\n")},
	{"HTTP/1.0 with two Hosts", 400, BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n")},

	{"an absolute form that agrees", OK, BYTES("GET http://A/x HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form without path", OK, BYTES("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form without Host", 400, BYTES("GET http://a/ HTTP/1.1\r\n\r\n")},
	{"an absolute form of another host", 400,
	 BYTES("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form of another port", 400,
	 BYTES("GET http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form with a user", 400, BYTES("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form with a password", 400,
	 BYTES("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form of another scheme", 400,
	 BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an absolute form with query and no path", 400,
	 BYTES("GET http://a?x HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a fragment", 400, BYTES("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a fragment in an absolute form", 400,
	 BYTES("GET http://a/#x HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a target without slash", 400, BYTES("GET x HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"CONNECT", 501, BYTES("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")},
	{"an asterisk with GET", 400, BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an asterisk with more", 400, BYTES("OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an asterisk with OPTIONS", OK, BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a target above ASCII", 400, BYTES("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a tab in the target", 400, BYTES("GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a target that is too long", 414, BYTES("GET /" A256 " HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a target longer than a head", 414, BYTES("GET /" A2048 " HTTP/1.1\r\nHost: a\r\n\r\n")},

	{"HTTP/0.9", 400, BYTES("GET /\r\n\r\n")},
	{"HTTP/1.2", 505, BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n")},
	{"HTTP/2.0", 505, BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n")},
	{"HTTP/9.9", 505, BYTES("GET / HTTP/9.9\r\nHost: a\r\n\r\n")},
	{"the HTTP/2 preface", 505, BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
	{"junk after the version", 400, BYTES("GET / HTTP/1.1junk\r\nHost: a\r\n\r\n")},
	{"a space after the version", 400, BYTES("GET / HTTP/1.1 \r\nHost: a\r\n\r\n")},
	{"a version in small letters", 400, BYTES("GET / http/1.1\r\nHost: a\r\n\r\n")},
	{"another protocol", 400, BYTES("GET / RTSP/1.0\r\nHost: a\r\n\r\n")},
	{"two spaces before the target", 400, BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"two spaces before the version", 400, BYTES("GET /  HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a tab between", 400, BYTES("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a space in the target", 400, BYTES("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a space first", 400, BYTES(" " GET "\r\n")},
	{"no target", 400, BYTES("GET HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an unknown method", 501, BYTES("BREW / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a method in small letters", 501, BYTES("get / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a method that is no token", 400, BYTES("G(T / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"TRACE", OK, BYTES("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"TRACE with content", 400,
	 BYTES("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")},
	{"TRACE in chunks", 400,
	 BYTES("TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"another expectation", 417,
	 BYTES(POST "Expect: y 100-continue\r\nContent-Length: 1\r\n\r\nx")},
	{"two expectations", 417,
	 BYTES(POST "Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx")},

	{"an empty chunk size", 400, BYTES(CHUNKED "\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with 0x", 400, BYTES(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with plus", 400, BYTES(CHUNKED "+5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with minus", 400, BYTES(CHUNKED "-5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with space before", 400, BYTES(CHUNKED " 5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with space after", 400, BYTES(CHUNKED "5 \r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with an underscore", 400, BYTES(CHUNKED "0_5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with few leading zeros", OK, BYTES(CHUNKED "0005\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size with many leading zeros", 400,
	 BYTES(CHUNKED Z100 "5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size of 17 digits", 400,
	 BYTES(CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size of 2^64-1", 413, BYTES(CHUNKED "ffffffffffffffff\r\nhello\r\n0\r\n\r\n")},
	{"a chunk beyond the limit", 413, BYTES(CHUNKED "7d1\r\n")},
	{"chunks beyond the limit", 413, BYTES(CHUNKED "1\r\nx\r\n7d0\r\n")},
	{"a last chunk of several zeros", OK, BYTES(CHUNKED "000\r\n\r\n")},
	{"a chunk extension", OK, BYTES(CHUNKED "5;a=b;c=\"d\"\r\nhello\r\n0;z\r\n\r\n")},
	{"a long chunk extension", 400,
	 BYTES(CHUNKED "5;" A256 A256 A256 A256 "\r\nhello\r\n0\r\n\r\n")},
	{"a bare CR in an extension", 400, BYTES(CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n")},
	{"a bare LF in an extension", 400, BYTES(CHUNKED "5;a\nhello\r\n0\r\n\r\n")},
	{"NUL in an extension", 400, BYTES(CHUNKED "5;\0\r\nhello\r\n0\r\n\r\n")},
	{"bare LF after a chunk size", 400, BYTES(CHUNKED "5\nhello\r\n0\r\n\r\n")},
	{"bare LF after a chunk", 400, BYTES(CHUNKED "5\r\nhello\n0\r\n\r\n")},
	{"a chunk longer than its size", 400, BYTES(CHUNKED "5\r\nhello!\r\n0\r\n\r\n")},
	{"two other bytes after a chunk", 400, BYTES(CHUNKED "5\r\nhelloXX0\r\n\r\n")},
	{"CR and another byte after a chunk", 400, BYTES(CHUNKED "5\r\nhello\rX0\r\n\r\n")},
	{"bare LF at the end", 400, BYTES(CHUNKED "0\r\n\n")},
	{"bare CR at the end", 400, BYTES(CHUNKED "0\r\n\rX")},
	{"no last CR LF", MORE, BYTES(CHUNKED "5\r\nhello\r\n0\r\n")},
	{"trailers", OK, BYTES(CHUNKED "0\r\nX: y\r\nZ: w\r\n\r\n")},
	{"a trailer without colon", 400, BYTES(CHUNKED "0\r\nX\r\n\r\n")},
	{"a trailer with space before the colon", 400, BYTES(CHUNKED "0\r\nX : y\r\n\r\n")},
	{"a trailer without name", 400, BYTES(CHUNKED "0\r\n: y\r\n\r\n")},
	{"a folded trailer", 400, BYTES(CHUNKED "0\r\nX: y\r\n z\r\n\r\n")},
	{"a trailer that begins with a space", 400, BYTES(CHUNKED "0\r\n X: y\r\n\r\n")},
	{"bare LF in trailers", 400, BYTES(CHUNKED "0\r\nX: y\n\r\n")},
	{"bare CR in trailers", 400, BYTES(CHUNKED "0\r\nX: y\rz\r\n\r\n")},
	{"NUL in trailers", 400, BYTES(CHUNKED "0\r\nX: \0\r\n\r\n")},
	{"trailers beyond the limit", 431, BYTES(CHUNKED "0\r\nX: " A2048 "\r\n\r\n")},
};

#define ANSWER "HTTP/1.1 200 OK\r\n"

static const struct row response_rows[] = {
	{"an answer of known length", OK, BYTES(ANSWER "Content-Length: 2\r\n\r\nhi")},
	{"a chunked answer", OK,
	 BYTES(ANSWER "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")},
	{"an answer that the end of the connection ends", MORE, BYTES(ANSWER "\r\nhello")},
	{"no reason", OK, BYTES("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")},
	{"an empty reason", OK, BYTES("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")},
	{"204 has no body", OK, BYTES("HTTP/1.1 204 No Content\r\n\r\n")},
	{"304 has no body", OK, BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n")},
	{"an interim answer", OK, BYTES("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")},
	{"HTTP/1.0", OK, BYTES("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi")},
	{"no Host in an answer", OK, BYTES(ANSWER "Content-Length: 0\r\n\r\n")},
	{"a body larger than a request may have", MORE,
	 BYTES(ANSWER "Content-Length: 5000\r\n\r\nx")},
	{"101 without being asked", 502,
	 BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")},
	{"101 with a length", 502,
	 BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n"
	       "Content-Length: 0\r\n\r\n")},
	{"101 without Connection", 502,
	 BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")},
	{"101 without Upgrade", 502,
	 BYTES("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n")},
	{"two lengths", 400, BYTES(ANSWER "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi")},
	{"a list of lengths", 400, BYTES(ANSWER "Content-Length: 2, 2\r\n\r\nhi")},
	{"length and chunked", 400,
	 BYTES(ANSWER "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"two lengths in a 304", 400,
	 BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n")},
	{"another coding", 400, BYTES(ANSWER "Transfer-Encoding: gzip\r\n\r\n")},
	{"chunked in HTTP/1.0", 400,
	 BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"a status of 600", 502, BYTES("HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n")},
	{"a status of 99", 502, BYTES("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n")},
	{"a status of two digits", 502, BYTES("HTTP/1.1 20\r\nContent-Length: 0\r\n\r\n")},
	{"a status of four digits", 502, BYTES("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n")},
	{"a status with a sign", 502, BYTES("HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n")},
	{"another version", 502, BYTES("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n")},
	{"HTTP/2", 502, BYTES("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n")},
	{"two spaces", 502, BYTES("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n")},
	{"no HTTP at all", 502, BYTES("ICY 200 OK\r\n\r\n")},
	{"a folded field", 400, BYTES(ANSWER "X: y\r\n z\r\nContent-Length: 0\r\n\r\n")},
	{"bare LF", 400, BYTES("HTTP/1.1 200 OK\nContent-Length: 0\n\n")},
	{"NUL in a value", 400, BYTES(ANSWER "X: \0\r\nContent-Length: 0\r\n\r\n")},
	{"a space before the colon", 400, BYTES(ANSWER "X : y\r\nContent-Length: 0\r\n\r\n")},
	{"an empty name", 400, BYTES(ANSWER ": y\r\nContent-Length: 0\r\n\r\n")},
	{"too large a head", 431, BYTES(ANSWER "X: " A2048 "\r\n\r\n")},
	{"a bad chunk", 400, BYTES(ANSWER "Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n")},
};

static void each_kind_of_request_gets_its_verdict_wherever_it_is_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++)
		expect_verdict_at_every_split(HTTP_HEAD_REQUEST, &request_rows[i]);
}

static void each_kind_of_answer_gets_its_verdict_wherever_it_is_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(response_rows) / sizeof(response_rows[0]); i++)
		expect_verdict_at_every_split(HTTP_HEAD_RESPONSE, &response_rows[i]);
}

static void assert_slice(struct slice slice, const char *text)
{
	assert_int_equal(slice.length, strlen(text));
	assert_memory_equal(slice.data, text, slice.length);
}

/* The answer lies in `head`, for slices point into it. */
static const struct http_request *request_of(struct reader *reader, const char *head)
{
	reader_init(reader, HTTP_HEAD_REQUEST);
	assert_int_equal(reader_head(reader, slice_of(head)), READER_MORE);
	return &reader->request.request;
}

static void a_request_is_taken_apart(void **state)
{
	struct reader reader;
	const struct http_request *request;
	(void)state;

	request =
		request_of(&reader, "PUT /a/b?c=d?e HTTP/1.1\r\nHOST: x.y:80\r\nTE: a, trailers\r\n"
				    "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
	assert_slice(request->method, "PUT");
	assert_slice(request->target, "/a/b?c=d?e");
	assert_slice(request->path, "/a/b");
	assert_slice(request->query, "c=d?e");
	assert_slice(request->authority, "x.y:80");
	assert_true(request->has_query && request->idempotent && request->expects_continue);
	assert_true(request->accepts_trailers && !request->head_only && !request->upgrade);
	assert_int_equal(request->body_bytes, 3);
	assert_int_equal(request->header_count, 4);
	assert_true(reader.request.keep_alive);

	request = request_of(&reader, "HEAD http://h/p?q HTTP/1.0\r\n\r\n");
	assert_slice(request->target, "/p?q");
	assert_slice(request->path, "/p");
	assert_slice(request->authority, "h");
	assert_true(request->head_only && request->http_1_0 && !reader.request.keep_alive);
}

static void connection_decides_over_keeping_and_marks_what_it_names(void **state)
{
	struct reader reader;
	const struct http_request *request;
	(void)state;

	request = request_of(&reader, GET "Connection: x-secret, Upgrade\r\nX-Secret: 1\r\n"
					  "X-Public: 2\r\nUpgrade: websocket\r\n\r\n");
	assert_true(request->headers[1].hop_by_hop);
	assert_true(request->headers[2].hop_by_hop);
	assert_false(request->headers[3].hop_by_hop);
	assert_true(request->headers[4].hop_by_hop);
	assert_true(request->upgrade && reader.request.keep_alive);

	request_of(&reader, GET "Connection: keep-alive, Close\r\n\r\n");
	assert_false(reader.request.keep_alive);
	request_of(&reader, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
	assert_true(reader.request.keep_alive);
}

static void a_head_may_have_a_hundred_fields_and_not_one_more(void **state)
{
	struct reader reader;
	(void)state;

	for (int count = 99; count <= 100; count++) {
		struct text head;
		text_init(&head, 2048);
		text_append_text(&head, GET);
		for (int i = 0; i < count; i++)
			text_append_text(&head, "X: y\r\n");
		text_append_text(&head, "\r\n");
		reader_init(&reader, HTTP_HEAD_REQUEST);
		const int verdict = reader_head(&reader, text_slice(&head));
		text_fini(&head);
		assert_int_equal(verdict, count == 99 ? READER_MORE : 431);
	}
}

static void trailers_that_frame_route_or_authorize_are_dropped(void **state)
{
	struct reader reader;
	(void)state;

	reader_init(&reader, HTTP_HEAD_REQUEST);
	assert_int_equal(
		read_split(
			&reader,
			slice_of(CHUNKED
				 "0\r\nContent-Length: 5\r\nHost: b\r\nX-Sum: 1\r\n"
				 "Transfer-Encoding: chunked\r\nAuthorization: x\r\n"
				 "X-API-Key: x\r\nConnection: close\r\nTrailer: x\r\n"
				 "Stoa-Units: pixels=3\r\nStoa-Call: x\r\nCookie: y\r\n"
				 "Set-Cookie: a\r\nX-Forwarded-Port: 1\r\nX-Real-IP: ::\r\n\r\n"),
			0),
		READER_WHOLE);
	assert_string_equal(reader.trailer_text.data, "X-Sum=1;Stoa-Units=pixels=3;");
	reader_fini(&reader);
}

static void an_answer_to_head_has_a_length_and_no_body(void **state)
{
	struct reader reader;
	(void)state;

	reader_init(&reader, HTTP_HEAD_RESPONSE);
	reader.head_only = true;
	assert_int_equal(read_split(&reader, slice_of(ANSWER "Content-Length: 9\r\n\r\n"), 5),
			 READER_WHOLE);
	assert_int_equal(reader.response.response.body_bytes, 9);
	assert_true(reader.response.keep_alive);
	reader_fini(&reader);
}

static void many_tiny_chunks_are_refused(void **state)
{
	struct reader reader;
	int verdict;
	(void)state;

	reader_init(&reader, HTTP_HEAD_REQUEST);
	reader.limits.body_bytes_max = 100000;
	verdict = reader_feed(&reader, slice_of(CHUNKED));
	for (int i = 0; i < 4000 && verdict == READER_MORE; i++)
		verdict = reader_feed(&reader, slice_of("1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n"));
	assert_int_equal(verdict, 400);
	assert_in_range(reader.content.length, 500, 3000);
	reader_fini(&reader);
}

static void any_content_survives_any_chunks_and_any_splits(void **state)
{
	struct random_seeded seeded;
	const uint64_t seed = testing_seed();
	(void)state;

	random_seeded_init(&seeded, seed);
	for (int round = 0; round < 500; round++) {
		char message[8192] = CHUNKED, content[2000];
		size_t length = strlen(message);
		const size_t size = random_below(&seeded.random, sizeof(content));
		struct reader reader;

		random_seeded_init(&seeded, seed + (uint64_t)round);
		seeded.random.fill(&seeded.random, content, sizeof(content));
		for (size_t at = 0; at < size;) {
			size_t chunk = 1 + random_below(&seeded.random, 600);
			chunk = chunk < size - at ? chunk : size - at;
			length += (size_t)snprintf(message + length, 16, "%zx\r\n", chunk);
			memcpy(message + length, content + at, chunk);
			memcpy(message + length + chunk, "\r\n", 2);
			length += chunk + 2;
			at += chunk;
		}
		memcpy(message + length, "0\r\n\r\n", 5);
		length += 5;

		int verdict = READER_MORE;
		reader_init(&reader, HTTP_HEAD_REQUEST);
		for (size_t at = 0; at < length && verdict == READER_MORE;) {
			size_t piece = 1 + random_below(&seeded.random, 300);
			piece = piece < length - at ? piece : length - at;
			verdict = reader_feed(&reader, slice_make(message + at, piece));
			at += piece;
		}
		assert_int_equal(verdict, READER_WHOLE);
		assert_int_equal(reader.content.length, size);
		if (size > 0)
			assert_memory_equal(reader.content.data, content, size);
		reader_fini(&reader);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_request_gets_its_verdict_wherever_it_is_split),
		cmocka_unit_test(each_kind_of_answer_gets_its_verdict_wherever_it_is_split),
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(connection_decides_over_keeping_and_marks_what_it_names),
		cmocka_unit_test(a_head_may_have_a_hundred_fields_and_not_one_more),
		cmocka_unit_test(trailers_that_frame_route_or_authorize_are_dropped),
		cmocka_unit_test(an_answer_to_head_has_a_length_and_no_body),
		cmocka_unit_test(many_tiny_chunks_are_refused),
		cmocka_unit_test(any_content_survives_any_chunks_and_any_splits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
