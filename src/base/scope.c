#include "base/scope.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

#define LABEL_BYTES_MAX  63
#define METHOD_BYTES_MAX 20

struct parts {
	struct slice service;
	struct slice methods; /* "*": any */
	struct slice path;    /* "": any */
};

static bool is_any(struct slice text)
{
	return text.length == 1 && text.data[0] == '*';
}

/* ---- paths ---- */

static int hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* The byte at *at, percent-decoded. False where programs differ about what it is. */
static bool next_byte(struct slice path, size_t *at, uint8_t *ret_byte)
{
	uint8_t byte = (uint8_t)path.data[(*at)++];
	const bool encoded = byte == '%';

	if (encoded) {
		if (path.length - *at < 2)
			return false;
		const int high = hex_value(path.data[*at]), low = hex_value(path.data[*at + 1]);
		if (high < 0 || low < 0)
			return false;
		byte = (uint8_t)(high * 16 + low);
		*at += 2;
	}
	if (byte < 0x20 || byte == 0x7f || byte == '\\' || byte == ';' || byte == '#' ||
	    (encoded && (byte == '/' || byte == '%' || byte == '?')))
		return false;
	*ret_byte = byte;
	return true;
}

/* Bytes that begin a character which a shorter sequence, and then '.' or '/', could stand for, or
 * that begin none. */
static bool is_overlong(uint8_t before, uint8_t byte)
{
	return byte == 0xc0 || byte == 0xc1 || byte >= 0xf5 ||
	       (before == 0xe0 && byte >= 0x80 && byte < 0xa0) ||
	       (before == 0xf0 && byte >= 0x80 && byte < 0x90);
}

/* A segment has ended: "" and what is nothing but dots and spaces mean different things to
 * different programs. */
static bool is_plain_segment(size_t bytes, size_t dots)
{
	return bytes > 0 && dots < bytes;
}

/* Whether the path reads the same everywhere; *ret_within then says whether it is the prefix or
 * below it. */
static bool path_compare(struct slice path, struct slice prefix, bool *ret_within)
{
	size_t at = 0, length = 0;          /* of the path as sent, and decoded */
	size_t segment_bytes = 0, dots = 0; /* of the segment at hand; dots and spaces in it */
	bool within = true;
	uint8_t before = 0, byte;

	if (path.length == 0 || path.data[0] != '/')
		return false;
	for (; at < path.length; before = byte, length++) {
		if (!next_byte(path, &at, &byte) || is_overlong(before, byte))
			return false;
		if (byte == '/') {
			if (length > 0 && !is_plain_segment(segment_bytes, dots))
				return false;
			segment_bytes = dots = 0;
		} else {
			segment_bytes++;
			dots += byte == '.' || byte == ' ';
		}
		if (length < prefix.length)
			within &= byte == (uint8_t)prefix.data[length];
		else if (length == prefix.length)
			within &= byte == '/' || prefix.data[length - 1] == '/';
	}
	*ret_within = within && length >= prefix.length;
	return before == '/' || is_plain_segment(segment_bytes, dots);
}

static struct slice path_of(struct slice target)
{
	const struct slice path = slice_part(target, 0, slice_find_byte(target, '?', 0));

	return path.length == 0 ? slice_of("/") : path;
}

/* ---- scopes ---- */

static bool is_label(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		const char byte = text.data[i];
		const bool inside = i > 0 && i + 1 < text.length;
		if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') &&
		    !(byte == '-' && inside))
			return false;
	}
	return text.length > 0 && text.length <= LABEL_BYTES_MAX;
}

static bool is_method(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		if ((text.data[i] < 'A' || text.data[i] > 'Z') && text.data[i] != '-')
			return false;
	}
	return text.length > 0 && text.length <= METHOD_BYTES_MAX;
}

static bool are_methods(struct slice text)
{
	struct slice method;

	if (is_any(text))
		return true;
	if (text.length == 0 || text.data[text.length - 1] == ',')
		return false;
	while (slice_cut(&text, ',', &method)) {
		if (!is_method(method))
			return false;
	}
	return true;
}

/* A scope's own path: printable ASCII that reads the same everywhere, and is not encoded. */
static bool is_scope_path(struct slice path)
{
	bool within;

	for (size_t i = 0; i < path.length; i++) {
		const char byte = path.data[i];
		if (byte < 0x21 || byte > 0x7e || byte == '"' || byte == '%' || byte == '?')
			return false;
	}
	return path_compare(path, path, &within) && within;
}

