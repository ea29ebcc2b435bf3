#include "http/message_internal.h"

#include <llhttp.h>

#include "base/check.h"
#include "http/syntax_internal.h"

static const struct http_refusal refusals[] = {
#define X(name, status, title, detail) [HTTP_REFUSED_##name] = {status, title, detail},
	HTTP_REFUSALS(X)
#undef X
};

const struct http_refusal *http_refusal_of(enum http_refused refused)
{
	check(refused != HTTP_REFUSED_NOT && refused < sizeof(refusals) / sizeof(refusals[0]));
	return &refusals[refused];
}

/* ---- where a head begins and ends ---- */

/* A head that is too long is blamed on its first line where that is what is long. */
static enum http_refused too_long(struct slice bytes, const struct http_limits *limits)
{
	size_t length;
	const enum http_scan scan = http_line_scan(bytes, &length);

	if (scan == HTTP_SCAN_MORE || length > limits->target_bytes_max)
		return HTTP_REFUSED_TARGET_LENGTH;
	return HTTP_REFUSED_HEAD_LENGTH;
}

enum http_head_found http_head_find(struct slice *bytes, size_t *position, uint32_t *blank_lines,
				    const struct http_limits *limits, struct slice *ret_head,
				    enum http_refused *ret_refused)
{
	while (*position == 0 && bytes->length >= 2 && memcmp(bytes->data, "\r\n", 2) == 0) {
		if (++*blank_lines > HTTP_BLANK_LINES_MAX) {
			*ret_refused = HTTP_REFUSED_BLANK_LINES;
			return HTTP_HEAD_REFUSED;
		}
		*bytes = http_rest(*bytes, 2);
	}
	if (bytes->length == 0 || (bytes->length == 1 && bytes->data[0] == '\r'))
		return HTTP_HEAD_MORE;

	const struct slice bounded = slice_part(*bytes, 0, limits->head_bytes_max);
	switch (http_lines_scan(bounded, position)) {
	case HTTP_SCAN_WHOLE:
		*ret_head = slice_part(*bytes, 0, *position);
		*bytes = http_rest(*bytes, *position);
		*position = 0;
		*blank_lines = 0;
		return HTTP_HEAD_WHOLE;
	case HTTP_SCAN_MORE:
		if (bytes->length < limits->head_bytes_max)
			return HTTP_HEAD_MORE;
		*ret_refused = too_long(bounded, limits);
		return HTTP_HEAD_REFUSED;
	case HTTP_SCAN_INVALID:
		break;
	}
	*ret_refused = HTTP_REFUSED_BYTES;
	return HTTP_HEAD_REFUSED;
}

/* ---- llhttp ---- */

static int found_name(llhttp_t *parser, const char *at, size_t length)
{
	struct http_head *head = parser->data;

	if (head->header_count == HTTP_HEADERS_MAX) {
		head->too_many = true;
		return HPE_USER;
	}
	head->headers[head->header_count++] = (struct http_header){.name = slice_make(at, length)};
	return 0;
}

static int found_value(llhttp_t *parser, const char *at, size_t length)
{
	struct http_head *head = parser->data;

	if (head->header_count == 0)
		return HPE_USER;
	head->headers[head->header_count - 1].value = slice_make(at, length);
	return 0;
}

/* llhttp has read the head; bodies are ours. */
static int found_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_header_field = found_name,
	.on_header_value = found_value,
	.on_headers_complete = found_end,
};

/* Whether the fields that llhttp found are the lines that were scanned, one by one, nothing
 * skipped, joined or made up (it lets a line without a name pass, for one). */
static bool are_the_lines(const struct http_head *head, struct slice bytes)
{
	const char *line = head->start_line.data + head->start_line.length + 2;

	for (size_t i = 0; i < head->header_count; i++) {
		const struct http_header *header = &head->headers[i];
		const char *at = line + header->name.length;
		if (header->name.data != line || header->name.length == 0 || *at != ':')
			return false;
		for (at++; *at == ' ' || *at == '\t'; at++)
			;
		if (header->value.length > 0 && header->value.data != at)
			return false;
		for (at += header->value.length; *at == ' ' || *at == '\t'; at++)
			;
		if (*at != '\r')
			return false;
		line = at + 2;
	}
	return line == bytes.data + bytes.length - 2;
}

static enum http_refused run_llhttp(struct http_head *head, enum http_head_kind kind,
				    struct slice bytes)
{
	llhttp_t parser;

	llhttp_init(&parser, kind == HTTP_HEAD_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	parser.data = head;
	const llhttp_errno_t error = llhttp_execute(&parser, bytes.data, bytes.length);

	if (error == HPE_INVALID_METHOD)
		return HTTP_REFUSED_METHOD;
	if (head->too_many)
		return HTTP_REFUSED_FIELD_COUNT;
	if (error == HPE_INVALID_URL)
		return HTTP_REFUSED_TARGET;
	if (error == HPE_UNEXPECTED_CONTENT_LENGTH || error == HPE_INVALID_CONTENT_LENGTH)
		return HTTP_REFUSED_CONTENT_LENGTH;
	if (error == HPE_INVALID_TRANSFER_ENCODING)
		return HTTP_REFUSED_TRANSFER_ENCODING;
	if (error != HPE_PAUSED || !are_the_lines(head, bytes))
		return HTTP_REFUSED_FIELD;
	return HTTP_REFUSED_NOT;
}

/* ---- what the fields say ---- */

static bool is_word(struct slice text, const char *word)
{
	return slice_equal_ignore_case(text, slice_of(word));
}

enum http_refused http_content_length_read(struct slice value, int64_t *length)
{
	uint64_t number;

