#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define WORKER_STACK_BYTES (1u << 20)

enum slot_state {
	SLOT_FREE,
	SLOT_IDLE,  /* waited for by the main thread */
	SLOT_READY, /* in the queue, oldest first */
	SLOT_BUSY,  /* a worker's */
};

struct slot {
	enum slot_state state;
	uint64_t turn; /* when it got idle or ready; orders both */
	struct connection *connection;
};

struct server {
	int epoll;
	int listener;
	int signals;
	server_answer_fn answer;
	void (*thread_end)(void);

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t ready;
	struct slot slots[SERVER_CONNECTIONS_MAX];
	uint64_t turn;
	bool full; /* nobody is accepted */
	bool stopping;
};

static void *worker_run(void *context);
static void connection_serve(struct server *server, struct slot *slot);
static void accept_one(struct server *server);
static bool server_prepare(struct server *server);
static void server_stop(struct server *server);

/* ---- listening ---- */

static int listen_at(int fd, const struct sockaddr *address, socklen_t length)
{
	if (fd >= 0 && bind(fd, address, length) == 0 && listen(fd, 128) == 0)
		return fd;
	const int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

int server_listen_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat status;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		unlink(path); /* left by an instance before this one */
	return listen_at(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
			 (const struct sockaddr *)&address, sizeof(address));
}

int server_listen_port(unsigned short port, unsigned short *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	const int one = 1;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listen_at(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	getsockname(fd, (struct sockaddr *)&address, &length);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* ---- the main thread ---- */

int server_run(int listener, server_answer_fn answer, void (*thread_end)(void))
{
	static struct server server; /* large; a program has one */
	pthread_t threads[SERVER_THREADS];
	pthread_attr_t attributes;
	int started = 0;
	int outcome = 1;

	server.listener = listener;
	server.answer = answer;
	server.thread_end = thread_end;
	pthread_mutex_init(&server.lock, NULL);
	pthread_cond_init(&server.ready, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
	if (!server_prepare(&server)) {
		perror("thumbs: cannot wait for connections");
		goto out;
	}
	for (; started < SERVER_THREADS; started++) {
		errno = pthread_create(&threads[started], &attributes, worker_run, &server);
		if (errno != 0) {
			perror("thumbs: cannot start a thread");
			goto out;
		}
	}
	outcome = 0;
	for (;;) {
		/* One event at a time, so that none is about a connection closed meanwhile. */
		struct epoll_event event;

		if (epoll_wait(server.epoll, &event, 1, -1) < 1)
			continue;
		if (event.data.ptr == &server.signals)
			break;
		if (event.data.ptr == &server.listener) {
			accept_one(&server);
			continue;
		}
		struct slot *const slot = event.data.ptr;

		pthread_mutex_lock(&server.lock);
		slot->state = SLOT_READY;
		slot->turn = server.turn++;
		pthread_cond_signal(&server.ready);
		pthread_mutex_unlock(&server.lock);
	}
out:
	server_stop(&server);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	pthread_attr_destroy(&attributes);
	close(server.listener);
	close(server.signals);
	close(server.epoll);
	return outcome;
}

static bool server_prepare(struct server *server)
{
	struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = &server->listener};
	struct epoll_event on_signal = {.events = EPOLLIN, .data.ptr = &server->signals};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	server->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	return server->signals >= 0 && server->epoll >= 0 &&
	       epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &on_listener) == 0 &&
	       epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->signals, &on_signal) == 0;
}

/* Under the lock. The longest idle or first ready slot, or any free one. */
static struct slot *slot_first(struct server *server, enum slot_state state)
{
	struct slot *first = NULL;

	for (struct slot *slot = server->slots; slot < server->slots + SERVER_CONNECTIONS_MAX;
	     slot++)
		if (slot->state == state && (!first || slot->turn < first->turn))
			first = slot;
	return first;
}

/* Under the lock. There is room again: a free slot, or an idle one that may be closed. */
static void accept_again(struct server *server)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &server->listener};

	if (server->full && !server->stopping)
		epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener, &event);
	server->full = false;
}

