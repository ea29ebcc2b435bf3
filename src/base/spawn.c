#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

/*
 * The child shares the parent's memory until execve (CLONE_VM | CLONE_VFORK, as posix_spawn
 * does), so that starting a process does not copy the page tables of a node with gigabytes of
 * journal mapped, nor make its workers fault. The price: between clone and execve the child
 * makes system calls only, on a stack of its own, with all signals blocked.
 */
#define CHILD_STACK_BYTES (64u * 1024)

/* Of functions that run on the child's stack and never return: what a sanitizer notes down of them
 * would stay in the parent's memory, and be wrong there. */
#define IN_CHILD __attribute__((no_sanitize("address"), no_sanitize("thread")))

/* clone(2) under glibc's other name, which no sanitizer replaces by one that takes the child's
 * memory for a copy. */
extern int clone_sharing(int (*run)(void *), void *stack_end, int flags, void *argument,
			 ...) __asm__("__clone");

/* What the keeper is told, one packet each: by the child before execve that it lives, by the
 * parent before it reaps the child that it does not any more. */
struct keeper_word {
	pid_t group;
	bool alive;
};

struct child {
	const struct spawn_request *request;
	pid_t parent;
	int keeper_socket;     /* -1: none */
	const char *failed_at; /* NULL: execve succeeded */
	int error;
};

IN_CHILD static bool keeper_tell(int keeper_socket, pid_t group, bool alive)
{
	const struct keeper_word word = {.group = group, .alive = alive};
	ssize_t sent;

	do
		sent = send(keeper_socket, &word, sizeof(word), MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)sizeof(word);
}

/* Not _exit: a sanitizer's would draw up the parent's balance. */
IN_CHILD _Noreturn static void child_exit(void)
{
	for (;;)
		syscall(SYS_exit_group, 127);
}

IN_CHILD _Noreturn static void child_fail(struct child *child, const char *step)
{
	child->error = errno;
	child->failed_at = step;
	child_exit();
}

IN_CHILD static void child_limit(struct child *child, __rlimit_resource_t resource, uint64_t most,
				 const char *step)
{
	struct rlimit limit;

	if (most == 0)
		return;
	if (getrlimit(resource, &limit) != 0)
		child_fail(child, step);
	/* A limit that is lower already stays: only the privileged may raise it. */
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(resource, &limit) != 0)
		child_fail(child, step);
}

/* The program may raise it again. */
IN_CHILD static void child_limit_stack(struct child *child, uint64_t bytes)
{
	struct rlimit limit;

	if (bytes == 0)
		return;
	if (getrlimit(RLIMIT_STACK, &limit) != 0)
		child_fail(child, "read the limit of the stack");
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	if (setrlimit(RLIMIT_STACK, &limit) != 0)
		child_fail(child, "limit the stack");
}

/* Handlers are addresses in a program that is about to go; what was ignored stays so over
 * execve, and a service does not expect to be deaf to SIGPIPE. */
IN_CHILD static void child_reset_signals(void)
{
	/* The kernel's struct sigaction, all zero: SIG_DFL. The C library's would be enough, but a
	 * sanitizer replaces it by one that writes into the memory that we share. */
	static const unsigned long normal[4];

	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, normal, NULL, NSIG / 8);
}

/* 0 reads nothing, 1 and 2 write to `output`, all else is closed. */
IN_CHILD static void child_descriptors(struct child *child)
{
	int output = child->request->output;

	/* Lift it out of the way of what is about to be replaced. */
	if (output < 3)
		output = fcntl(output, F_DUPFD_CLOEXEC, 3);
	if (output < 0)
		child_fail(child, "take the output");
	const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0)
		child_fail(child, "open /dev/null");
	if (nothing != 0 && dup2(nothing, 0) < 0)
		child_fail(child, "set the input");
	if (nothing == 0 && fcntl(0, F_SETFD, 0) < 0)
		child_fail(child, "keep the input");
	if (dup2(output, 1) < 0 || dup2(output, 2) < 0)
		child_fail(child, "set the output");
	if (syscall(SYS_close_range, 3u, ~0u, 0u) != 0)
		child_fail(child, "close descriptors");
}

