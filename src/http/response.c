#include "http/message_internal.h"

/* HTTP/1.x, a space, three digits, and nothing or a space and a reason. */
static enum http_refused read_status_line(struct slice line, unsigned *ret_status, bool *ret_1_0)
{
	const bool is_1_0 = slice_starts_with(line, slice_of("HTTP/1.0 "));
	uint64_t status;

	if (!is_1_0 && !slice_starts_with(line, slice_of("HTTP/1.1 ")))
		return HTTP_REFUSED_STATUS_LINE;
	if (!slice_to_u64(slice_part(line, 9, 12), 599, &status) || line.length < 12 ||
	    status < 100 || (line.length > 12 && line.data[12] != ' '))
		return HTTP_REFUSED_STATUS_LINE;
	*ret_status = (unsigned)status;
	*ret_1_0 = is_1_0;
	return HTTP_REFUSED_NOT;
}

/* RFC 9112 6.3, in its order. */
static void frame(struct http_response_read *read, const struct http_head *head, bool head_only,
		  const struct http_limits *limits)
{
	const unsigned status = read->response.status;

	read->response.body_bytes = head->content_length;
	if (status < 200 || status == 204 || status == 304) {
		read->response.body_bytes = 0;
		http_body_begin(&read->body, HTTP_BODY_NONE, 0, limits);
	} else if (head_only || head->content_length == 0) {
		http_body_begin(&read->body, HTTP_BODY_NONE, 0, limits);
	} else if (head->chunked) {
		http_body_begin(&read->body, HTTP_BODY_CHUNKED, 0, limits);
	} else if (head->content_length > 0) {
		http_body_begin(&read->body, HTTP_BODY_LENGTH, head->content_length, limits);
	} else {
		http_body_begin(&read->body, HTTP_BODY_UNTIL_CLOSE, 0, limits);
		read->keep_alive = false;
	}
	/* An answer's size is the service's affair; a request's is bounded, for it is a stranger's.
	 */
	read->body.bytes_max = INT64_MAX;
}

enum http_refused http_response_read(struct slice bytes, bool head_only,
				     const struct http_limits *limits, struct http_head *head,
				     struct http_response_read *ret)
{
	enum http_refused refused;
	bool is_1_0;

	memset(ret, 0, sizeof(*ret));
	const struct slice line = slice_part(bytes, 0, slice_find_byte(bytes, '\r', 0));
	if ((refused = read_status_line(line, &ret->response.status, &is_1_0)) !=
		    HTTP_REFUSED_NOT ||
	    (refused = http_head_read(head, HTTP_HEAD_RESPONSE, bytes)) != HTTP_REFUSED_NOT)
		return refused;
	if (head->chunked && is_1_0)
		return HTTP_REFUSED_TRANSFER_ENCODING;
	ret->response.headers = head->headers;
	ret->response.header_count = head->header_count;
	if (ret->response.status == 101)
		return head->chunked || head->content_length != HTTP_LENGTH_UNKNOWN ||
				       !head->upgrade || !head->upgrade_field || is_1_0
			       ? HTTP_REFUSED_STATUS_LINE
			       : HTTP_REFUSED_SWITCHED;
	ret->keep_alive = !head->close && (!is_1_0 || head->keep_alive);
	frame(ret, head, head_only, limits);
	return HTTP_REFUSED_NOT;
}
