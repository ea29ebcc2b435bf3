#include "base/testing.h"

#include "rating/rating.h"
#include "rating/testing_internal.h"

#define CALLS_MAX 12

static struct rating_card random_card(void)
{
	struct rating_card card = {{{0}}};

	for (int meter = 0; meter < RATING_CLOUD_METERS; meter++) {
		if (below(4))
			card.of[meter] = random_rate();
	}
	return card;
}

static void cloud_charges_telescope_and_stay_within_their_most(void **state)
{
	(void)state;
	for (int i = 0; i < CASES; i++) {
		const struct rating_card card = random_card();
		struct rating_cloud_quantities total = {{0}};
		const int64_t count = 1 + below(CALLS_MAX);
		int64_t sum = 0;
		int64_t nano;

		for (int64_t j = 0; j < count; j++) {
			struct rating_cloud_quantities call;
			int64_t most;
			rating_cloud_of_call((uint32_t)below(64), (uint32_t)below(2000),
					     1 + (uint32_t)below(9), (uint64_t)below(3000),
					     (enum rating_path)below(RATING_PATHS),
					     (uint64_t)below(5000), &call);
			claim(rating_cloud_most(&card, &call, &most));
			claim(rating_cloud_advance(&card, &total, &call, &nano));
			claim(nano >= 0 && nano <= most);
			sum += nano;
		}
		claim(rating_cloud_charge(&card, &total, &nano));
		claim(nano == sum);
	}
}

static void a_calls_share_is_its_size_by_its_time_by_its_concurrency(void **state)
{
	struct rating_cloud_quantities call;
	int64_t nano;
	struct rating_card card = {{{0}}};

	(void)state;
	rating_cloud_of_call(128, 500, 8, 1000000, RATING_PATH_ZONE, 4096, &call);
	assert_int_equal(call.of[RATING_CLOUD_CALLS], 1);
	assert_int_equal(call.of[RATING_CLOUD_MIB_US], 16 * 1000000);
	assert_int_equal(call.of[RATING_CLOUD_MCPU_US], 62500000);
	assert_int_equal(call.of[RATING_CLOUD_BYTES_HOST], 0);
	assert_int_equal(call.of[RATING_CLOUD_BYTES_ZONE], 4096);

	/* A GiB-second at 0.000016: a sixty-fourth of it for 16 MiB during one second. */
	card.of[RATING_CLOUD_MIB_US] =
		(struct rating_rate){.nano = 16000, .per = RATING_MIB_US_PER_GIB_SECOND};
	assert_true(rating_cloud_charge(&card, &call, &nano));
	assert_int_equal(nano, 250);

	rating_cloud_of_call(UINT32_MAX, 0, 1, UINT64_MAX, RATING_PATH_HOST, UINT64_MAX, &call);
	assert_int_equal(call.of[RATING_CLOUD_MIB_US], INT64_MAX);
	assert_int_equal(call.of[RATING_CLOUD_BYTES_HOST], INT64_MAX);
}

static void a_cloud_overflow_is_refused_and_nothing_moves(void **state)
{
	struct rating_card card = {{{0}}};
	struct rating_cloud_quantities before = {.of = {[RATING_CLOUD_CALLS] = 1}};
	const struct rating_cloud_quantities start = before;
	const struct rating_cloud_quantities call = {.of = {[RATING_CLOUD_CALLS] = 2}};
	int64_t nano = 77;

	(void)state;
	card.of[RATING_CLOUD_CALLS] = (struct rating_rate){.nano = INT64_MAX / 2, .per = 1};
	assert_false(rating_cloud_advance(&card, &before, &call, &nano));
	assert_memory_equal(&before, &start, sizeof(start));
	assert_int_equal(nano, 77);
}

static void fees_telescope_over_the_cumulative_usage(void **state)
{
	int64_t nano;

	(void)state;
	assert_true(rating_fee(50000000, 30000, &nano));
	assert_int_equal(nano, 1500000);
	assert_true(rating_fee(50, 10000, &nano)); /* 0.5 falls to even */
	assert_int_equal(nano, 0);
	assert_true(rating_fee(150, 10000, &nano)); /* 1.5 rises to even */
	assert_int_equal(nano, 2);
	assert_true(rating_fee(INT64_MAX, 1000000, &nano));
	assert_int_equal(nano, INT64_MAX);
	assert_false(rating_fee(INT64_MAX, 1000001, &nano));

	for (int i = 0; i < CASES; i++) {
		const uint32_t fee_ppm = (uint32_t)below(300001);
		int64_t usage = 0;
		int64_t posted = 0;
		for (int j = 0; j < 8; j++) {
			int64_t fee;
			usage += below(1000000007);
			claim(rating_fee(usage, fee_ppm, &fee));
			claim(fee >= posted && fee <= usage);
			posted += fee - posted;
		}
		claim(rating_fee(usage, fee_ppm, &nano));
		claim(nano == posted);
		const __int128 rest = (__int128)usage * fee_ppm - (__int128)nano * 1000000;
		claim(2 * rest <= 1000000 && 2 * rest >= -1000000);
	}
}

static void every_cloud_meter_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(rating_cloud_meter_name(RATING_CLOUD_MIB_US), "gib_seconds");
	assert_string_equal(rating_cloud_meter_name(RATING_CLOUD_BYTES_INTERCLOUD),
			    "bytes_intercloud");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cloud_charges_telescope_and_stay_within_their_most),
		cmocka_unit_test(a_calls_share_is_its_size_by_its_time_by_its_concurrency),
		cmocka_unit_test(a_cloud_overflow_is_refused_and_nothing_moves),
		cmocka_unit_test(fees_telescope_over_the_cumulative_usage),
		cmocka_unit_test(every_cloud_meter_has_its_name),
	};

	seed = testing_seed();
	random_seeded_init(&chance, seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
