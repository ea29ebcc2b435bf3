#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/rig.h"

#define ANSWER_MAX 65536
#define PRICE      50000000
#define WITNESS_MS 30 /* how long is looked for what must not come */

static char answer[ANSWER_MAX];

/* ---- the system's disk, whose syncs can be made to fail ---- */

static _Atomic bool syncs_fail;

static int sync_file(struct disk *disk, struct disk_file *file, struct fault *fault)
{
	(void)disk;
	if (atomic_load(&syncs_fail))
		return fault_set(fault, FAULT_SYSTEM, "the disk is gone");
	return disk_system()->file_sync(disk_system(), file, fault);
}

static int sync_part(struct disk *disk, struct disk_file *file, size_t offset, size_t bytes,
		     struct fault *fault)
{
	(void)disk;
	if (atomic_load(&syncs_fail))
		return fault_set(fault, FAULT_SYSTEM, "the disk is gone");
	return disk_system()->file_sync_part(disk_system(), file, offset, bytes, fault);
}

static struct disk failing_disk(void)
{
	struct disk disk = *disk_system();

	disk.file_sync = sync_file;
	disk.file_sync_part = sync_part;
	atomic_store(&syncs_fail, false);
	return disk;
}

/* ---- callers ---- */

static void begin(struct rig *rig, struct disk *disk)
{
	struct rig_options options = rig_options_default(PRICE);

	options.durable_answers = true;
	options.disk = disk;
	rig_begin(rig, &options);
}

static void ask(const struct rig *rig, int client, const char *path)
{
	char request[256];

	const int length = snprintf(request, sizeof(request),
				    "GET %s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n\r\n",
				    path, rig->key);
	assert_int_equal(send(client, request, (size_t)length, 0), length);
}

static bool is_silent(int client)
{
	struct pollfd readable = {.fd = client, .events = POLLIN};

	return poll(&readable, 1, WITNESS_MS) == 0;
}

static uint64_t records(struct rig *rig)
{
	struct journal_record last;

	return rig_records(rig, &last);
}

/* All that came until now. */
static size_t take(int client, char *bytes, size_t bytes_max)
{
	const ssize_t got = recv(client, bytes, bytes_max - 1, MSG_DONTWAIT);

	bytes[got > 0 ? got : 0] = '\0';
	return got > 0 ? (size_t)got : 0;
}

static void an_answer_waits_until_its_record_is_on_disk(void **unused)
{
	(void)unused;
	struct rig rig;
	begin(&rig, NULL);
	const int client = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/one", answer, ANSWER_MAX), 200);
	assert_int_equal(journal_stream_durable(rig.journal, 0), 1);
	atomic_store(&rig.sync_paused, true);
	const uint32_t demands = atomic_load(&rig.sync_demands);
	ask(&rig, client, "/echo/two");
	rig_wait_until(records(&rig) == 2);
	assert_true(is_silent(client));
	rig_wait_until(atomic_load(&rig.sync_demands) == demands + 1);
	atomic_store(&rig.sync_paused, false);
	assert_int_equal(rig_ask(client, "", answer, ANSWER_MAX), 200);
	assert_non_null(strstr(answer, "\r\n\r\ntwo"));
	assert_true(journal_stream_durable(rig.journal, 0) >= 2);
	close(client);
	rig_end(&rig);
}

static void a_long_answer_lacks_only_its_end_meanwhile(void **unused)
{
	(void)unused;
	struct rig rig;
	begin(&rig, NULL);
	const int client = rig_connect(&rig);
	const size_t body = 3000000;
	size_t got = 0;

	atomic_store(&rig.sync_paused, true);
	ask(&rig, client, "/echo/large/3000000");
	while (records(&rig) == 0)
		got += take(client, answer, ANSWER_MAX);
	do {
		got += take(client, answer, ANSWER_MAX);
	} while (!is_silent(client));
	assert_true(got > 0 && got < body);
	atomic_store(&rig.sync_paused, false);
	while (got < body) {
		const ssize_t more = recv(client, answer, ANSWER_MAX, 0);
		assert_true(more > 0);
		got += (size_t)more;
	}
	close(client);
	rig_end(&rig);
}

static void one_sync_serves_all_that_wait(void **unused)
{
	(void)unused;
	struct rig rig;
	int clients[8];
	begin(&rig, NULL);

	atomic_store(&rig.sync_paused, true);
	for (unsigned i = 0; i < 8; i++) {
		clients[i] = rig_connect(&rig);
		ask(&rig, clients[i], "/echo/x");
	}
	rig_wait_until(records(&rig) == 8);
	/* One leaves: its record stays, the others are not harmed. */
	const struct linger hard = {.l_onoff = 1};
	setsockopt(clients[3], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(clients[3]);
	assert_true(is_silent(clients[0]));
	atomic_store(&rig.sync_paused, false);
	for (unsigned i = 0; i < 8; i++) {
		if (i == 3)
			continue;
		assert_int_equal(rig_ask(clients[i], "", answer, ANSWER_MAX), 200);
		close(clients[i]);
	}
	assert_int_equal(records(&rig), 8);
	rig_end(&rig);
}

static void an_answer_is_cut_when_the_disk_has_failed(void **unused)
{
	(void)unused;
	struct rig rig;
	struct disk disk = failing_disk();
	begin(&rig, &disk);
	const int client = rig_connect(&rig), other = rig_connect(&rig);

	assert_int_equal(rig_get(&rig, client, "/echo/one", answer, ANSWER_MAX), 200);
	atomic_store(&rig.sync_paused, true);
	ask(&rig, client, "/echo/two");
	rig_wait_until(records(&rig) == 2);
	atomic_store(&syncs_fail, true);
	atomic_store(&rig.sync_paused, false);
	assert_true(recv(client, answer, ANSWER_MAX, 0) <= 0);
	/* From here on nothing is given that could not be billed. */
	assert_int_equal(rig_get(&rig, other, "/echo/three", answer, ANSWER_MAX), 503);
	assert_int_equal(records(&rig), 2);
	close(client);
	close(other);
	rig_end(&rig);
}

static void stopping_waits_for_the_disk(void **unused)
{
	(void)unused;
	struct rig rig;
	begin(&rig, NULL);
	const int client = rig_connect(&rig);

	atomic_store(&rig.sync_paused, true);
	ask(&rig, client, "/echo/one");
	rig_wait_until(records(&rig) == 1);
	gateway_stop(rig.gateway, 10 * CLOCK_NS_PER_S);
	assert_true(is_silent(client));
	atomic_store(&rig.sync_paused, false);
	assert_int_equal(rig_ask(client, "", answer, ANSWER_MAX), 200);
	close(client);
	rig.stopped = true;
	rig_end(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_waits_until_its_record_is_on_disk),
		cmocka_unit_test(a_long_answer_lacks_only_its_end_meanwhile),
		cmocka_unit_test(one_sync_serves_all_that_wait),
		cmocka_unit_test(an_answer_is_cut_when_the_disk_has_failed),
		cmocka_unit_test(stopping_waits_for_the_disk),
	};

	return rig_run_on_all(tests, sizeof(tests) / sizeof(*tests));
}