IN_CHILD static int child_run(void *argument)
{
	struct child *child = argument;
	const struct spawn_request *request = child->request;
	sigset_t none;

	child_reset_signals();
	if (setpgid(0, 0) != 0)
		child_fail(child, "lead a process group");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		child_fail(child, "bind to the parent's life");
	/* The parent may have died before the binding: then nobody would kill us. */
	if (getppid() != child->parent)
		child_exit();
	if (child->keeper_socket >= 0 && !keeper_tell(child->keeper_socket, getpid(), true))
		child_fail(child, "tell the keeper");
	if (request->group_file > 0 && write(request->group_file, "0", 1) != 1)
		child_fail(child, "enter its control group");
	if (chdir(request->folder) != 0)
		child_fail(child, "enter the folder");
	child_descriptors(child);
	child_limit(child, RLIMIT_NOFILE, request->files_max, "limit open files");
	child_limit(child, RLIMIT_NPROC, request->processes_max, "limit processes");
	child_limit(child, RLIMIT_AS, request->memory_bytes_max, "limit memory");
	child_limit(child, RLIMIT_DATA, request->data_bytes_max, "limit data");
	child_limit_stack(child, request->stack_bytes);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(request->arguments[0], (char *const *)(uintptr_t)request->arguments,
	       (char *const *)(uintptr_t)request->environment);
	child_fail(child, "execute");
}

static void reap(pid_t pid, int *ret_status)
{
	pid_t reaped;

	do
		reaped = waitpid(pid, ret_status, 0);
	while (reaped < 0 && errno == EINTR);
	check_equal(reaped, pid);
}

static int start(const struct spawn_request *request, int keeper_socket, pid_t *ret_pid,
		 struct fault *fault)
{
	struct child child = {
		.request = request, .parent = getpid(), .keeper_socket = keeper_socket};
	sigset_t all, before;
	int status;

	check(request->arguments[0] != NULL);
	check(request->output >= 0);
	char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return fault_set_errno(fault, errno, "cannot start %s: no memory for a stack",
				       request->arguments[0]);

	sigfillset(&all);
	check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	const pid_t pid = clone_sharing(child_run, stack + CHILD_STACK_BYTES,
					CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
	const int error = errno;
	check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	check(munmap(stack, CHILD_STACK_BYTES) == 0);

	if (pid < 0)
		return fault_set_errno(fault, error, "cannot start %s", request->arguments[0]);
	if (child.failed_at) {
		if (keeper_socket >= 0)
			(void)keeper_tell(keeper_socket, pid, false);
		reap(pid, &status);
		return fault_set_errno(fault, child.error, "cannot start %s in %s: cannot %s",
				       request->arguments[0], request->folder, child.failed_at);
	}
	*ret_pid = pid;
	return 0;
}

static int poll_exit(pid_t pid, int keeper_socket, struct spawn_exit *ret_exit, struct fault *fault)
{
	struct spawn_exit ended = {.exited = true};
	siginfo_t info = {0};

	check(pid > 1);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return fault_set_errno(fault, errno, "cannot wait for process %d", (int)pid);
	if (info.si_pid == 0) {
		*ret_exit = (struct spawn_exit){.exited = false};
		return 0;
	}
	/* While the leader is unreaped, its number cannot name another group. */
	kill(-pid, SIGKILL);
	if (keeper_socket >= 0)
		(void)keeper_tell(keeper_socket, pid, false);
	reap(pid, &ended.status);
	*ret_exit = ended;
	return 0;
}

static int system_start(struct spawner *spawner, const struct spawn_request *request,
			pid_t *ret_pid, struct fault *fault)
{
	(void)spawner;
	return start(request, -1, ret_pid, fault);
}

static int system_signal(struct spawner *spawner, pid_t pid, int signal_number, struct fault *fault)
{
	(void)spawner;
	check(pid > 1);
	if (kill(-pid, signal_number) == 0)
		return 0;
	if (errno == ESRCH)
		return fault_set(fault, FAULT_NOT_FOUND, "process group %d is gone", (int)pid);
	return fault_set_errno(fault, errno, "cannot signal process group %d", (int)pid);
}

static int system_poll_exit(struct spawner *spawner, pid_t pid, struct spawn_exit *ret_exit,
			    struct fault *fault)
{
	(void)spawner;
	return poll_exit(pid, -1, ret_exit, fault);
}

struct spawner *spawner_system(void)
{
	static struct spawner system_spawner = {
		.start = system_start,
		.signal = system_signal,
		.poll_exit = system_poll_exit,
	};
	return &system_spawner;
}

static int guarded_start(struct spawner *spawner, const struct spawn_request *request,
			 pid_t *ret_pid, struct fault *fault)
{
	struct spawner_guarded *guarded = (struct spawner_guarded *)spawner;

	if (guarded->alive_count == SPAWN_GUARDED_MAX)
		return fault_set(fault, FAULT_LIMIT, "cannot start %s: %d processes are running",
				 request->arguments[0], SPAWN_GUARDED_MAX);
	const int code = start(request, guarded->keeper_socket, ret_pid, fault);
	guarded->alive_count += code == 0;
	return code;
}

static int guarded_poll_exit(struct spawner *spawner, pid_t pid, struct spawn_exit *ret_exit,
			     struct fault *fault)
{
	struct spawner_guarded *guarded = (struct spawner_guarded *)spawner;

