#include "node/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define INTERVAL_NS CLOCK_NS_PER_S
#define PATH_BYTES  4200

int upkeep_open(struct upkeep *upkeep, struct fault *fault)
{
	*upkeep = (struct upkeep){.log_descriptor = -1, .interval_ns = INTERVAL_NS};
	const int code = notify_open(&upkeep->notify, fault);

	/* Twice as often as it is wanted, so that one late turn does no harm. */
	if (upkeep->notify.watchdog_ns != 0 && upkeep->notify.watchdog_ns / 2 < INTERVAL_NS)
		upkeep->interval_ns = upkeep->notify.watchdog_ns / 2;
	return code;
}

/* ---- the log file ---- */

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

int upkeep_log_open(struct upkeep *upkeep, const char *path, uint64_t bytes_max,
		    int *ret_descriptor, struct fault *fault)
{
	*ret_descriptor = STDERR_FILENO;
	if (path[0] == '\0')
		return 0;
	upkeep->log_descriptor = open_log(path);
	if (upkeep->log_descriptor < 0)
		return fault_set_errno(fault, errno, "cannot open the log %s", path);
	upkeep->log_path = path;
	upkeep->log_bytes_max = bytes_max;
	*ret_descriptor = upkeep->log_descriptor;
	return 0;
}

/* The old file stays open until the new one is there: a log that cannot be rotated goes on. */
static void log_failed(struct upkeep *upkeep, const char *what)
{
	const int error = errno;

	if (!upkeep->log_failed)
		log_event(LOG_ERROR, "log.failed", log_text("path", upkeep->log_path),
			  log_text("at", what), log_text("error", strerrordesc_np(error)));
	upkeep->log_failed = true;
}

void upkeep_reopen(struct upkeep *upkeep)
{
	if (upkeep->log_path == NULL)
		return;
	const int fresh = open_log(upkeep->log_path);
	if (fresh < 0) {
		log_failed(upkeep, "open");
		return;
	}
	if (dup3(fresh, upkeep->log_descriptor, O_CLOEXEC) < 0)
		log_failed(upkeep, "open");
	else
		upkeep->log_failed = false;
	close(fresh);
}

static void look_at_log(struct upkeep *upkeep)
{
	struct stat open_one, named;
	char older[PATH_BYTES];

	if (upkeep->log_path == NULL || fstat(upkeep->log_descriptor, &open_one) < 0)
		return;
	if (stat(upkeep->log_path, &named) < 0 || named.st_ino != open_one.st_ino ||
	    named.st_dev != open_one.st_dev) {
		upkeep_reopen(upkeep);
		return;
	}
	if ((uint64_t)open_one.st_size < upkeep->log_bytes_max)
		return;
	snprintf(older, sizeof(older), "%s.1", upkeep->log_path);
	if (rename(upkeep->log_path, older) < 0) {
		log_failed(upkeep, "rename");
		return;
	}
	upkeep_reopen(upkeep);
}

/* ---- life ---- */

static void on_due(struct loop_timer *timer)
{
	struct upkeep *upkeep = (struct upkeep *)((char *)timer - offsetof(struct upkeep, timer));

	if (upkeep->notify.watchdog_ns != 0)
		notify_send(&upkeep->notify, "WATCHDOG=1");
	look_at_log(upkeep);
	loop_timer_set(upkeep->loop, timer, loop_now_ns(upkeep->loop) + upkeep->interval_ns);
}

void upkeep_start(struct upkeep *upkeep, struct loop *loop)
{
	upkeep->loop = loop;
	upkeep->timer = (struct loop_timer){.on_due = on_due};
	loop_timer_set(loop, &upkeep->timer, loop_now_ns(loop) + upkeep->interval_ns);
	notify_send(&upkeep->notify, "READY=1\nSTATUS=Serving");
}

void upkeep_stop(struct upkeep *upkeep)
{
	if (upkeep->loop != NULL)
		loop_timer_clear(upkeep->loop, &upkeep->timer);
	notify_send(&upkeep->notify, "STOPPING=1\nSTATUS=Ending calls in flight");
}

void upkeep_close(struct upkeep *upkeep)
{
	notify_close(&upkeep->notify);
	if (upkeep->log_descriptor >= 0) {
		log_configure(STDERR_FILENO, LOG_INFO, LOG_FORMAT_LOGFMT, NULL);
		close(upkeep->log_descriptor);
	}
}
