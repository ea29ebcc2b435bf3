/*
 * tls_rig: a certificate and its key for tests, made anew each time.
 */
#pragma once

#include <stdint.h>

#define TLS_TEXT_MAX 4096

struct tls_pair {
	char certificate[TLS_TEXT_MAX];
	char key[TLS_TEXT_MAX];
	char locked_key[TLS_TEXT_MAX]; /* the same, by a pass phrase */
	uint64_t now_ns;               /* Unix: when it was made */
};

/* Good for so many days from now; from the day before, less than none is over. */
void tls_pair_make(struct tls_pair *pair, int days);
