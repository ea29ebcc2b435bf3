/* What a key may do, and that it may no more: scopes, expiry, its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/rig.h"

#define ANSWER_MAX 65536
#define PRICE      50000000

static enum loop_io back_end;
static char answer[ANSWER_MAX];

static struct rig_options options_of(int64_t price)
{
	struct rig_options options = rig_options_default(price);

	options.io = back_end;
	return options;
}

static bool has(const char *text)
{
	return strcasestr(answer, text) != NULL;
}

/* "GET /path" to the host, with the key. */
static unsigned ask(int client, const char *host, const char *line, const char *key)
{
	char request[1024];

	snprintf(request, sizeof(request),
		 "%s HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Length: 0\r\n\r\n", line,
		 host, key);
	return rig_ask(client, request, answer, ANSWER_MAX);
}

static void a_key_does_what_its_scopes_allow(void **unused)
{
	(void)unused;
	static const struct {
		const char *host, *line;
		unsigned status;
		const char *scope;
	} rows[] = {
		{"echo.localhost", "GET /echo/x", 200, NULL},
		{"echo.localhost", "GET /echo/x?y=/../z", 200, NULL},
		{"localhost", "GET /echo/echo/x", 200, NULL},
		{"echo.localhost", "POST /echo/x", 403, "echo:POST:/echo/x"},
		{"echo.localhost", "GET /headers", 403, "echo:GET:/headers"},
		{"localhost", "GET /echo", 403, "echo:GET:/"},
		{"localhost", "GET /echo/headers", 403, "echo:GET:/headers"},
		{"echo.localhost", "GET /echo/../headers", 403, "echo:GET"},
		{"echo.localhost", "GET /echo/%2e%2e/headers", 403, "echo:GET"},
		{"localhost", "GET /echo/echo/%2E%2E/headers", 403, "echo:GET"},
		{"echo.localhost", "GET /echo//headers", 403, "echo:GET"},
		{"echo.localhost", "POST /units/a?1", 200, NULL},
		{"echo.localhost", "GET /units/a?1", 403, "echo:GET:/units/a"},
	};
	struct rig rig;
	struct rig_options options = options_of(PRICE);
	struct journal_record record;
	struct gateway_counts counts;
	char key[RIG_KEY_TEXT_MAX], text[512];
	uint64_t allowed = 0, refused = 0;
	rig_begin(&rig, &options);
	rig_publish_key(&rig, 10, "other:DELETE echo:GET:/echo echo:POST:/units/", 0, key);
	const int client = rig_connect(&rig);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const unsigned status = ask(client, rows[i].host, rows[i].line, key);
		if (status != rows[i].status)
			fail_msg("%s of %s: %u", rows[i].line, rows[i].host, status);
		allowed += status == 200;
		refused += status == 403;
		if (status == 200)
			continue;
		assert_true(has("urn:stoa:problem:scope-missing"));
		snprintf(text, sizeof(text), "\"scope\":\"%s\"}", rows[i].scope);
		assert_true(has(text));
		snprintf(text, sizeof(text),
			 "WWW-Authenticate: Bearer realm=\"stoa\", error=\"insufficient_scope\", "
			 "scope=\"%s\"\r\n",
			 rows[i].scope);
		assert_true(has(text));
	}
	assert_int_equal(rig_records(&rig, &record), allowed);
	assert_int_equal(record.key.value, 10);
	gateway_counts_read(rig.gateway, &counts);
	assert_int_equal(counts.refused_right, refused);
	/* The rig's own key has none, and so may all. */
	assert_int_equal(ask(client, "echo.localhost", "POST /echo/x", rig.key), 200);
	close(client);
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_does_what_its_scopes_allow),
	};
	back_end = LOOP_IO_EPOLL;
	int failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
	back_end = LOOP_IO_AUTO; /* io_uring where it is allowed */
	failed += cmocka_run_group_tests_name("auto", tests, NULL, NULL);
	return failed;
}
