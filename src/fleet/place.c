#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "fleet/fleet_internal.h"

/*
 * The life of a place. `deadline` is the state's; the exit may come in any state with a process.
 *
 *	state     deadline       what ends it
 *	STARTING  start_timeout  a healthy answer: HEALTHY. The deadline, or leaving: STOPPING
 *	HEALTHY   none           leaving, or three bad answers in a row: DRAINING
 *	DRAINING  drain_timeout  place_drained, or the deadline: STOPPING
 *	STOPPING  stop_grace     the exit: BACKOFF. The deadline sends SIGKILL
 *	BACKOFF   the pause      the deadline: STARTING, or BACKOFF anew where it cannot start
 *
 * A place that leaves ends in BACKOFF for good, and is freed once nothing of it is open.
 */

static struct fleet *fleet_of(const struct place *place)
{
	return place->generation->service->fleet;
}

static const struct fleet_service *specification_of(const struct place *place)
{
	return place->generation->specification;
}

static void log_place(enum log_level level, const char *event, const struct place *place,
		      const char *reason)
{
	char id[ID_TEXT_MAX];

	id_format("inst", place->instance.value, id);
	log_event(level, event, log_text("service", specification_of(place)->name),
		  log_text("version", specification_of(place)->version),
		  log_number("place", place->number), log_text("instance", id),
		  log_number("pid", place->pid), log_text("reason", reason));
}

static void enter(struct place *place, enum fleet_state state, uint64_t within_ns)
{
	struct loop *loop = fleet_of(place)->loop;

	place->state = state;
	place->since_ns = loop_wall_ns(loop);
	if (within_ns > 0)
		loop_timer_set(loop, &place->deadline, loop_now_ns(loop) + within_ns);
	else
		loop_timer_clear(loop, &place->deadline);
	service_changed(place->generation->service);
}

static void signal_group(const struct place *place, int number)
{
	struct spawner *spawner = fleet_of(place)->spawner;
	struct fault fault;

	const int code = spawner->signal(spawner, place->pid, number, &fault);
	/* Gone, but not seen yet. */
	if (code < 0 && code != FAULT_NOT_FOUND)
		log_place(LOG_ERROR, "instance.signal_failed", place, fault.text);
}

/* ---- the end ---- */

static void back_off(struct place *place)
{
	struct loop *loop = fleet_of(place)->loop;
	const uint64_t now_ns = loop_now_ns(loop);
	uint64_t pause_ns = BACKOFF_FIRST_NS;

	if (place->healthy_at_ns > 0 && now_ns - place->healthy_at_ns >= BACKOFF_FORGIVEN_NS)
		place->failures = 0;
	for (uint32_t i = 0; i < place->failures && pause_ns < BACKOFF_MOST_NS; i++)
		pause_ns *= 2;
	if (pause_ns > BACKOFF_MOST_NS)
		pause_ns = BACKOFF_MOST_NS;
	place->failures++;
	place->healthy_at_ns = 0;
	place->retry_at_ns = now_ns + pause_ns;
	enter(place, FLEET_BACKOFF, place->leaving ? 0 : pause_ns);
}

static void describe_exit(int status, char reason[FLEET_REASON_MAX])
{
	if (WIFEXITED(status)) {
		snprintf(reason, FLEET_REASON_MAX, "exited with status %d", WEXITSTATUS(status));
		return;
	}
	const char *name = sigabbrev_np(WTERMSIG(status));
	if (name != NULL)
		snprintf(reason, FLEET_REASON_MAX, "killed by SIG%s", name);
	else
		snprintf(reason, FLEET_REASON_MAX, "killed by signal %d", WTERMSIG(status));
}

static void part_closed(struct place *place)
{
	check(place->parts_open > 0);
	if (--place->parts_open > 0)
		return;
	if (place->exit_descriptor >= 0)
		close(place->exit_descriptor);
	place->exit_descriptor = -1;
	service_changed(place->generation->service);
}

