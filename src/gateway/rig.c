#include "gateway/rig.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/api_key.h"
#include "base/check.h"

#define FOREVER_NS  (UINT64_MAX / 2)
#define REQUEST_MAX 65536

/* ---- the service ---- */

struct visit {
	struct rig_service *service;
	int descriptor;
};

static void send_all(int descriptor, const char *bytes, size_t length)
{
	while (length > 0) {
		const ssize_t sent = send(descriptor, bytes, length, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		bytes += sent;
		length -= (size_t)sent;
	}
}

static void answer_large(int descriptor, size_t bytes)
{
	char head[128], block[4096];
	const int length = snprintf(head, sizeof(head),
				    "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", bytes);

	memset(block, 'x', sizeof(block));
	send_all(descriptor, head, (size_t)length);
	for (size_t done = 0; done < bytes; done += sizeof(block))
		send_all(descriptor, block,
			 bytes - done < sizeof(block) ? bytes - done : sizeof(block));
}

/* The head, half of the body and the rest of it as three segments, with time to read each. */
static void answer_late(int descriptor, const char *body)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	const size_t half = strlen(body) / 2;
	char head[128];
	const int length = snprintf(head, sizeof(head),
				    "HTTP/1.1 200 OK\r\nX-Late: yes\r\nContent-Length: %zu\r\n\r\n",
				    strlen(body));

	send_all(descriptor, head, (size_t)length);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	send_all(descriptor, body, half);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	send_all(descriptor, body + half, strlen(body) - half);
}

/* False: the connection ends. */
static bool answer(struct rig_service *service, int descriptor, const char *request)
{
	char target[512], text[REQUEST_MAX + 1024], body[REQUEST_MAX];
	const char *extra = "";
	char units[600] = "";
	unsigned status = 200;

	if (sscanf(request, "%*s %500s", target) != 1)
		return false;
	const char *name = strrchr(target, '/') + 1;
	snprintf(body, sizeof(body), "%s", name);
	if (strncmp(target, "/units?", 7) == 0) {
		snprintf(units, sizeof(units), "Stoa-Units: pixels=%s\r\n", target + 7);
		extra = units;
	} else if (strncmp(target, "/status/", 8) == 0) {
		status = (unsigned)strtoul(name, NULL, 10);
	} else if (strcmp(target, "/close") == 0) {
		return false;
	} else if (strcmp(target, "/slow") == 0) {
		char byte;
		while (recv(descriptor, &byte, 1, 0) > 0)
			;
		return false;
	} else if (strcmp(target, "/headers") == 0) {
		snprintf(body, sizeof(body), "%s", request);
	} else if (strncmp(target, "/late/", 6) == 0) {
		answer_late(descriptor, name);
		atomic_fetch_add(&service->answered, 1);
		return true;
	} else if (strncmp(target, "/large/", 7) == 0) {
		answer_large(descriptor, strtoul(name, NULL, 10));
		atomic_fetch_add(&service->answered, 1);
		return true;
	}
	const size_t bytes = strlen(body);
	int length;
	if (strncmp(target, "/chunked/", 9) == 0)
		length = snprintf(text, sizeof(text),
				  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				  "%zx\r\n%s\r\n0\r\n\r\n",
				  bytes, body);
	else
		length = snprintf(text, sizeof(text),
				  "HTTP/1.1 %u Answer\r\n%sStoa-Secret: 1\r\n"
				  "Content-Length: %zu\r\n\r\n%s",
				  status, extra, bytes, body);
	/* Counted before the last byte leaves: the caller may look at once. */
	atomic_fetch_add(&service->answered, 1);
	send_all(descriptor, text, (size_t)length);
	return true;
}

static void *serve_visit(void *context)
{
	struct visit visit = *(struct visit *)context;
	char request[REQUEST_MAX];
	size_t used = 0;

	free(context);
	for (;;) {
		const ssize_t got =
			recv(visit.descriptor, request + used, sizeof(request) - 1 - used, 0);
		if (got <= 0)
			break;
		used += (size_t)got;
		request[used] = '\0';
		char *end = strstr(request, "\r\n\r\n");
		if (end == NULL)
			continue;
		size_t body = 0;
		const char *field = strcasestr(request, "\r\ncontent-length:");
		if (field != NULL)
			body = strtoul(field + 17, NULL, 10);
		if (used < (size_t)(end - request) + 4 + body)
			continue;
		atomic_fetch_add(&visit.service->began, 1);
		if (!answer(visit.service, visit.descriptor, request))
			break;
		used = 0;
	}
	close(visit.descriptor);
	atomic_fetch_sub(&visit.service->visits, 1);
	return NULL;
}

