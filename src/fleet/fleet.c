#include "fleet/fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/disk.h"
#include "base/log.h"
#include "fleet/fleet_internal.h"

const char *fleet_state_text(enum fleet_state state)
{
	static const char *const texts[] = {
#define X(name, text, sentence) [name] = text,
		FLEET_STATES(X)
#undef X
	};

	check((size_t)state < sizeof(texts) / sizeof(texts[0]));
	return texts[state];
}

/* ---- the thread ---- */

int fleet_next_instance(struct fleet *fleet, struct instance_id *ret_id, struct fault *fault)
{
	if (fleet->last_instance == fleet->last_reserved) {
		uint64_t last;
		const int code = leftover_reserve(fleet->instances_folder, &last, fault);
		if (code < 0)
			return code;
		fleet->last_instance = last;
		fleet->last_reserved = last + INSTANCES_RESERVED;
	}
	*ret_id = (struct instance_id){++fleet->last_instance};
	return 0;
}

void fleet_review(struct fleet *fleet)
{
	if (fleet->closing && fleet->first_service == NULL)
		loop_stop(fleet->loop);
}

static int thread_open(struct fleet *fleet, struct fault *fault)
{
	const struct loop_options options = {.io = fleet->options.io,
					     .clock = fleet->options.clock};

	const int code = loop_new(&options, &fleet->loop, fault);
	if (code < 0)
		return code;
	return probe_client_new(fleet->loop, &fleet->client, fault);
}

/* What other threads have sent and was not delivered must be freed, and the loop last until they
 * are out of it: a message may be delivered before its sender has returned. */
static void thread_close(struct fleet *fleet)
{
	struct fault fault;

	if (fleet->client != NULL)
		http_client_free(fleet->client);
	if (fleet->loop == NULL)
		return;
	while (atomic_load(&fleet->posting) > 0 ||
	       atomic_load(&fleet->messages_delivered) < atomic_load(&fleet->messages_posted))
		check(loop_turn(fleet->loop, 0, &fault) == 0);
	loop_free(fleet->loop);
}

struct opening {
	struct fleet *fleet;
	struct fault *fault;
	int code;
	bool is_over;
};

static void *thread_run(void *argument)
{
	struct opening *opening = argument;
	struct fleet *fleet = opening->fleet;
	struct fault fault;

	const int code = thread_open(fleet, opening->fault);
	pthread_mutex_lock(&fleet->lock);
	fleet->thread_id = gettid();
	opening->code = code;
	opening->is_over = true;
	pthread_cond_broadcast(&fleet->answered);
	pthread_mutex_unlock(&fleet->lock);

	/* Without its loop the fleet can neither watch nor stop what it started: it dies with
	 * this thread, as all of it. */
	if (code == 0 && loop_run(fleet->loop, &fault) < 0) {
		log_event(LOG_ERROR, "fleet.loop_failed", log_text("fault", fault.text));
		check(!"the fleet's loop runs");
	}
	thread_close(fleet);
	return NULL;
}

/* Signals are for the thread that asks for them. */
static int thread_start(struct fleet *fleet, struct fault *fault)
{
	struct opening opening = {.fleet = fleet, .fault = fault};
	sigset_t all, before;

	sigfillset(&all);
	check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	const int error = pthread_create(&fleet->thread, NULL, thread_run, &opening);
	check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (error != 0)
		return fault_set_errno(fault, error, "cannot start the fleet's thread");
	pthread_setname_np(fleet->thread, "fleet");
	pthread_mutex_lock(&fleet->lock);
	while (!opening.is_over)
		pthread_cond_wait(&fleet->answered, &fleet->lock);
	pthread_mutex_unlock(&fleet->lock);
	if (opening.code < 0)
		pthread_join(fleet->thread, NULL);
	return opening.code;
}

/* ---- life ---- */

