/*
 * notify: telling the service manager how the process does, by the protocol of sd_notify(3): a
 * datagram of "NAME=value" lines to the socket that $NOTIFY_SOCKET names. Without a manager
 * nothing is sent and nothing is wrong.
 *
 * Threads: any, once notify_open has returned.
 */
#pragma once

#include <stdint.h>

#include "base/fault.h"

struct notify {
	int descriptor;       /* -1: nobody listens */
	uint64_t watchdog_ns; /* it wants to hear WATCHDOG=1 so often; 0: never */
};

/* Reads the environment: $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, and removes them from
 * it, so that children do not speak for us. Before the first thread. FAULT_SYSTEM where there is
 * a socket that cannot be reached. */
int notify_open(struct notify *ret_notify, struct fault *fault);
/* "READY=1", "STOPPING=1", "WATCHDOG=1"; lost where the manager does not take it. */
void notify_send(const struct notify *notify, const char *state);
void notify_close(struct notify *notify);
