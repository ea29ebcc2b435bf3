#include "node/node.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "meter/meter.h"
#include "node/metrics.h"
#include "node/node_internal.h"

#define JOURNAL_FOLDER "journal"
#define STORE_FILE     "store.db"
/* Below the store's own: the API's clients wait behind it, and a poster that waits is silent. */
#define BUSY_TIMEOUT_MS 1000

/* ---- store and journal ---- */

static int migrate_ledger(struct store *store, struct fault *fault)
{
	return store_migrate(store, ledger_migrations, ledger_migration_count, fault);
}

static int migrate(struct store *store, struct fault *fault)
{
	int (*const domains[])(struct store *, struct fault *) = {account_migrate, catalog_migrate,
								  migrate_ledger,  meter_migrate,
								  billing_migrate, api_migrate};

	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		const int code = domains[i](store, fault);
		if (code < 0)
			return code;
	}
	return 0;
}

static int ensure_operator(struct store *store, void *context, struct fault *fault)
{
	const struct node *node = context;
	struct account account;

	return account_operator_ensure(store, clock_wall_ns(node->clock), &account, fault);
}

static int stores_open(struct node *node, struct fault *fault)
{
	char address[NODE_PATH_MAX + 32];

	snprintf(address, sizeof(address), "%s", node->config.store);
	if (address[0] == '\0')
		snprintf(address, sizeof(address), "sqlite:%s/" STORE_FILE, node->folder);
	int code = store_open_patient(address, BUSY_TIMEOUT_MS, &node->store, fault);
	if (code == 0)
		code = migrate(node->store, fault);
	if (code == 0)
		code = store_transaction(node->store, ensure_operator, node, fault);
	if (code == 0)
		code = store_open_patient(address, BUSY_TIMEOUT_MS, &node->poster_store, fault);
	return code;
}

static int journal_begin(struct node *node, struct fault *fault)
{
	char folder[NODE_PATH_MAX + 16];
	const struct journal_options options = {
		.disk = disk_system(),
		.clock = node->clock,
		.folder = folder,
		.segment_records = node->config.segment_records,
	};

	snprintf(folder, sizeof(folder), "%s/" JOURNAL_FOLDER, node->folder);
	const int code = journal_open(&options, &node->journal, fault);
	if (code == 0 && journal_torn_count(node->journal) > 0)
		log_event(LOG_WARN, "journal.torn",
			  log_number("records", journal_torn_count(node->journal)));
	return code;
}

static void path_from_folder(const struct node *node, const char *file, char path[NODE_FILE_MAX])
{
	const bool whole = file[0] == '/';

	snprintf(path, NODE_FILE_MAX, "%s%s%s", whole ? "" : node->folder, whole ? "" : "/", file);
}

/* ---- gateway ---- */

static int gateway_begin(struct node *node, const struct node_options *options, struct fault *fault)
{
	const struct config *config = &node->config;
	const bool has_access_log = config->access_file[0] != '\0';

	if (has_access_log)
		path_from_folder(node, config->access_file, node->access_path);
	const struct gateway_options gateway_options = {
		.clock = node->clock,
		.random = node->random,
		.journal = node->journal,
		.card = config->card,
		.currency = config->currency,
		.limits = config->limits,
		.io = options->has_io ? options->io : config->io,
		.workers = node->worker_count,
		.instance_wait_ns = config->instance_wait_ns,
		.waiting_max = config->waiting_max,
		.ejection = config->ejection,
		.access = {.path = has_access_log ? node->access_path : NULL,
			   .format = config->access_format,
			   .query = config->access_query,
			   .skipped_ppm = 1000000 - config->access_sample_ppm,
			   .bytes_max = config->access_file_bytes},
		.trust = config->trust,
		.tunnel_idle_ns = config->tunnel_idle_ns,
		.tunnel_lifetime_ns = config->tunnel_lifetime_ns,
		.settle_ns = config->settle_ns,
		.on_lease_demand = posting_wake,
		.durable_answers = config->durable_answers,
		.on_sync_demand = posting_wake_sync,
		.context = node,
	};
	int code = gateway_new(&gateway_options, &node->gateway, fault);
	return code < 0 ? code : listening_begin(node, options, fault);
}

static void on_worker_ready(void *context, uint32_t number)
{
	struct node *node = context;

	(void)number;
	sem_post(&node->workers_ready);
}

static void *run_worker(void *context)
{
	struct node_worker *worker = context;
	struct node *node = worker->node;

	if (gateway_worker_run(node->gateway, worker->number, on_worker_ready, &worker->fault) <
	    0) {
		atomic_fetch_add(&node->workers_failed, 1);
		sem_post(&node->workers_ready);
	}
	return NULL;
}

