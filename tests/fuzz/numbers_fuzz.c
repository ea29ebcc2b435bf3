/* Texts that stand for numbers: amounts, sizes, durations, rates, ids, months. What is read is
 * written again, and reads as the same. */
#include "replay.h"

#include <stdlib.h>

#include "base/amount.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/units.h"

static void read_amount(struct slice text)
{
	struct amount amount, again;
	char written[AMOUNT_TEXT_MAX];

	if (!amount_parse(text, &amount))
		return;
	const size_t length = amount_format(amount, written);
	check(length < sizeof(written));
	check(amount_parse(slice_make(written, length), &again));
	check_equal(again.nano, amount.nano);
}

static void read_bytes(struct slice text)
{
	char written[UNITS_TEXT_MAX];
	uint64_t bytes, again;

	if (!units_parse_bytes(text, &bytes))
		return;
	check_at_most(bytes, (uint64_t)INT64_MAX);
	units_format_bytes(bytes, written);
	check(units_parse_bytes(slice_of(written), &again));
	check_equal(again, bytes);
}

static void read_duration(struct slice text)
{
	char written[UNITS_TEXT_MAX];
	uint64_t ns, again;

	if (!units_parse_duration_ns(text, &ns))
		return;
	check_at_most(ns, (uint64_t)INT64_MAX);
	units_format_duration_ns(ns, written);
	check(units_parse_duration_ns(slice_of(written), &again));
	check_equal(again, ns);
}

static void read_counts(struct slice text)
{
	enum units_period period;
	uint64_t count;
	int64_t value, wider;

	if (units_parse_count(text, &count))
		check_at_most(count, (uint64_t)INT64_MAX);
	if (units_parse_rate(text, &count, &period)) {
		check_at_most(count, (uint64_t)INT64_MAX);
		check(period >= UNITS_SECOND && period <= UNITS_MONTH);
	}
	for (unsigned places = 0; places < UNITS_DECIMAL_PLACES_MAX; places++) {
		if (!units_parse_decimal(text, places, &value) ||
		    !units_parse_decimal(text, places + 1, &wider))
			continue;
		check(wider % 10 == 0);
		check_equal(wider / 10, value);
	}
}

static void read_ids(struct slice text)
{
	char written[CALL_ID_TEXT_MAX];
	struct call_id call;
	uint64_t id;
	uint32_t month;

	if (id_parse("key", text, &id)) {
		check(id > 0);
		id_format("key", id, written);
		check(slice_equal(slice_of(written), text));
	}
	if (call_id_parse(text, &call)) {
		call_id_format(call, written);
		check(slice_equal_ignore_case(slice_of(written), text));
	}
	if (clock_month_parse(text, &month)) {
		clock_month_format(month, written);
		check(slice_equal(slice_of(written), text));
		check_equal(clock_month_of(clock_month_start_ns(month)), month);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = slice_make(data, size);

	read_amount(text);
	read_bytes(text);
	read_duration(text);
	read_counts(text);
	read_ids(text);
	return 0;
}
