/*
 * config: the cloud's own file, cloud.yaml. Private to the node.
 *
 * Every setting is a row of a table (config.c) with its default, its bounds and a sentence; the
 * file that a new cloud gets and docs/settings.md come from the same rows. Complaints name
 * file, line and column.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "authority/authority.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "base/yaml.h"
#include "gateway/gateway.h"
#include "http/http.h"
#include "loop/loop.h"
#include "rating/rating.h"

#define CONFIG_NAME_MAX       64
#define CONFIG_ADDRESS_MAX    256
#define CONFIG_LISTENERS_MAX  8
#define CONFIG_IDENTITIES_MAX 16 /* certificates with their keys */
#define CONFIG_TLS_NAMES_MAX  16

struct config_identity {
	char certificate[CONFIG_ADDRESS_MAX], key[CONFIG_ADDRESS_MAX]; /* files */
};

/* What a listener of TLS asks of clients: config_clients_texts. */
enum config_clients { CONFIG_CLIENTS_NONE, CONFIG_CLIENTS_OPTIONAL, CONFIG_CLIENTS_REQUIRED };
extern const char *const config_clients_texts[];

/* Where the gateway listens. */
struct config_listener {
	struct loop_address address;
	bool tls;
	enum config_clients clients;
	char authorities[CONFIG_ADDRESS_MAX]; /* a file; "": the cloud's own */
};

struct config {
	char name[CONFIG_NAME_MAX];
	char currency[8]; /* ISO 4217: three capital letters */
	struct rating_card card;
	uint32_t fee_ppm;
	uint64_t notice_least_ns;
	uint32_t gateway_count;
	char gateways[CONFIG_LISTENERS_MAX][CONFIG_ADDRESS_MAX];
	bool gateways_are_default; /* nobody asked for them: the last is left out if taken */
	uint32_t identity_count;
	struct config_identity identities[CONFIG_IDENTITIES_MAX];
	uint32_t tls_name_count;
	char tls_names[CONFIG_TLS_NAMES_MAX][AUTHORITY_NAME_MAX];
	uint32_t trusted_count;
	char trusted[GATEWAY_TRUSTED_MAX][NETWORK_TEXT_MAX]; /* as they are written */
	struct gateway_trust trust;
	char api[CONFIG_ADDRESS_MAX];
	char store[CONFIG_ADDRESS_MAX]; /* "": store.db in the cloud's folder */
	uint32_t workers;               /* 0: one a core, but one core is left to instances */
	enum loop_io io;
	bool durable_answers; /* an answer waits for its record to be on disk */
	uint64_t sync_interval_ns;
	uint32_t segment_records;
	uint64_t drain_ns; /* how long calls in flight may take when the node stops */
	struct http_limits limits;
	uint64_t instance_wait_ns;
	uint32_t metrics_services;
	uint32_t waiting_max;
	struct gateway_ejection ejection;
	uint64_t tunnel_idle_ns, tunnel_lifetime_ns, settle_ns;
	uint64_t usage_late_ns, usage_future_ns;
	enum log_level log_level;
	enum log_format log_format;
	char log_file[CONFIG_ADDRESS_MAX]; /* "": standard error */
	uint64_t log_file_bytes;
	uint64_t log_service_bytes;
	uint64_t log_service_rate;            /* bytes a second, of an instance */
	char access_file[CONFIG_ADDRESS_MAX]; /* "": no access log */
	enum log_format access_format;
	bool access_query;
	uint32_t access_sample_ppm;
	uint64_t access_file_bytes;
};

#define CONFIG_FILE "cloud.yaml"

/* FOLDER/cloud.yaml; a missing one is written first, with every setting as a comment. */
int config_load(const char *folder, struct config *ret_config, struct fault *fault);

/* One setting that holds; `line` is the file's, 0 where the default holds. `gateway` comes once
 * an address. */
typedef void (*config_show_fn)(void *context, const char *name, const char *value, unsigned line);
/* Reads the file, or the one in the folder, and writes nothing. `show` may be NULL. */
int config_check(const char *path, config_show_fn show, void *context, struct fault *fault);

/* What the file says; `path` is how faults call it. The name is "" where it gives none. */
int config_read(const char *path, struct slice text, config_show_fn show, void *context,
		struct config *config, struct fault *fault);

/* What loop_address_parse takes; for TLS with "tls:" before it and, where clients are asked for a
 * certificate, ",clients=optional" or ",clients=required" behind it, and ",ca=FILE". */
int config_listener_parse(struct slice text, struct config_listener *ret_listener,
			  struct fault *fault);

/* config_proxies.c: the list `trusted_proxies`; NULL where the file has none. */
int config_read_proxies(const struct yaml *yaml, const struct yaml_node *list,
			struct config *config, struct fault *fault);

/* config_tls.c: the lists of `tls`; NULL where the file has none. */
int config_read_tls(const struct yaml *yaml, const struct yaml_node *certificates,
		    const struct yaml_node *names, struct config *config, struct fault *fault);

/* Appends docs/settings.md. */
void config_document(struct text *text);
