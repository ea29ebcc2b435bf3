#include "node/tls.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/disk.h"
#include "base/log.h"

/* What every cloud's own certificate is for; its services below localhost get one each. */
static const char *const standard_names[] = {"localhost", "127.0.0.1", "::1", "stoa.internal",
					     "*.stoa.internal"};
#define STANDARD_NAMES (sizeof(standard_names) / sizeof(standard_names[0]))
_Static_assert(STANDARD_NAMES + CONFIG_TLS_NAMES_MAX <= AUTHORITY_NAMES_MAX, "room for all names");
_Static_assert(CONFIG_IDENTITIES_MAX + 1 <= HTTP_TLS_IDENTITIES_MAX, "room for all certificates");

/* ---- files ---- */

struct identity_files {
	char certificate[TLS_FOLDER_MAX], key[TLS_FOLDER_MAX];
};

void tls_place(const char *folder, const char *file, char path[TLS_FOLDER_MAX])
{
	const bool whole = file[0] == '/';

	const int length = snprintf(path, TLS_FOLDER_MAX, "%s%s%s", whole ? "" : folder,
				    whole ? "" : "/", file);
	check(length > 0 && length < TLS_FOLDER_MAX);
}

/* Those of cloud.yaml in its order; the cloud's own is the last. */
static size_t list_files(const struct node_tls *tls,
			 struct identity_files files[HTTP_TLS_IDENTITIES_MAX])
{
	size_t count = 0;

	for (; count < tls->config->identity_count; count++) {
		const struct config_identity *identity = &tls->config->identities[count];
		tls_place(tls->cloud, identity->certificate, files[count].certificate);
		tls_place(tls->cloud, identity->key, files[count].key);
	}
	tls_place(tls->folder, "server.pem", files[count].certificate);
	tls_place(tls->folder, "server.key", files[count].key);
	return count + 1;
}

bool tls_certificate_path(const struct node_tls *tls, size_t index, char path[TLS_FOLDER_MAX])
{
	if (index < tls->config->identity_count)
		tls_place(tls->cloud, tls->config->identities[index].certificate, path);
	else
		tls_place(tls->folder, "server.pem", path);
	return index <= tls->config->identity_count;
}

static void digest_file(crypto_generichash_state *state, const char *path)
{
	struct stat status = {0};

	if (stat(path, &status) < 0)
		status = (struct stat){0};
	const uint64_t facts[] = {(uint64_t)status.st_dev, (uint64_t)status.st_ino,
				  (uint64_t)status.st_size, (uint64_t)status.st_mtim.tv_sec,
				  (uint64_t)status.st_mtim.tv_nsec};
	crypto_generichash_update(state, (const uint8_t *)facts, sizeof(facts));
}

static uint64_t digest_files(const struct node_tls *tls)
{
	struct identity_files files[HTTP_TLS_IDENTITIES_MAX];
	const size_t count = list_files(tls, files);
	crypto_generichash_state state;
	uint8_t digest[crypto_generichash_BYTES];
	uint64_t seen;

	crypto_generichash_init(&state, NULL, 0, sizeof(digest));
	for (size_t i = 0; i < count; i++) {
		digest_file(&state, files[i].certificate);
		digest_file(&state, files[i].key);
	}
	for (uint32_t i = 0; i < tls->listener_count; i++) {
		if (tls->listeners[i] != NULL && tls->listeners[i]->clients != CONFIG_CLIENTS_NONE)
			digest_file(&state, tls->listeners[i]->authorities);
	}
	crypto_generichash_final(&state, digest, sizeof(digest));
	memcpy(&seen, digest, sizeof(seen));
	return seen;
}

/* ---- what the listeners get ---- */

static size_t certify(void *owner, const char *host, uint8_t *der, size_t der_bytes_max)
{
	const struct node_tls *tls = owner;

	return authority_certify(tls->authority, host, clock_wall_ns(tls->clock), der,
				 der_bytes_max);
}

static int read_identity(const struct identity_files *files, struct http_tls_identity *identity,
			 struct fault *fault)
{
	char *text;
	size_t length;
	int code = disk_read_file(files->certificate, AUTHORITY_TEXT_MAX, &text, &length, fault);

	if (code < 0)
		return code;
	identity->certificates = slice_make(text, length);
	code = authority_key_read(files->key, &text, &length, fault);
	if (code < 0)
		return code;
	identity->key = slice_make(text, length);
	identity->certificates_name = files->certificate;
	identity->key_name = files->key;
	return 0;
}