static void on_exited(struct place *place, const char *how)
{
	struct fleet *fleet = fleet_of(place);
	struct loop *loop = fleet->loop;
	const bool is_wanted = place->leaving;

	snprintf(place->reason, sizeof(place->reason), "%s",
		 place->ending[0] != '\0' ? place->ending : how);
	log_place(is_wanted ? LOG_INFO : LOG_WARN, "instance.ended", place,
		  is_wanted ? how : place->reason);
	loop_timer_clear(loop, &place->exit_timer);
	loop_timer_clear(loop, &place->next_probe);
	if (place->exit_descriptor >= 0)
		loop_watch_close(&place->exit_watch);
	probe_close(&place->probe);
	output_close(&place->output, how);
	place->pid = 0;
	if (fleet_has_groups(fleet))
		cgroup_end(fleet->options.groups, place->instance.value);
	leftover_remove(fleet->instances_folder, place->instance);
	map_remove(&fleet->instances, place->instance.value);
	back_off(place);
	if (place->announced) {
		place->announced = false;
		fleet->options.events->on_gone(fleet->options.owner, place->instance);
	}
}

static bool look_for_exit(struct place *place)
{
	struct spawner *spawner = fleet_of(place)->spawner;
	struct spawn_exit ended = {.exited = false};
	char how[FLEET_REASON_MAX];
	struct fault fault;

	if (spawner->poll_exit(spawner, place->pid, &ended, &fault) < 0) {
		/* Somebody else has reaped it. */
		snprintf(how, sizeof(how), "gone: %.200s", fault.text);
		on_exited(place, how);
		return true;
	}
	if (!ended.exited)
		return false;
	describe_exit(ended.status, how);
	on_exited(place, how);
	return true;
}

static void on_exit_readable(struct loop_watch *watch)
{
	struct place *place =
		(struct place *)((uintptr_t)watch - offsetof(struct place, exit_watch));

	if (place->pid != 0)
		look_for_exit(place);
}

static void on_exit_watch_closed(struct loop_watch *watch)
{
	part_closed((struct place *)((uintptr_t)watch - offsetof(struct place, exit_watch)));
}

static void on_exit_timer(struct loop_timer *timer)
{
	struct place *place =
		(struct place *)((uintptr_t)timer - offsetof(struct place, exit_timer));
	struct loop *loop = fleet_of(place)->loop;

	if (!look_for_exit(place))
		loop_timer_set(loop, timer, loop_now_ns(loop) + EXIT_POLL_NS);
}

static void on_output_closed(struct output *output)
{
	part_closed((struct place *)((uintptr_t)output - offsetof(struct place, output)));
}

static void on_probe_closed(struct probe *probe)
{
	part_closed((struct place *)((uintptr_t)probe - offsetof(struct place, probe)));
}

/* ---- stopping ---- */

static void terminate(struct place *place)
{
	enter(place, FLEET_STOPPING, specification_of(place)->stop_grace_ns);
	signal_group(place, SIGTERM);
}

static void drain(struct place *place)
{
	struct fleet *fleet = fleet_of(place);

	check_equal(place->state, FLEET_HEALTHY);
	check(place->announced);
	log_place(LOG_INFO, "instance.draining", place, place->ending);
	enter(place, FLEET_DRAINING, specification_of(place)->drain_timeout_ns);
	fleet->options.events->on_draining(fleet->options.owner, place->instance);
}

void place_drained(struct place *place)
{
	if (place->state == FLEET_DRAINING)
		terminate(place);
}

void place_leave(struct place *place)
{
	if (place->leaving)
		return;
	place->leaving = true;
	switch (place->state) {
	case FLEET_STARTING:
		terminate(place);
		break;
	case FLEET_HEALTHY:
		drain(place);
		break;
	case FLEET_BACKOFF:
		loop_timer_clear(fleet_of(place)->loop, &place->deadline);
		break;
	case FLEET_DRAINING:
	case FLEET_STOPPING:
		break;
	}
	service_changed(place->generation->service);
}

void place_kill(struct place *place)
{
	place->leaving = true;
	if (place->pid != 0) {
		enter(place, FLEET_STOPPING, 0);
		signal_group(place, SIGKILL);
	} else {
		loop_timer_clear(fleet_of(place)->loop, &place->deadline);
	}
	service_changed(place->generation->service);
}

bool place_is_over(const struct place *place)
{
	return place->leaving && place->pid == 0 && place->parts_open == 0;
}

/* ---- health ---- */

static void probe_after(struct place *place, uint64_t pause_ns)
{
	struct loop *loop = fleet_of(place)->loop;

	loop_timer_set(loop, &place->next_probe, loop_now_ns(loop) + pause_ns);
}