static int make_folders(struct fleet *fleet, struct fault *fault)
{
	struct disk *disk = disk_system();

	fleet->folder = realpath(fleet->options.folder, NULL);
	if (fleet->folder == NULL)
		return fault_set_errno(fault, errno, "cannot open the folder %s",
				       fleet->options.folder);
	check(asprintf(&fleet->instances_folder, "%s/instances", fleet->folder) > 0);
	check(asprintf(&fleet->log_folder, "%s/log", fleet->folder) > 0);
	const size_t socket_bytes =
		strlen(fleet->instances_folder) + strlen("/.sock") + INSTANCE_DIGITS_MAX + 1;
	const struct loop_address *none = NULL;
	if (socket_bytes > sizeof(none->path.sun_path))
		return fault_set(fault, FAULT_LIMIT,
				 "the folder's path is too long for a Unix socket in it: %s has "
				 "%zu bytes, %zu are allowed",
				 fleet->folder, strlen(fleet->folder),
				 strlen(fleet->folder) + sizeof(none->path.sun_path) -
					 socket_bytes);
	const int code = disk->folder_make(disk, fleet->instances_folder, 0700, fault);
	return code < 0 ? code : disk->folder_make(disk, fleet->log_folder, 0750, fault);
}

/* Who sweeps leftovers must be alone: a second fleet would end the first one's instances. */
static int take_lock(struct fleet *fleet, struct fault *fault)
{
	char *path;
	int code = 0;

	check(asprintf(&path, "%s/lock", fleet->instances_folder) > 0);
	fleet->lock_descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fleet->lock_descriptor < 0)
		code = fault_set_errno(fault, errno, "cannot open %s", path);
	else if (flock(fleet->lock_descriptor, LOCK_EX | LOCK_NB) != 0)
		code = errno == EWOULDBLOCK ? fault_set(fault, FAULT_CONFLICT,
							"another node runs the instances in %s",
							fleet->instances_folder)
					    : fault_set_errno(fault, errno, "cannot lock %s", path);
	free(path);
	return code;
}

static void fleet_free(struct fleet *fleet)
{
	if (fleet->lock_descriptor >= 0)
		close(fleet->lock_descriptor);
	map_fini(&fleet->instances);
	pthread_mutex_destroy(&fleet->lock);
	pthread_cond_destroy(&fleet->answered);
	free(fleet->log_folder);
	free(fleet->instances_folder);
	free(fleet->folder);
	free(fleet);
}

int fleet_open(const struct fleet_options *options, struct fleet **ret_fleet, struct fault *fault)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	check(fleet != NULL);
	check(options->events != NULL);
	fleet->options = *options;
	fleet->lock_descriptor = -1;
	fleet->spawner = options->spawner != NULL ? options->spawner : spawner_system();
	if (options->log_bytes_max == 0)
		fleet->options.log_bytes_max = LOG_BYTES_MAX_DEFAULT;
	if (options->log_bytes_per_s == 0)
		fleet->options.log_bytes_per_s = OUTPUT_PER_S_DEFAULT;
	map_init(&fleet->instances);
	check(pthread_mutex_init(&fleet->lock, NULL) == 0);
	check(pthread_cond_init(&fleet->answered, NULL) == 0);
	int code = make_folders(fleet, fault);
	if (code == 0)
		code = take_lock(fleet, fault);
	if (code == 0)
		code = leftover_sweep(fleet->instances_folder, fault);
	if (code == 0)
		code = leftover_groups(fleet->instances_folder,
				       fleet_has_groups(fleet) ? options->groups : NULL, fault);
	if (code == 0)
		code = thread_start(fleet, fault);
	if (code < 0) {
		fleet_free(fleet);
		return code;
	}
	*ret_fleet = fleet;
	return 0;
}

/* ---- messages ---- */

struct command {
	struct loop_message message;
	struct fleet *fleet;
	struct fleet_service *specification;
	uint64_t id;
	enum fleet_stop how;
};

static void post_message(struct fleet *fleet, struct loop_message *message)
{
	atomic_fetch_add(&fleet->posting, 1);
	atomic_fetch_add(&fleet->messages_posted, 1);
	loop_post(fleet->loop, message);
	atomic_fetch_sub(&fleet->posting, 1);
}

static void post(struct fleet *fleet, struct command values,
		 void (*deliver)(struct loop_message *message))
{
	struct command *command = malloc(sizeof(*command));

	check(command != NULL);
	*command = values;
	command->fleet = fleet;
	command->message = (struct loop_message){.deliver = deliver};
	post_message(fleet, &command->message);
}

static void command_over(struct command *command)
{
	atomic_fetch_add(&command->fleet->messages_delivered, 1);
	free(command);
}

static void deliver_set(struct loop_message *message)
{
	struct command *command = (struct command *)message;

	if (command->fleet->stopping)
		free(command->specification);
	else
		service_set(command->fleet, command->specification);
	command_over(command);
}

