#include "base/check.h"
#include "http/message_internal.h"
#include "http/syntax_internal.h"

/* ---- the start line ---- */

/* "HTTP/1.1" and "HTTP/1.0"; another well-formed version is told apart from none. */
static enum http_refused read_version(struct slice text, bool *ret_1_0)
{
	static const char form[] = "HTTP/#.#";

	if (text.length != sizeof(form) - 1)
		return HTTP_REFUSED_START_LINE;
	for (size_t i = 0; i < text.length; i++) {
		const bool digit = text.data[i] >= '0' && text.data[i] <= '9';
		if (form[i] == '#' ? !digit : text.data[i] != form[i])
			return HTTP_REFUSED_START_LINE;
	}
	if (text.data[5] != '1' || text.data[7] > '1')
		return HTTP_REFUSED_VERSION;
	*ret_1_0 = text.data[7] == '0';
	return HTTP_REFUSED_NOT;
}

static enum http_refused read_start_line(struct slice line, const struct http_limits *limits,
					 struct http_request *request)
{
	const size_t method_end = slice_find_byte(line, ' ', 0);
	const struct slice rest = http_rest(line, method_end + 1);
	const size_t target_end = slice_find_byte(rest, ' ', 0);

	request->method = slice_part(line, 0, method_end);
	request->target = slice_part(rest, 0, target_end);
	if (!http_is_token(request->method) || request->target.length == 0)
		return HTTP_REFUSED_START_LINE;
	if (request->target.length > limits->target_bytes_max)
		return HTTP_REFUSED_TARGET_LENGTH;
	return read_version(http_rest(rest, target_end + 1), &request->http_1_0);
}

/* What a method promises, RFC 9110 9.2.2. CONNECT is a tunnel, which is nothing to forward. */
static enum http_refused read_method(struct http_request *request)
{
	static const char *const idempotent[] = {"GET",   "HEAD", "OPTIONS",
						 "TRACE", "PUT",  "DELETE"};

	for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++)
		if (slice_equal(request->method, slice_of(idempotent[i])))
			request->idempotent = true;
	request->head_only = slice_equal(request->method, slice_of("HEAD"));
	if (slice_equal(request->method, slice_of("CONNECT")))
		return HTTP_REFUSED_METHOD;
	return HTTP_REFUSED_NOT;
}

/* ---- the target ---- */

static void split_path(struct http_request *request)
{
	const size_t mark = slice_find_byte(request->target, '?', 0);

	request->path = slice_part(request->target, 0, mark);
	request->has_query = mark < request->target.length;
	request->query = http_rest(request->target, mark + 1);
}

/* http://host/path: the origin form is what follows the host. User information and what else
 * is no host fails as an authority. */
static enum http_refused split_absolute(struct http_request *request, bool has_host)
{
	const struct slice target = request->target;
	const size_t scheme_end = slice_find_byte(target, ':', 0);
	const struct slice scheme = slice_part(target, 0, scheme_end);
	const struct slice rest = http_rest(target, scheme_end);

	if (!slice_equal_ignore_case(scheme, slice_of("http")) &&
	    !slice_equal_ignore_case(scheme, slice_of("https")))
		return HTTP_REFUSED_TARGET;
	if (!slice_starts_with(rest, slice_of("://")))
		return HTTP_REFUSED_TARGET;

	size_t path = 3;
	while (path < rest.length && rest.data[path] != '/' && rest.data[path] != '?')
		path++;
	const struct slice authority = slice_part(rest, 3, path);
	if (!http_is_authority(authority))
		return HTTP_REFUSED_TARGET;
	if (has_host && !slice_equal_ignore_case(authority, request->authority))
		return HTTP_REFUSED_TARGET;
	if (path < rest.length && rest.data[path] == '?')
		return HTTP_REFUSED_TARGET;
	request->authority = authority;
	request->target = http_rest(rest, path);
	if (request->target.length == 0)
		request->target =
			slice_of(slice_equal(request->method, slice_of("OPTIONS")) ? "*" : "/");
	return HTTP_REFUSED_NOT;
}

