/*
 * check: a bug is ours, and it ends the program.
 *
 * `check` states what must hold. It stays in release builds. A false one prints file, line,
 * function, the condition and, in the comparing forms, both values, then aborts. Refusals
 * (the caller may not) and faults (the world failed) are never checked: see base/fault.h.
 *
 * Threads: any.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#define check(condition)                                                                           \
	((condition) ? (void)0 : check_failed(__FILE__, __LINE__, __func__, #condition))

/* Compare two integers that fit int64_t; a failure shows both values. */
#define check_equal(left, right)                                                                   \
	check_compare_equal((int64_t)(left), (int64_t)(right), __FILE__, __LINE__, __func__,       \
			    #left " == " #right)
#define check_at_most(left, right)                                                                 \
	check_compare_at_most((int64_t)(left), (int64_t)(right), __FILE__, __LINE__, __func__,     \
			      #left " <= " #right)

_Noreturn void check_failed(const char *file, int line, const char *function,
			    const char *condition);
_Noreturn void check_compare_failed(int64_t left, int64_t right, const char *file, int line,
				    const char *function, const char *condition);

static inline void check_compare_equal(int64_t left, int64_t right, const char *file, int line,
				       const char *function, const char *condition)
{
	if (__builtin_expect(left != right, 0))
		check_compare_failed(left, right, file, line, function, condition);
}

static inline void check_compare_at_most(int64_t left, int64_t right, const char *file, int line,
					 const char *function, const char *condition)
{
	if (__builtin_expect(left > right, 0))
		check_compare_failed(left, right, file, line, function, condition);
}
