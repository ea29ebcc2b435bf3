#include "base/testing.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "journal/journal.h"
#include "journal/memory_disk.h"
#include "journal/sample.h"

#define SEGMENT 64

struct fixture {
	struct memory_disk memory;
	struct journal *journal;
};

static struct journal *must_open(struct memory_disk *memory)
{
	const struct journal_options options = {
		.disk = &memory->disk,
		.clock = clock_system(),
		.folder = "j",
		.segment_records = SEGMENT,
	};
	struct journal *journal = NULL;
	struct fault fault = {0};

	if (journal_open(&options, &journal, &fault) < 0)
		fail_msg("%s", fault.text);
	return journal;
}

static struct journal_stream *must_open_stream(struct journal *journal, uint32_t number)
{
	struct journal_stream *stream = NULL;
	struct fault fault = {0};

	if (journal_stream_open(journal, number, &stream, &fault) < 0)
		fail_msg("%s", fault.text);
	return stream;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	memory_disk_init(&fixture->memory);
	fixture->journal = must_open(&fixture->memory);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->journal != NULL)
		journal_close(fixture->journal, NULL);
	memory_disk_fini(&fixture->memory);
	free(fixture);
	return 0;
}

static void must_maintain(struct journal *journal)
{
	struct fault fault = {0};
	bool synced;

	if (journal_maintain(journal, &synced, &fault) < 0)
		fail_msg("%s", fault.text);
}

static void append_up_to(struct journal *journal, struct journal_stream *stream, uint32_t number,
			 uint64_t end)
{
	while (journal_stream_head(journal, number) < end) {
		if (journal_stream_room(stream) == 0)
			must_maintain(journal);
		sample_append(stream, number, journal_stream_head(journal, number));
	}
}

static void must_read_all(struct journal *journal, uint32_t number, uint64_t from, uint64_t end)
{
	const struct journal_record *records;
	struct journal_reader *reader;
	struct fault fault = {0};
	uint32_t count;

	assert_int_equal(journal_reader_open(journal, number, from, &reader, &fault), 0);
	while (journal_reader_position(reader) < end) {
		const uint64_t position = journal_reader_position(reader);
		if (journal_reader_next(reader, 10, &records, &count, &fault) < 0)
			fail_msg("%s", fault.text);
		assert_true(count > 0);
		for (uint32_t i = 0; i < count; i++)
			assert_true(sample_matches(number, position + i, &records[i]));
	}
	assert_int_equal(journal_reader_next(reader, 10, &records, &count, &fault), 0);
	assert_int_equal(count, 0);
	journal_reader_close(reader);
}

static void an_empty_journal_has_no_stream(void **state)
{
	struct fixture *fixture = *state;
	struct journal_reader *reader;
	struct fault fault;

	assert_int_equal(journal_stream_count(fixture->journal), 0);
	assert_int_equal(journal_stream_head(fixture->journal, 3), 0);
	assert_int_equal(journal_reader_open(fixture->journal, 3, 0, &reader, &fault),
			 FAULT_NOT_FOUND);
}

static void records_are_read_as_they_were_appended_across_segments(void **state)
{
	struct fixture *fixture = *state;

	struct journal_stream *zero = must_open_stream(fixture->journal, 0);
	struct journal_stream *two = must_open_stream(fixture->journal, 2);
	append_up_to(fixture->journal, zero, 0, 5 * SEGMENT + 7);
	append_up_to(fixture->journal, two, 2, SEGMENT);

	assert_int_equal(journal_stream_count(fixture->journal), 3);
	assert_int_equal(journal_stream_first(fixture->journal, 0), 0);
	must_read_all(fixture->journal, 0, 0, 5 * SEGMENT + 7);
	must_read_all(fixture->journal, 0, 2 * SEGMENT, 5 * SEGMENT + 7);
	must_read_all(fixture->journal, 2, 0, SEGMENT);
}

static void a_reopened_journal_goes_on_where_it_ended(void **state)
{
	struct fixture *fixture = *state;
	uint64_t end = 0;

	/* Also at the exact end of a segment. */
	const uint64_t steps[] = {1, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 5, 2 * SEGMENT - 5};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		end += steps[i];
		struct journal_stream *stream = must_open_stream(fixture->journal, 0);
		append_up_to(fixture->journal, stream, 0, end);
		assert_int_equal(journal_close(fixture->journal, NULL), 0);

		fixture->journal = must_open(&fixture->memory);
		assert_int_equal(journal_torn_count(fixture->journal), 0);
		assert_int_equal(journal_stream_head(fixture->journal, 0), end);
		assert_int_equal(journal_stream_durable(fixture->journal, 0), end);
		must_read_all(fixture->journal, 0, 0, end);
	}
}

