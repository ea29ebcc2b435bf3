#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *function, const char *condition)
{
	fprintf(stderr, "%s:%d: %s: check failed: %s\n", file, line, function, condition);
	abort();
}

_Noreturn void check_compare_failed(int64_t left, int64_t right, const char *file, int line,
				    const char *function, const char *condition)
{
	fprintf(stderr, "%s:%d: %s: check failed: %s (%" PRId64 ", %" PRId64 ")\n", file, line,
		function, condition, left, right);
	abort();
}
