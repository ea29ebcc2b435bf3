/* Lines of the access log, and the log's thread against files that are slow, full or moved. */
#include "base/testing.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "gateway/access.h"

static char line[LOG_LINE_MAX + 1];
static char folder[64], path[96];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/stoa-access.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/access.log", folder);
}

static void remove_folder(void)
{
	char older[112];

	snprintf(older, sizeof(older), "%s.1", path);
	unlink(path);
	unlink(older);
	assert_int_equal(rmdir(folder), 0);
}

static void set_texts(struct access_entry *entry, const char *app, const char *method,
		      const char *target)
{
	entry->app_bytes = (uint16_t)strlen(app);
	entry->method_bytes = (uint16_t)strlen(method);
	entry->path_bytes = (uint16_t)strlen(target);
	snprintf(entry->text, sizeof(entry->text), "%s%s%s", app, method, target);
}

static struct access_entry answered(void)
{
	struct access_entry entry = {
		.started_wall_ns = 1763957457123000000ull,
		.id.bytes = {1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 16},
		.trace_id = {[0 ... TRACE_ID_TEXT_BYTES - 1] = 'a'},
		.client = "192.0.2.7",
		.client_bytes = 9,
		.protocol = "HTTP/2",
		.service = "thumbs",
		.plan = "payg",
		.key = {3},
		.request_bytes = 10,
		.response_bytes = 20,
		.charge_nano = 50012000,
		.duration_us = 812,
		.service_us = 700,
		.instance = 2,
		.status = 200,
		.outcome = JOURNAL_ANSWERED,
		.problem = PROBLEM_COUNT,
	};

	set_texts(&entry, "acme/shop", "GET", "/resize");
	return entry;
}

static const char *line_of(const struct access_entry *entry, enum log_format format)
{
	line[access_line(entry, format, line)] = '\0';
	return line;
}

static void a_settled_call_is_told_whole(void **state)
{
	(void)state;
	const struct access_entry entry = answered();

	assert_string_equal(
		line_of(&entry, LOG_FORMAT_LOGFMT),
		"time=2025-11-24T04:10:57.123Z call=01020304-0506-7708-890a-0b0c0d0e0f10 "
		"trace=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa client=192.0.2.7 protocol=HTTP/2 "
		"service=thumbs "
		"app=acme/shop key=key_3 plan=payg method=GET path=/resize status=200 "
		"outcome=answered duration_us=812 "
		"service_us=700 request_bytes=10 response_bytes=20 charge=0.050012 instance=2\n");
	assert_string_equal(
		line_of(&entry, LOG_FORMAT_JSON),
		"{\"time\":\"2025-11-24T04:10:57.123Z\","
		"\"call\":\"01020304-0506-7708-890a-0b0c0d0e0f10\","
		"\"trace\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
		"\"client\":\"192.0.2.7\",\"protocol\":\"HTTP/2\",\"service\":\"thumbs\","
		"\"app\":\"acme/shop\",\"key\":\"key_3\",\"plan\":\"payg\",\"method\":\"GET\","
		"\"path\":\"/resize\",\"status\":200,\"outcome\":\"answered\",\"duration_us\":812,"
		"\"service_us\":700,\"request_bytes\":10,\"response_bytes\":20,"
		"\"charge\":\"0.050012\",\"instance\":2}\n");
}

static void a_certificate_stands_beside_the_key_or_in_its_place(void **state)
{
	(void)state;
	struct access_entry entry = answered();

	entry.certificate.value = 9;
	assert_non_null(strstr(line_of(&entry, LOG_FORMAT_LOGFMT),
			       "app=acme/shop key=key_3 certificate=key_9 plan=payg "));
	entry.key.value = 0;
	assert_non_null(strstr(line_of(&entry, LOG_FORMAT_LOGFMT),
			       "app=acme/shop certificate=key_9 plan=payg "));
}

static void what_is_not_known_is_left_out(void **state)
{
	(void)state;
	struct access_entry entry = {.started_wall_ns = 1763957457123000000ull,
				     .status = 401,
				     .problem = PROBLEM_KEY_MISSING,
				     .duration_us = 4};

	set_texts(&entry, "", "GET", "/x");
	entry.path_cut = true;
	assert_string_equal(line_of(&entry, LOG_FORMAT_LOGFMT),
			    "time=2025-11-24T04:10:57.123Z method=GET path=/x path_cut=true "
			    "status=401 outcome=refused problem=key-missing duration_us=4\n");
}

static void no_path_makes_another_line_or_field(void **state)
{
	(void)state;
	struct access_entry entry = answered();

	set_texts(&entry, "acme/shop", "GET",
		  "/x\" status=200\r\ntime=forged\\\"\xff\xe2\x80\xa8\x1b[2J");
	for (enum log_format format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
		line_of(&entry, format);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		assert_null(strpbrk(line, "\r\x1b\xff"));
		assert_non_null(strstr(line, "/x\\\" status=200\\u000d\\ntime=forged\\\\\\\""));
	}
}

/* ---- the thread ---- */

static struct access_log *open_log(void)
{
	const struct gateway_access options = {.path = path, .bytes_max = 1 << 20};
	struct access_log *log;
	struct fault fault;

	assert_int_equal(access_open(&options, clock_system(), 1, &log, &fault), 0);
	return log;
}

/* How many of `count` entries the ring had room for. */
static uint32_t put(struct access_log *log, uint32_t count)
{
	struct access_ring *ring = access_ring_of(log, 0);
	uint32_t taken = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct access_entry *entry = access_take(ring);
		if (entry == NULL)
			continue;
		*entry = answered();
		access_give(ring);
		taken++;
	}
	return taken;
}

