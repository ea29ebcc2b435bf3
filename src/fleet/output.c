#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "fleet/fleet_internal.h"

#define PREFIX_BYTES_MAX (CLOCK_TEXT_MAX + ID_TEXT_MAX)

static_assert(LOG_WAITING_BYTES >= PREFIX_BYTES_MAX + OUTPUT_LINE_BYTES + 2,
	      "a line with its prefix fits");

/* ---- the file ---- */

void service_log_init(struct service_log *log, const char *folder, const char *service,
		      uint64_t bytes_max)
{
	*log = (struct service_log){.file = {.descriptor = -1, .bytes_max = bytes_max}};
	check(asprintf(&log->path, "%s/%s.log", folder, service) > 0);
	log->file.path = log->path;
}

void service_log_fini(struct service_log *log)
{
	check_equal(log->waiting_bytes, 0);
	log_file_close(&log->file);
	free(log->path);
}

/* A log that cannot be written must not stop the service; it is told once, and tried again. */
static void log_failed(struct service_log *log, const char *what)
{
	const int error = errno;

	if (!log->failed)
		log_event(LOG_ERROR, "service_log.failed", log_text("path", log->path),
			  log_text("at", what), log_text("error", strerrordesc_np(error)));
	log->failed = true;
	log_file_close(&log->file);
}

static void log_flush(struct service_log *log)
{
	const size_t bytes = log->waiting_bytes;
	const char *at;

	log->waiting_bytes = 0;
	if (bytes == 0)
		return;
	if (!log_file_ready(&log->file, bytes, &at)) {
		log_failed(log, at);
		return;
	}
	for (size_t done = 0; done < bytes;) {
		const ssize_t wrote =
			write(log->file.descriptor, log->waiting + done, bytes - done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			log_failed(log, "write");
			return;
		}
		done += (size_t)wrote;
	}
	log->failed = false;
}

static void log_line(struct service_log *log, uint64_t wall_ns, struct instance_id instance,
		     struct slice line)
{
	char time[CLOCK_TEXT_MAX], id[ID_TEXT_MAX];

	if (log->waiting_bytes + PREFIX_BYTES_MAX + line.length + 2 > sizeof(log->waiting))
		log_flush(log);
	clock_format_wall(wall_ns, time);
	id_format("inst", instance.value, id);
	log->waiting_bytes += (size_t)snprintf(log->waiting + log->waiting_bytes,
					       sizeof(log->waiting) - log->waiting_bytes,
					       "%s %s %.*s\n", time, id, SLICE_ARGS(line));
}

/* ---- the last lines ---- */

static void tail_add(struct tail *tail, struct slice line)
{
	const size_t room = sizeof(tail->text) - 1; /* the NUL's */
	size_t gone = 0;

	line = slice_part(line, 0, room - 1);
	while (tail->length - gone + line.length + 1 > room) {
		const struct slice kept = slice_make(tail->text, tail->length);
		gone = slice_find_byte(kept, '\n', gone) + 1;
	}
	memmove(tail->text, tail->text + gone, tail->length - gone);
	tail->length -= gone;
	memcpy(tail->text + tail->length, line.data, line.length);
	tail->length += line.length;
	tail->text[tail->length++] = '\n';
	tail->text[tail->length] = '\0';
}

/* ---- lines ---- */

static uint64_t allowance_most(const struct output *output)
{
	return output->bytes_per_s * OUTPUT_BURST_S;
}

static void allowance_refill(struct output *output)
{
	const uint64_t now_ns = loop_now_ns(output->loop);
	const uint64_t passed_ns = now_ns - output->allowance_ns;
	const uint64_t most = allowance_most(output);
	const uint64_t earned =
		passed_ns >= OUTPUT_BURST_S * CLOCK_NS_PER_S
			? most
			: (uint64_t)((__uint128_t)output->bytes_per_s * passed_ns / CLOCK_NS_PER_S);

	/* What rounds down to nothing is left to grow. */
	if (earned == 0)
		return;
	output->allowance_ns = now_ns;
	output->allowance_bytes =
		most - output->allowance_bytes < earned ? most : output->allowance_bytes + earned;
}

/* A line of the fleet itself. */
static void log_note(struct output *output, const char *text)
{
	char line[FLEET_REASON_MAX + 16];

	const int length = snprintf(line, sizeof(line), "[stoa: %s]", text);
	log_line(output->log, loop_wall_ns(output->loop), output->instance,
		 slice_make(line, (size_t)length));
}

