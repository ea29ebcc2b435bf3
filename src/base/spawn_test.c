#include "base/testing.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/spawn.h"

#define ARGUMENTS(...)            \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

static struct fault fault;
static const char *const no_environment[] = {NULL};

struct run {
	struct spawner *spawner;
	struct spawn_request request;
	int output; /* what it writes is read here */
	pid_t pid;
};

static struct run run_make(struct spawner *spawner, const char *const *arguments)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	return (struct run){
		.spawner = spawner,
		.request = {.folder = "/",
			    .arguments = arguments,
			    .environment = no_environment,
			    .output = ends[1]},
		.output = ends[0],
	};
}

static void run_start(struct run *run)
{
	if (run->spawner->start(run->spawner, &run->request, &run->pid, &fault) != 0)
		fail_msg("%s", fault.text);
	close(run->request.output);
}

/* All that it and what it started write, until the last of them is gone. */
static const char *run_read_to_end(struct run *run)
{
	static char text[65536];
	size_t used = 0;
	ssize_t got;

	while ((got = read(run->output, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(run->output);
	return text;
}

static void run_read_line(struct run *run, char *line, size_t line_bytes_max)
{
	size_t used = 0;

	while (used < line_bytes_max - 1 && read(run->output, line + used, 1) == 1) {
		if (line[used] == '\n')
			break;
		used++;
	}
	line[used] = '\0';
}

static int run_wait(struct run *run)
{
	struct spawn_exit ended = {0};
	/* Readable once the process has exited: no polling in between. */
	struct pollfd exit_event = {.fd = (int)syscall(SYS_pidfd_open, run->pid, 0),
				    .events = POLLIN};

	assert_true(exit_event.fd >= 0);
	while (poll(&exit_event, 1, -1) < 0)
		assert_int_equal(errno, EINTR);
	close(exit_event.fd);
	assert_int_equal(run->spawner->poll_exit(run->spawner, run->pid, &ended, &fault), 0);
	assert_true(ended.exited);
	return ended.status;
}

static void the_environment_is_what_was_given_and_nothing_else(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("/usr/bin/env"));
	const char *const environment[] = {"PORT=8000", "NAME=a b", NULL};

	(void)state;
	assert_int_equal(setenv("SECRET", "of the parent", 1), 0);
	run.request.environment = environment;
	run_start(&run);
	assert_string_equal(run_read_to_end(&run), "PORT=8000\nNAME=a b\n");
	assert_int_equal(run_wait(&run), 0);
}

static void it_runs_in_its_folder_with_its_arguments(void **state)
{
	struct run run = run_make(spawner_system(),
				  ARGUMENTS("./sh", "-c", "pwd; echo \"$1\"", "x", "an argument"));

	(void)state;
	run.request.folder = "/bin/";
	run_start(&run);
	const char *text = run_read_to_end(&run);
	assert_non_null(strstr(text, "/bin\nan argument\n"));
	assert_int_equal(run_wait(&run), 0);
}

static void only_three_descriptors_are_open_and_the_input_is_empty(void **state)
{
	struct run run =
		run_make(spawner_system(), ARGUMENTS("/bin/sh", "-c",
						     "cat; for n in 3 4 5 6 7 8 9 60 200; do"
						     " [ -e /proc/$$/fd/$n ] && echo open $n; done;"
						     " readlink /proc/$$/fd/0; echo error >&2"));

	(void)state;
	/* Not close-on-exec. */
	assert_int_equal(dup2(STDERR_FILENO, 60), 60);
	assert_int_equal(dup2(STDERR_FILENO, 200), 200);
	run_start(&run);
	assert_string_equal(run_read_to_end(&run), "/dev/null\nerror\n");
	assert_int_equal(run_wait(&run), 0);
	close(60);
	close(200);
}

static void the_output_may_be_any_descriptor_even_zero(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("/bin/echo", "hello"));
	const int kept = dup(STDIN_FILENO);

	(void)state;
	assert_true(kept >= 0);
	assert_int_equal(dup2(run.request.output, 0), 0);
	close(run.request.output);
	run.request.output = 0;
	run_start(&run);
	assert_int_equal(dup2(kept, 0), 0);
	close(kept);
	assert_string_equal(run_read_to_end(&run), "hello\n");
	assert_int_equal(run_wait(&run), 0);
}

static void no_signal_is_blocked_or_ignored_and_the_parent_s_are_untouched(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("/bin/grep", "-E", "Sig(Blk|Ign)",
							      "/proc/self/status"));
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction kept, found;
	sigset_t blocked, before, now;

	(void)state;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGUSR1);
	assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &before), 0);
	assert_int_equal(sigaction(SIGPIPE, &ignore, &kept), 0);
	run_start(&run);
	assert_string_equal(run_read_to_end(&run), "SigBlk:\t0000000000000000\n"
						   "SigIgn:\t0000000000000000\n");
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, &now), 0);
	assert_int_equal(sigismember(&now, SIGUSR1), 1);
	assert_int_equal(sigismember(&now, SIGHUP), 0);
	assert_int_equal(sigaction(SIGPIPE, &kept, &found), 0);
	assert_true(found.sa_handler == SIG_IGN);
	assert_int_equal(run_wait(&run), 0);
}

