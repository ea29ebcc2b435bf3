#include "base/testing.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"

static int ends[2];
static struct clock_manual manual;

static void configure(enum log_format format)
{
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	/* Room for what the threads write before anybody reads. */
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= 0);
	clock_manual_init(&manual, 0, 1763957457123000000ull);
	log_configure(ends[1], LOG_INFO, format, &manual.clock);
}

static const char *written(void)
{
	static char text[1 << 20];
	const ssize_t length = read(ends[0], text, sizeof(text) - 1);

	text[length < 0 ? 0 : length] = '\0';
	close(ends[0]);
	close(ends[1]);
	return text;
}

static void logfmt_quotes_what_is_not_a_bare_word(void **state)
{
	(void)state;
	configure(LOG_FORMAT_LOGFMT);
	log_event(LOG_WARN, "instance.ended", log_text("service", "thumbs"),
		  log_text("why", "said \"no\"\nand left"), log_number("status", -9),
		  log_text("nothing", ""), log_text("equals", "a=b"));
	assert_string_equal(written(),
			    "time=2025-11-24T04:10:57.123Z level=warn event=instance.ended "
			    "service=thumbs why=\"said \\\"no\\\"\\nand left\" status=-9 "
			    "nothing=\"\" equals=\"a=b\"\n");
}

static void json_is_one_object_a_line(void **state)
{
	(void)state;
	configure(LOG_FORMAT_JSON);
	log_event(LOG_ERROR, "store.failed", log_text("text", "tab\there \\ \x7f \xc3\xa4 \xff"),
		  log_number("code", INT64_MIN));
	assert_string_equal(written(),
			    "{\"time\":\"2025-11-24T04:10:57.123Z\",\"level\":\"error\","
			    "\"event\":\"store.failed\",\"text\":\"tab\\u0009here \\\\ \\u007f "
			    "\xc3\xa4 \\ufffd\",\"code\":-9223372036854775808}\n");
}

static void a_level_below_the_least_is_not_written(void **state)
{
	(void)state;
	configure(LOG_FORMAT_LOGFMT);
	log_event(LOG_DEBUG, "noise");
	assert_false(log_enabled(LOG_DEBUG));
	assert_true(log_enabled(LOG_INFO));
	assert_string_equal(written(), "");
}

static void a_line_too_long_is_cut_and_stays_whole(void **state)
{
	static char big[2 * LOG_LINE_MAX];
	static const enum log_format formats[] = {LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON};
	static const char *const ends_expected[] = {"\" cut=true\n", "\",\"cut\":true}\n"};

	(void)state;
	for (size_t fill = 0; fill < 3; fill++) {
		/* A letter, an escape of two bytes, one of six. */
		memset(big, "x\n\x01"[fill], sizeof(big) - 1);
		for (size_t i = 0; i < 2; i++) {
			configure(formats[i]);
			log_event(LOG_INFO, "big", log_text("a", " "), log_text("b", big),
				  log_text("after", "no"));
			const char *line = written();
			const size_t length = strlen(line);
			assert_true(length <= LOG_LINE_MAX);
			if (fill == 0 && i == 0) {
				/* A bare word is written whole or not at all. */
				assert_string_equal(line + length - 16, " a=\" \" cut=true\n");
				continue;
			}
			assert_string_equal(line + length - strlen(ends_expected[i]),
					    ends_expected[i]);
			assert_null(strstr(line, "after"));
			assert_ptr_equal(strchr(line, '\n'), line + length - 1);
		}
	}
}

static void any_length_of_text_gives_one_well_ended_line(void **state)
{
	static char text[LOG_LINE_MAX + 1];

	(void)state;
	for (size_t length = LOG_LINE_MAX - 200; length < LOG_LINE_MAX; length++) {
		memset(text, ' ', length);
		text[length] = '\0';
		configure(LOG_FORMAT_JSON);
		log_event(LOG_INFO, "x", log_text("t", text), log_number("n", 1),
			  log_text("u", "a b"));
		const char *line = written();
		size_t quotes = 0;
		for (const char *at = line; *at; at++)
			quotes += *at == '"';
		assert_int_equal(quotes % 2, 0);
		assert_true(strlen(line) <= LOG_LINE_MAX);
		assert_string_equal(line + strlen(line) - 2, "}\n");
	}
}

static void *write_many(void *argument)
{
	for (int i = 0; i < 500; i++)
		log_event(LOG_INFO, "thread", log_number("thread", *(int *)argument),
			  log_text("text", "some words"));
	return NULL;
}

static void lines_of_threads_are_never_mixed(void **state)
{
	pthread_t threads[4];
	int numbers[4];
	size_t lines = 0;

	(void)state;
	configure(LOG_FORMAT_LOGFMT);
	for (int i = 0; i < 4; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &numbers[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	struct slice rest = slice_of(written()), line;
	while (slice_cut(&rest, '\n', &line)) {
		assert_true(slice_starts_with(line, slice_of("time=2025-11-24T04:10:57.123Z ")));
		assert_true(slice_ends_with(line, slice_of(" text=\"some words\"")));
		lines++;
	}
	assert_int_equal(lines, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logfmt_quotes_what_is_not_a_bare_word),
		cmocka_unit_test(json_is_one_object_a_line),
		cmocka_unit_test(a_level_below_the_least_is_not_written),
		cmocka_unit_test(a_line_too_long_is_cut_and_stays_whole),
		cmocka_unit_test(any_length_of_text_gives_one_well_ended_line),
		cmocka_unit_test(lines_of_threads_are_never_mixed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