	if (*length != HTTP_LENGTH_UNKNOWN || value.length > 19 ||
	    !slice_to_u64(value, INT64_MAX, &number))
		return HTTP_REFUSED_CONTENT_LENGTH;
	*length = (int64_t)number;
	return HTTP_REFUSED_NOT;
}

static enum http_refused read_transfer_encoding(struct http_head *head, struct slice value)
{
	if (head->chunked || !is_word(value, "chunked"))
		return HTTP_REFUSED_TRANSFER_ENCODING;
	head->chunked = true;
	return HTTP_REFUSED_NOT;
}

static void mark_named(struct http_head *head, struct slice name)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (slice_equal_ignore_case(head->headers[i].name, name))
			head->headers[i].hop_by_hop = true;
}

static enum http_refused read_connection(struct http_head *head, struct slice value)
{
	struct slice option;

	for (unsigned count = 1; http_list_next(&value, &option); count++) {
		if (count > HTTP_CONNECTION_OPTIONS_MAX)
			return HTTP_REFUSED_CONNECTION;
		if (is_word(option, "close"))
			head->close = true;
		else if (is_word(option, "keep-alive"))
			head->keep_alive = true;
		else if (is_word(option, "upgrade"))
			head->upgrade = true;
		else
			mark_named(head, option);
	}
	return HTTP_REFUSED_NOT;
}

static void read_te(struct http_head *head, struct slice value)
{
	struct slice coding;

	while (http_list_next(&value, &coding))
		if (is_word(coding, "trailers"))
			head->accepts_trailers = true;
}

static enum http_refused read_field(struct http_head *head, const struct http_header *header)
{
	switch (header->known) {
	case HTTP_CONTENT_LENGTH:
		return http_content_length_read(header->value, &head->content_length);
	case HTTP_TRANSFER_ENCODING:
		return read_transfer_encoding(head, header->value);
	case HTTP_CONNECTION:
		return read_connection(head, header->value);
	case HTTP_TE:
		read_te(head, header->value);
		return HTTP_REFUSED_NOT;
	case HTTP_HOST:
		head->host_count++;
		head->host = header->value;
		return HTTP_REFUSED_NOT;
	case HTTP_EXPECT:
		head->expect_count++;
		head->continue_count += is_word(header->value, "100-continue");
		return HTTP_REFUSED_NOT;
	case HTTP_UPGRADE:
		head->upgrade_field = true;
		return HTTP_REFUSED_NOT;
	default:
		return HTTP_REFUSED_NOT;
	}
}

bool http_header_classify(struct http_header *header)
{
	header->value = slice_trim(header->value);
	header->known = http_name_classify(header->name);
	header->hop_by_hop = http_name_is_hop_by_hop(header->known);
	/* Of a class only the begin is known. */
	header->sound = (header->known != HTTP_OTHER && header->known != HTTP_STOA_RESERVED &&
			 header->known != HTTP_X_FORWARDED) ||
			http_is_token(header->name);
	return header->sound;
}

enum http_refused http_head_read(struct http_head *head, enum http_head_kind kind,
				 struct slice bytes)
{
	memset(head, 0, offsetof(struct http_head, headers));
	memset(&head->header_count, 0, sizeof(*head) - offsetof(struct http_head, header_count));
	head->start_line = slice_part(bytes, 0, slice_find_byte(bytes, '\r', 0));
	head->content_length = HTTP_LENGTH_UNKNOWN;

	enum http_refused refused = run_llhttp(head, kind, bytes);
	for (size_t i = 0; i < head->header_count; i++)
		if (!http_header_classify(&head->headers[i]) && refused == HTTP_REFUSED_NOT)
			refused = HTTP_REFUSED_FIELD;
	for (size_t i = 0; i < head->header_count && refused == HTTP_REFUSED_NOT; i++)
		refused = read_field(head, &head->headers[i]);
	if (refused == HTTP_REFUSED_NOT && head->chunked &&
	    head->content_length != HTTP_LENGTH_UNKNOWN)
		refused = HTTP_REFUSED_CONTENT_LENGTH;
	return refused;
}

/* ---- trailers ---- */

bool http_header_may_trail(const struct http_header *header)
{
	static const char *const forbidden[] = {
		"cache-control",    "content-encoding",
		"content-range",    "cookie",
		"max-forwards",     "range",
		"set-cookie",       "www-authenticate",
		"content-location", "authentication-info",
	};

	if (header->known == HTTP_STOA_UNITS)
		return true;
	if (header->known != HTTP_OTHER)
		return false;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (is_word(header->name, forbidden[i]))
			return false;
	return true;
}

enum http_refused http_trailers_read(struct http_trailers *trailers, struct slice bytes)
{
	size_t lines = 0;

	trailers->count = 0;
	for (;;) {
		const size_t end = slice_find_byte(bytes, '\r', 0);
		const struct slice line = slice_part(bytes, 0, end);
		const size_t colon = slice_find_byte(line, ':', 0);
		struct http_header field = {
			.name = slice_part(line, 0, colon),
			.value = http_rest(line, colon + 1),
		};

		if (line.length == 0)
			return HTTP_REFUSED_NOT;
		if (colon == line.length || !http_header_classify(&field))
			return HTTP_REFUSED_BODY;
		if (++lines > HTTP_HEADERS_MAX)
			return HTTP_REFUSED_FIELD_COUNT;
		if (http_header_may_trail(&field))
			trailers->fields[trailers->count++] = field;
		bytes = http_rest(bytes, end + 2);
	}
}
