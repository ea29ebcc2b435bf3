#include "base/testing.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/spawn.h"

static struct fault fault;

/* Where no group can be had there is nothing to test, and cmocka says so. */
static int set_up(void **state)
{
	struct cgroups *groups = malloc(sizeof(*groups));

	assert_non_null(groups);
	cgroups_open(groups);
	*state = groups;
	return 0;
}

static int tear_down(void **state)
{
	cgroups_close(*state);
	free(*state);
	return 0;
}

static const struct cgroups *groups_of(void **state)
{
	const struct cgroups *groups = *state;

	if (groups->path[0] == '\0') {
		print_message("no control groups here: %s\n", groups->why);
		skip();
	}
	return groups;
}

static bool is_there(const char *path)
{
	struct stat found;

	return stat(path, &found) == 0;
}

/* Starts a shell in group 7 that says "ready"; returns the end to read, at which nothing is said
 * any more once nobody is left who holds it. */
static int start(const struct cgroups *groups, struct spawner *spawner, const char *script,
		 pid_t *ret_pid)
{
	static const char *const no_environment[] = {NULL};
	const char *const arguments[] = {"/bin/sh", "-c", script, NULL};
	int ends[2], group;
	char word[6];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(cgroup_make(groups, 7, 64 << 20, 500, &group, &fault), 0);
	const struct spawn_request request = {.folder = "/",
					      .arguments = arguments,
					      .environment = no_environment,
					      .output = ends[1],
					      .group_file = group};
	assert_int_equal(spawner->start(spawner, &request, ret_pid, &fault), 0);
	close(group);
	close(ends[1]);
	assert_int_equal(read(ends[0], word, sizeof(word)), 6);
	assert_memory_equal(word, "ready\n", 6);
	return ends[0];
}

static void assert_nobody_holds(int output)
{
	char byte;

	assert_int_equal(read(output, &byte, 1), 0);
	close(output);
}

/* Leaves a process in a session of its own. */
#define LEAVES_ONE "setsid sh -c 'echo ready; exec sleep 1000' & "

static void what_left_the_session_ends_with_its_group(void **state)
{
	const struct cgroups *groups = groups_of(state);
	struct spawner *spawner = spawner_system();
	struct spawn_exit ended = {.exited = false};
	char path[CGROUP_PATH_MAX + 8];
	pid_t pid;

	const int output = start(groups, spawner, LEAVES_ONE, &pid);
	while (!ended.exited)
		assert_int_equal(spawner->poll_exit(spawner, pid, &ended, &fault), 0);
	struct pollfd held = {.fd = output, .events = POLLIN};
	assert_int_equal(poll(&held, 1, 0), 0); /* the sleeper holds it */
	snprintf(path, sizeof(path), "%s/7", groups->path);
	assert_true(is_there(path));
	cgroup_end(groups, 7);
	assert_false(is_there(path));
	assert_nobody_holds(output);
}

static void the_keeper_ends_what_left_the_session_too(void **state)
{
	const struct cgroups *groups = groups_of(state);
	struct spawner_guarded guarded;
	pid_t pid;

	assert_int_equal(spawner_guarded_open(&guarded, groups, &fault), 0);
	const int output = start(groups, &guarded.spawner, LEAVES_ONE "sleep 1000", &pid);
	spawner_guarded_close(&guarded);
	assert_nobody_holds(output);
	assert_false(is_there(groups->path));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_group_that_an_earlier_process_left_is_ended_and_removed(void **state)
{
	const struct cgroups *groups = groups_of(state);
	pid_t pid;

	const int output = start(groups, spawner_system(), LEAVES_ONE "sleep 1000", &pid);
	cgroups_remove(groups->path);
	assert_nobody_holds(output);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(is_there(groups->path));
}

static void a_folder_that_is_no_group_of_ours_is_let_be(void **state)
{
	char folder[] = "/tmp/stoa-cgroup-test.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(folder));
	cgroups_remove(folder);
	cgroups_remove("/tmp");
	cgroups_remove("stoa-1-2");
	cgroups_remove("");
	assert_int_equal(rmdir(folder), 0);
}

static void limits_are_set_where_they_are_delegated(void **state)
{
	const struct cgroups *groups = groups_of(state);
	char path[CGROUP_PATH_MAX + 32], text[64] = "";
	int group;

	if (!groups->limits) {
		print_message("no limits here: %s\n", groups->why);
		skip();
	}
	assert_int_equal(cgroup_make(groups, 7, 64 << 20, 500, &group, &fault), 0);
	close(group);
	snprintf(path, sizeof(path), "%s/7/cpu.max", groups->path);
	const int file = open(path, O_RDONLY);
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	close(file);
	assert_string_equal(text, "50000 100000\n");
	cgroup_end(groups, 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_left_the_session_ends_with_its_group),
		TEST(the_keeper_ends_what_left_the_session_too),
		TEST(a_group_that_an_earlier_process_left_is_ended_and_removed),
		TEST(a_folder_that_is_no_group_of_ours_is_let_be),
		TEST(limits_are_set_where_they_are_delegated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