static void *serve(void *context)
{
	struct rig_service *service = context;

	while (!atomic_load(&service->stopping)) {
		const int descriptor = accept(service->listener, NULL, NULL);
		if (descriptor < 0)
			break;
		struct visit *visit = malloc(sizeof(*visit));
		pthread_t thread;
		check(visit != NULL);
		*visit = (struct visit){.service = service, .descriptor = descriptor};
		atomic_fetch_add(&service->visits, 1);
		check_equal(pthread_create(&thread, NULL, serve_visit, visit), 0);
		pthread_detach(thread);
	}
	return NULL;
}

/* Returns the listening descriptor. */
static int listen_somewhere(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_equal(bind(listener, (struct sockaddr *)&address, length), 0);
	check_equal(listen(listener, 128), 0);
	check_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	*ret_port = ntohs(address.sin_port);
	return listener;
}

static void service_begin(struct rig_service *service)
{
	service->listener = listen_somewhere(&service->port);
	check_equal(pthread_create(&service->thread, NULL, serve, service), 0);
}

/* ---- the gateway ---- */

static void on_demand(void *context)
{
	struct rig *rig = context;

	atomic_fetch_add(&rig->demands, 1);
}

static void on_sync_demand(void *context)
{
	struct rig *rig = context;

	atomic_fetch_add(&rig->sync_demands, 1);
}

static void on_ready(void *context, uint32_t number)
{
	struct rig *rig = context;

	(void)number;
	atomic_fetch_add(&rig->ready, 1);
}

struct run {
	struct rig *rig;
	uint32_t number;
};

static void *run_worker(void *context)
{
	struct run run = *(struct run *)context;
	struct fault fault;

	free(context);
	if (gateway_worker_run(run.rig->gateway, run.number, on_ready, &fault) < 0) {
		fprintf(stderr, "worker: %s\n", fault.text);
		abort();
	}
	return NULL;
}

static void *run_sync(void *context)
{
	struct rig *rig = context;
	const struct timespec pause = {.tv_nsec = 1000000};
	struct fault fault;
	bool synced;

	while (!atomic_load(&rig->stopping)) {
		if (!atomic_load(&rig->sync_paused)) {
			const int code = journal_maintain(rig->journal, &synced, &fault);
			check(code == 0 || rig->disk_may_fail);
			gateway_journal_synced(rig->gateway);
		}
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
	return NULL;
}

/* Under test now. */
static enum loop_io back_end = LOOP_IO_AUTO;

int rig_run_on_all(const struct CMUnitTest *tests, size_t count)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	back_end = LOOP_IO_EPOLL;
	int failed = _cmocka_run_group_tests("epoll", tests, count, NULL, NULL);
	/* Only then is epoll batched, as in `stoa serve`. */
	check_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
	failed += _cmocka_run_group_tests("epoll, batched", tests, count, NULL, NULL);
	back_end = LOOP_IO_AUTO; /* io_uring where it is allowed */
	failed += _cmocka_run_group_tests("auto", tests, count, NULL, NULL);
	return failed;
}

struct rig_options rig_options_default(int64_t nano)
{
	struct rig_options options = {
		.workers = 1,
		.io = back_end,
		.plan = {.price_count = 1, .max_charge_nano = -1},
		.call_most_nano = nano,
		.limits = {.quota_calls = -1, .timeout_ns = 5 * CLOCK_NS_PER_S},
		.lease_nano = INT64_MAX / 4,
		.budget_nano = -1,
	};

	options.plan.prices[0] = (struct rating_price){
		.meter = RATING_CALLS, .model = RATING_UNIT, .rate = {.nano = nano, .per = 1}};
	for (unsigned i = 0; i < RATING_UNITS_MAX; i++)
		options.plan.max_units[i] = INT64_MAX;
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		options.card.of[i].per = 1;
	return options;
}