/* Worker 0 opens the listeners, so it starts last: by then every worker takes connections. */
static int workers_start(struct node *node, struct fault *fault)
{
	for (uint32_t i = node->worker_count; i-- > 0;) {
		struct node_worker *worker = &node->worker_contexts[i];
		*worker = (struct node_worker){.node = node, .number = i};
		const int error = pthread_create(&node->workers[i], NULL, run_worker, worker);
		if (error != 0)
			return fault_set_errno(fault, error, "start a worker's thread");
		node->workers_started++;
		while (sem_wait(&node->workers_ready) < 0 && errno == EINTR)
			;
		if (atomic_load(&node->workers_failed) > 0) {
			*fault = worker->fault;
			return fault->code;
		}
	}
	return 0;
}

static void stop_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
}

/* While calls in flight end, a second signal ends the wait for them. */
static void worker_join(struct node *node, uint32_t number)
{
	const struct timespec pause = {.tv_nsec = 10 * CLOCK_NS_PER_MS};
	sigset_t signals;

	stop_signals(&signals);
	while (pthread_tryjoin_np(node->workers[number], NULL) != 0) {
		const int signal = sigtimedwait(&signals, NULL, &pause);
		if (signal <= 0)
			continue;
		log_event(LOG_INFO, "node.hurried", log_text("signal", sigabbrev_np(signal)));
		gateway_hurry(node->gateway);
	}
}

static void workers_stop(struct node *node)
{
	if (node->gateway == NULL)
		return;
	gateway_stop(node->gateway, node->config.drain_ns);
	for (uint32_t i = 0; i < node->workers_started; i++)
		worker_join(node, node->worker_count - 1 - i);
	node->workers_started = 0;
}

/* ---- API and signals ---- */

static int port_service_changed(void *context, struct service_id id, struct fault *fault)
{
	return publish_service(context, id, fault);
}

static int port_subscription_changed(void *context, struct subscription_id id, struct fault *fault)
{
	return publish_failed(context, publish_subscription(context, id, fault), fault);
}

static void port_subscription_ended(void *context, const struct catalog_subscription *subscription)
{
	const struct node *node = context;

	gateway_end_subscription(node->gateway, subscription->id, subscription->app,
				 subscription->service);
}

static int port_budget_changed(void *context, struct billing_budget_key key, struct fault *fault)
{
	return publish_failed(context, publish_budget(context, key, fault), fault);
}

static int port_keys_changed(void *context, const struct account_key *keys, size_t count,
			     struct fault *fault)
{
	return publish_failed(context, publish_keys(context, keys, count, fault), fault);
}

static bool port_wait_applied(void *context, uint64_t most_ns)
{
	const struct node *node = context;

	return gateway_applied_wait(node->gateway, most_ns);
}

static void port_account_funded(void *context, struct ledger_account_id id)
{
	struct node *node = context;

	billing_poster_wake(node->poster, id);
	posting_refresh(node, map_find(&node->account_leases, id.value));
}

static int api_begin(struct node *node, const struct node_options *options, struct fault *fault)
{
	const struct api_options api_options = {
		.store = node->store,
		.journal = node->journal,
		.logs = node->logs,
		.node = NODE_NUMBER,
		.clock = node->clock,
		.random = node->random,
		.terms = billing_terms_of_catalog(),
		.card = node->config.card,
		.notice_least_ns = node->config.notice_least_ns,
		.usage_late_ns = node->config.usage_late_ns,
		.usage_future_ns = node->config.usage_future_ns,
		.cloud_name = node->config.name,
		.currency = node->config.currency,
		.folder = node->folder,
		.token = node->token,
		.metrics_token = node->metrics_token,
		.ports = {.service_changed = port_service_changed,
			  .subscription_changed = port_subscription_changed,
			  .subscription_ended = port_subscription_ended,
			  .budget_changed = port_budget_changed,
			  .keys_changed = port_keys_changed,
			  .certificate_issue = tls_issue,
			  .has_authority = tls_has_authority,
			  .tls_show = tls_compose,
			  .tls_reload = tls_reload_now,
			  .identity_key = identity_tell,
			  .wait_applied = port_wait_applied,
			  .account_funded = port_account_funded,
			  .usage_begin = reporting_begin,
			  .usage_hold = reporting_hold,
			  .usage_release = reporting_release,
			  .usage_record = reporting_record,
			  .usage_sync = reporting_sync,
			  .status = status_compose,
			  .metrics = metrics_compose,
			  .context = node},
	};
	struct loop_address address;
	int code = loop_address_parse(
		slice_of(options->api != NULL ? options->api : node->config.api), &address, fault);

	if (code == 0)
		code = api_new(node->loop, &api_options, &node->api, fault);
	if (code == 0)
		code = api_listen(node->api, &address, &node->api_address, fault);
	return code;
}

