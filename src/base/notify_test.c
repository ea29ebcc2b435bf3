#include "base/testing.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/notify.h"

static struct fault fault;

/* A manager's socket under that name ('@': an abstract one); notify_open is to find it. */
static int manager_listens(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		unlink(name);
	const size_t length = offsetof(struct sockaddr_un, sun_path) + strlen(name);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, (socklen_t)length), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return descriptor;
}

static void assert_told(int manager, const char *expected)
{
	char text[256];
	const ssize_t got = recv(manager, text, sizeof(text) - 1, 0);

	assert_true(got >= 0);
	text[got] = '\0';
	assert_string_equal(text, expected);
}

static void assert_told_by_name(const char *name)
{
	const int manager = manager_listens(name);
	struct notify notify;

	assert_int_equal(notify_open(&notify, &fault), 0);
	notify_send(&notify, "READY=1\nSTATUS=Serving");
	assert_told(manager, "READY=1\nSTATUS=Serving");
	notify_close(&notify);
	notify_send(&notify, "STOPPING=1");
	assert_int_equal(recv(manager, NULL, 0, 0), -1);
	close(manager);
}

static void the_manager_is_told_by_path_and_by_abstract_name(void **state)
{
	char folder[] = "/tmp/notify_test.XXXXXX";
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	assert_told_by_name(path);
	unlink(path);
	rmdir(folder);
	snprintf(path, sizeof(path), "@stoa-notify-test-%d", (int)getpid());
	assert_told_by_name(path);
}

static void without_a_manager_nothing_is_sent_and_nothing_is_wrong(void **state)
{
	struct notify notify;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	assert_int_equal(notify_open(&notify, &fault), 0);
	assert_int_equal(notify.watchdog_ns, 0);
	notify_send(&notify, "READY=1");
	notify_close(&notify);
}

static void a_socket_that_is_not_there_is_a_fault(void **state)
{
	const char *const names[] = {"relative", "/nowhere/socket", "@stoa-nobody-listens"};
	struct notify notify;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		assert_true(notify_open(&notify, &fault) < 0);
		assert_non_null(strstr(fault.text, "$NOTIFY_SOCKET"));
	}
}

static uint64_t watchdog_of(const char *microseconds, const char *process)
{
	const int manager = manager_listens("@stoa-notify-test-watchdog");
	struct notify notify;

	setenv("WATCHDOG_USEC", microseconds, 1);
	if (process != NULL)
		setenv("WATCHDOG_PID", process, 1);
	assert_int_equal(notify_open(&notify, &fault), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	notify_close(&notify);
	close(manager);
	return notify.watchdog_ns;
}

static void the_watchdog_is_read_if_it_is_ours_and_children_never_see_it(void **state)
{
	char own[16];

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	assert_int_equal(watchdog_of("30000000", NULL), 30 * CLOCK_NS_PER_S);
	assert_int_equal(watchdog_of("30000000", own), 30 * CLOCK_NS_PER_S);
	assert_int_equal(watchdog_of("30000000", "1"), 0);
	assert_int_equal(watchdog_of("30000000", "none"), 0);
	assert_int_equal(watchdog_of("-1", NULL), 0);
	assert_int_equal(watchdog_of("18446744073709551615", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_is_told_by_path_and_by_abstract_name),
		cmocka_unit_test(without_a_manager_nothing_is_sent_and_nothing_is_wrong),
		cmocka_unit_test(a_socket_that_is_not_there_is_a_fault),
		cmocka_unit_test(the_watchdog_is_read_if_it_is_ours_and_children_never_see_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
