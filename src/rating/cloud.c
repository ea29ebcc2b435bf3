#include "base/check.h"
#include "rating/exact_internal.h"
#include "rating/rating.h"

/* ---- the rate card ---- */

bool rating_cloud_meter_charge(const struct rating_card *card, enum rating_cloud_meter meter,
			       int64_t quantity, int64_t *ret_nano)
{
	check(quantity >= 0);
	return rate_charge(card->of[meter], quantity, ret_nano);
}

bool rating_cloud_charge(const struct rating_card *card,
			 const struct rating_cloud_quantities *quantities, int64_t *ret_nano)
{
	int64_t sum = 0;

	for (int meter = 0; meter < RATING_CLOUD_METERS; meter++) {
		int64_t nano;
		if (!rating_cloud_meter_charge(card, meter, quantities->of[meter], &nano))
			return false;
		if (__builtin_add_overflow(sum, nano, &sum))
			return false;
	}
	*ret_nano = sum;
	return true;
}

bool rating_cloud_advance(const struct rating_card *card, struct rating_cloud_quantities *before,
			  const struct rating_cloud_quantities *call, int64_t *ret_nano)
{
	struct rating_cloud_quantities after;
	int64_t sum = 0;

	for (int meter = 0; meter < RATING_CLOUD_METERS; meter++) {
		int64_t nano_before;
		int64_t nano_after;
		check(call->of[meter] >= 0);
		if (__builtin_add_overflow(before->of[meter], call->of[meter], &after.of[meter]))
			return false;
		if (call->of[meter] == 0 || card->of[meter].nano == 0)
			continue;
		if (!rating_cloud_meter_charge(card, meter, after.of[meter], &nano_after))
			return false;
		if (!rating_cloud_meter_charge(card, meter, before->of[meter], &nano_before))
			return false;
		if (__builtin_add_overflow(sum, nano_after - nano_before, &sum))
			return false;
	}
	*before = after;
	*ret_nano = sum;
	return true;
}

bool rating_cloud_most(const struct rating_card *card, const struct rating_cloud_quantities *call,
		       int64_t *ret_nano)
{
	int64_t sum = 0;

	for (int meter = 0; meter < RATING_CLOUD_METERS; meter++) {
		const struct rating_rate rate = card->of[meter];
		int64_t nano;
		check(call->of[meter] >= 0);
		if (rate.nano == 0)
			continue;
		if (!rate_most(rate, !rate_is_whole(rate), call->of[meter], &nano))
			return false;
		if (__builtin_add_overflow(sum, nano, &sum))
			return false;
	}
	*ret_nano = sum;
	return true;
}

/* Rounded down: what is left over is the operator's. */
static int64_t share_of(uint32_t size, uint64_t duration_us, uint32_t concurrency)
{
	const unsigned __int128 share = (unsigned __int128)size * duration_us / concurrency;

	return share < INT64_MAX ? (int64_t)share : INT64_MAX;
}

void rating_cloud_of_call(uint32_t memory_mib, uint32_t cpu_milli, uint32_t concurrency,
			  uint64_t duration_us, enum rating_path path, uint64_t bytes,
			  struct rating_cloud_quantities *ret_call)
{
	check(concurrency >= 1);
	check(path < RATING_PATHS);
	*ret_call = (struct rating_cloud_quantities){
		.of = {
			[RATING_CLOUD_CALLS] = 1,
			[RATING_CLOUD_MIB_US] = share_of(memory_mib, duration_us, concurrency),
			[RATING_CLOUD_MCPU_US] = share_of(cpu_milli, duration_us, concurrency),
		}};
	ret_call->of[RATING_CLOUD_BYTES_HOST + path] =
		bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
}

/* ---- the fee ---- */

bool rating_fee(int64_t usage_nano, uint32_t fee_ppm, int64_t *ret_nano)
{
	check(usage_nano >= 0);
	return rate_charge((struct rating_rate){.nano = fee_ppm, .per = PPM}, usage_nano, ret_nano);
}

const char *rating_cloud_meter_name(enum rating_cloud_meter meter)
{
	static const char *const names[RATING_CLOUD_METERS] = {
		"calls",      "gib_seconds", "vcpu_seconds",     "bytes_host",
		"bytes_zone", "bytes_cloud", "bytes_intercloud",
	};
	check(meter < RATING_CLOUD_METERS);
	return names[meter];
}