int fleet_service_set(struct fleet *fleet, const struct fleet_service *service, struct fault *fault)
{
	const int code = specification_check(service, fault);

	if (code < 0)
		return code;
	post(fleet, (struct command){.specification = specification_copy(service)}, deliver_set);
	return 0;
}

static void deliver_remove(struct loop_message *message)
{
	struct command *command = (struct command *)message;
	struct service *service = service_find(command->fleet, (struct service_id){command->id});

	if (service != NULL)
		service_remove(service);
	command_over(command);
}

void fleet_service_remove(struct fleet *fleet, struct service_id service)
{
	post(fleet, (struct command){.id = service.value}, deliver_remove);
}

static void deliver_drained(struct loop_message *message)
{
	struct command *command = (struct command *)message;
	struct place *place = map_find(&command->fleet->instances, command->id);

	if (place != NULL)
		place_drained(place);
	command_over(command);
}

void fleet_instance_drained(struct fleet *fleet, struct instance_id instance)
{
	post(fleet, (struct command){.id = instance.value}, deliver_drained);
}

static void stop(struct fleet *fleet, enum fleet_stop how)
{
	fleet->stopping = true;
	for (struct service *service = fleet->first_service; service; service = service->next) {
		if (how == FLEET_STOP_NOW)
			service_kill(service);
		else
			service_remove(service);
	}
}

static void deliver_stop(struct loop_message *message)
{
	struct command *command = (struct command *)message;

	stop(command->fleet, command->how);
	command_over(command);
}

void fleet_stop(struct fleet *fleet, enum fleet_stop how)
{
	post(fleet, (struct command){.how = how}, deliver_stop);
}

static void deliver_close(struct loop_message *message)
{
	struct command *command = (struct command *)message;
	struct fleet *fleet = command->fleet;

	if (!fleet->stopping)
		stop(fleet, FLEET_STOP_GRACEFUL);
	fleet->closing = true;
	command_over(command);
	fleet_review(fleet);
}

void fleet_close(struct fleet *fleet)
{
	check(gettid() != fleet->thread_id);
	post(fleet, (struct command){0}, deliver_close);
	check(pthread_join(fleet->thread, NULL) == 0);
	fleet_free(fleet);
}

/* ---- status ---- */

struct asking {
	struct loop_message message;
	struct fleet *fleet;
	struct fleet_status *places;
	size_t count;
	bool is_over;
};

static int by_service_and_place(const void *left, const void *right)
{
	const struct fleet_status *a = left, *b = right;

	if (a->service.value != b->service.value)
		return a->service.value < b->service.value ? -1 : 1;
	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return a->instance.value < b->instance.value ? -1 : a->instance.value > b->instance.value;
}

static void answer(struct asking *asking)
{
	size_t count = 0;

	for (struct service *s = asking->fleet->first_service; s != NULL; s = s->next)
		for (struct generation *g = s->newest; g != NULL; g = g->next)
			for (struct place *p = g->first_place; p != NULL; p = p->next)
				count++;
	if (count == 0)
		return;
	asking->places = calloc(count, sizeof(*asking->places));
	check(asking->places != NULL);
	for (struct service *s = asking->fleet->first_service; s != NULL; s = s->next)
		for (struct generation *g = s->newest; g != NULL; g = g->next)
			for (struct place *p = g->first_place; p != NULL; p = p->next)
				place_status(p, &asking->places[asking->count++]);
	qsort(asking->places, count, sizeof(*asking->places), by_service_and_place);
}

static void deliver_asking(struct loop_message *message)
{
	struct asking *asking = (struct asking *)message;
	struct fleet *fleet = asking->fleet;

	answer(asking);
	pthread_mutex_lock(&fleet->lock);
	asking->is_over = true;
	pthread_cond_broadcast(&fleet->answered);
	pthread_mutex_unlock(&fleet->lock);
	/* The asking is its thread's again. */
	atomic_fetch_add(&fleet->messages_delivered, 1);
}

void fleet_status_list(struct fleet *fleet, struct fleet_status **ret_places, size_t *ret_count)
{
	struct asking asking = {.message.deliver = deliver_asking, .fleet = fleet};

	if (gettid() == fleet->thread_id) {
		answer(&asking);
	} else {
		post_message(fleet, &asking.message);
		pthread_mutex_lock(&fleet->lock);
		while (!asking.is_over)
			pthread_cond_wait(&fleet->answered, &fleet->lock);
		pthread_mutex_unlock(&fleet->lock);
	}
	*ret_places = asking.places;
	*ret_count = asking.count;
}