static void free_identities(struct http_tls_identity *identities, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)(uintptr_t)identities[i].certificates.data);
		char *key = (char *)(uintptr_t)identities[i].key.data;
		if (key != NULL)
			sodium_memzero(key, identities[i].key.length);
		free(key);
	}
}

static int make(struct node_tls *tls, const struct node_tls_listener *listener,
		const struct http_tls_identity *identities, size_t count, struct http_tls **ret_tls,
		struct fault *fault)
{
	struct http_tls_options options = {.is_server = true,
					   .http_2 = true,
					   .identities = identities,
					   .identity_count = count,
					   .keys = &tls->keys,
					   .certify = certify,
					   .owner = tls};
	char *authorities = NULL;
	size_t length;
	int code = 0;

	if (listener->clients != CONFIG_CLIENTS_NONE) {
		code = disk_read_file(listener->authorities, AUTHORITY_TEXT_MAX, &authorities,
				      &length, fault);
		if (code < 0)
			return code;
		options.authorities = slice_make(authorities, length);
		options.authorities_name = listener->authorities;
		options.client_required = listener->clients == CONFIG_CLIENTS_REQUIRED;
	}
	code = http_tls_new(&options, ret_tls, fault);
	free(authorities);
	return code;
}

/* New ones from all files; each `current` stays where one of them cannot be used. */
static int load(struct node_tls *tls, struct fault *fault)
{
	struct identity_files files[HTTP_TLS_IDENTITIES_MAX];
	struct http_tls_identity identities[HTTP_TLS_IDENTITIES_MAX] = {0};
	const size_t count = list_files(tls, files);
	struct http_tls *made[GATEWAY_LISTENERS_MAX] = {0};
	int code = 0;

	tls->seen = digest_files(tls);
	for (size_t i = 0; code == 0 && i < count; i++)
		code = read_identity(&files[i], &identities[i], fault);
	for (uint32_t i = 0; code == 0 && i < tls->listener_count; i++) {
		if (tls->listeners[i] != NULL)
			code = make(tls, tls->listeners[i], identities, count, &made[i], fault);
	}
	free_identities(identities, count);
	if (code == 0)
		tls->held = tls->seen;
	for (uint32_t i = 0; i < tls->listener_count; i++) {
		if (code < 0 || made[i] == NULL) {
			http_tls_unref(made[i]);
			continue;
		}
		http_tls_unref(tls->listeners[i]->current);
		tls->listeners[i]->current = made[i];
	}
	return code;
}

/* ---- tickets ---- */

static void new_ticket_key(struct node_tls *tls)
{
	struct http_tls_ticket_keys *keys = &tls->keys;

	/* Of the last but one no ticket is believed any more. */
	keys->of[1] = keys->of[0];
	keys->count = keys->count == 0 ? 1 : 2;
	tls->random->fill(tls->random, &keys->of[0], sizeof(keys->of[0]));
	tls->keys_ns = clock_monotonic_ns(tls->clock);
}

/* ---- the cloud's own ---- */

static int ensure_own(struct node_tls *tls, bool *ret_issued, struct fault *fault)
{
	const char *names[AUTHORITY_NAMES_MAX];
	size_t count = 0;

	for (; count < STANDARD_NAMES; count++)
		names[count] = standard_names[count];
	for (uint32_t i = 0; i < tls->config->tls_name_count; i++)
		names[count++] = tls->config->tls_names[i];
	return authority_server_ensure(tls->authority, names, count, clock_wall_ns(tls->clock),
				       ret_issued, fault);
}

static void take_listener(struct node_tls *tls, uint32_t index,
			  const struct config_listener *listener)
{
	struct node_tls_listener *taken = calloc(1, sizeof(*taken));

	check(taken != NULL);
	taken->clients = listener->clients;
	if (listener->authorities[0] != '\0')
		tls_place(tls->cloud, listener->authorities, taken->authorities);
	else
		tls_place(tls->folder, "ca.pem", taken->authorities);
	tls->listeners[index] = taken;
}

