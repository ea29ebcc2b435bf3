#include "message.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_LINE_MAX    1024 /* bytes of a chunk's size and extensions */
#define TRAILER_LINES_MAX 100
#define LINGER_MS         1000

static enum message_outcome head_read(struct connection *connection, struct request *request,
				      struct refusal *refusal);
static enum message_outcome body_read_sized(struct connection *connection, struct request *request,
					    int64_t deadline_ms, struct refusal *refusal);
static enum message_outcome body_read_chunked(struct connection *connection,
					      struct request *request, int64_t deadline_ms,
					      struct refusal *refusal);
static enum message_outcome fill(struct connection *connection, int64_t deadline_ms,
				 struct refusal *refusal);
static bool send_all(struct connection *connection, struct iovec *pieces, int count);

static enum message_outcome refuse(struct refusal *refusal, int status, const char *detail)
{
	*refusal = (struct refusal){.status = status, .detail = detail};
	return MESSAGE_REFUSED;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum message_outcome message_request_read(struct connection *connection, struct request *request,
					  struct refusal *refusal)
{
	memset(request, 0, sizeof(*request));
	enum message_outcome outcome = head_read(connection, request, refusal);

	if (outcome != MESSAGE_READ)
		return outcome;
	if (request->expects_continue && (request->chunked || request->content_length > 0)) {
		static char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
		struct iovec piece = {interim, sizeof(interim) - 1};

		if (!send_all(connection, &piece, 1))
			return MESSAGE_CLOSED;
	}
	const int64_t deadline_ms = now_ms() + MESSAGE_BODY_MS;

	if (request->chunked)
		outcome = body_read_chunked(connection, request, deadline_ms, refusal);
	else if (request->content_length > 0)
		outcome = body_read_sized(connection, request, deadline_ms, refusal);
	if (outcome != MESSAGE_READ) {
		message_request_fini(request);
		request->keep_alive = false;
	}
	return outcome;
}

void message_request_fini(struct request *request)
{
	free(request->body);
	request->body = NULL;
	request->body_length = 0;
}

/* ---- reading ---- */

static enum message_outcome head_read(struct connection *connection, struct request *request,
				      struct refusal *refusal)
{
	const int64_t deadline_ms = now_ms() + MESSAGE_HEAD_MS;

