#include "fleet/rig_internal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/disk.h"
#include "base/slice.h"

static int set_up(void **state)
{
	struct rig *rig = malloc(sizeof(*rig));

	assert_non_null(rig);
	rig_init(rig);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	rig_fini(*state);
	free(*state);
	return 0;
}

static bool has_failed(const struct fleet_status *status)
{
	return status->state == FLEET_BACKOFF;
}

/* Runs the script once, to its end, and returns its log. */
static char *run(struct rig *rig, const char *script, struct fleet_status *ret_status)
{
	static const char *const command[] = {"./program", NULL};
	struct fleet_service service = rig_service(rig);

	rig_program(rig, "program", script);
	service.command = command;
	service.health_path = NULL;
	rig_open(rig);
	rig_set(rig, &service);
	*ret_status = rig_wait_status(rig, has_failed);
	fleet_stop(rig->fleet, FLEET_STOP_NOW);
	rig_close(rig);
	return rig_log(rig, "thumbs");
}

/* Cuts the next line; what follows the time and the instance. */
static struct slice next_line(struct slice *log)
{
	struct slice line, word;

	assert_true(slice_cut(log, '\n', &line));
	assert_true(slice_cut(&line, ' ', &word));
	assert_int_equal(word.length, strlen("2026-11-24T04:10:57.123Z"));
	assert_int_equal(word.data[10], 'T');
	assert_int_equal(word.data[23], 'Z');
	assert_true(slice_cut(&line, ' ', &word));
	assert_true(slice_starts_with(word, slice_of("inst_")));
	return line;
}