static uint64_t healthy_interval_ns(const struct place *place)
{
	const uint64_t chosen_ns = fleet_of(place)->options.health_interval_ns;

	return chosen_ns > 0 ? chosen_ns : PROBE_HEALTHY_NS;
}

static void become_healthy(struct place *place)
{
	struct fleet *fleet = fleet_of(place);
	const struct fleet_service *specification = specification_of(place);
	const struct fleet_instance instance = {
		.id = place->instance,
		.service = specification->id,
		.service_name = specification->name,
		.version = specification->version,
		.place = place->number,
		.address = place->address,
		.protocol = specification->protocol,
		.memory_bytes = specification->memory_bytes,
		.cpu_milli = specification->cpu_milli,
		.concurrency = specification->concurrency,
	};

	place->healthy_at_ns = loop_now_ns(fleet->loop);
	place->unanswered = 0;
	place->announced = true;
	enter(place, FLEET_HEALTHY, 0);
	log_place(LOG_INFO, "instance.ready", place, "");
	if (specification->health_path != NULL)
		probe_after(place, healthy_interval_ns(place));
	fleet->options.events->on_ready(fleet->options.owner, &instance);
}

static void on_answer_while_healthy(struct place *place, bool healthy)
{
	place->unanswered = healthy ? 0 : place->unanswered + 1;
	if (place->unanswered < PROBE_UNANSWERED_MAX) {
		probe_after(place, healthy_interval_ns(place));
		return;
	}
	snprintf(place->ending, sizeof(place->ending), "not healthy any more: %.*s",
		 FLEET_REASON_MAX - 32, place->complaint);
	drain(place);
}

static void on_answer(struct probe *probe, bool healthy, const char *why)
{
	struct place *place = (struct place *)((uintptr_t)probe - offsetof(struct place, probe));

	if (!healthy)
		snprintf(place->complaint, sizeof(place->complaint), "%s", why);
	if (place->state == FLEET_STARTING && healthy) {
		become_healthy(place);
	} else if (place->state == FLEET_STARTING) {
		place->probe_pause_ns *= 2;
		if (place->probe_pause_ns > PROBE_STARTING_NS)
			place->probe_pause_ns = PROBE_STARTING_NS;
		probe_after(place, place->probe_pause_ns);
	} else if (place->state == FLEET_HEALTHY) {
		on_answer_while_healthy(place, healthy);
	}
}

static void on_next_probe(struct loop_timer *timer)
{
	struct place *place =
		(struct place *)((uintptr_t)timer - offsetof(struct place, next_probe));

	if (place->state == FLEET_STARTING || place->state == FLEET_HEALTHY)
		probe_ask(&place->probe);
}

/* ---- the start ---- */

static void watch_process(struct place *place)
{
	struct loop *loop = fleet_of(place)->loop;

	place->exit_descriptor = (int)syscall(SYS_pidfd_open, place->pid, 0);
	if (place->exit_descriptor < 0) {
		loop_timer_set(loop, &place->exit_timer, loop_now_ns(loop) + EXIT_POLL_NS);
		return;
	}
	place->parts_open++;
	place->exit_watch = (struct loop_watch){
		.on_readable = on_exit_readable,
		.on_closed = on_exit_watch_closed,
	};
	loop_watch_open(loop, &place->exit_watch, place->exit_descriptor);
}

static void watch_output(struct place *place, int descriptor)
{
	const struct fleet *fleet = fleet_of(place);

	place->parts_open++;
	place->output = (struct output){
		.on_closed = on_output_closed,
		.loop = fleet->loop,
		.log = &place->generation->service->log,
		.tail = &place->tail,
		.instance = place->instance,
		.bytes_per_s = fleet->options.log_bytes_per_s,
	};
	output_open(&place->output, descriptor);
}

static void watch_health(struct place *place)
{
	struct fleet *fleet = fleet_of(place);

	place->parts_open++;
	place->probe = (struct probe){.on_result = on_answer, .on_closed = on_probe_closed};
	probe_open(&place->probe, fleet->loop, fleet->client, &place->address,
		   specification_of(place)->protocol, specification_of(place)->health_path);
	place->probe_pause_ns = PROBE_FIRST_NS;
	probe_after(place, PROBE_FIRST_NS);
}

