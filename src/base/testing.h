/*
 * testing: what unit tests share. Included by tests only, first, since cmocka.h wants its
 * includes before it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"

/* A new seed each run, printed, so that a failure can be had again: STOA_SEED=12345. */
static inline uint64_t testing_seed(void)
{
	const char *given = getenv("STOA_SEED");
	const uint64_t seed = given ? strtoull(given, NULL, 10) : random_u64(random_system());

	printf("STOA_SEED=%" PRIu64 "\n", seed);
	return seed;
}

/* Whether `act` ends its process by abort, as a failed check does. */
static inline bool testing_aborts(void (*act)(void))
{
	int status = 0;

	fflush(NULL);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_core = {0};
		const struct sigaction plain = {.sa_handler = SIG_DFL};
		const int nowhere = open("/dev/null", O_WRONLY);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(nowhere, STDERR_FILENO);
		sigaction(SIGABRT, &plain, NULL);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}