/* What is wrong with the scope, or NULL; the parts are set then. */
static const char *scope_read(struct slice scope, struct parts *ret_parts)
{
	struct slice rest = scope;
	struct parts parts = {.methods = slice_of("*")};

	if (scope.length == 0 || scope.length >= SCOPE_TEXT_MAX)
		return "1 to 255 characters are allowed";
	slice_cut(&rest, ':', &parts.service);
	const bool has_methods = parts.service.length < scope.length;
	if (!is_any(parts.service) && !is_label(parts.service))
		return "it begins with a service's name or with '*' for every service";
	if (has_methods) {
		const size_t after = parts.service.length + 1 + slice_find_byte(rest, ':', 0);
		const bool has_path = after < scope.length;
		if (!slice_cut(&rest, ':', &parts.methods))
			parts.methods.length = 0;
		if (!are_methods(parts.methods))
			return "behind the service stand methods in capitals, such as GET,POST, or "
			       "'*' for every method";
		if (has_path && !is_scope_path(rest))
			return "behind the methods stands a path that begins with '/', decoded, "
			       "without query, empty and dot segments, '%', ';' and '\\'";
		parts.path = rest;
	}
	*ret_parts = parts;
	return NULL;
}

static unsigned sum_of(const char *word)
{
	unsigned sum = 0;

	while (*word != '\0')
		sum += (uint8_t)*word++;
	return sum;
}

/* The common method that stands here with two letters swapped, one missing or one too many; NULL:
 * none. With another letter it is another word: there may be a method SET. */
static const char *misspelt(struct slice method)
{
	static const char *const common[] = {"GET",   "HEAD",   "POST",   "PUT",
					     "PATCH", "DELETE", "OPTIONS"};
	char word[METHOD_BYTES_MAX + 1];

	check(slice_to_text(method, word, sizeof(word)));
	const char *near = text_nearest_within(word, 1, common, sizeof(common) / sizeof(common[0]));
	if (near == NULL || strcmp(near, word) == 0)
		return NULL;
	const bool other_letter = strlen(near) == method.length && sum_of(near) != sum_of(word);
	return other_letter ? NULL : near;
}

int scope_check(struct slice scope, struct fault *fault)
{
	struct parts parts;
	struct slice method;
	char shown[TEXT_SHOWN_MAX];
	const char *wrong = scope_read(scope, &parts);

	if (wrong != NULL)
		return fault_set(fault, FAULT_INPUT,
				 "scope \"%s\": %s; a scope is SERVICE[:METHODS[:PATH]]",
				 text_show(scope, shown), wrong);
	while (!is_any(parts.methods) && slice_cut(&parts.methods, ',', &method)) {
		const char *near = misspelt(method);
		if (near != NULL)
			return fault_set_near(fault, FAULT_INPUT, near,
					      "scope \"%s\": there is no method \"%.*s\"",
					      text_show(scope, shown), SLICE_ARGS(method));
	}
	return 0;
}

static bool has_method(struct slice methods, struct slice wanted)
{
	struct slice method;

	if (is_any(methods))
		return true;
	while (slice_cut(&methods, ',', &method)) {
		if (slice_equal(method, wanted))
			return true;
	}
	return false;
}

bool scope_allows(struct slice scopes, struct slice service, struct slice method,
		  struct slice target)
{
	struct slice scope;
	struct parts parts;
	bool within;

	while (slice_cut(&scopes, ' ', &scope)) {
		if (scope_read(scope, &parts) != NULL ||
		    (!is_any(parts.service) && !slice_equal(parts.service, service)) ||
		    !has_method(parts.methods, method))
			continue;
		if (parts.path.length == 0 ||
		    (path_compare(path_of(target), parts.path, &within) && within))
			return true;
	}
	return false;
}

const char *scope_needed(struct slice service, struct slice method, struct slice target,
			 char text[SCOPE_TEXT_MAX])
{
	const struct slice path = path_of(target);
	const bool has_path = is_scope_path(path) &&
			      service.length + method.length + path.length + 2 < SCOPE_TEXT_MAX;

	snprintf(text, SCOPE_TEXT_MAX, "%.*s:%.*s%s%.*s", SLICE_ARGS(service), SLICE_ARGS(method),
		 has_path ? ":" : "", (int)(has_path ? path.length : 0), path.data);
	return text;
}
