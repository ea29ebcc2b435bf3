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

struct child {
	const struct spawn_request *request;
	pid_t parent;
	const char *failed_at; /* NULL: execve succeeded */
	int error;
};

_Noreturn static void child_fail(struct child *child, const char *step)
{
	child->error = errno;
	child->failed_at = step;
	_exit(127);
}

static void child_limit(struct child *child, __rlimit_resource_t resource, uint64_t most,
			const char *step)
{
	const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};

	if (most > 0 && setrlimit(resource, &limit) != 0)
		child_fail(child, step);
}

/* Handlers are addresses in a program that is about to go; what was ignored stays so over
 * execve, and a service does not expect to be deaf to SIGPIPE. */
static void child_reset_signals(void)
{
	/* The kernel's struct sigaction, all zero: SIG_DFL. The C library's would be enough, but a
	 * sanitizer replaces it by one that writes into the memory that we share. */
	static const unsigned long normal[4];

	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, normal, NULL, NSIG / 8);
}

/* 0 reads nothing, 1 and 2 write to `output`, all else is closed. */
static void child_descriptors(struct child *child)
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

static int child_run(void *argument)
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
		_exit(127);
	if (chdir(request->folder) != 0)
		child_fail(child, "enter the folder");
	child_descriptors(child);
	child_limit(child, RLIMIT_NOFILE, request->files_max, "limit open files");
	child_limit(child, RLIMIT_NPROC, request->processes_max, "limit processes");
	child_limit(child, RLIMIT_AS, request->memory_bytes_max, "limit memory");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(request->arguments[0], (char *const *)(uintptr_t)request->arguments,
	       (char *const *)(uintptr_t)request->environment);
	child_fail(child, "execute");
}

static int system_start(struct spawner *spawner, const struct spawn_request *request,
			pid_t *ret_pid, struct fault *fault)
{
	struct child child = {.request = request, .parent = getpid()};
	sigset_t all, before;

	(void)spawner;
	check(request->arguments[0] != NULL);
	check(request->output >= 0);
	char *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return fault_set_errno(fault, errno, "cannot start %s: no memory for a stack",
				       request->arguments[0]);

	sigfillset(&all);
	check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	const pid_t pid = clone(child_run, stack + CHILD_STACK_BYTES,
				CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
	const int error = errno;
	check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	check(munmap(stack, CHILD_STACK_BYTES) == 0);

	if (pid < 0)
		return fault_set_errno(fault, error, "cannot start %s", request->arguments[0]);
	if (child.failed_at) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return fault_set_errno(fault, child.error, "cannot start %s in %s: cannot %s",
				       request->arguments[0], request->folder, child.failed_at);
	}
	*ret_pid = pid;
	return 0;
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
	siginfo_t info = {0};
	int status;

	(void)spawner;
	check(pid > 1);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return fault_set_errno(fault, errno, "cannot wait for process %d", (int)pid);
	if (info.si_pid == 0) {
		*ret_exit = (struct spawn_exit){.exited = false};
		return 0;
	}
	/* While the leader is unreaped its number cannot name another group. */
	kill(-pid, SIGKILL);
	if (waitpid(pid, &status, WNOHANG) != pid)
		return fault_set_errno(fault, errno, "cannot wait for process %d", (int)pid);
	*ret_exit = (struct spawn_exit){.exited = true, .status = status};
	return 0;
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
