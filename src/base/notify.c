#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slice.h"

#define WATCHDOG_US_MAX (UINT64_C(1) << 50)

static uint64_t read_watchdog(void)
{
	const char *interval = getenv("WATCHDOG_USEC");
	const char *process = getenv("WATCHDOG_PID");
	uint64_t us, pid;

	if (interval == NULL || !slice_to_u64(slice_of(interval), WATCHDOG_US_MAX, &us))
		return 0;
	if (process != NULL &&
	    (!slice_to_u64(slice_of(process), INT32_MAX, &pid) || pid != (uint64_t)getpid()))
		return 0;
	return us * CLOCK_NS_PER_US;
}

static int reach(const char *path, int *ret_descriptor, struct fault *fault)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path))
		return fault_set(fault, FAULT_INPUT,
				 "$NOTIFY_SOCKET is neither a path nor an abstract name");
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, bytes) < 0) {
		const int error = errno;
		if (descriptor >= 0)
			close(descriptor);
		return fault_set_errno(fault, error, "cannot reach $NOTIFY_SOCKET");
	}
	*ret_descriptor = descriptor;
	return 0;
}

int notify_open(struct notify *ret_notify, struct fault *fault)
{
	struct notify notify = {.descriptor = -1};
	const char *path = getenv("NOTIFY_SOCKET");
	int code = 0;

	if (path != NULL && path[0] != '\0')
		code = reach(path, &notify.descriptor, fault);
	if (notify.descriptor >= 0)
		notify.watchdog_ns = read_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	*ret_notify = notify;
	return code;
}

void notify_send(const struct notify *notify, const char *state)
{
	if (notify->descriptor >= 0)
		(void)!send(notify->descriptor, state, strlen(state), MSG_NOSIGNAL);
}

void notify_close(struct notify *notify)
{
	if (notify->descriptor >= 0)
		close(notify->descriptor);
	notify->descriptor = -1;
}