void rig_publish_instance(struct rig *rig, uint32_t id, uint16_t port, uint32_t concurrency)
{
	struct gateway_instance_entry instance = {.id = id, .concurrency = concurrency};
	struct fault fault;

	instance.address.ip4 = (struct sockaddr_in){.sin_family = AF_INET,
						    .sin_port = htons(port),
						    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	instance.address.length = sizeof(struct sockaddr_in);
	check_equal(
		gateway_publish_instance(rig->gateway, (struct service_id){1}, &instance, &fault),
		0);
}

int rig_service_listen(struct rig *rig)
{
	uint16_t port;
	const int listener = listen_somewhere(&port);

	rig_publish_instance(rig, 1, port, 0);
	return listener;
}

void rig_publish_key(struct rig *rig, uint64_t id, const char *scopes, uint64_t expires_ns,
		     char text[RIG_KEY_TEXT_MAX])
{
	struct gateway_key_entry key = {
		.id = {id}, .app = {5}, .scopes = scopes, .expires_ns = expires_ns};
	struct fault fault;

	api_key_make(random_system(), text);
	const struct api_key_digest digest = api_key_digest(slice_of(text));
	memcpy(key.digest, digest.bytes, sizeof(key.digest));
	check_equal(gateway_publish_key(rig->gateway, &key, &fault), 0);
}

void rig_publish_again(struct rig *rig, const struct rig_options *options)
{
	struct fault fault;
	const struct gateway_plan_entry plan = {.id = {1},
						.name = "payg",
						.rating = options->plan,
						.call_most_nano = options->call_most_nano,
						.limits = options->limits};
	const struct gateway_service_entry service = {
		.id = {1}, .name = "echo", .identity = options->identity, .units = {"pixels"}};
	const struct gateway_subscription_entry subscription = {
		.id = {7},
		.account = {3},
		.app = {5},
		.service = {1},
		.plan = {1},
		.account_name = "acme",
		.app_name = "acme/shop",
		.account_lease = rig->lease,
		.budget_leases = {rig->budget},
		.month = clock_month_of(clock_wall_ns(clock_system())),
	};

	check_equal(gateway_publish_plan(rig->gateway, &plan, &fault), 0);
	check_equal(gateway_publish_service(rig->gateway, &service, &fault), 0);
	if (!options->no_instance)
		rig_publish_instance(rig, 1, rig->service.port, options->instance_concurrency);
	check_equal(gateway_publish_subscription(rig->gateway, &subscription, &fault), 0);
}

void rig_publish_next(struct rig *rig, const struct rating_plan *plan, int64_t call_most_nano,
		      uint64_t begins_ns)
{
	struct fault fault;
	const struct gateway_plan_entry entry = {
		.id = {2},
		.name = "payg",
		.rating = *plan,
		.call_most_nano = call_most_nano,
		.limits = {.quota_calls = -1, .timeout_ns = 60 * CLOCK_NS_PER_S}};

	check_equal(gateway_publish_plan(rig->gateway, &entry, &fault), 0);
	check_equal(gateway_publish_move(rig->gateway, (struct plan_id){1}, (struct plan_id){2},
					 begins_ns, &fault),
		    0);
}

static void publish(struct rig *rig, const struct rig_options *options)
{
	struct fault fault;

	check_equal(gateway_lease_new(rig->gateway, &rig->lease, &fault), 0);
	gateway_lease_grant(rig->lease, options->lease_nano, FOREVER_NS);
	gateway_lease_set_source(rig->lease, options->has_more);
	if (options->budget_nano >= 0) {
		check_equal(gateway_lease_new(rig->gateway, &rig->budget, &fault), 0);
		gateway_lease_grant(rig->budget, options->budget_nano, FOREVER_NS);
		gateway_lease_set_source(rig->budget, false);
	}
	rig_publish_again(rig, options);
	rig_publish_key(rig, 9, NULL, 0, rig->key);
	gateway_set_complete(rig->gateway, true);
}

static void give_up(const struct fault *fault)
{
	fprintf(stderr, "rig: %s\n", fault->text);
	abort();
}

void rig_begin(struct rig *rig, const struct rig_options *options)
{
	struct fault fault;
	struct gateway_listener any = {0};

	*rig = (struct rig){.workers = options->workers, .disk_may_fail = options->disk != NULL};
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/stoa-gateway-XXXXXX");
	check(mkdtemp(rig->folder) != NULL);
	service_begin(&rig->service);
	const struct journal_options journal = {.disk = options->disk != NULL ? options->disk
									      : disk_system(),
						.clock = clock_system(),
						.folder = rig->folder,
						.segment_records = 65536};
	if (journal_open(&journal, &rig->journal, &fault) < 0)
		give_up(&fault);
	struct gateway_options gateway = {
		.clock = clock_system(),
		.random = random_system(),
		.journal = rig->journal,
		.card = options->card,
		.currency = "USD",
		.access = options->access,
		.settle_ns = options->settle_ns,
		.record_us_most = options->record_us_most,
		.io = options->io,
		.workers = options->workers,
		.instance_wait_ns = CLOCK_NS_PER_S,
		.lease_wait_ns = CLOCK_NS_PER_S / 2,
		.on_lease_demand = on_demand,
		.durable_answers = options->durable_answers,
		.on_sync_demand = on_sync_demand,
		.context = rig,
	};
	http_limits_default(&gateway.limits);
	gateway_publisher_enter();
	if (gateway_new(&gateway, &rig->gateway, &fault) < 0)
		give_up(&fault);
	check_equal(loop_address_parse(slice_of("127.0.0.1:0"), &any.address, &fault), 0);
	check_equal(gateway_listen(rig->gateway, &any, &fault), 0);
	publish(rig, options);
	check_equal(pthread_create(&rig->sync_thread, NULL, run_sync, rig), 0);
	for (uint32_t i = options->workers; i-- > 0;) {
		struct run *run = malloc(sizeof(*run));
		check(run != NULL);
		*run = (struct run){.rig = rig, .number = i};
		check_equal(pthread_create(&rig->threads[i], NULL, run_worker, run), 0);
		while (atomic_load(&rig->ready) < options->workers - i)
			sched_yield();
	}
	check(gateway_listener_address(rig->gateway, 0, &rig->address));
	rig->port = ntohs(rig->address.ip4.sin_port);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status;
	(void)kind;
	(void)at;
	return remove(path);
}

void rig_end(struct rig *rig)
{
	struct fault fault;

	if (!rig->stopped)
		gateway_stop(rig->gateway, CLOCK_NS_PER_S / 2);
	for (uint32_t i = 0; i < rig->workers; i++)
		check_equal(pthread_join(rig->threads[i], NULL), 0);
	atomic_store(&rig->stopping, true);
	check_equal(pthread_join(rig->sync_thread, NULL), 0);
	gateway_free(rig->gateway);
	check(journal_close(rig->journal, &fault) == 0 || rig->disk_may_fail);
	gateway_publisher_leave();
	atomic_store(&rig->service.stopping, true);
	shutdown(rig->service.listener, SHUT_RDWR);
	check_equal(pthread_join(rig->service.thread, NULL), 0);
	/* They are detached, and end with the gateway's connections. */
	while (atomic_load(&rig->service.visits) > 0)
		sched_yield();
	close(rig->service.listener);
	nftw(rig->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- the client ---- */

int rig_connect(const struct rig *rig)
{
	const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	check(descriptor >= 0);
	check_equal(connect(descriptor, &rig->address.any, rig->address.length), 0);
	return descriptor;
}

static bool is_whole(const char *answer, size_t used)
{
	const char *end = strstr(answer, "\r\n\r\n");

	if (end == NULL)
		return false;
	const char *length = strcasestr(answer, "\r\ncontent-length:");
	if (length != NULL && length < end)
		return used >= (size_t)(end - answer) + 4 + strtoul(length + 17, NULL, 10);
	return strstr(end, "\r\n0\r\n") != NULL && strcmp(answer + used - 4, "\r\n\r\n") == 0;
}

unsigned rig_ask(int descriptor, const char *request, char *answer, size_t answer_bytes_max)
{
	size_t used = 0;

	send_all(descriptor, request, strlen(request));
	answer[0] = '\0';
	do {
		const ssize_t got = recv(descriptor, answer + used, answer_bytes_max - 1 - used, 0);
		if (got <= 0)
			return 0;
		used += (size_t)got;
		answer[used] = '\0';
	} while (!is_whole(answer, used));
	return (unsigned)strtoul(answer + 9, NULL, 10);
}

unsigned rig_get(const struct rig *rig, int descriptor, const char *path, char *answer_text,
		 size_t answer_bytes_max)
{
	char request[1024];

	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: echo.localhost\r\nAuthorization: Bearer %s\r\n\r\n",
		 path, rig->key);
	return rig_ask(descriptor, request, answer_text, answer_bytes_max);
}

uint64_t rig_records(struct rig *rig, struct journal_record *ret_last)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < journal_stream_count(rig->journal); i++) {
		struct journal_reader *reader;
		const struct journal_record *records;
		struct fault fault;
		uint32_t count;
		check_equal(journal_reader_open(rig->journal, i, 0, &reader, &fault), 0);
		do {
			check_equal(journal_reader_next(reader, 1024, &records, &count, &fault), 0);
			if (count > 0)
				*ret_last = records[count - 1];
			total += count;
		} while (count > 0);
		journal_reader_close(reader);
	}
	return total;
}
