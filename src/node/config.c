#include "node/config.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/disk.h"
#include "base/settings.h"
#include "base/text.h"
#include "base/yaml.h"

#define FILE_BYTES_MAX (256u << 10)
#define PATH_BYTES_MAX 4200

static const char *const io_choices[] = {"auto", "uring", "epoll", NULL};
static const char *const level_choices[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_choices[] = {"logfmt", "json", NULL};

static const char *const trusted_choices[] = {"x-forwarded", "forwarded", NULL};

static const char *const durability_choices[] = {"interval", "answer", NULL};

/* kind, member, name, default, least, most, choices, sentence */
#define CONFIG_SETTINGS(X)                                                                         \
	X(TEXT, name, "name", "", NULL, "63", NULL, "The cloud's name; empty: its folder's")       \
	X(TEXT, currency, "currency", "USD", "3", "3", NULL,                                       \
	  "The currency of every amount, by its ISO 4217 code; it cannot change later")            \
	X(AMOUNT, call, "rates.call", "0", "0", "1000000", NULL, "What the cloud charges a call")  \
	X(AMOUNT, gib_second, "rates.gib_second", "0", "0", "1000000", NULL,                       \
	  "For a GiB of an instance's memory held for a second")                                   \
	X(AMOUNT, vcpu_second, "rates.vcpu_second", "0", "0", "1000000", NULL,                     \
	  "For a virtual core of an instance held for a second")                                   \
	X(AMOUNT, gib_host, "rates.gib.host", "0", "0", "1000000", NULL,                           \
	  "For a GiB of bodies to and from a service on the same host")                            \
	X(AMOUNT, gib_zone, "rates.gib.zone", "0", "0", "1000000", NULL, "The same within a zone") \
	X(AMOUNT, gib_cloud, "rates.gib.cloud", "0", "0", "1000000", NULL,                         \
	  "The same within the cloud")                                                             \
	X(AMOUNT, gib_intercloud, "rates.gib.intercloud", "0", "0", "1000000", NULL,               \
	  "The same to another cloud")                                                             \
	X(PERCENT, fee, "fee", "3%", "0%", "100%", NULL,                                           \
	  "The operator's share of what a provider earns")                                         \
	X(DURATION, notice, "plan.notice", "0s", "0s", "366d", NULL,                               \
	  "The least notice before a plan gets dearer for who is subscribed; a plan's own counts " \
	  "where it is longer")                                                                    \
	X(OTHER, gateway, "gateway", NULL, NULL, NULL, NULL,                                       \
	  "Where calls come in: an address or a list of them (127.0.0.1:8080, unix:/path, "        \
	  "tls:127.0.0.1:8443). Without it 127.0.0.1:8080, and tls:127.0.0.1:8443 unless taken. "  \
	  "Behind a tls: address `,clients=optional` or `,clients=required` asks clients for "     \
	  "certificates, of the cloud's authority or of `,ca=FILE` in PEM")                        \
	X(OTHER, tls_certificates, "tls.certificates", NULL, NULL, NULL, NULL,                     \
	  "Of the tls: listeners: a list of {certificate: FILE, key: FILE} in PEM, from the "      \
	  "cloud's folder; the cloud's own is always behind them")                                 \
	X(OTHER, tls_names, "tls.names", NULL, NULL, NULL, NULL,                                   \
	  "More hosts and addresses that the cloud's own certificate is for: a list")              \
	X(OTHER, trusted_proxies, "trusted_proxies", NULL, NULL, NULL, NULL,                       \
	  "Proxies before the gateway whose word on the caller's address is taken: a list of "     \
	  "addresses, of blocks such as 10.0.0.0/8, or unix for all Unix sockets")                 \
	X(ENUM, trusted_fields, "trusted_fields", "x-forwarded", NULL, NULL, trusted_choices,      \
	  "What they write: X-Forwarded-For, -Proto, -Host and -Port, or Forwarded")               \
	X(TEXT, api, "api", "127.0.0.1:7070", "1", "255", NULL,                                    \
	  "Where the API listens; keep it on loopback or a Unix socket")                           \
	X(TEXT, store, "store", "", NULL, "255", NULL,                                             \
	  "Where accounts, catalog and ledger are kept (sqlite:PATH); empty: store.db here")       \
	X(COUNT, workers, "workers", "0", "0", "63", NULL,                                         \
	  "Threads that serve calls; 0: one a core, less one for the instances")                   \
	X(ENUM, io, "io", "auto", NULL, NULL, io_choices, "How the kernel tells of events")        \
	X(ENUM, durability, "durability", "interval", NULL, NULL, durability_choices,              \
	  "When an answer may end: interval: as soon as its record is written (a kill loses "      \
	  "nothing, a power cut journal.sync_interval); answer: when it is on disk, too")          \
	X(DURATION, sync_interval, "journal.sync_interval", "10ms", "1ms", "10s", NULL,            \
	  "How often call records are made durable: what a power cut may lose")                    \
	X(COUNT, segment_records, "journal.segment_records", "262144", "64", "16777216", NULL,     \
	  "Call records in a file of the journal, 192 bytes each; a worker has three ahead")       \
	X(DURATION, drain, "drain", "10s", "0s", "1h", NULL,                                       \
	  "How long calls in flight may take when the node stops")                                 \
	X(DURATION, instance_wait, "instance_wait", "10s", "0s", "10m", NULL,                      \
	  "How long a call waits for an instance to be ready")                                     \
	X(COUNT, metrics_services, "metrics.services", "200", "0", "10000", NULL,                  \
	  "Services that /metrics tells apart; the others are summed up as _other")                \
	X(COUNT, waiting, "waiting", "1024", "1", "4096", NULL,                                    \
	  "Calls that may wait for one service's instances; more get 503 at once")                 \
	X(COUNT, eject_failures, "eject.failures", "5", "1", "1000", NULL,                         \
	  "An instance that fails so many calls in a row is left out for a while")                 \
	X(DURATION, eject_interval, "eject.interval", "10s", "100ms", "1h", NULL,                  \
	  "Over which time an instance's success is compared with that of its service's others")   \
	X(PERCENT, eject_worse, "eject.worse", "30%", "1%", "100%", NULL,                          \
	  "An instance whose success is so far below theirs is left out too")                      \
	X(DURATION, eject_time, "eject.time", "500ms", "10ms", "1h", NULL,                         \
	  "For how long at first; each time doubles it")                                           \
	X(DURATION, eject_time_most, "eject.time_most", "30s", "10ms", "24h", NULL,                \
	  "And at most for how long")                                                              \
	X(PERCENT, eject_share, "eject.share", "50%", "0%", "100%", NULL,                          \
	  "How much of a service's instances may be left out at once: one at least, 0%: none")     \
	X(DURATION, tunnel_idle_timeout, "tunnel.idle_timeout", "5m", "100ms", "1h", NULL,         \
	  "An upgraded connection (WebSocket) on which nothing moves for so long is cut")          \
	X(DURATION, tunnel_lifetime, "tunnel.lifetime", "1h", "1s", "1h", NULL,                    \
	  "An upgraded connection is cut after so long, or after its plan's timeout if less")      \
	X(DURATION, settle_interval, "settle_interval", "5s", "100ms", "1h", NULL,                 \
	  "A call that runs longer is charged and on record each time so much has passed")         \
	X(DURATION, usage_late, "usage.late", "6h", "1m", "30d", NULL,                             \
	  "Usage that a provider reports later than so long after its time is refused")            \
	X(DURATION, usage_future, "usage.future", "5m", "0s", "1h", NULL,                          \
	  "And what is of a time so far ahead: its clock is wrong")                                \
	X(BYTES, head_bytes, "http.head_bytes", "32KiB", "1KiB", "64KiB", NULL,                    \
	  "Largest head of a request or an answer")                                                \
	X(BYTES, body_bytes, "http.body_bytes", "1GiB", "0", "1TiB", NULL,                         \
	  "Largest body of a request")                                                             \
	X(BYTES, output_bytes, "http.output_bytes", "256KiB", "16KiB", "64MiB", NULL,              \
	  "What may wait for a slow reader before its sender is paused")                           \
	X(DURATION, head_timeout, "http.head_timeout", "10s", "10ms", "1h", NULL,                  \
	  "From the first byte of a request to the end of its head")                               \
	X(DURATION, body_idle_timeout, "http.body_idle_timeout", "30s", "10ms", "1h", NULL,        \
	  "Between two pieces of a body")                                                          \
	X(DURATION, keep_alive_timeout, "http.keep_alive_timeout", "60s", "10ms", "24h", NULL,     \
	  "Between two requests of a connection")                                                  \
	X(DURATION, send_idle_timeout, "http.send_idle_timeout", "30s", "10ms", "1h", NULL,        \
	  "A reader that takes nothing for so long is gone")                                       \
	X(DURATION, connect_timeout, "http.connect_timeout", "1s", "10ms", "1m", NULL,             \
	  "For a connection to an instance")                                                       \
	X(TEXT, access_file, "access_log.file", "", NULL, "255", NULL,                             \
	  "A line for each call, from the cloud's folder; empty: none")                            \
	X(ENUM, access_format, "access_log.format", "logfmt", NULL, NULL, format_choices,          \
	  "For people or for programs")                                                            \
	X(BOOL, access_query, "access_log.query", "false", NULL, NULL, NULL,                       \
	  "Whether its paths are followed by their queries, which may hold secrets of callers")    \
	X(PERCENT, access_sample, "access_log.sample", "100%", "0%", "100%", NULL,                 \
	  "Of how many traces calls that went well have lines; errors and refusals always have")   \
	X(BYTES, access_file_bytes, "access_log.file_bytes", "64MiB", "64KiB", "1TiB", NULL,       \
	  "How far it grows before it becomes FILE.1, whose last content is gone then")            \
	X(ENUM, log_level, "log.level", "info", NULL, NULL, level_choices,                         \
	  "The least that is logged")                                                              \
	X(ENUM, log_format, "log.format", "logfmt", NULL, NULL, format_choices,                    \
	  "For people or for programs")                                                            \
	X(TEXT, log_file, "log.file", "", NULL, "255", NULL,                                       \
	  "Where the node logs, from the cloud's folder; empty: standard error")                   \
	X(BYTES, log_file_bytes, "log.file_bytes", "64MiB", "64KiB", "1TiB", NULL,                 \
	  "How far log.file grows before it becomes FILE.1, whose last content is gone then")      \
	X(BYTES, log_service_bytes, "log.service_bytes", "8MiB", "64KiB", "1TiB", NULL,            \
	  "The same for each service's log/SERVICE.log")                                           \
	X(BYTES, log_service_rate, "log.service_rate", "256KiB", "1KiB", "1GiB", NULL,             \
	  "What an instance may log in a second, over four; the rest is dropped and counted")

struct values {
	CONFIG_SETTINGS(SETTINGS_MEMBER)
};

#define CONFIG_ROW(...) SETTINGS_ROW(struct values, __VA_ARGS__)
static const struct settings_row rows[] = {CONFIG_SETTINGS(CONFIG_ROW)};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static int read_listeners(const struct yaml *yaml, const struct yaml_node *node,
			  struct config *config, struct fault *fault)
{
	const struct yaml_node *item = node;
	struct config_listener listener;

	if (node == NULL) {
		snprintf(config->gateways[0], CONFIG_ADDRESS_MAX, "127.0.0.1:8080");
		snprintf(config->gateways[1], CONFIG_ADDRESS_MAX, "tls:127.0.0.1:8443");
		config->gateway_count = 2;
		config->gateways_are_default = true;
		return 0;
	}
	if (node->kind == YAML_SEQUENCE)
		item = node->first;
	for (; item != NULL; item = node->kind == YAML_SEQUENCE ? item->next : NULL) {
		struct fault why = {0};
		if (item->kind != YAML_SCALAR ||
		    config_listener_parse(item->scalar, &listener, &why) < 0)
			return yaml_fault(yaml, item, fault,
					  "gateway: an address such as 127.0.0.1:8080, "
					  "unix:/path or tls:127.0.0.1:8443 is needed%s%s",
					  why.text[0] != '\0' ? ": " : "", why.text);
		if (config->gateway_count == CONFIG_LISTENERS_MAX)
			return yaml_fault(yaml, item, fault, "gateway: at most %d addresses",
					  CONFIG_LISTENERS_MAX);
		if (!slice_to_text(item->scalar, config->gateways[config->gateway_count],
				   CONFIG_ADDRESS_MAX))
			return yaml_fault(yaml, item, fault, "gateway: the address is too long");
		config->gateway_count++;
	}
	return config->gateway_count > 0
		       ? 0
		       : yaml_fault(yaml, node, fault, "gateway: at least one address is needed");
}

static void take_rates(const struct values *values, struct rating_card *card)
{
	const struct {
		enum rating_cloud_meter meter;
		struct amount amount;
		int64_t per;
	} rates[] = {
		{RATING_CLOUD_CALLS, values->call, 1},
		{RATING_CLOUD_MIB_US, values->gib_second, RATING_MIB_US_PER_GIB_SECOND},
		{RATING_CLOUD_MCPU_US, values->vcpu_second, RATING_MCPU_US_PER_VCPU_SECOND},
		{RATING_CLOUD_BYTES_HOST, values->gib_host, RATING_BYTES_PER_GIB},
		{RATING_CLOUD_BYTES_ZONE, values->gib_zone, RATING_BYTES_PER_GIB},
		{RATING_CLOUD_BYTES_CLOUD, values->gib_cloud, RATING_BYTES_PER_GIB},
		{RATING_CLOUD_BYTES_INTERCLOUD, values->gib_intercloud, RATING_BYTES_PER_GIB},
	};

	_Static_assert(sizeof(rates) / sizeof(rates[0]) == RATING_CLOUD_METERS, "a rate each");
	for (size_t i = 0; i < RATING_CLOUD_METERS; i++)
		card->of[rates[i].meter] =
			(struct rating_rate){.nano = rates[i].amount.nano, .per = rates[i].per};
}

static void take_values(const struct values *values, struct config *config)
{
	snprintf(config->name, sizeof(config->name), "%s", values->name);
	snprintf(config->currency, sizeof(config->currency), "%s", values->currency);
	snprintf(config->api, sizeof(config->api), "%s", values->api);
	snprintf(config->store, sizeof(config->store), "%s", values->store);
	take_rates(values, &config->card);
	config->fee_ppm = values->fee;
	config->notice_least_ns = values->notice;
	config->trust.by_forwarded = values->trusted_fields == 1;
	config->workers = (uint32_t)values->workers;
	config->io = values->io == 1   ? LOOP_IO_URING
		     : values->io == 2 ? LOOP_IO_EPOLL
				       : LOOP_IO_AUTO;
	config->durable_answers = values->durability == 1;
	config->sync_interval_ns = values->sync_interval;
	config->segment_records = (uint32_t)values->segment_records;
	config->drain_ns = values->drain;
	config->instance_wait_ns = values->instance_wait;
	config->metrics_services = (uint32_t)values->metrics_services;
	config->waiting_max = (uint32_t)values->waiting;
	config->ejection = (struct gateway_ejection){
		.failures = (uint32_t)values->eject_failures,
		.interval_ns = values->eject_interval,
		.worse_ppm = values->eject_worse,
		.time_ns = values->eject_time,
		.time_most_ns = values->eject_time_most,
		.share_ppm = values->eject_share,
	};
	config->tunnel_idle_ns = values->tunnel_idle_timeout;
	config->tunnel_lifetime_ns = values->tunnel_lifetime;
	config->settle_ns = values->settle_interval / CLOCK_NS_PER_MS * CLOCK_NS_PER_MS;
	config->usage_late_ns = values->usage_late;
	config->usage_future_ns = values->usage_future;
	http_limits_default(&config->limits);
	config->limits.head_bytes_max = (uint32_t)values->head_bytes;
	config->limits.body_bytes_max = values->body_bytes;
	config->limits.output_bytes_high = (uint32_t)values->output_bytes;
	config->limits.head_timeout_ns = values->head_timeout;
	config->limits.body_idle_timeout_ns = values->body_idle_timeout;
	config->limits.keep_alive_timeout_ns = values->keep_alive_timeout;
	config->limits.send_idle_timeout_ns = values->send_idle_timeout;
	config->limits.connect_timeout_ns = values->connect_timeout;
	/* A plan's timeout decides how long an answer may take, not the connection. */
	config->limits.answer_timeout_ns = 0;
	snprintf(config->access_file, sizeof(config->access_file), "%s", values->access_file);
	config->access_format = (enum log_format)values->access_format;
	config->access_query = values->access_query;
	config->access_sample_ppm = values->access_sample;
	config->access_file_bytes = values->access_file_bytes;
	config->log_level = (enum log_level)values->log_level;
	config->log_format = (enum log_format)values->log_format;
	snprintf(config->log_file, sizeof(config->log_file), "%s", values->log_file);
	config->log_file_bytes = values->log_file_bytes;
	config->log_service_bytes = values->log_service_bytes;
	config->log_service_rate = values->log_service_rate;
}

static int check_currency(const struct yaml *yaml, const char *currency, struct fault *fault)
{
	const struct yaml_node *node = yaml_find(yaml_root(yaml), "currency");

	if (strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3)
		return 0;
	return yaml_fault(yaml, node, fault,
			  "currency: \"%s\" is no ISO 4217 code: three capital letters such as "
			  "USD or EUR",
			  currency);
}

struct showing {
	config_show_fn show;
	void *context;
	const struct config *config;
};

static void show_setting(void *context, const struct settings_row *row, const char *text,
			 unsigned line)
{
	const struct showing *showing = context;

	if (row->kind != SETTINGS_OTHER) {
		showing->show(showing->context, row->name, text, line);
		return;
	}
	const struct config *config = showing->config;
	if (strcmp(row->name, "gateway") == 0) {
		for (uint32_t i = 0; i < config->gateway_count; i++)
			showing->show(showing->context, row->name, config->gateways[i], line);
	} else if (strcmp(row->name, "tls.certificates") == 0) {
		for (uint32_t i = 0; i < config->identity_count; i++)
			showing->show(showing->context, row->name,
				      config->identities[i].certificate, line);
	} else if (strcmp(row->name, "trusted_proxies") == 0) {
		for (uint32_t i = 0; i < config->trusted_count; i++)
			showing->show(showing->context, row->name, config->trusted[i], line);
	} else {
		check(strcmp(row->name, "tls.names") == 0);
		for (uint32_t i = 0; i < config->tls_name_count; i++)
			showing->show(showing->context, row->name, config->tls_names[i], line);
	}
}

int config_read(const char *path, struct slice text, config_show_fn show, void *context,
		struct config *config, struct fault *fault)
{
	struct showing showing = {.show = show, .context = context, .config = config};
	struct yaml *yaml;
	struct values values;
	struct arena arena;
	int code = yaml_parse(path, text, &yaml, fault);

	if (code < 0)
		return code;
	arena_init(&arena, FILE_BYTES_MAX);
	code = settings_read(rows, ROW_COUNT, yaml, yaml_root(yaml), &arena, &values, fault);
	if (code == 0)
		code = check_currency(yaml, values.currency, fault);
	if (code == 0)
		code = read_listeners(yaml, values.gateway, config, fault);
	if (code == 0)
		code = config_read_tls(yaml, values.tls_certificates, values.tls_names, config,
				       fault);
	if (code == 0)
		code = config_read_proxies(yaml, values.trusted_proxies, config, fault);
	if (code == 0)
		take_values(&values, config);
	if (code == 0 && show != NULL)
		settings_show(rows, ROW_COUNT, yaml_root(yaml), show_setting, &showing);
	arena_fini(&arena);
	yaml_free(yaml);
	return code;
}

/* A new cloud's file: every setting with its default, so that nobody has to look them up. */
static int write_standard(const char *path, const char *name, struct fault *fault)
{
	struct text text;

	text_init(&text, FILE_BYTES_MAX);
	text_printf(&text,
		    "# The cloud's own settings; docs/settings.md describes each of them.\n"
		    "name: %s\n"
		    "currency: USD\n"
		    "\n"
		    "# What the cloud charges callers to run a call, and its share of providers' "
		    "earnings.\n"
		    "rates:\n"
		    "  call: 0\n"
		    "  gib_second: 0\n"
		    "  vcpu_second: 0\n"
		    "  gib: {host: 0, zone: 0, cloud: 0, intercloud: 0}\n"
		    "fee: 3%%\n"
		    "\n"
		    "# Where calls come in; the second is left out where its port is taken.\n"
		    "# gateway: [127.0.0.1:8080, tls:127.0.0.1:8443]\n"
		    "api: 127.0.0.1:7070\n",
		    name);
	check(!text.failed);
	const int code = disk_write_file(path, 0600, text.data, text.length, fault);
	text_fini(&text);
	return code;
}

static void name_of_folder(const char *folder, char name[CONFIG_NAME_MAX])
{
	char path[PATH_BYTES_MAX];

	snprintf(path, sizeof(path), "%s", folder);
	snprintf(name, CONFIG_NAME_MAX, "%.60s", basename(path));
}

static int read_file(const char *path, struct config *config, config_show_fn show, void *context,
		     struct fault *fault)
{
	char *text;
	size_t length;
	int code = disk_read_file(path, FILE_BYTES_MAX, &text, &length, fault);

	if (code < 0)
		return code;
	code = config_read(path, slice_make(text, length), show, context, config, fault);
	free(text);
	return code;
}

int config_load(const char *folder, struct config *ret_config, struct fault *fault)
{
	struct config config = {0};
	char path[PATH_BYTES_MAX], name[CONFIG_NAME_MAX];

	name_of_folder(folder, name);
	snprintf(path, sizeof(path), "%s/" CONFIG_FILE, folder);
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		const int written = write_standard(path, name, fault);
		if (written < 0)
			return written;
	}
	const int code = read_file(path, &config, NULL, NULL, fault);
	if (code < 0)
		return code;
	if (config.name[0] == '\0')
		snprintf(config.name, sizeof(config.name), "%s", name);
	*ret_config = config;
	return 0;
}

int config_check(const char *path, config_show_fn show, void *context, struct fault *fault)
{
	struct config config = {0};
	char file[PATH_BYTES_MAX];
	struct stat status;

	if (stat(path, &status) < 0)
		return fault_set_errno(fault, errno, "cannot read %s", path);
	snprintf(file, sizeof(file), S_ISDIR(status.st_mode) ? "%s/" CONFIG_FILE : "%s", path);
	return read_file(file, &config, show, context, fault);
}

void config_document(struct text *text)
{
	text_append_text(text,
			 "# Settings\n"
			 "\n"
			 "`cloud.yaml` in the cloud's folder. A dotted name stands in a section: "
			 "`http: {head_timeout: 5s}`.\n"
			 "`stoa serve` writes the file for a new cloud, reads it when it starts, "
			 "and names file, line and\n"
			 "column of what it does not like; `stoa config check` does only that, and "
			 "`stoa config show` tells\n"
			 "what holds and from which line. A changed setting holds from the next "
			 "start on. This page is written\n"
			 "from the table in `src/node/config.c`.\n"
			 "\n");
	settings_document(rows, ROW_COUNT, text);
	text_append_text(text, "\n");
	settings_kinds_document(text);
}