static void tell_dropped(struct output *output)
{
	char text[96];

	if (output->dropped_lines == 0)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " lines dropped: more than %" PRIu64 " bytes/s",
		 output->dropped_lines, output->bytes_per_s);
	output->dropped_lines = 0;
	log_note(output, text);
}

static void line_done(struct output *output)
{
	size_t length = output->line_bytes;
	struct slice line;

	output->line_bytes = 0;
	if (length > 0 && output->line[length - 1] == '\r')
		length--;
	/* Whoever reads the log in a terminal must not be commanded by it. */
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)output->line[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			output->line[i] = '?';
	}
	line = slice_make(output->line, length);
	tail_add(output->tail, line);
	if (output->dropped_lines > 0 || output->allowance_bytes < length + PREFIX_BYTES_MAX) {
		if (output->dropped_lines++ == 0)
			loop_timer_set(output->loop, &output->dropping,
				       loop_now_ns(output->loop) + OUTPUT_DROP_NS);
		return;
	}
	output->allowance_bytes -= length + PREFIX_BYTES_MAX;
	log_line(output->log, loop_wall_ns(output->loop), output->instance, line);
}

static void take(struct output *output, struct slice bytes)
{
	while (bytes.length > 0) {
		const size_t room = sizeof(output->line) - output->line_bytes;
		const size_t end = slice_find_byte(bytes, '\n', 0);
		const size_t taken = end < room ? end : room;
		memcpy(output->line + output->line_bytes, bytes.data, taken);
		output->line_bytes += taken;
		bytes = slice_part(bytes, taken, bytes.length);
		if (bytes.length == 0)
			return;
		/* It is whole, or too long and broken here. */
		if (bytes.data[0] == '\n')
			bytes = slice_part(bytes, 1, bytes.length);
		line_done(output);
	}
}

/* Reads once; false when there is nothing now, or nothing any more. */
static bool read_some(struct output *output, size_t *ret_bytes)
{
	char bytes[OUTPUT_READ_BYTES];
	ssize_t got;

	do
		got = read(output->descriptor, bytes, sizeof(bytes));
	while (got < 0 && errno == EINTR);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		output->ended = true;
	if (got <= 0)
		return false;
	take(output, slice_make(bytes, (size_t)got));
	*ret_bytes = (size_t)got;
	return true;
}

/* ---- life ---- */

static struct output *of_watch(struct loop_watch *watch)
{
	return (struct output *)((uintptr_t)watch - offsetof(struct output, watch));
}

static void on_readable(struct loop_watch *watch)
{
	struct output *output = of_watch(watch);
	size_t bytes;

	allowance_refill(output);
	read_some(output, &bytes);
	log_flush(output->log);
	/* It closed its outputs and may well run on. */
	if (output->ended)
		loop_watch_close(watch);
}

static void on_dropping_over(struct loop_timer *timer)
{
	struct output *output =
		(struct output *)((uintptr_t)timer - offsetof(struct output, dropping));

	allowance_refill(output);
	tell_dropped(output);
	log_flush(output->log);
}

static void on_watch_closed(struct loop_watch *watch)
{
	struct output *output = of_watch(watch);

	close(output->descriptor);
	output->descriptor = -1;
	if (output->closing)
		output->on_closed(output);
}

static void on_over(struct loop_task *task)
{
	struct output *output = (struct output *)((uintptr_t)task - offsetof(struct output, over));

	output->on_closed(output);
}

void output_open(struct output *output, int descriptor)
{
	check(output->on_closed != NULL);
	output->watch = (struct loop_watch){
		.on_readable = on_readable,
		.on_closed = on_watch_closed,
	};
	output->over = (struct loop_task){.run = on_over};
	output->dropping = (struct loop_timer){.on_due = on_dropping_over};
	output->descriptor = descriptor;
	output->allowance_bytes = allowance_most(output);
	output->allowance_ns = loop_now_ns(output->loop);
	loop_watch_open(output->loop, &output->watch, descriptor);
}

void output_close(struct output *output, const char *how)
{
	const bool is_watching = !output->ended;
	size_t rest = 0, bytes = 0;

	check(!output->closing);
	output->closing = true;
	loop_timer_clear(output->loop, &output->dropping);
	allowance_refill(output);
	while (!output->ended && rest < OUTPUT_REST_BYTES && read_some(output, &bytes))
		rest += bytes;
	if (output->line_bytes > 0)
		line_done(output);
	loop_timer_clear(output->loop, &output->dropping);
	tell_dropped(output);
	log_note(output, how);
	log_flush(output->log);
	if (is_watching)
		loop_watch_close(&output->watch);
	else if (output->descriptor < 0)
		loop_defer(output->loop, &output->over);
}
