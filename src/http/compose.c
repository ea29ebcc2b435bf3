#include "http/compose_internal.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/syntax_internal.h"

#define FIXED_BYTES 384 /* more than a start line without target and our own fields take */

/* ---- small pieces; each returns the end ---- */

static char *put(char *at, const char *bytes, size_t length)
{
	memcpy(at, bytes, length);
	return at + length;
}

#define put_text(at, text) put(at, text, sizeof(text) - 1)

static char *put_slice(char *at, struct slice slice)
{
	return slice.length > 0 ? put(at, slice.data, slice.length) : at;
}

static char *put_decimal(char *at, uint64_t value)
{
	char digits[20];
	size_t count = 0;

	do {
		digits[sizeof(digits) - ++count] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return put(at, digits + sizeof(digits) - count, count);
}

static char *put_hexadecimal(char *at, uint64_t value)
{
	char digits[16];
	size_t count = 0;

	do {
		digits[sizeof(digits) - ++count] = "0123456789abcdef"[value % 16];
		value /= 16;
	} while (value > 0);
	return put(at, digits + sizeof(digits) - count, count);
}

/* ---- fields ---- */

static size_t fields_bytes(const struct http_header *headers, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += headers[i].name.length + headers[i].value.length + 4;
	return bytes;
}

static char *put_field(char *at, const struct http_header *header)
{
	if (!header->sound) {
		check(http_is_token(header->name));
		check(http_is_field_text(header->value));
	}
	at = put_slice(at, header->name);
	at = put_text(at, ": ");
	at = put_slice(at, header->value);
	return put_text(at, "\r\n");
}

static char *put_upgrade(char *at, struct slice protocol)
{
	check(http_is_field_text(protocol) && protocol.length <= HTTP_PROTOCOL_BYTES_MAX);
	at = put_text(at, "Connection: Upgrade\r\nUpgrade: ");
	at = put_slice(at, protocol);
	return put_text(at, "\r\n");
}

void http_date_update(struct http_date *date, uint64_t wall_ns)
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	const time_t second = (time_t)(wall_ns / CLOCK_NS_PER_S);
	char text[64];
	struct tm tm;

	if (date->text[0] != '\0' && date->second == (uint64_t)second)
		return;
	gmtime_r(&second, &tm);
	const int length = snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
				    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
				    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	check_equal(length, HTTP_DATE_BYTES);
	memcpy(date->text, text, HTTP_DATE_BYTES);
	date->second = (uint64_t)second;
}

/* ---- heads ---- */

void http_compose_answer(struct http_wire *wire, const struct http_answer_head *answer,
			 const struct http_date *date)
{
	const struct slice reason = slice_of(http_status_reason(answer->status));
	char *at = http_wire_reserve(
		wire, FIXED_BYTES + fields_bytes(answer->headers, answer->header_count));

	at = put_text(at, "HTTP/1.1 ");
	at = put_decimal(at, answer->status);
	at = put_text(at, " ");
	at = put_slice(at, reason);
	at = put_text(at, "\r\nDate: ");
	at = put(at, date->text, HTTP_DATE_BYTES);
	at = put_text(at, "\r\n");
	for (size_t i = 0; i < answer->header_count; i++)
		if (!http_header_is_ours(&answer->headers[i]) &&
		    answer->headers[i].known != HTTP_DATE)
			at = put_field(at, &answer->headers[i]);
	if (answer->content_length != HTTP_LENGTH_UNKNOWN) {
		at = put_text(at, "Content-Length: ");
		at = put_decimal(at, (uint64_t)answer->content_length);
		at = put_text(at, "\r\n");
	}
	if (answer->chunked)
		at = put_text(at, "Transfer-Encoding: chunked\r\n");
	if (answer->upgrade.length > 0)
		at = put_upgrade(at, answer->upgrade);
	else if (answer->close)
		at = put_text(at, "Connection: close\r\n");
	else if (answer->keep_alive)
		at = put_text(at, "Connection: keep-alive\r\n");
	at = put_text(at, "\r\n");
	http_wire_commit(wire, at);
}

void http_call_request_check(const struct http_call_request *request)
{
	check(http_is_token(request->method));
	check(request->target.length > 0 && http_is_field_text(request->target) &&
	      slice_find_byte(request->target, ' ', 0) == request->target.length);
	check(request->body_bytes >= HTTP_LENGTH_UNKNOWN);
}

bool http_call_request_tells_length(const struct http_call_request *request)
{
	return request->body_bytes > 0 ||
	       (request->body_bytes == 0 && (slice_equal(request->method, slice_of("POST")) ||
					     slice_equal(request->method, slice_of("PUT")) ||
					     slice_equal(request->method, slice_of("PATCH"))));
}

void http_compose_request(struct http_wire *wire, const struct http_call_request *request)
{
	char *at = http_wire_reserve(wire,
				     FIXED_BYTES + request->method.length + request->target.length +
					     fields_bytes(request->headers, request->header_count));

	http_call_request_check(request);
	at = put_slice(at, request->method);
	at = put_text(at, " ");
	at = put_slice(at, request->target);
	at = put_text(at, " HTTP/1.1\r\n");
	for (size_t i = 0; i < request->header_count; i++)
		if (!http_header_is_ours(&request->headers[i]) &&
		    request->headers[i].known != HTTP_EXPECT)
			at = put_field(at, &request->headers[i]);
	if (request->upgrade.length > 0) {
		check_equal(request->body_bytes, 0);
		at = put_upgrade(at, request->upgrade);
	}
	if (http_call_request_tells_length(request)) {
		at = put_text(at, "Content-Length: ");
		at = put_decimal(at, (uint64_t)request->body_bytes);
		at = put_text(at, "\r\n");
	} else if (request->body_bytes == HTTP_LENGTH_UNKNOWN) {
		at = put_text(at, "Transfer-Encoding: chunked\r\n");
	}
	at = put_text(at, "\r\n");
	http_wire_commit(wire, at);
}

/* ---- chunks ---- */

void http_compose_chunk(struct http_wire *wire, struct slice bytes)
{
	char *at = http_wire_reserve(wire, 18);

	check(bytes.length > 0);
	at = put_hexadecimal(at, bytes.length);
	at = put_text(at, "\r\n");
	http_wire_commit(wire, at);
	http_wire_append(wire, bytes);
	http_wire_append(wire, slice_of("\r\n"));
}

void http_compose_last_chunk(struct http_wire *wire, const struct http_header *trailers,
			     size_t trailer_count)
{
	char *at = http_wire_reserve(wire, FIXED_BYTES + fields_bytes(trailers, trailer_count));

	at = put_text(at, "0\r\n");
	for (size_t i = 0; i < trailer_count; i++)
		if (!http_header_is_ours(&trailers[i]))
			at = put_field(at, &trailers[i]);
	at = put_text(at, "\r\n");
	http_wire_commit(wire, at);
}
