#include "fleet/rig_internal.h"

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/disk.h"
#include "base/spawn.h"
#include "fleet/fleet_internal.h"

/* A group as an instance would be, with one child, both of them sleeping. */
struct group {
	pid_t leader, member;
	int output;
};

static struct fault fault;

static void group_start(struct group *group, const char *instance, const char *script)
{
	char variable[64], line[32];
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	snprintf(variable, sizeof(variable), "STOA_INSTANCE=%s", instance);
	const char *const arguments[] = {"/bin/sh", "-c", script, NULL};
	const char *const environment[] = {variable, "PATH=/usr/bin:/bin", NULL};
	const struct spawn_request request = {.folder = "/",
					      .arguments = arguments,
					      .environment = environment,
					      .output = ends[1]};
	assert_int_equal(
		spawner_system()->start(spawner_system(), &request, &group->leader, &fault), 0);
	close(ends[1]);
	group->output = ends[0];
	const ssize_t got = read(group->output, line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	group->member = (pid_t)strtol(line, NULL, 10);
}

/* The end of the output comes when nobody of the group is left. */
static void group_assert_ended(struct group *group)
{
	char byte;
	int status;

	assert_int_equal(read(group->output, &byte, 1), 0);
	close(group->output);
	assert_int_equal(waitpid(group->leader, &status, 0), group->leader);
}

static void group_kill(struct group *group)
{
	assert_int_equal(kill(-group->leader, SIGKILL), 0);
	group_assert_ended(group);
}

static bool is_running(pid_t pid)
{
	struct pollfd exited = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	const bool running = exited.fd >= 0 && poll(&exited, 1, 0) == 0;
	if (exited.fd >= 0)
		close(exited.fd);
	return running;
}

#define SLEEPING "sleep 1000 & echo $!; wait"

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

static bool has_file(const struct rig *rig, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
	return access(path, F_OK) == 0;
}

static void write_text(const struct rig *rig, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
	assert_int_equal(disk_write_file(path, 0600, text, strlen(text), &fault), 0);
}

static void a_recorded_group_is_ended_and_its_files_removed(void **state)
{
	struct rig *rig = *state;
	struct group group;

	group_start(&group, "inst_5", SLEEPING);
	assert_int_equal(leftover_write(rig->folder, (struct instance_id){5}, group.leader, &fault),
			 0);
	write_text(rig, "5.sock", "");
	assert_true(has_file(rig, "5.pid"));
	assert_int_equal(leftover_sweep(rig->folder, &fault), 0);
	group_assert_ended(&group);
	assert_false(has_file(rig, "5.pid"));
	assert_false(has_file(rig, "5.sock"));
}

static void what_a_dead_leader_has_left_is_ended_by_its_group_and_instance(void **state)
{
	struct rig *rig = *state;
	struct group group;

	group_start(&group, "inst_6", SLEEPING);
	assert_int_equal(leftover_write(rig->folder, (struct instance_id){6}, group.leader, &fault),
			 0);
	assert_int_equal(kill(group.leader, SIGKILL), 0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)group.leader, &info, WEXITED | WNOWAIT), 0);
	assert_true(is_running(group.member));
	assert_int_equal(leftover_sweep(rig->folder, &fault), 0);
	group_assert_ended(&group);
}

static void a_number_that_was_given_again_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct group group;
	char text[128], *record;
	size_t bytes;

	group_start(&group, "inst_9", SLEEPING);
	assert_int_equal(leftover_write(rig->folder, (struct instance_id){7}, group.leader, &fault),
			 0);
	snprintf(text, sizeof(text), "%s/7.pid", rig->folder);
	assert_int_equal(disk_read_file(text, 128, &record, &bytes, &fault), 0);
	/* The same process number, in the same boot, but it began another time. */
	const char *boot = strrchr(record, ' ');
	assert_non_null(boot);
	snprintf(text, sizeof(text), "%d 1%s", (int)group.leader, boot);
	write_text(rig, "7.pid", text);
	assert_int_equal(leftover_sweep(rig->folder, &fault), 0);
	assert_true(is_running(group.leader));
	assert_true(is_running(group.member));
	assert_false(has_file(rig, "7.pid"));
	free(record);
	group_kill(&group);
}

static void records_of_another_boot_and_torn_ones_are_only_removed(void **state)
{
	struct rig *rig = *state;
	struct group group;
	char text[128], *record;
	size_t bytes;

	group_start(&group, "inst_8", SLEEPING);
	assert_int_equal(leftover_write(rig->folder, (struct instance_id){8}, group.leader, &fault),
			 0);
	snprintf(text, sizeof(text), "%s/8.pid", rig->folder);
	assert_int_equal(disk_read_file(text, 128, &record, &bytes, &fault), 0);
	record[bytes - 2] = record[bytes - 2] == 'a' ? 'b' : 'a';
	write_text(rig, "8.pid", record);
	record[bytes / 2] = '\0';
	write_text(rig, "9.pid", record);
	write_text(rig, "10.pid", "");
	write_text(rig, "11.pid", "1 5 boot\n");
	write_text(rig, "12.pid", "-1 5 boot\n");
	write_text(rig, "note.txt", "of somebody else");
	assert_int_equal(leftover_sweep(rig->folder, &fault), 0);
	assert_true(is_running(group.leader));
	for (int number = 8; number <= 12; number++) {
		snprintf(text, sizeof(text), "%d.pid", number);
		assert_false(has_file(rig, text));
	}
	assert_true(has_file(rig, "note.txt"));
	free(record);
	group_kill(&group);
}

static void ids_go_on_where_an_earlier_life_may_have_been(void **state)
{
	struct rig *rig = *state;
	uint64_t last;

	assert_int_equal(leftover_reserve(rig->folder, &last, &fault), 0);
	assert_int_equal(last, 0);
	assert_int_equal(leftover_reserve(rig->folder, &last, &fault), 0);
	assert_int_equal(last, INSTANCES_RESERVED);
	write_text(rig, "last", "12a");
	assert_int_equal(leftover_reserve(rig->folder, &last, &fault), FAULT_DAMAGED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_recorded_group_is_ended_and_its_files_removed),
		TEST(what_a_dead_leader_has_left_is_ended_by_its_group_and_instance),
		TEST(a_number_that_was_given_again_is_left_alone),
		TEST(records_of_another_boot_and_torn_ones_are_only_removed),
		TEST(ids_go_on_where_an_earlier_life_may_have_been),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