static void start(struct place *place)
{
	struct fleet *fleet = fleet_of(place);
	struct fault fault;
	int output;

	place->starts++;
	place->ending[0] = '\0';
	place->complaint[0] = '\0';
	if (launch(place, &output, &fault) < 0) {
		snprintf(place->reason, sizeof(place->reason), "%.*s", FLEET_REASON_MAX - 1,
			 fault.text);
		log_place(LOG_WARN, "instance.start_failed", place, place->reason);
		back_off(place);
		return;
	}
	map_put(&fleet->instances, place->instance.value, place);
	if (leftover_write(fleet->instances_folder, place->instance, place->pid, &fault) < 0)
		log_place(LOG_WARN, "instance.not_recorded", place, fault.text);
	watch_process(place);
	watch_output(place, output);
	watch_health(place);
	log_place(LOG_INFO, "instance.started", place, "");
	enter(place, FLEET_STARTING, specification_of(place)->start_timeout_ns);
}

static void on_start_timeout(struct place *place)
{
	snprintf(place->ending, sizeof(place->ending), "not healthy within %llu ms: %.*s",
		 (unsigned long long)(specification_of(place)->start_timeout_ns / CLOCK_NS_PER_MS),
		 FLEET_REASON_MAX - 64,
		 place->complaint[0] != '\0' ? place->complaint : "it did not answer");
	terminate(place);
}

static void on_deadline(struct loop_timer *timer)
{
	struct place *place = (struct place *)((uintptr_t)timer - offsetof(struct place, deadline));
	struct loop *loop = fleet_of(place)->loop;

	switch (place->state) {
	case FLEET_STARTING:
		on_start_timeout(place);
		break;
	case FLEET_HEALTHY:
		check(!"a healthy instance has no deadline");
		break;
	case FLEET_DRAINING:
		log_place(LOG_WARN, "instance.drain_timeout", place, "calls are still in flight");
		terminate(place);
		break;
	case FLEET_STOPPING:
		log_place(LOG_WARN, "instance.killed", place, "it did not end on SIGTERM");
		signal_group(place, SIGKILL);
		break;
	case FLEET_BACKOFF:
		if (place->parts_open > 0) /* of the one before: a matter of a turn or two */
			loop_timer_set(loop, timer, loop_now_ns(loop) + CLOCK_NS_PER_MS);
		else
			start(place);
		break;
	}
}

struct place *place_new(struct generation *generation, uint32_t number)
{
	struct place *place = calloc(1, sizeof(*place));

	check(place != NULL);
	place->generation = generation;
	place->number = number;
	place->exit_descriptor = -1;
	place->deadline.on_due = on_deadline;
	place->next_probe.on_due = on_next_probe;
	place->exit_timer.on_due = on_exit_timer;
	start(place);
	return place;
}

/* ---- what is told ---- */

void place_status(const struct place *place, struct fleet_status *ret_status)
{
	const struct fleet_service *specification = specification_of(place);
	const struct loop *loop = fleet_of(place)->loop;
	const uint64_t now_ns = loop_now_ns(loop);
	const bool is_forgiven =
		place->healthy_at_ns > 0 && now_ns - place->healthy_at_ns >= BACKOFF_FORGIVEN_NS;

	*ret_status = (struct fleet_status){
		.instance = place->instance,
		.service = specification->id,
		.place = place->number,
		.state = place->state,
		.pid = place->pid,
		.since_ns = place->since_ns,
		.failures = is_forgiven ? 0 : place->failures,
		.starts = place->starts,
	};
	if (place->state == FLEET_BACKOFF && place->retry_at_ns > now_ns)
		ret_status->retry_ns = loop_wall_ns(loop) + (place->retry_at_ns - now_ns);
	snprintf(ret_status->service_name, sizeof(ret_status->service_name), "%s",
		 specification->name);
	snprintf(ret_status->version, sizeof(ret_status->version), "%s", specification->version);
	if (place->address.length > 0)
		loop_address_format(&place->address, ret_status->address);
	snprintf(ret_status->reason, sizeof(ret_status->reason), "%s", place->reason);
	memcpy(ret_status->last_lines, place->tail.text, place->tail.length);
}
