/* The field Upgrade: what is passed on is the name of one protocol, and none that could carry
 * requests past the gateway. */
#include "replay.h"

#include <string.h>

#include "base/check.h"
#include "gateway/tunnel.h"

static bool is_one_name(struct slice value)
{
	return value.length > 0 && value.length <= HTTP_PROTOCOL_BYTES_MAX &&
	       strcspn(value.data, " \t,;\"\r\n") >= value.length;
}

static bool begins_with_word(struct slice value, const char *word)
{
	const size_t length = strlen(word);

	return slice_equal_ignore_case(slice_part(value, 0, length), slice_of(word)) &&
	       (value.length == length || (value.length > length && value.data[length] == '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const past[] = {"h2c", "h2", "HTTP", "TLS"};
	char text[256];

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	const struct slice value = slice_make(text, size);
	const struct http_header headers[] = {
		{.name = slice_of("Sec-WebSocket-Key"),
		 .value = slice_of("dGhlIHNhbXBsZSBub25jZQ=="),
		 .known = HTTP_WEBSOCKET_KEY},
		{.name = slice_of("Upgrade"), .value = value, .known = HTTP_UPGRADE},
		{.name = slice_of("Upgrade"), .value = value, .known = HTTP_UPGRADE}};
	struct http_request request = {
		.method = slice_of("GET"), .headers = headers, .header_count = 2, .upgrade = true};

	const enum tunnel_wish wish = tunnel_wish(&request);
	check(wish == TUNNEL_NONE || wish == TUNNEL_WANTED);
	request.method = slice_of("POST");
	check(tunnel_wish(&request) == (wish == TUNNEL_WANTED ? TUNNEL_REFUSED : TUNNEL_NONE));
	request.method = slice_of("GET");
	request.body_bytes = HTTP_LENGTH_UNKNOWN;
	check(tunnel_wish(&request) == (wish == TUNNEL_WANTED ? TUNNEL_REFUSED : TUNNEL_NONE));
	request.header_count = 3;
	check(tunnel_wish(&request) == TUNNEL_NONE);
	if (wish == TUNNEL_NONE)
		return 0;
	check(slice_equal(tunnel_protocol(headers, 2), value));
	check(is_one_name(value));
	for (size_t i = 0; i < sizeof(past) / sizeof(past[0]); i++)
		check(!begins_with_word(value, past[i]));
	return 0;
}