static void assert_line(struct slice *log, const char *expected)
{
	const struct slice line = next_line(log);

	if (!slice_equal(line, slice_of(expected)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARGS(line), expected);
}

static void both_outputs_are_logged_line_by_line(void **state)
{
	struct fleet_status status;
	char *text = run(*state,
			 "#!/bin/sh\necho one; echo two >&2; printf 'th'; printf 'ree\\n\\n';"
			 "printf 'windows\\r\\n'; printf 'not ended'\n",
			 &status);
	struct slice log = slice_of(text);

	assert_line(&log, "one");
	assert_line(&log, "two");
	assert_line(&log, "three");
	assert_line(&log, "");
	assert_line(&log, "windows");
	assert_line(&log, "not ended");
	assert_line(&log, "[stoa: exited with status 0]");
	assert_non_null(strstr(status.last_lines, "one\ntwo\nthree\n\nwindows\nnot ended\n"));
	free(text);
}

static void a_terminal_is_not_commanded_by_what_a_service_writes(void **state)
{
	struct fleet_status status;
	char *text = run(*state, "#!/bin/sh\nprintf 'a\\033[2Jb\\tc\\000d\\177\\n'\n", &status);
	struct slice log = slice_of(text);

	assert_line(&log, "a?[2Jb\tc?d?");
	free(text);
}

static void a_long_line_is_broken(void **state)
{
	struct fleet_status status;
	char *text = run(*state,
			 "#!/bin/sh\nhead -c 4096 /dev/zero | tr '\\0' x; echo;"
			 "head -c 10000 /dev/zero | tr '\\0' y; echo\n",
			 &status);
	struct slice log = slice_of(text);

	assert_int_equal(next_line(&log).length, 4096);
	assert_int_equal(next_line(&log).length, 4096);
	assert_int_equal(next_line(&log).length, 4096);
	assert_int_equal(next_line(&log).length, 10000 - 2 * 4096);
	assert_line(&log, "[stoa: exited with status 0]");
	free(text);
}

static void a_flood_is_cut_and_no_line_goes_uncounted(void **state)
{
	struct rig *rig = *state;
	struct fleet_status status;
	uint64_t lines = 0, dropped = 0;

	rig->options.log_bytes_per_s = 1000;
	char *text = run(rig, "#!/bin/sh\nyes | head -n 100000\n", &status);
	struct slice log = slice_of(text);
	for (;;) {
		struct slice line = next_line(&log), number;
		uint64_t count;
		const struct slice start = slice_of("[stoa: ");
		if (slice_equal(line, slice_of("[stoa: exited with status 0]")))
			break;
		if (!slice_starts_with(line, start)) {
			assert_true(slice_equal(line, slice_of("y")));
			lines++;
			continue;
		}
		line = slice_part(line, start.length, line.length);
		assert_true(slice_cut(&line, ' ', &number));
		assert_true(slice_to_u64(number, UINT64_MAX, &count));
		assert_true(slice_equal(line, slice_of("lines dropped: more than 1000 bytes/s]")));
		dropped += count;
	}
	assert_int_equal(lines + dropped, 100000);
	assert_true(lines > 0);
	/* The burst, and what a second or ten may add. */
	assert_in_range(strlen(text), 1, 20000);
	/* The last words are kept whatever was dropped. */
	assert_non_null(strstr(status.last_lines, "y\ny\ny\n"));
	free(text);
}

static void a_full_log_begins_anew_and_one_older_is_kept(void **state)
{
	struct rig *rig = *state;
	struct fleet_status status;
	char path[160];
	struct stat found;

	rig->options.log_bytes_max = 40000;
	char *text = run(rig, "#!/bin/sh\nseq 10000\n", &status);
	assert_in_range(strlen(text), 1, 40000);
	snprintf(path, sizeof(path), "%s/log/thumbs.log.1", rig->folder);
	assert_int_equal(stat(path, &found), 0);
	assert_in_range(found.st_size, 1, 40000);
	assert_non_null(strstr(text, " 10000\n"));
	free(text);
}

static void a_full_log_that_cannot_be_moved_grows_no_more(void **state)
{
	struct rig *rig = *state;
	struct fleet_status status;
	char path[160];
	struct fault fault;

	snprintf(path, sizeof(path), "%s/log", rig->folder);
	assert_int_equal(disk_system()->folder_make(disk_system(), path, 0700, &fault), 0);
	snprintf(path, sizeof(path), "%s/log/thumbs.log.1", rig->folder);
	assert_int_equal(disk_system()->folder_make(disk_system(), path, 0700, &fault), 0);
	rig->options.log_bytes_max = 40000;
	char *text = run(rig, "#!/bin/sh\nseq 10000\n", &status);
	assert_in_range(strlen(text), 1, 40000);
	free(text);
}

static void a_log_that_cannot_be_written_does_not_stop_the_service(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char path[160];
	struct fault fault;

	rig_write_server(rig);
	rig_open(rig);
	snprintf(path, sizeof(path), "%s/log/thumbs.log", rig->folder);
	assert_int_equal(disk_system()->folder_make(disk_system(), path, 0700, &fault), 0);
	rig_set(rig, &service);
	rig_wait(rig, RIG_READY, 1);
	rig_close(rig);
}

static void a_service_that_closes_its_outputs_runs_on(void **state)
{
	struct rig *rig = *state;
	struct fleet_service service = rig_service(rig);
	char body[256];

	rig_program(rig, "server",
		    "#!/usr/bin/python3\n"
		    "import http.server, os, socketserver\n"
		    "os.close(1); os.close(2)\n"
		    "class Handler(http.server.BaseHTTPRequestHandler):\n"
		    "    def do_GET(self):\n"
		    "        self.send_response(204); self.end_headers()\n"
		    "    def log_message(self, *words): pass\n"
		    "socketserver.UnixStreamServer(os.environ['STOA_SOCKET'],"
		    " Handler).serve_forever()\n");
	rig_open(rig);
	rig_set(rig, &service);
	const struct rig_event ready = rig_wait(rig, RIG_READY, 1);
	rig_get(&ready, "/", body);
	rig_close(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_outputs_are_logged_line_by_line),
		TEST(a_terminal_is_not_commanded_by_what_a_service_writes),
		TEST(a_long_line_is_broken),
		TEST(a_flood_is_cut_and_no_line_goes_uncounted),
		TEST(a_full_log_begins_anew_and_one_older_is_kept),
		TEST(a_full_log_that_cannot_be_moved_grows_no_more),
		TEST(a_log_that_cannot_be_written_does_not_stop_the_service),
		TEST(a_service_that_closes_its_outputs_runs_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