	const int code = poll_exit(pid, guarded->keeper_socket, ret_exit, fault);
	guarded->alive_count -= code == 0 && ret_exit->exited;
	return code;
}

static void keeper_take(pid_t *groups, size_t *group_count, struct keeper_word word)
{
	if (word.alive && *group_count < SPAWN_GUARDED_MAX) {
		groups[(*group_count)++] = word.group;
		return;
	}
	for (size_t i = 0; i < *group_count; i++) {
		if (groups[i] == word.group) {
			groups[i] = groups[--*group_count];
			return;
		}
	}
}

/* Forked before the first thread, so it may allocate. Its end of the socket reads nothing more once
 * the parent is gone, however it went. */
_Noreturn static void keeper_run(int keeper_socket, const struct cgroups *groups)
{
	pid_t alive[SPAWN_GUARDED_MAX];
	size_t alive_count = 0;
	struct keeper_word word;
	sigset_t all;

	/* Out of the terminal's reach: Ctrl-C is for the parent. */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "keeper");
	if (dup2(keeper_socket, 0) < 0 || syscall(SYS_close_range, 1u, ~0u, 0u) != 0)
		_exit(127);
	for (;;) {
		const ssize_t got = recv(0, &word, sizeof(word), 0);
		if (got == (ssize_t)sizeof(word))
			keeper_take(alive, &alive_count, word);
		else if (got >= 0 || errno != EINTR)
			break;
	}
	for (size_t i = 0; i < alive_count; i++)
		kill(-alive[i], SIGKILL);
	if (groups != NULL)
		cgroups_remove(groups->path);
	_exit(0);
}

int spawner_guarded_open(struct spawner_guarded *guarded, const struct cgroups *groups,
			 struct fault *fault)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return fault_set_errno(fault, errno, "cannot make the keeper's socket");
	const pid_t keeper = fork();
	if (keeper == 0)
		keeper_run(ends[1], groups);
	const int error = errno;
	close(ends[1]);
	if (keeper < 0) {
		close(ends[0]);
		return fault_set_errno(fault, error, "cannot start the keeper");
	}
	*guarded = (struct spawner_guarded){
		.spawner = {.start = guarded_start,
			    .signal = system_signal,
			    .poll_exit = guarded_poll_exit},
		.keeper_socket = ends[0],
		.keeper = keeper,
	};
	return 0;
}

void spawner_guarded_close(struct spawner_guarded *guarded)
{
	int status;

	close(guarded->keeper_socket);
	reap(guarded->keeper, &status);
	*guarded = (struct spawner_guarded){.keeper_socket = -1};
}
