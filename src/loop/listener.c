#include "loop/loop_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

/* Whether nobody listens on the Unix socket that stands in the way, so that it may go. */
static int check_stale(const struct loop_address *address, struct fault *fault)
{
	const char *path = address->path.sun_path;
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : fault_set_errno(fault, errno, "look at %s", path);
	if (!S_ISSOCK(status.st_mode))
		return fault_set(fault, FAULT_CONFLICT,
				 "listen on unix:%s: a file that is no socket is in the way", path);
	const int probe = loop_socket_open(address, SOCK_NONBLOCK);
	if (probe < 0)
		return fault_set_errno(fault, errno, "make a socket");
	const int result = connect(probe, &address->any, address->length);
	const int error = result < 0 ? errno : 0;
	close(probe);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	return fault_set(fault, FAULT_CONFLICT, "listen on unix:%s: another program does", path);
}

static int bind_path(int descriptor, const struct loop_address *address, struct fault *fault)
{
	const char *path = address->path.sun_path;

	if (bind(descriptor, &address->any, address->length) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return fault_set_errno(fault, errno, "listen on unix:%s", path);
	const int result = check_stale(address, fault);
	if (result < 0)
		return result;
	if (unlink(path) < 0 && errno != ENOENT)
		return fault_set_errno(fault, errno, "remove the stale socket %s", path);
	if (bind(descriptor, &address->any, address->length) < 0)
		return fault_set_errno(fault, errno, "listen on unix:%s", path);
	return 0;
}

static int bind_port(int descriptor, const struct loop_address *address, struct fault *fault)
{
	const int on = 1;
	char text[LOOP_ADDRESS_TEXT_MAX];

	setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(descriptor, &address->any, address->length) == 0)
		return 0;
	loop_address_format(address, text);
	return fault_set_errno(fault, errno, "listen on %s", text);
}

/* Unlinks the file only while it is the one that our bind made. */
static void remove_file(const struct loop_listener *listener)
{
	struct loop_address address;
	struct stat status;

	if (listener->file_inode == 0)
		return;
	loop_listener_address(listener, &address);
	if (lstat(address.path.sun_path, &status) == 0 && status.st_dev == listener->file_device &&
	    status.st_ino == listener->file_inode)
		unlink(address.path.sun_path);
}

static int open_socket(struct loop_listener *listener, const struct loop_address *address,
		       struct fault *fault)
{
	const bool is_path = address->any.sa_family == AF_UNIX;
	struct stat status;
	int result;

	listener->descriptor = loop_socket_open(address, 0);
	if (listener->descriptor < 0)
		return fault_set_errno(fault, errno, "make a socket");
	result = is_path ? bind_path(listener->descriptor, address, fault)
			 : bind_port(listener->descriptor, address, fault);
	if (result == 0 && is_path && lstat(address->path.sun_path, &status) == 0) {
		listener->file_device = status.st_dev;
		listener->file_inode = status.st_ino;
	}
	if (result == 0 && listen(listener->descriptor, LOOP_BACKLOG) < 0) {
		result = fault_set_errno(fault, errno, "listen");
		remove_file(listener);
	}
	if (result < 0)
		close(listener->descriptor);
	return result;
}

static void accept_again(struct loop_timer *timer)
{
	struct loop_listener *listener = loop_container(timer, struct loop_listener, retry);

	listener->state &= (uint8_t)~LOOP_PAUSED;
	listener->loop->back_end->listener_start(listener);
}

int loop_listener_open(struct loop *loop, struct loop_listener *listener,
		       const struct loop_address *address, struct fault *fault)
{
	check(listener->on_accept != NULL && listener->on_closed != NULL);
	listener->loop = loop;
	listener->pending = 0;
	listener->state = 0;
	listener->ready = (struct loop_ready){0};
	listener->retry = (struct loop_timer){.on_due = accept_again};
	listener->file_device = listener->file_inode = 0;
	const int result = loop->back_end->listen != NULL
				   ? loop->back_end->listen(loop, listener, address, fault)
				   : open_socket(listener, address, fault);
	if (result < 0)
		return result;
	loop->objects++;
	loop->back_end->listener_start(listener);
	return 0;
}

void loop_listener_address(const struct loop_listener *listener, struct loop_address *ret_address)
{
	const struct loop_back_end *back_end = listener->loop->back_end;

	memset(ret_address, 0, sizeof(*ret_address));
	if (back_end->listener_address != NULL) {
		back_end->listener_address(listener, ret_address);
		return;
	}
	ret_address->length = sizeof(*ret_address) - sizeof(ret_address->length);
	check_equal(getsockname(listener->descriptor, &ret_address->any, &ret_address->length), 0);
}

void loop_listener_failed(struct loop_listener *listener, int error)
{
	struct loop *loop = listener->loop;

	switch (error) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
		/* The one connection is gone, the next may be fine. */
		loop->back_end->listener_start(listener);
		break;
	default:
		listener->state |= LOOP_PAUSED;
		loop_timer_set(loop, &listener->retry, loop->now_ns + LOOP_ACCEPT_PAUSE_NS);
	}
}

void loop_listener_close(struct loop_listener *listener)
{
	if (listener->state & LOOP_CLOSING)
		return;
	listener->state |= LOOP_CLOSING;
	loop_timer_clear(listener->loop, &listener->retry);
	listener->loop->back_end->listener_close(listener);
}

void loop_listener_finish(struct loop_listener *listener)
{
	/* A back end that makes its own descriptors has closed them. */
	if (listener->loop->back_end->listen == NULL) {
		remove_file(listener);
		close(listener->descriptor);
	}
	listener->descriptor = -1;
	listener->loop->objects--;
	listener->on_closed(listener);
}