static enum http_refused read_target(struct http_request *request, bool has_host)
{
	const struct slice target = request->target;

	if (slice_find_byte(target, '#', 0) < target.length)
		return HTTP_REFUSED_TARGET;
	if (target.data[0] != '/' && !slice_equal(target, slice_of("*"))) {
		const enum http_refused refused = split_absolute(request, has_host);
		if (refused != HTTP_REFUSED_NOT)
			return refused;
	}
	if (request->target.data[0] == '*' && !slice_equal(request->method, slice_of("OPTIONS")))
		return HTTP_REFUSED_TARGET;
	split_path(request);
	return HTTP_REFUSED_NOT;
}

/* ---- the rest ---- */

static enum http_refused read_host(struct http_request *request, const struct http_head *head)
{
	if (head->host_count == 0 && request->http_1_0)
		return HTTP_REFUSED_NOT;
	if (head->host_count != 1 || !http_is_authority(head->host))
		return HTTP_REFUSED_HOST;
	request->authority = head->host;
	return HTTP_REFUSED_NOT;
}

static enum http_refused read_body(struct http_request_read *read, const struct http_head *head,
				   const struct http_limits *limits)
{
	if (head->chunked && read->request.http_1_0)
		return HTTP_REFUSED_TRANSFER_ENCODING;
	if (head->content_length > 0 && (uint64_t)head->content_length > limits->body_bytes_max)
		return HTTP_REFUSED_BODY_LENGTH;

	if ((head->chunked || head->content_length > 0) &&
	    slice_equal(read->request.method, slice_of("TRACE")))
		return HTTP_REFUSED_CONTENT;

	if (head->chunked) {
		http_body_begin(&read->body, HTTP_BODY_CHUNKED, 0, limits);
		read->request.body_bytes = HTTP_LENGTH_UNKNOWN;
	} else if (head->content_length > 0) {
		http_body_begin(&read->body, HTTP_BODY_LENGTH, head->content_length, limits);
		read->request.body_bytes = head->content_length;
	} else {
		http_body_begin(&read->body, HTTP_BODY_NONE, 0, limits);
		read->request.body_bytes = 0;
	}
	return HTTP_REFUSED_NOT;
}

static enum http_refused read_expect(struct http_request *request, const struct http_head *head)
{
	if (head->expect_count == 0 || request->http_1_0)
		return HTTP_REFUSED_NOT;
	if (head->expect_count != 1 || head->continue_count != 1)
		return HTTP_REFUSED_EXPECT;
	request->expects_continue = request->body_bytes != 0;
	return HTTP_REFUSED_NOT;
}

enum http_refused http_request_read(struct slice bytes, const struct http_limits *limits,
				    struct http_head *head, struct http_request_read *ret)
{
	struct http_request *request = &ret->request;
	enum http_refused refused;

	memset(ret, 0, sizeof(*ret));
	const struct slice line = slice_part(bytes, 0, slice_find_byte(bytes, '\r', 0));
	if ((refused = read_start_line(line, limits, request)) != HTTP_REFUSED_NOT ||
	    (refused = read_method(request)) != HTTP_REFUSED_NOT ||
	    (refused = http_head_read(head, HTTP_HEAD_REQUEST, bytes)) != HTTP_REFUSED_NOT ||
	    (refused = read_host(request, head)) != HTTP_REFUSED_NOT ||
	    (refused = read_target(request, head->host_count > 0)) != HTTP_REFUSED_NOT ||
	    (refused = read_body(ret, head, limits)) != HTTP_REFUSED_NOT ||
	    (refused = read_expect(request, head)) != HTTP_REFUSED_NOT)
		return refused;

	request->headers = head->headers;
	request->header_count = head->header_count;
	request->accepts_trailers = head->accepts_trailers && !request->http_1_0;
	request->upgrade = head->upgrade && head->upgrade_field && !request->http_1_0;
	ret->keep_alive = !head->close && (!request->http_1_0 || head->keep_alive);
	return HTTP_REFUSED_NOT;
}