static void on_api_stopped(void *context)
{
	struct node *node = context;

	node->api_stopped = true;
	loop_stop(node->loop);
}

static void on_signal(struct loop_watch *watch)
{
	struct node *node = (struct node *)((char *)watch - offsetof(struct node, signals));
	struct signalfd_siginfo information;

	if (read(node->signal_descriptor, &information, sizeof(information)) !=
	    (ssize_t)sizeof(information))
		return;
	if (information.ssi_signo == SIGHUP) {
		upkeep_reopen(&node->upkeep);
		tls_look(&node->tls);
		return;
	}
	log_event(LOG_INFO, "node.stopping",
		  log_text("signal", sigabbrev_np((int)information.ssi_signo)));
	loop_watch_close(watch);
	api_stop(node->api, on_api_stopped, node);
}

static void on_signals_closed(struct loop_watch *watch)
{
	struct node *node = (struct node *)((char *)watch - offsetof(struct node, signals));

	node->signals_open = false;
}

/* Before any thread starts, so that all of them leave these signals to the control thread. */
static int signals_block(struct node *node, struct fault *fault)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t signals;

	stop_signals(&signals);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	sigaction(SIGPIPE, &ignore, NULL); /* a peer that is gone is told by errno */
	node->signal_descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (node->signal_descriptor < 0)
		return fault_set_errno(fault, errno, "open a signal descriptor");
	return 0;
}

/* ---- life ---- */

/* Keys, the admin token and money's state live in this memory: no core file, no debugger of
 * another user. As many descriptors as the hard limit allows. */
static void process_prepare(void)
{
	const struct rlimit no_core = {0};
	struct rlimit files;

	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &no_core); /* instances inherit it */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static uint32_t default_workers(void)
{
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores <= 2)
		return 1;
	return cores - 1 > (long)GATEWAY_WORKERS_MAX ? GATEWAY_WORKERS_MAX : (uint32_t)cores - 1;
}

static int fleet_begin(struct node *node, struct fault *fault)
{
	const struct fleet_options options = {.folder = node->folder,
					      .io = node->config.io,
					      .clock = node->clock,
					      .spawner = &node->spawner.spawner,
					      .groups = &node->groups,
					      .log_bytes_max = node->config.log_service_bytes,
					      .log_bytes_per_s = node->config.log_service_rate,
					      .events = &instances_events,
					      .owner = node};

	return fleet_open(&options, &node->fleet, fault);
}

static int log_begin(struct node *node, struct fault *fault)
{
	const char *file = node->config.log_file;
	int descriptor;

	if (file[0] != '\0')
		path_from_folder(node, file, node->log_path);
	const int code = upkeep_log_open(&node->upkeep, node->log_path, node->config.log_file_bytes,
					 &descriptor, fault);
	if (code == 0)
		log_configure(descriptor, node->config.log_level, node->config.log_format,
			      node->clock);
	return code;
}

static int node_start(struct node *node, const struct node_options *options, struct fault *fault)
{
	const struct loop_options loop_options = {.io = LOOP_IO_EPOLL, .clock = node->clock};
	int code = signals_block(node, fault);

	if (code == 0)
		code = folder_open(node, options->folder, fault);
	if (code == 0)
		code = config_load(node->folder, &node->config, fault);
	if (code < 0)
		return code;
	code = log_begin(node, fault);
	if (code < 0)
		return code;
	node->worker_count = options->workers != 0       ? options->workers
			     : node->config.workers != 0 ? node->config.workers
							 : default_workers();
	code = stores_open(node, fault);
	if (code == 0)
		code = journal_begin(node, fault);
	if (code == 0)
		code = reporting_recover(node, fault);
	if (code == 0)
		code = auditing_open(node, fault);
	if (code == 0)
		code = posting_open(node, fault);
	if (code == 0)
		code = gateway_begin(node, options, fault);
	if (code == 0)
		code = loop_new(&loop_options, &node->loop, fault);
	if (code == 0)
		code = fleet_begin(node, fault);
	if (code == 0)
		code = publish_everything(node, fault);
	if (code == 0)
		code = posting_start(node, fault);
	if (code == 0)
		code = auditing_start(node, fault);
	if (code == 0)
		code = workers_start(node, fault);
	if (code == 0)
		code = api_begin(node, options, fault);
	if (code == 0)
		code = folder_write_address(node, fault);
	return code;
}