/* Under the lock. */
static void slot_release(struct server *server, struct slot *slot)
{
	free(slot->connection);
	slot->connection = NULL;
	slot->state = SLOT_FREE;
	accept_again(server);
}

/* Under the lock. Nothing of an idle connection is on its way: it is closed at once. */
static void slot_close_idle(struct server *server, struct slot *slot)
{
	close(slot->connection->fd);
	slot_release(server, slot);
}

/* Under the lock. Waits for the next request. */
static void slot_wait(struct server *server, struct slot *slot, int operation)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
				    .data.ptr = slot};

	slot->state = SLOT_IDLE;
	slot->turn = server->turn++;
	if (server->stopping ||
	    epoll_ctl(server->epoll, operation, slot->connection->fd, &event) != 0)
		slot_close_idle(server, slot);
	else
		accept_again(server);
}

static void accept_one(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	struct slot *slot = slot_first(server, SLOT_FREE);

	if (!slot) {
		slot = slot_first(server, SLOT_IDLE);
		if (slot)
			slot_close_idle(server, slot);
	}
	const int fd =
		slot ? accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;

	if (fd >= 0) {
		const int one = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* no matter on Unix */
		slot->connection = calloc(1, sizeof(*slot->connection));
		if (slot->connection) {
			slot->connection->fd = fd;
			slot_wait(server, slot, EPOLL_CTL_ADD);
		} else {
			close(fd);
		}
	} else if (!slot || errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		struct epoll_event event = {.events = 0, .data.ptr = &server->listener};

		epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener, &event);
		server->full = true;
	}
	pthread_mutex_unlock(&server->lock);
}

static void server_stop(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	for (struct slot *slot = server->slots; slot < server->slots + SERVER_CONNECTIONS_MAX;
	     slot++)
		if (slot->state == SLOT_IDLE)
			slot_close_idle(server, slot);
	pthread_cond_broadcast(&server->ready);
	pthread_mutex_unlock(&server->lock);
}

/* ---- the workers ---- */

static void *worker_run(void *context)
{
	struct server *const server = context;

	pthread_mutex_lock(&server->lock);
	for (;;) {
		struct slot *const slot = slot_first(server, SLOT_READY);

		if (slot) {
			slot->state = SLOT_BUSY;
			pthread_mutex_unlock(&server->lock);
			connection_serve(server, slot);
			pthread_mutex_lock(&server->lock);
		} else if (server->stopping) {
			break;
		} else {
			pthread_cond_wait(&server->ready, &server->lock);
		}
	}
	pthread_mutex_unlock(&server->lock);
	server->thread_end();
	return NULL;
}

static bool is_stopping(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	const bool stopping = server->stopping;

	pthread_mutex_unlock(&server->lock);
	return stopping;
}

/* Reads and answers one request. True: the connection stays. */
static bool request_serve(struct server *server, struct connection *connection)
{
	struct request request;
	struct refusal refusal;

	switch (message_request_read(connection, &request, &refusal)) {
	case MESSAGE_CLOSED:
		return false;
	case MESSAGE_REFUSED:
		message_refusal_write(connection, &request, &refusal);
		return false;
	case MESSAGE_READ:
		break;
	}
	if (is_stopping(server))
		request.keep_alive = false;
	const bool written = server->answer(connection, &request);

	message_request_fini(&request);
	return written && request.keep_alive;
}

static void connection_serve(struct server *server, struct slot *slot)
{
	struct connection *const connection = slot->connection;
	bool stays;

	/* Requests that came together are answered together. */
	do
		stays = request_serve(server, connection);
	while (stays && connection->start < connection->end);
	if (!stays)
		message_connection_close(connection);

	pthread_mutex_lock(&server->lock);
	if (stays)
		slot_wait(server, slot, EPOLL_CTL_MOD);
	else
		slot_release(server, slot);
	pthread_mutex_unlock(&server->lock);
}
