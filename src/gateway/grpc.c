#include "gateway/grpc.h"

#include "base/check.h"
#include "base/clock.h"

#define TIMEOUT_DIGITS_MAX 8

/* code, HTTP status */
static const uint16_t statuses[] = {
	[0] = 200,  /* OK */
	[1] = 499,  /* CANCELLED */
	[2] = 500,  /* UNKNOWN */
	[3] = 400,  /* INVALID_ARGUMENT */
	[4] = 504,  /* DEADLINE_EXCEEDED */
	[5] = 404,  /* NOT_FOUND */
	[6] = 409,  /* ALREADY_EXISTS */
	[7] = 403,  /* PERMISSION_DENIED */
	[8] = 429,  /* RESOURCE_EXHAUSTED */
	[9] = 400,  /* FAILED_PRECONDITION */
	[10] = 409, /* ABORTED */
	[11] = 400, /* OUT_OF_RANGE */
	[12] = 501, /* UNIMPLEMENTED */
	[13] = 500, /* INTERNAL */
	[14] = 503, /* UNAVAILABLE */
	[15] = 500, /* DATA_LOSS */
	[16] = 401, /* UNAUTHENTICATED */
};
#define CODES (sizeof(statuses) / sizeof(statuses[0]))

bool grpc_is_message(const struct http_header *headers, size_t count)
{
	static const char type[] = "application/grpc";
	const struct http_header *field = http_header_find(headers, count, HTTP_CONTENT_TYPE);
	const size_t length = sizeof(type) - 1;

	if (field == NULL || field->value.length < length ||
	    !slice_equal_ignore_case(slice_part(field->value, 0, length), slice_make(type, length)))
		return false;
	const struct slice rest = slice_part(field->value, length, field->value.length);
	return rest.length == 0 || strchr("+; \t", rest.data[0]) != NULL;
}

unsigned grpc_code_of_status(unsigned status)
{
	switch (status) {
	case 400:
		return 3; /* INVALID_ARGUMENT */
	case 401:
		return 16; /* UNAUTHENTICATED */
	case 402:
	case 413:
	case 429:
		return 8; /* RESOURCE_EXHAUSTED */
	case 403:
		return 7; /* PERMISSION_DENIED */
	case 404:
		return 12; /* UNIMPLEMENTED: what gRPC says of an unknown service */
	case 502:
	case 503:
		return 14; /* UNAVAILABLE */
	case 504:
		return 4; /* DEADLINE_EXCEEDED */
	default:
		return 13; /* INTERNAL */
	}
}

unsigned grpc_status_of_code(unsigned code)
{
	return code < CODES ? statuses[code] : 500;
}

static const struct http_header *find(const struct http_header *headers, size_t count,
				      const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (headers[i].known == HTTP_OTHER &&
		    slice_equal_ignore_case(headers[i].name, slice_of(name)))
			return &headers[i];
	}
	return NULL;
}

bool grpc_code_read(const struct http_header *headers, size_t count, unsigned *ret_code)
{
	const struct http_header *field = find(headers, count, "grpc-status");
	uint64_t code;

	if (field == NULL)
		return false;
	*ret_code = slice_to_u64(field->value, CODES - 1, &code) ? (unsigned)code : GRPC_UNKNOWN;
	return true;
}

static uint64_t unit_ns(char letter)
{
	switch (letter) {
	case 'H':
		return 3600 * CLOCK_NS_PER_S;
	case 'M':
		return 60 * CLOCK_NS_PER_S;
	case 'S':
		return CLOCK_NS_PER_S;
	case 'm':
		return CLOCK_NS_PER_MS;
	case 'u':
		return CLOCK_NS_PER_US;
	case 'n':
		return 1;
	default:
		return 0;
	}
}

bool grpc_timeout_read(const struct http_header *headers, size_t count, uint64_t *ret_ns)
{
	const struct http_header *field = find(headers, count, "grpc-timeout");
	uint64_t number;

	if (field == NULL || field->value.length < 2 ||
	    field->value.length > TIMEOUT_DIGITS_MAX + 1)
		return false;
	const size_t digits = field->value.length - 1;
	const uint64_t each_ns = unit_ns(field->value.data[digits]);
	if (each_ns == 0 || !slice_to_u64(slice_part(field->value, 0, digits), UINT32_MAX, &number))
		return false;
	*ret_ns = number * each_ns; /* 99,999,999 hours are 3.6e20 ns: more than 64 bits hold */
	if (number > UINT64_MAX / 2 / each_ns)
		*ret_ns = UINT64_MAX / 2;
	return true;
}

struct slice grpc_message(enum problem problem, char text[GRPC_MESSAGE_MAX])
{
	static const char hex[] = "0123456789ABCDEF";
	const struct problem_text *row = problem_text(problem);
	const char *const parts[] = {row->title, ": ", row->next};
	char *at = text;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (const char *from = parts[i]; *from != '\0'; from++) {
			check(at + 3 <= text + GRPC_MESSAGE_MAX);
			if (*from >= ' ' && *from <= '~' && *from != '%') {
				*at++ = *from;
				continue;
			}
			*at++ = '%';
			*at++ = hex[(unsigned char)*from >> 4];
			*at++ = hex[*from & 15];
		}
	}
	return slice_make(text, (size_t)(at - text));
}