static void free_leaving(struct node *node)
{
	while (node->leaving != NULL) {
		struct node_leaving *leaving = node->leaving;
		node->leaving = leaving->next;
		free(leaving);
	}
}

static void free_values(struct map *map)
{
	size_t cursor = 0;
	void *value;
	uint64_t key;

	while (map_next(map, &cursor, &key, &value))
		free(value);
	map_fini(map);
}

static void free_maps(struct node *node)
{
	free_values(&node->services);
	free_values(&node->account_leases);
	for (unsigned level = 0; level < BILLING_LEVELS; level++)
		free_values(&node->budget_leases[level]);
	map_fini(&node->instances);
}

/* In the order in which the parts depend on each other; what was not started is left out. */
static void node_stop(struct node *node)
{
	struct fault fault;

	upkeep_stop(&node->upkeep);
	tls_stop(&node->tls);
	workers_stop(node);
	posting_stop(node); /* sets `stopping`: from here on drained is answered at once */
	if (node->fleet != NULL)
		fleet_close(node->fleet);
	if (node->loop != NULL) {
		loop_timer_clear(node->loop, &node->leaving_timer);
		loop_timer_clear(node->loop, &node->publish_timer);
		while ((node->signals_open || !node->api_stopped) && node->api != NULL &&
		       loop_turn(node->loop, CLOCK_NS_PER_MS, &fault) == 0)
			;
		/* What the fleet told last. */
		loop_turn(node->loop, 0, &fault);
	}
	if (node->api != NULL)
		api_free(node->api);
	auditing_stop(node);
	free_leaving(node);
	if (node->gateway != NULL)
		gateway_free(node->gateway);
	tls_close(&node->tls);
	if (node->loop != NULL)
		loop_free(node->loop);
	if (node->journal != NULL && journal_close(node->journal, &fault) < 0)
		log_event(LOG_ERROR, "journal.close", log_text("fault", fault.text));
	if (node->poster_store != NULL)
		store_close(node->poster_store);
	if (node->store != NULL)
		store_close(node->store);
	free_maps(node);
	folder_close(node);
	if (node->signal_descriptor >= 0)
		close(node->signal_descriptor);
}

int node_serve(const struct node_options *options, struct fault *fault)
{
	struct node *node = calloc(1, sizeof(*node));

	check(node != NULL && sodium_init() >= 0);
	node->clock = clock_system();
	node->random = random_system();
	node->started_ns = clock_wall_ns(node->clock);
	node->lock_descriptor = node->signal_descriptor = -1;
	map_init(&node->services);
	map_init(&node->instances);
	map_init(&node->account_leases);
	for (unsigned level = 0; level < BILLING_LEVELS; level++)
		map_init(&node->budget_leases[level]);
	sem_init(&node->workers_ready, 0, 0);
	sem_init(&node->poster_wake.woken, 0, 0);
	sem_init(&node->sync_wake.woken, 0, 0);
	sem_init(&node->report_wake.woken, 0, 0);
	sem_init(&node->audit_stop, 0, 0);
	troubles_init(&node->troubles);
	process_prepare();
	gateway_publisher_enter();

	/* Before the first thread: it forks, and the environment changes. */
	cgroups_open(&node->groups);
	int code = upkeep_open(&node->upkeep, fault);
	if (code == 0)
		code = spawner_guarded_open(&node->spawner, &node->groups, fault);
	if (code < 0) {
		cgroups_close(&node->groups);
		gateway_publisher_leave();
		free(node);
		return code;
	}
	code = node_start(node, options, fault);
	if (code == 0) {
		node->signals.on_readable = on_signal;
		node->signals.on_closed = on_signals_closed;
		node->signals_open = true;
		loop_watch_open(node->loop, &node->signals, node->signal_descriptor);
		listening_tell(node);
		upkeep_start(&node->upkeep, node->loop);
		tls_start(&node->tls, node->gateway, node->loop);
		code = loop_run(node->loop, fault);
	} else {
		node->api_stopped = true;
		if (node->api != NULL)
			api_stop(node->api, on_api_stopped, node);
		node->api_stopped = node->api == NULL;
	}
	node_stop(node);
	spawner_guarded_close(&node->spawner);
	cgroups_close(&node->groups);
	if (code == 0)
		log_event(LOG_INFO, "node.stopped", log_text("cloud", node->config.name));
	upkeep_close(&node->upkeep);
	gateway_publisher_leave();
	sem_destroy(&node->workers_ready);
	sem_destroy(&node->poster_wake.woken);
	sem_destroy(&node->sync_wake.woken);
	sem_destroy(&node->report_wake.woken);
	sem_destroy(&node->audit_stop);
	troubles_fini(&node->troubles);
	free(node);
	return code;
}
