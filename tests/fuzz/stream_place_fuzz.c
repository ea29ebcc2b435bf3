/* Where in an event stream, or in a WebSocket's frames, the bytes of a service are: the same
 * however they were split, and right by a second reading of them all. */
#include "replay.h"

#include "base/check.h"
#include "gateway/farewell.h"

#define BYTES_MAX 4096u

/* Whether an event stream that ends here ends between two events: behind an empty line, or at the
 * beginning. A line ends with CRLF, LF or CR. */
static bool is_between_events(struct slice all)
{
	bool line_empty = true, between = true;

	for (size_t at = 0; at < all.length; at++) {
		const char byte = all.data[at];
		if (byte == '\n' && at > 0 && all.data[at - 1] == '\r')
			continue; /* of the end before it */
		if (byte == '\r' || byte == '\n') {
			between = line_empty;
			line_empty = true;
		} else {
			line_empty = between = false;
		}
	}
	return between;
}

static bool is_between(enum events_place place)
{
	return place == EVENTS_BETWEEN || place == EVENTS_BETWEEN_CR;
}

/* Whether the bytes are whole frames of a server, none of them a close. */
static bool are_whole_frames(struct slice all)
{
	size_t at = 0;

	while (at < all.length) {
		const uint8_t *frame = (const uint8_t *)all.data + at;
		const size_t left = all.length - at;
		const uint8_t opcode = frame[0] & 0xf;
		uint64_t payload = 0;
		size_t head = 2;
		if (opcode > 0xa || (opcode > 2 && opcode < 8) || opcode == 8 || left < 2 ||
		    frame[1] > 127)
			return false;
		head += frame[1] == 127 ? 8 : frame[1] == 126 ? 2 : 0;
		if (left < head)
			return false;
		for (size_t i = 2; i < head; i++)
			payload = payload << 8 | frame[i];
		if (head == 2)
			payload = frame[1];
		if (payload > left - head)
			return false;
		at += head + (size_t)payload;
	}
	return true;
}

/* The first byte says how long the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum events_place whole = EVENTS_BETWEEN, parts = EVENTS_BETWEEN;
	struct websocket_place frames, pieces;

	if (size < 1 || size > BYTES_MAX)
		return 0;
	const struct slice all = slice_make(data + 1, size - 1);
	const size_t step = data[0] % 16 + 1u;
	websocket_begin(&frames, slice_of("WebSocket"));
	websocket_begin(&pieces, slice_of("websocket"));
	for (size_t at = 0; at < all.length; at += step) {
		const struct slice piece = slice_part(all, at, at + step);
		parts = events_follow(parts, piece);
		websocket_follow(&pieces, piece);
	}
	whole = events_follow(whole, all);
	websocket_follow(&frames, all);
	check_equal(is_between(whole), is_between(parts));
	check_equal(is_between(whole), is_between_events(all));
	check_equal(websocket_is_between(&frames), websocket_is_between(&pieces));
	check_equal(websocket_is_between(&frames), are_whole_frames(all));
	return 0;
}
