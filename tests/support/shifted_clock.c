/* Preloaded by tests: the wall clock goes ahead by SHIFTED_CLOCK_SECONDS; what measures time does
 * not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t which, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	const char *ahead = getenv("SHIFTED_CLOCK_SECONDS");

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	const int status = real(which, now);
	if (status == 0 && which == CLOCK_REALTIME && ahead != NULL)
		now->tv_sec += strtoll(ahead, NULL, 10);
	return status;
}