static void maintenance_keeps_room_for_two_segments(void **state)
{
	struct fixture *fixture = *state;
	struct random_seeded random;

	random_seeded_init(&random, testing_seed());
	struct journal_stream *stream = must_open_stream(fixture->journal, 0);
	assert_true(journal_stream_room(stream) >= SEGMENT);
	for (unsigned i = 0; i < 50; i++) {
		must_maintain(fixture->journal);
		assert_true(journal_stream_room(stream) >= 2 * SEGMENT);
		const uint64_t step = random_below(&random.random, 2 * SEGMENT + 1);
		for (uint64_t k = 0; k < step; k++)
			sample_append(stream, 0, journal_stream_head(fixture->journal, 0));
	}
}

static void only_a_sync_makes_records_durable(void **state)
{
	struct fixture *fixture = *state;
	const struct journal_record *records;
	struct journal_reader *reader;
	struct fault fault;
	uint32_t count;
	bool synced;

	struct journal_stream *stream = must_open_stream(fixture->journal, 0);
	append_up_to(fixture->journal, stream, 0, 3);
	assert_int_equal(journal_reader_open(fixture->journal, 0, 0, &reader, &fault), 0);
	assert_int_equal(journal_stream_durable(fixture->journal, 0), 0);
	assert_int_equal(journal_reader_next_durable(reader, 9, &records, &count, &fault), 0);
	assert_int_equal(count, 0);

	assert_int_equal(journal_maintain(fixture->journal, &synced, &fault), 0);
	assert_true(synced);
	assert_int_equal(journal_stream_durable(fixture->journal, 0), 3);
	assert_int_equal(journal_reader_next_durable(reader, 9, &records, &count, &fault), 0);
	assert_int_equal(count, 3);
	journal_reader_close(reader);
}

static void an_idle_journal_comes_to_rest(void **state)
{
	struct fixture *fixture = *state;
	struct fault fault;
	bool synced;

	struct journal_stream *stream = must_open_stream(fixture->journal, 0);
	append_up_to(fixture->journal, stream, 0, SEGMENT);
	for (unsigned i = 0; i < 3; i++)
		must_maintain(fixture->journal);
	assert_int_equal(journal_maintain(fixture->journal, &synced, &fault), 0);
	assert_false(synced);
}

static void a_failed_sync_ends_the_journal_until_it_is_opened_anew(void **state)
{
	struct fixture *fixture = *state;
	struct fault fault;
	bool synced;

	struct journal_stream *stream = must_open_stream(fixture->journal, 0);
	must_maintain(fixture->journal);
	append_up_to(fixture->journal, stream, 0, 5);
	fixture->memory.syncs_allowed = 0;
	assert_int_equal(journal_maintain(fixture->journal, &synced, &fault), FAULT_SYSTEM);
	assert_non_null(strstr(fault.text, "journal stream 0 takes no more records: cannot sync"));
	assert_true(journal_is_failed(fixture->journal));
	assert_int_equal(journal_stream_room(stream), 0);
	assert_int_equal(journal_stream_durable(fixture->journal, 0), 0);

	/* The disk seems well again: what it holds is still unknown. */
	fixture->memory.syncs_allowed = 1000;
	assert_int_equal(journal_maintain(fixture->journal, &synced, &fault), FAULT_SYSTEM);
	assert_int_equal(journal_stream_room(stream), 0);
	assert_int_equal(journal_close(fixture->journal, NULL), FAULT_SYSTEM);

	fixture->journal = must_open(&fixture->memory);
	stream = must_open_stream(fixture->journal, 0);
	assert_true(journal_stream_room(stream) > 0);
	must_read_all(fixture->journal, 0, 0, 5);
}

static void a_full_disk_lets_room_run_down_and_space_brings_it_back(void **state)
{
	struct fixture *fixture = *state;
	struct fault fault;
	bool synced;

	struct journal_stream *stream = must_open_stream(fixture->journal, 0);
	must_maintain(fixture->journal);
	fixture->memory.space_bytes = 1000;
	while (journal_stream_room(stream) > 0)
		sample_append(stream, 0, journal_stream_head(fixture->journal, 0));

	/* What was written becomes durable all the same. */
	assert_int_equal(journal_maintain(fixture->journal, &synced, &fault), FAULT_SYSTEM);
	assert_non_null(strstr(fault.text, "No space left"));
	const uint64_t head = journal_stream_head(fixture->journal, 0);
	assert_int_equal(journal_stream_durable(fixture->journal, 0), head);
	assert_int_equal(journal_stream_room(stream), 0);
	assert_false(journal_is_failed(fixture->journal));

	fixture->memory.space_bytes = 1u << 20;
	must_maintain(fixture->journal);
	assert_true(journal_stream_room(stream) >= 2 * SEGMENT);
	append_up_to(fixture->journal, stream, 0, head + SEGMENT);
	must_read_all(fixture->journal, 0, 0, head + SEGMENT);
}