	for (;;) {
		/* A client may send an empty line after a body (RFC 9112, 2.2). */
		while (connection->end - connection->start >= 2 &&
		       memcmp(connection->buffer + connection->start, "\r\n", 2) == 0)
			connection->start += 2;

		const char *const head = connection->buffer + connection->start;
		const size_t length = connection->end - connection->start;
		const char *const last = memmem(head, length, "\r\n\r\n", 4);

		if (last) {
			const size_t head_length = (size_t)(last + 4 - head);

			connection->start += head_length;
			return message_head_parse(head, head_length, request, refusal)
				       ? MESSAGE_READ
				       : MESSAGE_REFUSED;
		}
		if (length == MESSAGE_HEAD_MAX)
			return refuse(refusal, 431, "The head is larger than 16 KiB.");
		const enum message_outcome outcome = fill(connection, deadline_ms, refusal);

		if (outcome != MESSAGE_READ)
			return length == 0 ? MESSAGE_CLOSED : outcome;
	}
}

/* Receives more into the buffer, which has room once what was consumed is moved out. */
static enum message_outcome fill(struct connection *connection, int64_t deadline_ms,
				 struct refusal *refusal)
{
	if (connection->start > 0) {
		memmove(connection->buffer, connection->buffer + connection->start,
			connection->end - connection->start);
		connection->end -= connection->start;
		connection->start = 0;
	}
	for (;;) {
		const ssize_t got = recv(connection->fd, connection->buffer + connection->end,
					 sizeof(connection->buffer) - connection->end, 0);

		if (got > 0) {
			connection->end += (size_t)got;
			return MESSAGE_READ;
		}
		if (got == 0 || (errno != EAGAIN && errno != EINTR))
			return MESSAGE_CLOSED;

		struct pollfd readable = {.fd = connection->fd, .events = POLLIN};
		const int64_t left_ms = deadline_ms - now_ms();

		if (left_ms <= 0 || poll(&readable, 1, (int)left_ms) == 0)
			return refuse(refusal, 408, "The request did not arrive in time.");
	}
}

/* Appends up to `want` bytes of what is in the buffer, at least one, to the body. */
static size_t body_take(struct connection *connection, struct request *request, size_t want)
{
	const size_t there = connection->end - connection->start;
	const size_t length = want < there ? want : there;

	memcpy(request->body + request->body_length, connection->buffer + connection->start,
	       length);
	request->body_length += length;
	connection->start += length;
	return length;
}

/* Memory follows what arrives, not what was announced. */
static bool body_reserve(struct request *request, size_t *capacity, size_t need)
{
	if (need <= *capacity)
		return true;
	size_t larger = *capacity ? *capacity : 65536;

	while (larger < need)
		larger *= 2;
	char *body = realloc(request->body, larger);

	if (!body)
		return false;
	request->body = body;
	*capacity = larger;
	return true;
}

/* Moves `length` bytes of body into the request. */
static enum message_outcome body_append(struct connection *connection, struct request *request,
					size_t *capacity, size_t length, int64_t deadline_ms,
					struct refusal *refusal)
{
	if (request->body_length + length > MESSAGE_BODY_MAX)
		return refuse(refusal, 413, "The body is larger than 16 MiB.");
	while (length > 0) {
		if (connection->start == connection->end) {
			const enum message_outcome outcome = fill(connection, deadline_ms, refusal);

			if (outcome != MESSAGE_READ)
				return outcome;
		}
		if (!body_reserve(request, capacity,
				  request->body_length + sizeof(connection->buffer)))
			return refuse(refusal, 503, "There is no memory left; try again later.");
		length -= body_take(connection, request, length);
	}
	return MESSAGE_READ;
}

static enum message_outcome body_read_sized(struct connection *connection, struct request *request,
					    int64_t deadline_ms, struct refusal *refusal)
{
	size_t capacity = 0;

	return body_append(connection, request, &capacity, (size_t)request->content_length,
			   deadline_ms, refusal);
}

/* The next line of the chunked coding, copied without its CRLF. */
static enum message_outcome line_read(struct connection *connection, char line[CHUNK_LINE_MAX],
				      int64_t deadline_ms, struct refusal *refusal)
{
	for (;;) {
		const char *const data = connection->buffer + connection->start;
		const size_t length = connection->end - connection->start;
		const char *const newline = memchr(data, '\n', length);

		if (newline) {
			const size_t line_length = (size_t)(newline - data);

			if (line_length == 0 || newline[-1] != '\r' || line_length > CHUNK_LINE_MAX)
				return refuse(refusal, 400,
					      "A line of the chunked body is malformed.");
			memcpy(line, data, line_length - 1);
			line[line_length - 1] = '\0';
			connection->start += line_length + 1;
			return MESSAGE_READ;
		}
		if (length > CHUNK_LINE_MAX)
			return refuse(refusal, 400, "A line of the chunked body is too long.");
		const enum message_outcome outcome = fill(connection, deadline_ms, refusal);

		if (outcome != MESSAGE_READ)
			return outcome;
	}
}

/* Up to seven hexadecimal digits, then the line's end or extensions. */
static bool chunk_size_parse(const char *line, size_t *ret_size)
{
	const size_t digits = strspn(line, "0123456789abcdefABCDEF");
	size_t size = 0;

	if (digits == 0 || digits > 7 || (line[digits] != '\0' && line[digits] != ';'))
		return false;
	for (size_t i = 0; i < digits; i++) {
		const char c = line[i];

		size = size * 16 + (size_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	*ret_size = size;
	return true;
}

static enum message_outcome body_read_chunked(struct connection *connection,
					      struct request *request, int64_t deadline_ms,
					      struct refusal *refusal)
{
	char line[CHUNK_LINE_MAX];
	size_t capacity = 0;
	enum message_outcome outcome;
	size_t size;

	do {
		outcome = line_read(connection, line, deadline_ms, refusal);
		if (outcome != MESSAGE_READ)
			return outcome;
		if (!chunk_size_parse(line, &size))
			return refuse(refusal, 400, "A chunk's size is not a hexadecimal number.");
		outcome = body_append(connection, request, &capacity, size, deadline_ms, refusal);
		if (outcome == MESSAGE_READ && size > 0) {
			outcome = line_read(connection, line, deadline_ms, refusal);
			if (outcome == MESSAGE_READ && line[0] != '\0')
				return refuse(refusal, 400, "A chunk is longer than it said.");
		}
		if (outcome != MESSAGE_READ)
			return outcome;
	} while (size > 0);

	/* Trailers say nothing to this service. */
	for (int lines = 0; lines <= TRAILER_LINES_MAX; lines++) {
		outcome = line_read(connection, line, deadline_ms, refusal);
		if (outcome != MESSAGE_READ || line[0] == '\0')
			return outcome;
	}
	return refuse(refusal, 431, "The body has more than 100 trailers.");
}

/* ---- writing ---- */

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{422, "Unprocessable Content"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

/* IMF-fixdate (RFC 9110, 5.6.7). */
static void date_format(char *text, size_t size)
{
	const time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", &utc);
}

bool message_answer_write(struct connection *connection, const struct request *request,
			  const struct answer *answer)
{
	char head[1024];
	char date[64];

	date_format(date, sizeof(date));
	const int length =
		snprintf(head, sizeof(head),
			 "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
			 "%s%s%s%s%s\r\n",
			 answer->status, reason_of(answer->status), date, answer->content_type,
			 answer->body_length, answer->allow ? "Allow: " : "",
			 answer->allow ? answer->allow : "", answer->allow ? "\r\n" : "",
			 answer->fields ? answer->fields : "",
			 request->keep_alive ? "" : "Connection: close\r\n");
	union {
		const void *constant;
		void *base;
	} body = {answer->body};
	struct iovec pieces[2] = {
		{head, (size_t)length},
		{body.base, strcmp(request->method, "HEAD") == 0 ? 0 : answer->body_length},
	};

	return send_all(connection, pieces, 2);
}

bool message_refusal_write(struct connection *connection, const struct request *request,
			   const struct refusal *refusal)
{
	char body[1024];
	const int length =
		snprintf(body, sizeof(body),
			 "{\"type\": \"about:blank\", \"title\": \"%s\", \"status\": %d, "
			 "\"detail\": \"%s\"}\n",
			 reason_of(refusal->status), refusal->status, refusal->detail);

	return message_answer_write(connection, request,
				    &(struct answer){
					    .status = refusal->status,
					    .content_type = "application/problem+json",
					    .body = body,
					    .body_length = (size_t)length,
					    .allow = refusal->allow,
				    });
}

static bool send_all(struct connection *connection, struct iovec *pieces, int count)
{
	const int64_t deadline_ms = now_ms() + MESSAGE_WRITE_MS;
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};

	while (message.msg_iovlen > 0) {
		if (message.msg_iov->iov_len == 0) {
			message.msg_iov++;
			message.msg_iovlen--;
			continue;
		}
		ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (sent < 0) {
			struct pollfd writable = {.fd = connection->fd, .events = POLLOUT};
			const int64_t left_ms = deadline_ms - now_ms();

			if (left_ms <= 0 || poll(&writable, 1, (int)left_ms) == 0)
				return false;
			continue;
		}
		while (sent > 0) {
			const size_t part = (size_t)sent < message.msg_iov->iov_len
						    ? (size_t)sent
						    : message.msg_iov->iov_len;

			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + part;
			message.msg_iov->iov_len -= part;
			sent -= (ssize_t)part;
			if (message.msg_iov->iov_len == 0) {
				message.msg_iov++;
				message.msg_iovlen--;
			}
		}
	}
	return true;
}

void message_connection_close(struct connection *connection)
{
	const int64_t deadline_ms = now_ms() + LINGER_MS;
	struct refusal ignored;

	shutdown(connection->fd, SHUT_WR);
	do
		connection->start = connection->end = 0;
	while (fill(connection, deadline_ms, &ignored) == MESSAGE_READ && now_ms() < deadline_ms);
	close(connection->fd);
	connection->fd = -1;
}
