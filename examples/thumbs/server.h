/*
 * server: connections and the threads that serve them.
 *
 * One thread waits for all connections at once; a connection with something to read goes to one
 * of a fixed number of workers, which answers its requests and gives it back. So an idle kept-alive
 * connection costs no thread. Where too many connections are open, the one idle longest is closed;
 * where all are busy, nobody is accepted until one ends.
 */
#pragma once

#include "message.h"

#define SERVER_THREADS         8 /* the manifest's concurrency */
#define SERVER_CONNECTIONS_MAX 256

/* Answers one request; false: the peer left. Called by several threads at once. */
typedef bool (*server_answer_fn)(struct connection *connection, const struct request *request);

/* A listening socket at a Unix path, or at a port of the loopback address (0: a free one, told in
 * *ret_port). -1 with errno set otherwise. */
int server_listen_unix(const char *path);
int server_listen_port(unsigned short port, unsigned short *ret_port);

/* Serves until SIGTERM or SIGINT, finishes the requests in flight and returns 0; 1 with a message
 * on standard error if it could not start. Closes the listener. `thread_end` runs in each worker
 * before it ends. */
int server_run(int listener, server_answer_fn answer, void (*thread_end)(void));