static void each_failing_disk_operation_is_survived(void **state)
{
	struct fixture *fixture = *state;

	/* Fail the n-th change, then all; what was durable is there after reopening. */
	for (int64_t n = 0; n < 60; n++) {
		struct journal_stream *stream = NULL;
		uint64_t durable = journal_stream_durable(fixture->journal, 0);
		bool synced;
		fixture->memory.changes_allowed = n;
		if (journal_stream_open(fixture->journal, 0, &stream, NULL) == 0) {
			for (uint64_t i = 0; i < 3 * SEGMENT; i++) {
				if (journal_stream_room(stream) > 0)
					sample_append(stream, 0,
						      journal_stream_head(fixture->journal, 0));
				if (i % 16 == 0)
					journal_maintain(fixture->journal, &synced, NULL);
			}
			durable = journal_stream_durable(fixture->journal, 0);
		}
		const uint64_t head = journal_stream_head(fixture->journal, 0);
		journal_close(fixture->journal, NULL);

		fixture->memory.changes_allowed = INT64_MAX;
		fixture->journal = must_open(&fixture->memory);
		const uint64_t found = journal_stream_head(fixture->journal, 0);
		assert_true(found >= durable);
		assert_int_equal(found, head);
		if (journal_stream_count(fixture->journal) > 0)
			must_read_all(fixture->journal, 0, 0, found);
	}
	assert_true(journal_stream_head(fixture->journal, 0) > 10 * SEGMENT);
}

static void a_reader_refuses_a_position_that_is_not_there(void **state)
{
	struct fixture *fixture = *state;
	struct journal_reader *reader;
	struct fault fault;

	append_up_to(fixture->journal, must_open_stream(fixture->journal, 0), 0, 5);
	assert_int_equal(journal_reader_open(fixture->journal, 0, 6, &reader, &fault),
			 FAULT_NOT_FOUND);
	assert_non_null(strstr(fault.text, "position 6 is not there; it holds 0 up to 5"));
	assert_int_equal(journal_reader_open(fixture->journal, 0, 5, &reader, &fault), 0);
	journal_reader_close(reader);
}

/* ---- threads ---- */

#define THREAD_RECORDS (100 * SEGMENT + 3)

struct following {
	struct journal *journal;
	struct journal_stream *stream;
	_Atomic bool written;
	_Atomic uint32_t mismatches;
};

static void *write_all(void *context)
{
	struct following *following = context;

	for (uint64_t i = 0; i < THREAD_RECORDS;) {
		if (journal_stream_room(following->stream) == 0) {
			sched_yield();
			continue;
		}
		sample_append(following->stream, 0, i++);
	}
	atomic_store(&following->written, true);
	return NULL;
}

static void *maintain_until_written(void *context)
{
	struct following *following = context;
	bool written, synced;

	do {
		written = atomic_load(&following->written);
		journal_maintain(following->journal, &synced, NULL);
	} while (!written || synced);
	return NULL;
}

static void follow(struct following *following, bool durable_only)
{
	const struct journal_record *records;
	struct journal_reader *reader;
	uint32_t count;

	if (journal_reader_open(following->journal, 0, 0, &reader, NULL) < 0) {
		atomic_fetch_add(&following->mismatches, 1);
		return;
	}
	while (journal_reader_position(reader) < THREAD_RECORDS) {
		const uint64_t position = journal_reader_position(reader);
		const int result =
			durable_only
				? journal_reader_next_durable(reader, 100, &records, &count, NULL)
				: journal_reader_next(reader, 100, &records, &count, NULL);
		if (result < 0) {
			atomic_fetch_add(&following->mismatches, 1);
			break;
		}
		if (count == 0)
			sched_yield();
		for (uint32_t i = 0; i < count; i++)
			if (!sample_matches(0, position + i, &records[i]))
				atomic_fetch_add(&following->mismatches, 1);
	}
	journal_reader_close(reader);
}

static void *follow_head(void *context)
{
	follow(context, false);
	return NULL;
}

static void *follow_durable(void *context)
{
	follow(context, true);
	return NULL;
}

static void readers_in_threads_see_every_record_whole_and_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct following following = {.journal = fixture->journal};
	void *(*const work[])(void *) = {write_all, maintain_until_written, follow_head,
					 follow_head, follow_durable};
	pthread_t threads[sizeof(work) / sizeof(work[0])];

	following.stream = must_open_stream(fixture->journal, 0);
	for (size_t i = 0; i < sizeof(work) / sizeof(work[0]); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work[i], &following), 0);
	for (size_t i = 0; i < sizeof(work) / sizeof(work[0]); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(following.mismatches, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_empty_journal_has_no_stream),
		T(records_are_read_as_they_were_appended_across_segments),
		T(a_reopened_journal_goes_on_where_it_ended),
		T(maintenance_keeps_room_for_two_segments),
		T(only_a_sync_makes_records_durable),
		T(an_idle_journal_comes_to_rest),
		T(a_failed_sync_ends_the_journal_until_it_is_opened_anew),
		T(a_full_disk_lets_room_run_down_and_space_brings_it_back),
		T(each_failing_disk_operation_is_survived),
		T(a_reader_refuses_a_position_that_is_not_there),
		T(readers_in_threads_see_every_record_whole_and_in_order),
#undef T
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
