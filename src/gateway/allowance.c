#include "gateway/allowance.h"

#include "base/check.h"
#include "base/text.h"

static char *put(char *at, const char *text, size_t length)
{
	memcpy(at, text, length);
	return at + length;
}

#define put_text(at, text) put(at, text, sizeof(text) - 1)

static uint64_t seconds_up(uint64_t ns)
{
	return (ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
}

size_t allowance_policy(const struct gateway_limits *limits, char text[ALLOWANCE_POLICY_MAX])
{
	char *at = text;

	if (limits->rate_interval_ns != 0) {
		at = put_text(at, "\"rate\";q=");
		at = text_decimal(limits->burst, at);
		at = put_text(at, ";w=");
		at = text_decimal(seconds_up(limits->rate_interval_ns * limits->burst), at);
	}
	if (limits->quota_calls >= 0) {
		if (at != text)
			at = put_text(at, ", ");
		at = put_text(at, "\"quota\";q=");
		at = text_decimal((uint64_t)limits->quota_calls, at);
	}
	check_at_most(at - text, ALLOWANCE_POLICY_MAX);
	return (size_t)(at - text);
}

size_t allowance_left(const struct gateway_limits *limits, const struct admit_left *left,
		      uint64_t month_left_ns, char text[ALLOWANCE_LEFT_MAX])
{
	char *at = text;

	if (limits->rate_interval_ns != 0) {
		at = put_text(at, "\"rate\";r=");
		at = text_decimal(left->rate_calls, at);
		at = put_text(at, ";t=");
		at = text_decimal(seconds_up(left->more_ns), at);
	}
	if (limits->quota_calls >= 0) {
		if (at != text)
			at = put_text(at, ", ");
		at = put_text(at, "\"quota\";r=");
		at = text_decimal(left->quota_calls, at);
		at = put_text(at, ";t=");
		at = text_decimal(seconds_up(month_left_ns), at);
	}
	check_at_most(at - text, ALLOWANCE_LEFT_MAX);
	return (size_t)(at - text);
}
