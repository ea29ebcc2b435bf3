/*
 * tls: the certificates of the gateway's TLS listeners. Private to the node.
 *
 * They are those that cloud.yaml names and, behind them, the cloud's own (authority/), which
 * FOLDER/tls holds: made at the first start with a TLS listener, renewed in time. All files are
 * looked at every TLS_LOOK_NS, and at once on SIGHUP; what changed holds for connections to come,
 * and those that stand are left alone. A file that cannot be used changes nothing: it is logged,
 * with what is wrong, and what held goes on.
 *
 * Tickets, by which clients resume sessions, are sealed with keys in memory alone: a new one every
 * TLS_TICKET_NS, the one before opens for as long again.
 *
 * Threads: control; the gateway's workers ask for certificates of single hosts.
 */
#pragma once

#include "authority/authority.h"
#include "gateway/gateway.h"
#include "node/config.h"

#define TLS_FOLDER_MAX 4200
#define TLS_LOOK_NS    (10 * CLOCK_NS_PER_S)
#define TLS_TICKET_NS  (12 * 3600 * CLOCK_NS_PER_S)

/* What a listener asks of clients, and what its connections to come are encrypted with. */
struct node_tls_listener {
	enum config_clients clients;
	char authorities[TLS_FOLDER_MAX]; /* a file, in PEM */
	struct http_tls *current;
};

struct node_tls {
	const struct config *config;
	const struct clock *clock;
	struct random *random;
	const char *cloud; /* its folder */
	char folder[TLS_FOLDER_MAX];
	struct authority *authority; /* NULL: there is no TLS */
	struct http_tls_ticket_keys keys;
	uint64_t keys_ns; /* monotonic: when the first was made */
	uint64_t seen;    /* a digest of what the files' inodes said when they were read last */
	uint64_t held;    /* the same, of when those in force were read */
	uint32_t listener_count;
	struct node_tls_listener
		*listeners[GATEWAY_LISTENERS_MAX]; /* as the gateway's; NULL: plain */

	struct gateway *gateway;
	struct loop *loop;
	struct loop_timer timer;
};

/* Before the gateway is: `current` is made for all of `listeners`, which are copied. Where none of
 * them speaks TLS nothing is opened. The folder, config, clock and random must outlive it. */
int tls_open(struct node_tls *tls, const char *cloud, const struct config *config,
	     const struct config_listener *listeners, uint32_t listener_count,
	     const struct clock *clock, struct random *random, struct fault *fault);
/* The certificate of the cloud's own authority, in PEM. To be freed. FAULT_REFUSED: a cloud without
 * a listener of TLS has none. */
int tls_authority_read(const struct node_tls *tls, char **ret_text, size_t *ret_length,
		       struct fault *fault);
/* From here on it looks, in the loop's thread. */
void tls_start(struct node_tls *tls, struct gateway *gateway, struct loop *loop);
/* Looks now. */
void tls_look(struct node_tls *tls);
/* Reads all files now, changed or not. Negative, with the file that cannot be used: what was in
 * force goes on. */
int tls_reload(struct node_tls *tls, bool *ret_changed, struct fault *fault);
/* PATH of FILE in the folder, or FILE where that begins at the root. */
void tls_place(const char *folder, const char *file, char path[TLS_FOLDER_MAX]);
/* Of certificate `index`, in the order in which they are tried. False: there are not so many. */
bool tls_certificate_path(const struct node_tls *tls, size_t index, char path[TLS_FOLDER_MAX]);
/* Before the loop and after the gateway is gone. */
void tls_stop(struct node_tls *tls);
void tls_close(struct node_tls *tls);
