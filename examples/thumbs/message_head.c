#include "message.h"

#include <string.h>
#include <strings.h>

struct span {
	const char *data;
	size_t length;
};

/* What of a head is told once: more than once is a doubt. */
struct head_counts {
	unsigned fields, hosts, lengths, codings;
	bool version_1_0, asks_close, asks_keep_alive;
};

static bool request_line_parse(struct span line, struct request *request,
			       struct head_counts *counts, struct refusal *refusal);
static bool target_parse(struct span target, struct request *request, struct refusal *refusal);
static bool field_parse(struct span line, struct request *request, struct head_counts *counts,
			struct refusal *refusal);
static bool field_apply(struct span name, struct span value, struct request *request,
			struct head_counts *counts, struct refusal *refusal);
static bool head_conclude(struct request *request, const struct head_counts *counts,
			  struct refusal *refusal);

static bool refuse(struct refusal *refusal, int status, const char *detail)
{
	*refusal = (struct refusal){.status = status, .detail = detail};
	return false;
}

static bool span_is(struct span span, const char *text)
{
	return span.length == strlen(text) && strncasecmp(span.data, text, span.length) == 0;
}

bool message_head_parse(const char *head, size_t length, struct request *request,
			struct refusal *refusal)
{
	struct head_counts counts = {0};
	const char *const end = head + length;
	bool first = true;

	request->keep_alive = request->chunked = request->expects_continue = false;
	request->content_length = -1;
	request->body = NULL;
	request->body_length = 0;
	for (const char *line = head; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));

		if (!newline || newline == line || newline[-1] != '\r')
			return refuse(refusal, 400, "A line of the head does not end with CRLF.");
		const struct span span = {line, (size_t)(newline - 1 - line)};

		if (first) {
			if (!request_line_parse(span, request, &counts, refusal))
				return false;
		} else if (span.length == 0) {
			return newline + 1 == end ? head_conclude(request, &counts, refusal)
						  : refuse(refusal, 400, "The head ends early.");
		} else if (!field_parse(span, request, &counts, refusal)) {
			return false;
		}
		first = false;
		line = newline + 1;
	}
	return refuse(refusal, 400, "The head does not end with an empty line.");
}

/* RFC 9110, 5.6.2: a token. */
static bool is_token(struct span span)
{
	for (size_t i = 0; i < span.length; i++) {
		const unsigned char c = (unsigned char)span.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c && strchr("!#$%&'*+-.^_`|~", c))))
			return false;
	}
	return span.length > 0;
}

static bool request_line_parse(struct span line, struct request *request,
			       struct head_counts *counts, struct refusal *refusal)
{
	const char *const end = line.data + line.length;
	const char *const space = memchr(line.data, ' ', line.length);
	const char *const last = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;

	if (!last)
		return refuse(refusal, 400, "The request line is not METHOD TARGET VERSION.");
	const struct span method = {line.data, (size_t)(space - line.data)};
	const struct span target = {space + 1, (size_t)(last - space - 1)};
	const struct span version = {last + 1, (size_t)(end - last - 1)};

