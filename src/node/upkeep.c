#include "node/upkeep.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define INTERVAL_NS CLOCK_NS_PER_S

int upkeep_open(struct upkeep *upkeep, struct fault *fault)
{
	*upkeep = (struct upkeep){.log.descriptor = -1, .interval_ns = INTERVAL_NS};
	const int code = notify_open(&upkeep->notify, fault);

	/* Twice as often as it is wanted, so that one late turn does no harm. */
	if (upkeep->notify.watchdog_ns != 0 && upkeep->notify.watchdog_ns / 2 < INTERVAL_NS)
		upkeep->interval_ns = upkeep->notify.watchdog_ns / 2;
	return code;
}

/* ---- the log file ---- */

int upkeep_log_open(struct upkeep *upkeep, const char *path, uint64_t bytes_max,
		    int *ret_descriptor, struct fault *fault)
{
	struct log_file file = {.path = path, .bytes_max = bytes_max, .descriptor = -1};

	*ret_descriptor = STDERR_FILENO;
	if (path[0] == '\0')
		return 0;
	if (!log_file_open(&file))
		return fault_set_errno(fault, errno, "cannot open the log %s", path);
	upkeep->log = file;
	*ret_descriptor = file.descriptor;
	return 0;
}

/* A log that cannot be rotated goes on, and says so once. */
static void tell(struct upkeep *upkeep, bool good, const char *what)
{
	const int error = errno;

	if (!good && !upkeep->log_failed)
		log_event(LOG_ERROR, "log.failed", log_text("path", upkeep->log.path),
			  log_text("at", what), log_text("error", strerrordesc_np(error)));
	upkeep->log_failed = !good;
}

void upkeep_reopen(struct upkeep *upkeep)
{
	if (upkeep->log.path != NULL)
		tell(upkeep, log_file_open(&upkeep->log), "open");
}

static void look_at_log(struct upkeep *upkeep)
{
	const char *at;

	if (upkeep->log.path == NULL)
		return;
	const bool good = log_file_ready(&upkeep->log, 1, &at);
	tell(upkeep, good, at);
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
	if (upkeep->log.path != NULL)
		log_configure(STDERR_FILENO, LOG_INFO, LOG_FORMAT_LOGFMT, NULL);
	log_file_close(&upkeep->log);
}