static void it_leads_a_process_group_of_its_own(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("/bin/sleep", "1000"));

	(void)state;
	run_start(&run);
	assert_int_equal(getpgid(run.pid), run.pid);
	assert_int_equal(run.spawner->signal(run.spawner, run.pid, SIGTERM, &fault), 0);
	const int status = run_wait(&run);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	close(run.output);
	assert_int_equal(run.spawner->signal(run.spawner, run.pid, SIGTERM, &fault),
			 FAULT_NOT_FOUND);
	struct spawn_exit ended;
	assert_int_equal(run.spawner->poll_exit(run.spawner, run.pid, &ended, &fault),
			 FAULT_SYSTEM);
}

static void a_running_process_has_not_exited(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("/bin/sleep", "1000"));
	struct spawn_exit ended = {.exited = true};

	(void)state;
	run_start(&run);
	assert_int_equal(run.spawner->poll_exit(run.spawner, run.pid, &ended, &fault), 0);
	assert_false(ended.exited);
	assert_int_equal(run.spawner->signal(run.spawner, run.pid, SIGKILL, &fault), 0);
	run_wait(&run);
	close(run.output);
}

static void a_signal_reaches_what_it_has_started_too(void **state)
{
	struct run run = run_make(spawner_system(),
				  ARGUMENTS("/bin/sh", "-c", "sleep 1000 & echo ready; wait"));
	char line[16];

	(void)state;
	run_start(&run);
	run_read_line(&run, line, sizeof(line));
	assert_string_equal(line, "ready");
	assert_int_equal(run.spawner->signal(run.spawner, run.pid, SIGKILL, &fault), 0);
	/* The end comes when the last holder of the output is gone. */
	assert_string_equal(run_read_to_end(&run), "");
	run_wait(&run);
}

static void what_it_leaves_behind_is_killed_when_its_exit_is_seen(void **state)
{
	struct run run =
		run_make(spawner_system(), ARGUMENTS("/bin/sh", "-c", "sleep 1000 & exit 3"));

	(void)state;
	run_start(&run);
	const int status = run_wait(&run);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	assert_string_equal(run_read_to_end(&run), "");
}

static void limits_are_set_for_it_alone(void **state)
{
	struct run run =
		run_make(spawner_system(), ARGUMENTS("/bin/sh", "-c",
						     "ulimit -n; ulimit -v; ulimit -d; ulimit -p;"
						     " ulimit -Ss; ulimit -Ss 3072; ulimit -Ss"));
	struct rlimit ours;

	(void)state;
	run.request.files_max = 33;
	run.request.memory_bytes_max = 512ull << 20;
	run.request.data_bytes_max = 256ull << 20;
	run.request.processes_max = 4000;
	run.request.stack_bytes = 2ull << 20;
	run_start(&run);
	assert_string_equal(run_read_to_end(&run), "33\n524288\n262144\n4000\n2048\n3072\n");
	assert_int_equal(run_wait(&run), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &ours), 0);
	assert_true(ours.rlim_cur != 33);
}

static void a_limit_above_ours_is_not_reached_for(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("/bin/sh", "-c", "ulimit -Hn"));
	struct rlimit ours;
	char expected[32];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &ours), 0);
	run.request.files_max = ours.rlim_max + 1;
	run_start(&run);
	snprintf(expected, sizeof(expected), "%llu\n", (unsigned long long)ours.rlim_max);
	assert_string_equal(run_read_to_end(&run), expected);
	assert_int_equal(run_wait(&run), 0);
}

static void what_cannot_start_says_why_and_leaves_no_process(void **state)
{
	struct run run = run_make(spawner_system(), ARGUMENTS("./nothing-here"));
	pid_t pid = 77;

	(void)state;
	assert_int_equal(run.spawner->start(run.spawner, &run.request, &pid, &fault), FAULT_SYSTEM);
	assert_string_equal(fault.text, "cannot start ./nothing-here in /: cannot execute: "
					"No such file or directory");
	run.request.folder = "/no/such/folder";
	assert_int_equal(run.spawner->start(run.spawner, &run.request, &pid, &fault), FAULT_SYSTEM);
	assert_string_equal(fault.text, "cannot start ./nothing-here in /no/such/folder: cannot "
					"enter the folder: No such file or directory");
	run.request.folder = "/";
	run.request.arguments = ARGUMENTS("/etc/passwd");
	assert_int_equal(run.spawner->start(run.spawner, &run.request, &pid, &fault), FAULT_SYSTEM);
	assert_non_null(strstr(fault.text, "Permission denied"));
	assert_int_equal(pid, 77);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	close(run.request.output);
	close(run.output);
}

