/*
 * limits: the fleet's numbers. Whatever a service does, it costs the node no more than this.
 */
#pragma once

#include "base/clock.h"

/* ---- health ---- */
#define PROBE_FIRST_NS       (2 * CLOCK_NS_PER_MS) /* after the start; doubles up to: */
#define PROBE_STARTING_NS    (20 * CLOCK_NS_PER_MS)
#define PROBE_HEALTHY_NS     (5 * CLOCK_NS_PER_S) /* default; only where there is a path */
#define PROBE_ANSWER_NS      (2 * CLOCK_NS_PER_S)
#define PROBE_UNANSWERED_MAX 3
#define PROBE_HEAD_BYTES_MAX (16u * 1024)

/* ---- pauses and deadlines ---- */
#define BACKOFF_FIRST_NS         (100 * CLOCK_NS_PER_MS)
#define BACKOFF_MOST_NS          (30 * CLOCK_NS_PER_S)
#define BACKOFF_FORGIVEN_NS      (10 * CLOCK_NS_PER_S) /* of health */
#define START_TIMEOUT_DEFAULT_NS (10 * CLOCK_NS_PER_S)
#define DRAIN_TIMEOUT_DEFAULT_NS (30 * CLOCK_NS_PER_S)
#define STOP_GRACE_DEFAULT_NS    (5 * CLOCK_NS_PER_S)
#define EXIT_POLL_NS             (20 * CLOCK_NS_PER_MS) /* where there is no pidfd */

/* ---- memory: RLIMIT_DATA counts every thread's whole stack, touched or not. So stacks are kept
 * small, and as many as a program may well have are allowed beside `memory`. ---- */
#define STACK_BYTES       (2ull * 1024 * 1024)
#define STACKS_OF_PROCESS 16
#define STACKS_OF_CALL    4 /* times the declared concurrency */

/* ---- open files: the node's own limit is far too high for a program that closes all it might
 * have, or that waits with select ---- */
#define FILES_OF_PROCESS 1024
#define FILES_OF_CALL    8 /* times the declared concurrency */

/* ---- output ---- */
#define OUTPUT_LINE_BYTES     4096u /* a longer line is broken */
#define OUTPUT_READ_BYTES     (64u * 1024)
#define OUTPUT_REST_BYTES     (1024u * 1024) /* read at most after the exit */
#define OUTPUT_BURST_S        4
#define OUTPUT_PER_S_DEFAULT  (256u * 1024)
#define OUTPUT_DROP_NS        CLOCK_NS_PER_S /* once a line was dropped, all are for so long */
#define LOG_WAITING_BYTES     (32u * 1024)
#define LOG_BYTES_MAX_DEFAULT (8u * 1024 * 1024)

/* ---- ports ---- */
#define PORTS_COUNT 12000u /* below the kernel's own range, 32768 and up by default */
#define PORTS_LEAST 4096u
#define PORT_TRIES  64

/* ---- files ---- */
#define INSTANCES_RESERVED    1000 /* ids, by one write */
#define INSTANCE_DIGITS_MAX   9    /* of an id in a socket's path */
#define LEFTOVER_ROUNDS_MAX   100
#define LEFTOVER_KILL_WAIT_MS 5000
