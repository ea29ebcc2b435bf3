/* Calls that run long: settled part by part, cut where their money ends. The test is caller and
 * service at once; a part is a tenth of a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/rig.h"

#define TEXT_MAX    65536
#define PART_NS     (100 * CLOCK_NS_PER_MS)
#define PART_NANO   100000 /* 1,000 a millisecond */
#define CALL_NANO   7
#define RECORDS_MAX 256

static char seen[TEXT_MAX];
static size_t seen_bytes;

struct talk {
	struct rig rig;
	int listener, client, service;
};

static struct rig_options priced_by_time(int64_t lease_nano)
{
	struct rig_options options = rig_options_default(CALL_NANO);

	options.settle_ns = PART_NS;
	options.no_instance = true;
	options.lease_nano = lease_nano;
	options.plan.prices[1] = (struct rating_price){.meter = RATING_DURATION_MS,
						       .model = RATING_UNIT,
						       .rate = {.nano = 1000, .per = 1}};
	options.plan.price_count = 2;
	options.plan.max_charge_nano = 1000 * PART_NANO;
	options.call_most_nano = options.plan.max_charge_nano;
	return options;
}

static void send_text(int descriptor, const char *text)
{
	assert_int_equal(send(descriptor, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until `end` has come; false: the connection was over before. */
static bool read_until(int descriptor, const char *end)
{
	seen_bytes = 0;
	seen[0] = '\0';
	while (memmem(seen, seen_bytes, end, strlen(end)) == NULL) {
		const ssize_t got =
			recv(descriptor, seen + seen_bytes, TEXT_MAX - 1 - seen_bytes, 0);
		if (got <= 0)
			return false;
		seen_bytes += (size_t)got;
		seen[seen_bytes] = '\0';
	}
	return true;
}

static bool read_to_end(int descriptor)
{
	return !read_until(descriptor, "\x01never\x01");
}

static void begin(struct talk *talk, const struct rig_options *options, const char *fields,
		  const char *answer)
{
	char request[1024];

	rig_begin(&talk->rig, options);
	talk->listener = rig_service_listen(&talk->rig);
	talk->client = rig_connect(&talk->rig);
	snprintf(request, sizeof(request),
		 "%s /echo/x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n%s\r\n",
		 strstr(fields, "grpc") != NULL ? "POST" : "GET", talk->rig.key, fields);
	send_text(talk->client, request);
	talk->service = accept(talk->listener, NULL, NULL);
	assert_true(talk->service >= 0);
	assert_true(read_until(talk->service, "\r\n\r\n"));
	send_text(talk->service, answer);
}

static void end(struct talk *talk)
{
	close(talk->client);
	close(talk->service);
	close(talk->listener);
	rig_end(&talk->rig);
}

/* All of stream 0. */
static uint32_t read_records(struct rig *rig, struct journal_record *records)
{
	struct journal_reader *reader;
	const struct journal_record *some;
	struct fault fault;
	uint32_t total = 0, count;

	assert_int_equal(journal_reader_open(rig->journal, 0, 0, &reader, &fault), 0);
	do {
		assert_int_equal(journal_reader_next(reader, 64, &some, &count, &fault), 0);
		assert_true(total + count <= RECORDS_MAX);
		if (count > 0)
			memcpy(records + total, some, count * sizeof(*some));
		total += count;
	} while (count > 0);
	journal_reader_close(reader);
	return total;
}

/* What a call's records must be, whatever its length; returns the sum of their charges. */
static int64_t check_parts(const struct journal_record *records, uint32_t count)
{
	int64_t sum_nano = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct journal_record *record = &records[i];
		assert_memory_equal(&record->call, &records[0].call, sizeof(record->call));
		assert_int_equal((record->flags & JOURNAL_CONTINUES) != 0, i > 0);
		assert_int_equal(record->outcome == JOURNAL_RUNNING, i < count - 1);
		if (i < count - 1)
			assert_int_equal(record->service_us % 1000, 0);
		if (record->flags & JOURNAL_BILLED)
			assert_int_equal(record->charge_nano,
					 (i == 0 ? CALL_NANO : 0) +
						 1000 * rating_milliseconds(record->service_us));
		sum_nano += record->charge_nano;
	}
	return sum_nano;
}

static const char sse[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";

static void check_budget_of_three(struct talk *talk)
{
	struct journal_record records[RECORDS_MAX];
	const uint32_t count = read_records(&talk->rig, records);

	assert_int_equal(count, 4);
	assert_int_equal(check_parts(records, count), 3 * PART_NANO + CALL_NANO);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(records[i].service_us, PART_NS / CLOCK_NS_PER_US);
	assert_int_equal(records[3].outcome, JOURNAL_CUT);
	assert_int_equal(records[3].charge_nano, 0);
}

static void a_call_is_charged_for_no_more_time_than_its_record_can_tell(void **unused)
{
	(void)unused;
	struct journal_record records[RECORDS_MAX];
	struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct talk talk;
	const uint64_t start_ns = clock_monotonic_ns(clock_system());
	options.record_us_most = 2 * PART_NS / CLOCK_NS_PER_US + 1;
	begin(&talk, &options, "", "");

	rig_wait_until(clock_monotonic_ns(clock_system()) > start_ns + 5 * PART_NS);
	send_text(talk.service, sse);
	rig_wait_until(read_records(&talk.rig, records) >= 2);
	send_text(talk.service, "0\r\n\r\n");
	assert_true(read_until(talk.client, "\r\n0\r\n"));
	const uint32_t count = read_records(&talk.rig, records);
	assert_true(check_parts(records, count) > 0);
	assert_int_equal(records[0].service_us, 2 * PART_NS / CLOCK_NS_PER_US);
	assert_int_equal(records[1].service_us, PART_NS / CLOCK_NS_PER_US);
	assert_int_equal(records[count - 1].outcome, JOURNAL_ANSWERED);
	end(&talk);
}

static void an_event_stream_ends_with_an_event_when_its_money_does(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(3 * PART_NANO + CALL_NANO);
	begin(&talk, &options, "", sse);

	assert_true(read_until(talk.client, "0\r\n\r\n"));
	assert_non_null(strstr(seen, "data: 1\n\n"));
	assert_non_null(strstr(seen, "event: stoa-problem\ndata: {\"type\":\"urn:stoa:problem:"
				     "balance-exhausted\""));
	assert_non_null(strstr(seen, "}\n\n\r\n0\r\n\r\n"));
	check_budget_of_three(&talk);
	end(&talk);
}

static void a_stream_that_is_cut_within_an_event_breaks(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(3 * PART_NANO + CALL_NANO);
	begin(&talk, &options, "",
	      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	      "Transfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n");

	assert_true(read_to_end(talk.client));
	assert_null(strstr(seen, "stoa-problem"));
	assert_null(strstr(seen, "0\r\n\r\n"));
	check_budget_of_three(&talk);
	end(&talk);
}

static void a_compressed_stream_breaks_though_its_bytes_end_like_an_event(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(3 * PART_NANO + CALL_NANO);
	begin(&talk, &options, "",
	      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
	      "Transfer-Encoding: chunked\r\n\r\n3\r\nx\n\n\r\n");

	assert_true(read_to_end(talk.client));
	assert_null(strstr(seen, "stoa-problem"));
	assert_null(strstr(seen, "0\r\n\r\n"));
	check_budget_of_three(&talk);
	end(&talk);
}

static void a_plain_download_breaks_when_its_money_ends(void **unused)
{
	(void)unused;
	struct talk talk;
	struct rig_options options = priced_by_time(INT64_MAX / 4);
	options.budget_nano = 3 * PART_NANO + CALL_NANO;
	begin(&talk, &options, "",
	      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");

	assert_true(read_to_end(talk.client));
	assert_non_null(strstr(seen, "abc"));
	assert_null(strstr(seen, "0\r\n\r\n"));
	check_budget_of_three(&talk);
	end(&talk);
}

static void a_grpc_stream_ends_with_a_status_when_its_money_does(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(3 * PART_NANO + CALL_NANO);
	begin(&talk, &options, "Content-Type: application/grpc\r\nContent-Length: 0\r\n",
	      "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
	      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");

	assert_true(read_until(talk.client, "Stoa-Problem: urn:stoa:problem:balance-exhausted"));
	assert_non_null(strstr(seen, "\r\n0\r\ngrpc-status: 8\r\n"));
	check_budget_of_three(&talk);
	end(&talk);
}

#define SWITCH                                                        \
	"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" \
	"Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
#define WISH                                            \
	"Connection: Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static void a_websocket_gets_a_close_code_when_its_money_ends(void **unused)
{
	(void)unused;
	struct talk talk;
	struct rig_options options = priced_by_time(3 * PART_NANO + CALL_NANO);
	static const char close_frame[] = "\x88\x38\x11\x32The account's balance does not";
	begin(&talk, &options, WISH, SWITCH "\x81\x02hi");

	assert_true(read_to_end(talk.client));
	assert_non_null(memmem(seen, seen_bytes, "\x81\x02hi", 4));
	const char *frame = memmem(seen, seen_bytes, "\x88", 1);
	assert_non_null(frame);
	assert_int_equal((unsigned char)frame[2] << 8 | (unsigned char)frame[3], 4402);
	assert_int_equal(frame + 2 + frame[1], seen + seen_bytes);
	assert_memory_equal(frame + 4, close_frame + 4, sizeof(close_frame) - 5);
	check_budget_of_three(&talk);
	end(&talk);
}

static void a_websocket_within_a_frame_gets_none(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(3 * PART_NANO + CALL_NANO);
	begin(&talk, &options, WISH, SWITCH "\x81\x05hi");

	assert_true(read_to_end(talk.client));
	assert_memory_equal(seen + seen_bytes - 4, "\x81\x05hi", 4);
	check_budget_of_three(&talk);
	end(&talk);
}

static void the_parts_of_a_call_are_one_call_and_its_charge_their_sum(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct journal_record records[RECORDS_MAX];
	char charge[64];
	uint64_t bytes = 0;
	uint32_t count = 0;
	begin(&talk, &options, "", sse);

	rig_wait_until(read_records(&talk.rig, records) >= 2);
	send_text(talk.service, "a\r\ndata: 22\n\n\r\n0\r\n\r\n");
	assert_true(read_until(talk.client, "Stoa-Charge"));
	count = read_records(&talk.rig, records);
	assert_true(count >= 3);
	const int64_t sum_nano = check_parts(records, count);
	assert_int_equal(records[count - 1].outcome, JOURNAL_ANSWERED);
	for (uint32_t i = 0; i < count; i++)
		bytes += records[i].response_bytes;
	assert_int_equal(bytes, 9 + 10);
	assert_int_equal(records[0].response_bytes, 9);
	snprintf(charge, sizeof(charge), "Stoa-Charge: 0.%09lld USD", (long long)sum_nano);
	/* Amounts have no zeros at the end: three here, of whole microunits, and CALL_NANO. */
	assert_non_null(strstr(seen, charge));
	end(&talk);
}

static void each_record_of_a_call_is_charged_by_the_version_of_its_moment(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct journal_record records[RECORDS_MAX];
	struct rating_plan next = options.plan;
	uint32_t changed = 0;
	uint32_t count = 0;

	next.prices[1].rate.nano = 3000;
	begin(&talk, &options, "", sse);
	rig_wait_until(read_records(&talk.rig, records) >= 2);
	const uint64_t begins_ns = clock_wall_ns(clock_system()) + 2 * PART_NS;
	rig_publish_next(&talk.rig, &next, options.call_most_nano, begins_ns);
	rig_wait_until((count = read_records(&talk.rig, records)) > 0 &&
		       records[count - 1].plan.value == 2);
	send_text(talk.service, "a\r\ndata: 22\n\n\r\n0\r\n\r\n");
	assert_true(read_until(talk.client, "Stoa-Charge"));
	count = read_records(&talk.rig, records);
	for (uint32_t i = 0; i < count; i++) {
		const bool by_next = records[i].settled_ns >= begins_ns;
		changed += by_next;
		assert_int_equal(records[i].plan.value, by_next ? 2 : 1);
		assert_true(records[i].flags & JOURNAL_BILLED);
		assert_int_equal(records[i].charge_nano,
				 (i == 0 ? CALL_NANO : 0) +
					 (by_next ? 3000 : 1000) *
						 rating_milliseconds(records[i].service_us));
	}
	assert_in_range(changed, 1, count - 2);
	end(&talk);
}

static void what_cannot_be_charged_yet_is_settled_later(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct journal_record records[RECORDS_MAX];
	const struct timespec pause = {.tv_nsec = 250 * CLOCK_NS_PER_MS};
	begin(&talk, &options, "", "");

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	assert_int_equal(read_records(&talk.rig, records), 0);
	send_text(talk.service, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	assert_true(read_until(talk.client, "ok"));
	assert_int_equal(read_records(&talk.rig, records), 1);
	check_parts(records, 1);
	assert_true(records[0].service_us >= 250000);
	end(&talk);
}

static void what_a_service_fails_later_leaves_what_was_settled(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct journal_record records[RECORDS_MAX];
	begin(&talk, &options, "", sse);

	rig_wait_until(read_records(&talk.rig, records) >= 2);
	shutdown(talk.service, SHUT_RDWR);
	assert_true(read_to_end(talk.client));
	const uint32_t count = read_records(&talk.rig, records);
	check_parts(records, count);
	assert_int_equal(records[count - 1].outcome, JOURNAL_FAILED);
	assert_int_equal(records[count - 1].flags, JOURNAL_CONTINUES);
	assert_int_equal(records[0].charge_nano, CALL_NANO + PART_NANO);
	end(&talk);
}

static void max_charge_holds_for_all_parts_together(void **unused)
{
	(void)unused;
	struct talk talk;
	struct rig_options options = priced_by_time(2 * PART_NANO);
	struct journal_record records[RECORDS_MAX];
	int64_t sum_nano = 0;
	options.plan.max_charge_nano = 2 * PART_NANO;
	begin(&talk, &options, "", sse);

	/* Nothing further is held or charged, so the stream goes on. */
	rig_wait_until(read_records(&talk.rig, records) >= 4);
	for (unsigned i = 0; i < 4; i++)
		sum_nano += records[i].charge_nano;
	assert_in_range(sum_nano, 2 * PART_NANO - 1000, 2 * PART_NANO);
	assert_int_equal(journal_record_left_nano(&records[1]), PART_NANO - CALL_NANO);
	assert_int_equal(records[3].charge_nano, 0);
	end(&talk);
}

static void a_dry_lease_rests_the_call_until_the_ledger_answers(void **unused)
{
	(void)unused;
	struct talk talk;
	struct rig_options options = priced_by_time(PART_NANO + CALL_NANO);
	struct journal_record records[RECORDS_MAX];
	options.has_more = true;
	begin(&talk, &options, "", sse);

	rig_wait_until(read_records(&talk.rig, records) == 1);
	rig_wait_until(gateway_lease_poll(talk.rig.lease).wanted_nano == PART_NANO);
	gateway_lease_grant(talk.rig.lease, PART_NANO, UINT64_MAX / 2);
	rig_wait_until(read_records(&talk.rig, records) == 2);
	assert_int_equal(records[1].charge_nano, PART_NANO);
	/* This time it does not. */
	assert_true(read_until(talk.client, "0\r\n\r\n"));
	assert_non_null(strstr(seen, "ledger-unavailable"));
	const uint32_t count = read_records(&talk.rig, records);
	assert_int_equal(check_parts(records, count), 2 * PART_NANO + CALL_NANO);
	end(&talk);
}

/* ---- budgets that come and go meanwhile ---- */

static void a_budget_bounds_the_parts_of_a_call_that_began_before_it(void **unused)
{
	(void)unused;
	struct talk talk;
	const struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct journal_record records[RECORDS_MAX];
	struct fault fault;
	begin(&talk, &options, "", sse);

	rig_wait_until(read_records(&talk.rig, records) >= 1);
	assert_int_equal(gateway_lease_new(talk.rig.gateway, &talk.rig.budget, &fault), 0);
	gateway_lease_grant(talk.rig.budget, 2 * PART_NANO, UINT64_MAX / 2);
	gateway_lease_set_source(talk.rig.budget, false);
	rig_publish_again(&talk.rig, &options);
	assert_true(read_until(talk.client, "0\r\n\r\n"));
	assert_non_null(strstr(seen, "urn:stoa:problem:budget-exhausted"));
	assert_int_equal(gateway_lease_poll(talk.rig.budget).available_nano, 0);
	const uint32_t count = read_records(&talk.rig, records);
	check_parts(records, count);
	assert_int_equal(records[count - 1].outcome, JOURNAL_CUT);
	end(&talk);
}

static void a_call_outlives_its_budget_and_gives_back_what_it_held_of_it(void **unused)
{
	(void)unused;
	struct talk talk;
	struct rig_options options = priced_by_time(INT64_MAX / 4);
	struct journal_record records[RECORDS_MAX];
	const int64_t budget_nano = 20 * PART_NANO + CALL_NANO;
	options.budget_nano = budget_nano;
	begin(&talk, &options, "", sse);
	struct gateway_lease *budget = talk.rig.budget;

	rig_wait_until(read_records(&talk.rig, records) >= 1);
	talk.rig.budget = NULL;
	rig_publish_again(&talk.rig, &options);
	/* Nobody fills it any more. */
	assert_int_equal(gateway_lease_reclaim(budget, 10 * PART_NANO), 10 * PART_NANO);
	rig_wait_until(read_records(&talk.rig, records) >= 14);
	const int64_t spent_nano =
		budget_nano - 10 * PART_NANO - gateway_lease_poll(budget).available_nano;
	assert_int_equal((spent_nano - CALL_NANO) % PART_NANO, 0);
	assert_in_range(spent_nano, CALL_NANO + PART_NANO, CALL_NANO + 9 * PART_NANO);
	send_text(talk.service, "0\r\n\r\n");
	assert_true(read_until(talk.client, "Stoa-Charge"));
	end(&talk);
}

/* ---- many at once ---- */

#define STREAMS 12
#define BOUGHT  31

static void however_many_race_no_more_is_charged_than_there_is(void **unused)
{
	(void)unused;
	struct rig rig;
	struct rig_options options = priced_by_time(BOUGHT * PART_NANO + STREAMS * CALL_NANO);
	struct journal_record records[RECORDS_MAX];
	int clients[STREAMS], services[STREAMS];
	char request[512];
	int64_t sum_nano = 0;
	rig_begin(&rig, &options);
	const int listener = rig_service_listen(&rig);

	snprintf(request, sizeof(request),
		 "GET /echo/x HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n\r\n", rig.key);
	for (unsigned i = 0; i < STREAMS; i++) {
		clients[i] = rig_connect(&rig);
		send_text(clients[i], request);
		services[i] = accept(listener, NULL, NULL);
		assert_true(read_until(services[i], "\r\n\r\n"));
		send_text(services[i], sse);
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		assert_true(read_until(clients[i], "0\r\n\r\n"));
		assert_non_null(strstr(seen, "balance-exhausted"));
	}
	const uint32_t count = read_records(&rig, records);
	for (uint32_t i = 0; i < count; i++)
		sum_nano += records[i].charge_nano;
	/* To the last nano: whoever could not have another whole part left nothing behind. */
	assert_int_equal(sum_nano, BOUGHT * PART_NANO + STREAMS * CALL_NANO);
	assert_int_equal(gateway_leases_free_nano(rig.gateway), 0);
	for (unsigned i = 0; i < STREAMS; i++) {
		close(clients[i]);
		close(services[i]);
	}
	close(listener);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_charged_for_no_more_time_than_its_record_can_tell),
		cmocka_unit_test(an_event_stream_ends_with_an_event_when_its_money_does),
		cmocka_unit_test(a_stream_that_is_cut_within_an_event_breaks),
		cmocka_unit_test(a_compressed_stream_breaks_though_its_bytes_end_like_an_event),
		cmocka_unit_test(a_plain_download_breaks_when_its_money_ends),
		cmocka_unit_test(a_grpc_stream_ends_with_a_status_when_its_money_does),
		cmocka_unit_test(a_websocket_gets_a_close_code_when_its_money_ends),
		cmocka_unit_test(a_websocket_within_a_frame_gets_none),
		cmocka_unit_test(the_parts_of_a_call_are_one_call_and_its_charge_their_sum),
		cmocka_unit_test(each_record_of_a_call_is_charged_by_the_version_of_its_moment),
		cmocka_unit_test(what_cannot_be_charged_yet_is_settled_later),
		cmocka_unit_test(what_a_service_fails_later_leaves_what_was_settled),
		cmocka_unit_test(max_charge_holds_for_all_parts_together),
		cmocka_unit_test(a_dry_lease_rests_the_call_until_the_ledger_answers),
		cmocka_unit_test(a_budget_bounds_the_parts_of_a_call_that_began_before_it),
		cmocka_unit_test(a_call_outlives_its_budget_and_gives_back_what_it_held_of_it),
		cmocka_unit_test(however_many_race_no_more_is_charged_than_there_is),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(tests[0]));
}
