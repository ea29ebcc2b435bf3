/*
 * fault: the world failed (disk, network, a file's content), told as a negative code and one
 * sentence.
 *
 * A function that may fail returns 0 or a negative `enum fault_code` and fills the fault that
 * its caller handed in. Whoever handles a fault logs it, once. The sentence says what was
 * attempted, on what, and why it failed; it never holds a secret.
 *
 * Threads: a fault belongs to one thread, usually to a stack frame.
 */
#pragma once

#include <stdint.h>

#define FAULT_TEXT_MAX 1024 /* bytes, with the final NUL */
#define FAULT_NEAR_MAX 128  /* bytes, with the final NUL */

enum fault_code {
	FAULT_SYSTEM = -1,      /* a system call failed */
	FAULT_INPUT = -2,       /* bad content from a file, a person or a peer */
	FAULT_DAMAGED = -3,     /* stored data does not match its checksum or its rules */
	FAULT_STORE = -4,       /* the store refused or failed */
	FAULT_BUSY = -5,        /* try again: lock, serialization, lost connection */
	FAULT_LIMIT = -6,       /* a stated limit was reached */
	FAULT_NOT_FOUND = -7,   /* what was named is not there */
	FAULT_CONFLICT = -8,    /* it is there already, and different */
	FAULT_REFUSED = -9,     /* a rule forbids it (funds, state, right) */
	FAULT_UNSUPPORTED = -10 /* this machine or build cannot do it */
};

struct fault {
	int code;		   /* 0 or an enum fault_code */
	char text[FAULT_TEXT_MAX]; /* one sentence, no full stop, NUL-terminated */
	char near[FAULT_NEAR_MAX]; /* the name that was probably meant; "": none is near */
};

/* Sets the fault and returns `code`, so that a function can `return fault_set(...)`.
 * A too long text is cut. `fault` may be NULL: then only the code is returned. */
int fault_set(struct fault *fault, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* As fault_set; where `near` is neither NULL nor "", it is kept and the sentence asks whether it
 * was meant. */
int fault_set_near(struct fault *fault, int code, const char *near, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* As fault_set with FAULT_SYSTEM; appends ": " and the name of `error` (an errno value). */
int fault_set_errno(struct fault *fault, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there, keeps the code and returns it. */
int fault_prefix(struct fault *fault, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
