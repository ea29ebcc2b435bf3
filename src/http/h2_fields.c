#include <stdlib.h>

#include "base/check.h"
#include "http/compose_internal.h"
#include "http/h2_internal.h"
#include "http/syntax_internal.h"

#define LINE_BYTES 4 /* of a field in HTTP/1.1 beside name and value: ": " and the line's end */

size_t http_h2_fields_bytes(const struct http_header *headers, size_t header_count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < header_count; i++)
		bytes += headers[i].name.length + headers[i].value.length + LINE_BYTES;
	return bytes;
}

void http_h2_fields_init(struct http_h2_fields *fields, size_t bytes_max)
{
	fields->count = fields->used = 0;
	fields->capacity = bytes_max;
	fields->text = malloc(bytes_max);
	check(fields->text != NULL);
}

void http_h2_fields_fini(struct http_h2_fields *fields)
{
	free(fields->text);
	fields->text = NULL;
}

void http_h2_fields_clear(struct http_h2_fields *fields)
{
	fields->count = fields->used = 0;
}

static struct slice copy(struct http_h2_fields *fields, struct slice bytes)
{
	char *at = fields->text + fields->used;

	if (bytes.length > 0)
		memcpy(at, bytes.data, bytes.length);
	fields->used += bytes.length;
	return slice_make(at, bytes.length);
}

enum http_refused http_h2_fields_add(struct http_h2_fields *fields, struct slice name,
				     struct slice value)
{
	if (name.length + value.length + LINE_BYTES > fields->capacity - fields->used)
		return HTTP_REFUSED_HEAD_LENGTH;
	if (fields->count == HTTP_HEADERS_MAX)
		return HTTP_REFUSED_FIELD_COUNT;
	struct http_header field = {.name = copy(fields, name), .value = copy(fields, value)};
	fields->used += LINE_BYTES;
	if (!http_is_field_text(value) || !http_header_classify(&field))
		return HTTP_REFUSED_FIELD;
	fields->of[fields->count++] = field;
	return HTTP_REFUSED_NOT;
}

nghttp2_nv http_h2_pair(struct slice name, struct slice value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name.data,
		.namelen = name.length,
		.value = (uint8_t *)(uintptr_t)value.data,
		.valuelen = value.length,
	};
}

size_t http_h2_pairs_bytes(const nghttp2_nv *pairs, size_t count)
{
	size_t bytes = count * sizeof(*pairs);

	for (size_t i = 0; i < count; i++)
		bytes += pairs[i].namelen + pairs[i].valuelen;
	return bytes;
}

static uint8_t *put_bytes(uint8_t *at, const uint8_t *bytes, size_t count)
{
	if (count > 0)
		memcpy(at, bytes, count);
	return at + count;
}

void http_h2_pairs_copy(nghttp2_nv *copies, const nghttp2_nv *pairs, size_t count)
{
	uint8_t *at = (uint8_t *)(copies + count);

	for (size_t i = 0; i < count; i++) {
		copies[i] = pairs[i];
		copies[i].name = at;
		at = put_bytes(at, pairs[i].name, pairs[i].namelen);
		copies[i].value = at;
		at = put_bytes(at, pairs[i].value, pairs[i].valuelen);
	}
}

size_t http_h2_pairs_put(nghttp2_nv *pairs, const struct http_header *headers, size_t header_count)
{
	size_t count = 0;

	for (size_t i = 0; i < header_count; i++) {
		const struct http_header *header = &headers[i];
		if (http_header_is_ours(header))
			continue;
		if (!header->sound) {
			check(http_is_token(header->name));
			check(http_is_field_text(header->value));
		}
		pairs[count++] = http_h2_pair(header->name, header->value);
	}
	return count;
}