	if (!is_token(method))
		return refuse(refusal, 400, "The method is not a token.");
	if (method.length >= sizeof(request->method))
		return refuse(refusal, 501, "The method is not known.");
	memcpy(request->method, method.data, method.length);
	request->method[method.length] = '\0';
	if (version.length != 8 || memcmp(version.data, "HTTP/", 5) != 0)
		return refuse(refusal, 400, "The request line is not METHOD TARGET VERSION.");
	counts->version_1_0 = memcmp(version.data, "HTTP/1.0", 8) == 0;
	if (!counts->version_1_0 && memcmp(version.data, "HTTP/1.1", 8) != 0)
		return refuse(refusal, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
	return target_parse(target, request, refusal);
}

/* Origin form, or absolute form with its scheme and authority left out. */
static bool target_parse(struct span target, struct request *request, struct refusal *refusal)
{
	for (size_t i = 0; i < target.length; i++)
		if (target.data[i] <= ' ' || target.data[i] > '~')
			return refuse(refusal, 400,
				      "The target has a character that is not "
				      "allowed; percent-encode it.");
	if (target.length > 7 && strncasecmp(target.data, "http://", 7) == 0) {
		const char *slash = memchr(target.data + 7, '/', target.length - 7);

		if (!slash)
			return refuse(refusal, 400, "The target has no path.");
		target.length -= (size_t)(slash - target.data);
		target.data = slash;
	}
	if (target.length == 0 || (target.data[0] != '/' && !span_is(target, "*")))
		return refuse(refusal, 400, "The target is not a path that begins with a slash.");
	if (target.length >= MESSAGE_TARGET_MAX)
		return refuse(refusal, 414, "The target is longer than 2047 bytes.");

	const char *const mark = memchr(target.data, '?', target.length);
	const size_t path_length = mark ? (size_t)(mark - target.data) : target.length;
	const size_t query_length = mark ? target.length - path_length - 1 : 0;

	memcpy(request->path, target.data, path_length);
	request->path[path_length] = '\0';
	if (mark)
		memcpy(request->query, mark + 1, query_length);
	request->query[query_length] = '\0';
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trimmed(struct span span)
{
	while (span.length > 0 && is_space(span.data[0])) {
		span.data++;
		span.length--;
	}
	while (span.length > 0 && is_space(span.data[span.length - 1]))
		span.length--;
	return span;
}

static bool field_parse(struct span line, struct request *request, struct head_counts *counts,
			struct refusal *refusal)
{
	const char *const colon = memchr(line.data, ':', line.length);

	if (++counts->fields > MESSAGE_FIELDS_MAX)
		return refuse(refusal, 431, "The head has more than 100 fields.");
	if (!colon)
		return refuse(refusal, 400, "A field has no colon.");
	const struct span name = {line.data, (size_t)(colon - line.data)};
	const struct span value = trimmed((struct span){colon + 1, line.length - name.length - 1});

	if (!is_token(name)) /* a folded line and white space before the colon too */
		return refuse(refusal, 400, "A field's name is not a token.");
	for (size_t i = 0; i < value.length; i++) {
		const unsigned char c = (unsigned char)value.data[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return refuse(refusal, 400, "A field's value has a control character.");
	}
	return field_apply(name, value, request, counts, refusal);
}

static bool length_parse(struct span value, int64_t *ret_length)
{
	int64_t length = 0;

	if (value.length == 0 || value.length > 18)
		return false;
	for (size_t i = 0; i < value.length; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		length = length * 10 + (value.data[i] - '0');
	}
	*ret_length = length;
	return true;
}

static void connection_options(struct span value, struct head_counts *counts)
{
	while (value.length > 0) {
		const char *comma = memchr(value.data, ',', value.length);
		const size_t length = comma ? (size_t)(comma - value.data) : value.length;
		const struct span option = trimmed((struct span){value.data, length});

		counts->asks_close |= span_is(option, "close");
		counts->asks_keep_alive |= span_is(option, "keep-alive");
		if (!comma)
			return;
		value.data += length + 1;
		value.length -= length + 1;
	}
}

static bool field_apply(struct span name, struct span value, struct request *request,
			struct head_counts *counts, struct refusal *refusal)
{
	if (span_is(name, "Content-Length")) {
		if (++counts->lengths > 1 || !length_parse(value, &request->content_length))
			return refuse(refusal, 400, "Content-Length is not one decimal number.");
	} else if (span_is(name, "Transfer-Encoding")) {
		if (++counts->codings > 1)
			return refuse(refusal, 400, "Transfer-Encoding is told twice.");
		if (!span_is(value, "chunked"))
			return refuse(refusal, 501, "Of transfer codings only chunked is known.");
		request->chunked = true;
	} else if (span_is(name, "Connection")) {
		connection_options(value, counts);
	} else if (span_is(name, "Expect")) {
		if (!span_is(value, "100-continue"))
			return refuse(refusal, 417, "Only 100-continue can be expected.");
		request->expects_continue = true;
	} else if (span_is(name, "Host")) {
		counts->hosts++;
	}
	return true;
}

static bool head_conclude(struct request *request, const struct head_counts *counts,
			  struct refusal *refusal)
{
	if (counts->hosts > 1 || (counts->hosts == 0 && !counts->version_1_0))
		return refuse(refusal, 400, "A request has one Host field.");
	if (counts->codings && (counts->lengths || counts->version_1_0))
		return refuse(refusal, 400, "The body's length is told in two ways.");
	if (request->content_length > (int64_t)MESSAGE_BODY_MAX)
		return refuse(refusal, 413, "The body is larger than 16 MiB.");
	request->keep_alive = counts->version_1_0 ? counts->asks_keep_alive : true;
	if (counts->asks_close)
		request->keep_alive = false;
	if (counts->version_1_0)
		request->expects_continue = false;
	return true;
}
