#include "http/reader_internal.h"

#include <stdlib.h>

#include "base/check.h"

#define CONTENT_MAX (1024 * 1024)

void reader_init(struct reader *reader, enum http_head_kind kind)
{
	memset(reader, 0, sizeof(*reader));
	reader->kind = kind;
	http_limits_default(&reader->limits);
	reader->limits.head_bytes_max = 2048;
	reader->limits.target_bytes_max = 256;
	reader->limits.body_bytes_max = 2000;
	text_init(&reader->content, CONTENT_MAX);
	text_init(&reader->trailer_text, CONTENT_MAX);
}

void reader_fini(struct reader *reader)
{
	free(reader->kept);
	text_fini(&reader->content);
	text_fini(&reader->trailer_text);
}

static int refusal_status(enum http_refused refused)
{
	return (int)http_refusal_of(refused)->status;
}

int reader_head(struct reader *reader, struct slice head)
{
	enum http_refused refused;

	if (reader->kind == HTTP_HEAD_REQUEST) {
		refused = http_request_read(head, &reader->limits, &reader->head, &reader->request);
		reader->body = &reader->request.body;
	} else {
		refused = http_response_read(head, reader->head_only, &reader->limits,
					     &reader->head, &reader->response);
		reader->body = &reader->response.body;
	}
	return refused == HTTP_REFUSED_NOT ? READER_MORE : refusal_status(refused);
}

static void note_trailers(struct reader *reader)
{
	for (size_t i = 0; i < reader->trailers.count; i++) {
		const struct http_header *field = &reader->trailers.fields[i];
		text_append(&reader->trailer_text, field->name);
		text_append_text(&reader->trailer_text, "=");
		text_append(&reader->trailer_text, field->value);
		text_append_text(&reader->trailer_text, ";");
	}
}

static int read_body(struct reader *reader, struct slice *bytes)
{
	struct slice piece;
	enum http_refused refused;

	for (;;) {
		switch (http_body_next(reader->body, bytes, &piece, &reader->trailers, &refused)) {
		case HTTP_BODY_STARVED:
			return READER_MORE;
		case HTTP_BODY_PIECE:
			text_append(&reader->content, piece);
			break;
		case HTTP_BODY_ENDED:
			note_trailers(reader);
			return READER_WHOLE;
		case HTTP_BODY_REFUSED:
			return refusal_status(refused);
		}
	}
}

static int read_on(struct reader *reader, struct slice *bytes)
{
	struct slice head;
	enum http_refused refused;
	int verdict;

	if (reader->body == NULL) {
		switch (http_head_find(bytes, &reader->position, &reader->blank_lines,
				       &reader->limits, &head, &refused)) {
		case HTTP_HEAD_MORE:
			return READER_MORE;
		case HTTP_HEAD_REFUSED:
			return refusal_status(refused);
		case HTTP_HEAD_WHOLE:
			break;
		}
		verdict = reader_head(reader, head);
		if (verdict != READER_MORE)
			return verdict;
	}
	return read_body(reader, bytes);
}

static char *copy_of(struct slice bytes)
{
	char *copy = malloc(bytes.length > 0 ? bytes.length : 1);

	check(copy != NULL);
	if (bytes.length > 0)
		memcpy(copy, bytes.data, bytes.length);
	return copy;
}

int reader_feed(struct reader *reader, struct slice more)
{
	char *all = malloc(reader->kept_length + more.length + 1);
	struct slice bytes = slice_make(all, reader->kept_length + more.length);

	check(all != NULL);
	if (reader->kept_length > 0)
		memcpy(all, reader->kept, reader->kept_length);
	if (more.length > 0)
		memcpy(all + reader->kept_length, more.data, more.length);
	char *exact = copy_of(bytes);
	free(all);
	bytes.data = exact;

	const int verdict = read_on(reader, &bytes);
	free(reader->kept);
	reader->kept = copy_of(bytes);
	reader->kept_length = bytes.length;
	free(exact);
	return verdict;
}