/* The process between: starts the run and ends when `leave` does, or is killed. */
_Noreturn static void run_between(struct run *run, bool guarded, int leave)
{
	struct spawner_guarded spawner;
	char byte;

	if (guarded && spawner_guarded_open(&spawner, NULL, &fault) != 0)
		_exit(1);
	if (guarded)
		run->spawner = &spawner.spawner;
	if (run->spawner->start(run->spawner, &run->request, &run->pid, &fault) != 0)
		_exit(1);
	(void)!read(leave, &byte, 1);
	_exit(0);
}

/* Starts `arguments`, which say "ready", from a process between, ends that by `signal_number`
 * (0: by its own exit) and reads until nobody is left who holds the output. */
static void assert_dies_with_its_parent(bool guarded, const char *const *arguments,
					int signal_number)
{
	struct run run = run_make(spawner_system(), arguments);
	int leave[2];
	char line[16];

	assert_int_equal(pipe2(leave, O_CLOEXEC), 0);
	fflush(NULL);
	const pid_t between = fork();
	assert_true(between >= 0);
	if (between == 0) {
		close(leave[1]);
		run_between(&run, guarded, leave[0]);
	}
	close(leave[0]);
	close(run.request.output);
	run_read_line(&run, line, sizeof(line));
	assert_string_equal(line, "ready");
	if (signal_number != 0)
		assert_int_equal(kill(between, signal_number), 0);
	else
		close(leave[1]);
	assert_string_equal(run_read_to_end(&run), "");
	assert_int_equal(waitpid(between, NULL, 0), between);
	if (signal_number != 0)
		close(leave[1]);
}

static void it_dies_with_its_parent_however_that_ends(void **state)
{
	const char *const *arguments = ARGUMENTS("/bin/sh", "-c", "echo ready; exec sleep 1000");

	(void)state;
	assert_dies_with_its_parent(false, arguments, SIGKILL);
	assert_dies_with_its_parent(false, arguments, SIGTERM);
	assert_dies_with_its_parent(false, arguments, 0);
}

static void guarded_its_whole_group_dies_with_its_parent(void **state)
{
	const char *const *arguments =
		ARGUMENTS("/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo ready; wait");

	(void)state;
	assert_dies_with_its_parent(true, arguments, SIGKILL);
	assert_dies_with_its_parent(true, arguments, 0);
}

static void a_guarded_spawner_ends_every_group_when_closed(void **state)
{
	struct spawner_guarded guarded;
	struct run run;
	char line[16];

	(void)state;
	assert_int_equal(spawner_guarded_open(&guarded, NULL, &fault), 0);
	run = run_make(&guarded.spawner,
		       ARGUMENTS("/bin/sh", "-c", "sleep 1000 & echo ready; wait"));
	run_start(&run);
	assert_int_equal(guarded.alive_count, 1);
	run_read_line(&run, line, sizeof(line));
	struct run short_run = run_make(&guarded.spawner, ARGUMENTS("/bin/true"));
	run_start(&short_run);
	assert_int_equal(run_wait(&short_run), 0);
	close(short_run.output);
	assert_int_equal(guarded.alive_count, 1);

	spawner_guarded_close(&guarded);
	assert_string_equal(run_read_to_end(&run), "");
	assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
}

static void without_its_keeper_a_guarded_spawner_starts_nothing(void **state)
{
	struct spawner_guarded guarded;

	(void)state;
	assert_int_equal(spawner_guarded_open(&guarded, NULL, &fault), 0);
	struct run run = run_make(&guarded.spawner, ARGUMENTS("/bin/true"));
	siginfo_t info;
	assert_int_equal(kill(guarded.keeper, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)guarded.keeper, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(run.spawner->start(run.spawner, &run.request, &run.pid, &fault),
			 FAULT_SYSTEM);
	assert_non_null(strstr(fault.text, "cannot tell the keeper"));
	assert_int_equal(guarded.alive_count, 0);
	spawner_guarded_close(&guarded);
	close(run.request.output);
	close(run.output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_environment_is_what_was_given_and_nothing_else),
		cmocka_unit_test(it_runs_in_its_folder_with_its_arguments),
		cmocka_unit_test(only_three_descriptors_are_open_and_the_input_is_empty),
		cmocka_unit_test(the_output_may_be_any_descriptor_even_zero),
		cmocka_unit_test(no_signal_is_blocked_or_ignored_and_the_parent_s_are_untouched),
		cmocka_unit_test(it_leads_a_process_group_of_its_own),
		cmocka_unit_test(a_running_process_has_not_exited),
		cmocka_unit_test(a_signal_reaches_what_it_has_started_too),
		cmocka_unit_test(what_it_leaves_behind_is_killed_when_its_exit_is_seen),
		cmocka_unit_test(limits_are_set_for_it_alone),
		cmocka_unit_test(a_limit_above_ours_is_not_reached_for),
		cmocka_unit_test(what_cannot_start_says_why_and_leaves_no_process),
		cmocka_unit_test(it_dies_with_its_parent_however_that_ends),
		cmocka_unit_test(guarded_its_whole_group_dies_with_its_parent),
		cmocka_unit_test(a_guarded_spawner_ends_every_group_when_closed),
		cmocka_unit_test(without_its_keeper_a_guarded_spawner_starts_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
