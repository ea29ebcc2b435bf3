#include "http/http.h"

#include "base/check.h"
#include "http/syntax_internal.h"

#define FOLDED_MAX 16 /* bytes of what is looked for with '_' as well */

static const char *const name_texts[] = {
#define X(name, text, hop) [name] = text,
	HTTP_NAMES(X)
#undef X
};

static const uint8_t name_hops[] = {
#define X(name, text, hop) [name] = hop,
	HTTP_NAMES(X)
#undef X
};

static bool same_eight(const char *name, const char *lower)
{
	uint64_t mixed, wanted;

	memcpy(&mixed, name, sizeof(mixed));
	memcpy(&wanted, lower, sizeof(wanted));
	return (mixed | 0x2020202020202020ull) == wanted;
}

/* Names differ from their candidate only in case: a letter's two forms differ by 0x20, and no
 * token character but a letter becomes one of ours by setting that bit ('-' and digits have it
 * set already; '\r', 0x0d, would become '-', but is no token character). */
static bool same_name(struct slice name, const char *lower)
{
	bool same = true;

	if (name.length >= 8) {
		for (size_t at = 0; at < name.length - 8; at += 8)
			same &= same_eight(name.data + at, lower + at);
		return same & same_eight(name.data + name.length - 8, lower + name.length - 8);
	}
	for (size_t i = 0; i < name.length; i++)
		same &= (name.data[i] | 0x20) == lower[i];
	return same;
}

static enum http_name same_or_other(struct slice name, enum http_name candidate)
{
	return same_name(name, name_texts[candidate]) ? candidate : HTTP_OTHER;
}

/* The same where '_' stands for '-': services behind CGI or WSGI see no difference. */
static enum http_name looks_like_or_other(struct slice name, enum http_name candidate)
{
	char dashed[FOLDED_MAX];

	check_at_most(name.length, sizeof(dashed));
	for (size_t i = 0; i < name.length; i++)
		dashed[i] = (char)(name.data[i] == '_' ? '-' : name.data[i]);
	return same_or_other(slice_make(dashed, name.length), candidate);
}

/* Of the classes that are known by how their names begin. */
static enum http_name begun_or_other(struct slice name, enum http_name begin)
{
	const size_t length = strlen(name_texts[begin]);

	return name.length > length ? looks_like_or_other(slice_part(name, 0, length), begin)
				    : HTTP_OTHER;
}

/* The one name of this length (and first letter, where several share a length). */
static enum http_name candidate_of(size_t length, char first)
{
	switch (length) {
	case 2:
		return HTTP_TE;
	case 4:
		return first == 'h' ? HTTP_HOST : HTTP_DATE;
	case 6:
		return first == 'a' ? HTTP_ACCEPT : first == 's' ? HTTP_SERVER : HTTP_EXPECT;
	case 7:
		return first == 'u' ? HTTP_UPGRADE : HTTP_TRAILER;
	case 9:
		return first == 'f'   ? HTTP_FORWARDED
		       : first == 's' ? HTTP_SIGNATURE
				      : HTTP_X_API_KEY;
	case 10:
		return first == 'c'   ? HTTP_CONNECTION
		       : first == 's' ? HTTP_STOA_UNITS
		       : first == 't' ? HTTP_TRACESTATE
				      : HTTP_KEEP_ALIVE;
	case 11:
		return HTTP_TRACEPARENT;
	case 12:
		return HTTP_CONTENT_TYPE;
	case 13:
		return HTTP_AUTHORIZATION;
	case 14:
		return first == 'c' ? HTTP_CONTENT_LENGTH : HTTP_HTTP2_SETTINGS;
	case 15:
		return HTTP_SIGNATURE_INPUT;
	case 16:
		return HTTP_PROXY_CONNECTION;
	case 17:
		return first == 's' ? HTTP_WEBSOCKET_KEY : HTTP_TRANSFER_ENCODING;
	case 18:
		return HTTP_PROXY_AUTHENTICATE;
	case 19:
		return HTTP_PROXY_AUTHORIZATION;
	case 20:
		return HTTP_WEBSOCKET_ACCEPT;
	default:
		return HTTP_OTHER;
	}
}

enum http_name http_name_classify(struct slice name)
{
	if (name.length == 0)
		return HTTP_OTHER;
	const char first = (char)(name.data[0] | 0x20);
	const enum http_name candidate = candidate_of(name.length, first);
	enum http_name known =
		candidate == HTTP_OTHER ? HTTP_OTHER : same_or_other(name, candidate);

	if (known == HTTP_OTHER && first == 's')
		known = begun_or_other(name, HTTP_STOA_RESERVED);
	else if (known == HTTP_OTHER && first == 'x')
		known = begun_or_other(name, HTTP_X_FORWARDED);
	if (known == HTTP_OTHER && name.length == 9 && first == 'x')
		known = looks_like_or_other(name, HTTP_X_REAL_IP); /* shares both with X-API-Key */
	return known;
}

bool http_name_is_hop_by_hop(enum http_name name)
{
	return name_hops[name] != 0;
}

const struct http_header *http_header_find(const struct http_header *headers, size_t count,
					   enum http_name known)
{
	for (size_t i = 0; i < count; i++)
		if (headers[i].known == known)
			return &headers[i];
	return NULL;
}
