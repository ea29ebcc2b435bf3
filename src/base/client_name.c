#include "base/client_name.h"

#include <string.h>

#include "base/text.h"

#define PREFIX_BYTES 4

static const char prefixes[][PREFIX_BYTES + 1] = {
	[CLIENT_NAME_DNS] = "dns:",
	[CLIENT_NAME_URI] = "uri:",
};

static bool is_letter(char byte)
{
	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static bool is_alphanumeric(char byte)
{
	return is_letter(byte) || (byte >= '0' && byte <= '9');
}

/* Labels of letters, digits, '_' and inner hyphens, a '.' between two. */
static bool is_dns_name(struct slice value)
{
	size_t label = 0;

	for (size_t i = 0; i < value.length; i++) {
		const char byte = value.data[i];
		if (byte == '.' && label > 0 && value.data[i - 1] != '-')
			label = 0;
		else if (is_alphanumeric(byte) || byte == '_' || (byte == '-' && label > 0))
			label++;
		else
			return false;
	}
	return label > 0 && value.data[value.length - 1] != '-';
}

/* A scheme and something behind it, in visible ASCII. */
static bool is_uri(struct slice value)
{
	const size_t colon = slice_find_byte(value, ':', 0);

	if (colon == 0 || colon + 1 >= value.length || !is_letter(value.data[0]))
		return false;
	for (size_t i = 0; i < value.length; i++) {
		const char byte = value.data[i];
		const bool fits = i < colon ? is_alphanumeric(byte) || byte == '+' || byte == '-' ||
						      byte == '.'
					    : byte > ' ' && byte < 0x7f;
		if (!fits)
			return false;
	}
	const struct slice own = slice_of(CLIENT_NAME_OWN_URI);
	return !slice_equal_ignore_case(slice_part(value, 0, own.length), own);
}

static bool compose(enum client_name_kind kind, struct slice value, char name[CLIENT_NAME_MAX])
{
	if (value.length == 0 || PREFIX_BYTES + value.length >= CLIENT_NAME_MAX ||
	    !(kind == CLIENT_NAME_DNS ? is_dns_name(value) : is_uri(value)))
		return false;
	memcpy(name, prefixes[kind], PREFIX_BYTES);
	memcpy(name + PREFIX_BYTES, value.data, value.length);
	name[PREFIX_BYTES + value.length] = '\0';
	for (char *byte = name; kind == CLIENT_NAME_DNS && *byte != '\0'; byte++) {
		if (is_letter(*byte))
			*byte = (char)(*byte | 0x20);
	}
	return true;
}

int client_name_read(struct slice text, char name[CLIENT_NAME_MAX], struct fault *fault)
{
	char shown[TEXT_SHOWN_MAX];

	for (int kind = CLIENT_NAME_DNS; kind <= CLIENT_NAME_URI; kind++) {
		if (slice_starts_with(text, slice_of(prefixes[kind])) &&
		    compose((enum client_name_kind)kind,
			    slice_part(text, PREFIX_BYTES, text.length), name))
			return 0;
	}
	return fault_set(
		fault, FAULT_INPUT,
		"\"%s\": a name of a certificate such as dns:shop.partner.example or "
		"uri:spiffe://partner.example/shop is allowed, of %d characters at most; no "
		"wildcard, and no " CLIENT_NAME_OWN_URI " URI",
		text_show(text, shown), CLIENT_NAME_MAX - 1);
}

bool client_name_digest(enum client_name_kind kind, struct slice value,
			struct api_key_digest *ret_digest)
{
	char name[CLIENT_NAME_MAX];

	if (!compose(kind, value, name))
		return false;
	*ret_digest = api_key_digest(slice_of(name));
	return true;
}