static uint32_t lines_in(const char *file)
{
	FILE *stream = fopen(file, "r");
	uint32_t lines = 0;

	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream) != NULL) {
		assert_memory_equal(line, "time=", 5);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		lines++;
	}
	fclose(stream);
	return lines;
}

static void every_entry_that_was_taken_is_a_line(void **state)
{
	(void)state;
	make_folder();
	struct access_log *log = open_log();
	uint32_t taken = 0;

	for (unsigned i = 0; i < 50; i++)
		taken += put(log, 1000);
	assert_in_range(taken, ACCESS_RING_ENTRIES, 50000);
	assert_int_equal(access_lost(log), 0);
	access_close(log);
	assert_int_equal(lines_in(path), taken);
	remove_folder();
}

static void a_pipe_that_nobody_reads_holds_nobody(void **state)
{
	(void)state;
	make_folder();
	assert_int_equal(mkfifo(path, 0600), 0);
	const int reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	struct access_log *log = open_log();
	uint32_t taken = 0;

	/* More than the ring holds: so the pipe has some, and it takes no more than 64 KiB. */
	while (taken <= ACCESS_RING_ENTRIES)
		taken += put(log, 100);
	for (unsigned i = 0; i < 10000; i++)
		taken += put(log, 100);
	assert_in_range(taken, ACCESS_RING_ENTRIES, 2 * ACCESS_RING_ENTRIES);
	access_close(log); /* in a second or two, though nobody reads */
	close(reader);
	remove_folder();
}

static void a_full_disk_loses_lines_and_says_how_many(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/dev/full");
	struct access_log *log = open_log();

	assert_int_equal(put(log, 100), 100);
	while (access_lost(log) < 100)
		sched_yield();
	assert_int_equal(access_lost(log), 100);
	access_close(log);
}

/* As on a disk that is full for a while: the file takes no more than the limit. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_follows_a_line_that_was_cut_is_a_line_of_its_own(void **state)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction before;

	(void)state;
	make_folder();
	assert_int_equal(sigaction(SIGXFSZ, &ignore, &before), 0);
	limit_files(100);
	struct access_log *log = open_log();
	assert_int_equal(put(log, 1), 1);
	while (access_lost(log) == 0)
		sched_yield();
	limit_files(RLIM_INFINITY);
	assert_int_equal(put(log, 1), 1);
	access_close(log);
	assert_int_equal(sigaction(SIGXFSZ, &before, NULL), 0);
	assert_int_equal(lines_in(path), 2);
	remove_folder();
}

static void a_file_that_was_moved_or_is_full_is_followed_by_another(void **state)
{
	(void)state;
	char older[112];
	make_folder();
	snprintf(older, sizeof(older), "%s.1", path);
	struct access_log *log = open_log();

	assert_int_equal(put(log, 3), 3);
	for (struct stat status = {0}; status.st_size == 0;)
		assert_int_equal(stat(path, &status), 0);
	assert_int_equal(rename(path, older), 0);
	while (access(path, F_OK) < 0)
		sched_yield();
	assert_int_equal(put(log, 4), 4);
	access_close(log);
	assert_int_equal(lines_in(older), 3);
	assert_int_equal(lines_in(path), 4);
	remove_folder();
}

static void a_file_that_cannot_be_opened_is_a_fault(void **state)
{
	(void)state;
	const struct gateway_access options = {.path = "/nowhere/access.log"};
	struct access_log *log;
	struct fault fault;

	assert_true(access_open(&options, clock_system(), 1, &log, &fault) < 0);
	assert_non_null(strstr(fault.text, "/nowhere/access.log"));
}

/* ---- which calls ---- */

static struct access_log *open_sampling(uint32_t skipped_ppm)
{
	const struct gateway_access options = {
		.path = "/dev/null", .bytes_max = 1 << 20, .skipped_ppm = skipped_ppm};
	struct access_log *log;
	struct fault fault;

	assert_int_equal(access_open(&options, clock_system(), 1, &log, &fault), 0);
	return log;
}

static void traces_are_sampled_by_the_end_of_their_ids(void **state)
{
	(void)state;
	static const struct {
		uint32_t skipped_ppm;
		const char *below, *from; /* below: NULL where all are sampled */
	} cases[] = {
		{0, NULL, "ffffffffffffffffff00000000000000"},
		{500000, "ffffffffffffffffff7fffffffffffff", "00000000000000000180000000000000"},
		/* OpenTelemetry's threshold of 1 %, th:fd70a3d70a3d71, but for rounding */
		{990000, "fffffffffffffffffffd70a3d70a3d6f", "000000000000000001fd70a3d70a3d71"},
		{1000000, "ffffffffffffffffffffffffffffffff", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct access_log *log = open_sampling(cases[i].skipped_ppm);
		if (cases[i].below != NULL)
			assert_false(access_samples(log, cases[i].below));
		if (cases[i].from != NULL)
			assert_true(access_samples(log, cases[i].from));
		access_close(log);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_settled_call_is_told_whole),
		cmocka_unit_test(a_certificate_stands_beside_the_key_or_in_its_place),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(no_path_makes_another_line_or_field),
		cmocka_unit_test(every_entry_that_was_taken_is_a_line),
		cmocka_unit_test(a_pipe_that_nobody_reads_holds_nobody),
		cmocka_unit_test(a_full_disk_loses_lines_and_says_how_many),
		cmocka_unit_test(what_follows_a_line_that_was_cut_is_a_line_of_its_own),
		cmocka_unit_test(a_file_that_was_moved_or_is_full_is_followed_by_another),
		cmocka_unit_test(a_file_that_cannot_be_opened_is_a_fault),
		cmocka_unit_test(traces_are_sampled_by_the_end_of_their_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
