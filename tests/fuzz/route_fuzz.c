/* Which service a host and a target name: what is found is a part of what was given. */
#include "replay.h"

#include "gateway/route.h"
#include "loop/loop.h"

static void read_host(struct slice text)
{
	struct slice label;

	if (!route_host_label(text, &label))
		return;
	check(label.length > 0 && label.data == text.data && label.length < text.length);
	check(text.data[label.length] == '.');
	check_equal(slice_find_byte(label, '.', 0), label.length);
	check_equal(slice_find_byte(label, ':', 0), label.length);
}

static void read_target(struct slice text)
{
	struct slice segment, rest;
	bool bare;

	if (!route_path_segment(text, &segment, &rest, &bare))
		return;
	check(segment.length > 0 && segment.data == text.data + 1);
	check_equal(1 + segment.length + rest.length, text.length);
	check_equal(slice_find_byte(segment, '/', 0), segment.length);
	check(bare == (rest.length == 0 || rest.data[0] == '?'));
	if (!bare)
		check(rest.data[0] == '/');
}

static void read_address(struct slice text)
{
	struct loop_address address, again;
	char written[LOOP_ADDRESS_TEXT_MAX];
	struct fault fault;

	if (loop_address_parse(text, &address, &fault) < 0)
		return;
	loop_address_format(&address, written);
	check_equal(loop_address_parse(slice_of(written), &again, &fault), 0);
	check(loop_address_equal(&address, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = slice_make(data, size);

	read_host(text);
	read_target(text);
	read_address(text);
	return 0;
}