int tls_open(struct node_tls *tls, const char *cloud, const struct config *config,
	     const struct config_listener *listeners, uint32_t listener_count,
	     const struct clock *clock, struct random *random, struct fault *fault)
{
	bool issued, any = false;

	check(listener_count <= GATEWAY_LISTENERS_MAX);
	tls->config = config;
	tls->clock = clock;
	tls->random = random;
	tls->cloud = cloud;
	snprintf(tls->folder, sizeof(tls->folder), "%.4096s/tls", cloud);
	tls->listener_count = listener_count;
	for (uint32_t i = 0; i < listener_count; i++) {
		any = any || listeners[i].tls;
		if (listeners[i].tls)
			take_listener(tls, i, &listeners[i]);
	}
	if (!any)
		return 0;
	if (mkdir(tls->folder, 0700) < 0 && errno != EEXIST)
		return fault_set_errno(fault, errno, "make the folder %s", tls->folder);
	int code = authority_open(tls->folder, config->name, clock_wall_ns(clock), &tls->authority,
				  fault);
	if (code == 0)
		code = ensure_own(tls, &issued, fault);
	if (code < 0)
		return code;
	new_ticket_key(tls);
	return load(tls, fault);
}

int tls_authority_read(const struct node_tls *tls, char **ret_text, size_t *ret_length,
		       struct fault *fault)
{
	char path[TLS_FOLDER_MAX];

	if (tls->authority == NULL)
		return fault_set(fault, FAULT_REFUSED,
				 "tls: {ca: cloud} needs the cloud's own authority, which it has "
				 "with its first listener of TLS: `gateway: [tls:ADDRESS]`");
	tls_place(tls->folder, "ca.pem", path);
	return disk_read_file(path, AUTHORITY_TEXT_MAX, ret_text, ret_length, fault);
}

/* ---- as time goes on ---- */

static void publish(struct node_tls *tls)
{
	for (uint32_t i = 0; i < tls->listener_count; i++) {
		if (gateway_listener_is_tls(tls->gateway, i))
			gateway_set_tls(tls->gateway, i, tls->listeners[i]->current);
	}
}

static int reload(struct node_tls *tls, struct fault *fault)
{
	const int code = load(tls, fault);

	if (code < 0) {
		log_event(LOG_ERROR, "tls.refused", log_text("fault", fault->text),
			  log_text("holds", "what was there before"));
		return code;
	}
	publish(tls);
	log_event(LOG_INFO, "tls.changed",
		  log_number("certificates", tls->config->identity_count + 1));
	return 0;
}

int tls_reload(struct node_tls *tls, bool *ret_changed, struct fault *fault)
{
	const uint64_t held = tls->held;
	bool issued;

	*ret_changed = false;
	if (tls->authority == NULL)
		return 0;
	int code = ensure_own(tls, &issued, fault);
	if (code == 0)
		code = reload(tls, fault);
	*ret_changed = tls->held != held;
	return code;
}

void tls_look(struct node_tls *tls)
{
	struct fault fault;
	bool issued = false;

	if (tls->authority == NULL)
		return;
	const bool old_keys = clock_monotonic_ns(tls->clock) - tls->keys_ns >= TLS_TICKET_NS;
	if (ensure_own(tls, &issued, &fault) < 0)
		log_event(LOG_ERROR, "tls.not_renewed", log_text("fault", fault.text));
	if (issued)
		log_event(LOG_INFO, "tls.renewed", log_text("folder", tls->folder));
	if (old_keys)
		new_ticket_key(tls);
	if (old_keys || digest_files(tls) != tls->seen)
		reload(tls, &fault);
}

static void on_due(struct loop_timer *timer)
{
	struct node_tls *tls =
		(struct node_tls *)((char *)timer - offsetof(struct node_tls, timer));

	tls_look(tls);
	loop_timer_set(tls->loop, timer, loop_now_ns(tls->loop) + TLS_LOOK_NS);
}

void tls_start(struct node_tls *tls, struct gateway *gateway, struct loop *loop)
{
	if (tls->authority == NULL)
		return;
	tls->gateway = gateway;
	tls->loop = loop;
	tls->timer.on_due = on_due;
	loop_timer_set(loop, &tls->timer, loop_now_ns(loop) + TLS_LOOK_NS);
}

void tls_stop(struct node_tls *tls)
{
	if (tls->loop != NULL)
		loop_timer_clear(tls->loop, &tls->timer);
}

void tls_close(struct node_tls *tls)
{
	for (uint32_t i = 0; i < tls->listener_count; i++) {
		if (tls->listeners[i] != NULL)
			http_tls_unref(tls->listeners[i]->current);
		free(tls->listeners[i]);
	}
	if (tls->authority != NULL)
		authority_close(tls->authority);
	sodium_memzero(&tls->keys, sizeof(tls->keys));
}
