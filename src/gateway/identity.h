/*
 * identity: the signature that tells a service who calls: RFC 9421, HMAC-SHA256 with a secret that
 * only the cloud and the service have. Private to the gateway; docs/identity.md has it byte by
 * byte.
 *
 * Covered are the method, path and query that the service receives, Date, Stoa-Call, Stoa-App,
 * Stoa-Account and Stoa-Plan, under the label "stoa". The body is not.
 *
 * The secret's part of the work is done once: a call copies the state of the HMAC behind its key.
 * Signing allocates nothing.
 *
 * Threads: a signer is never changed; any. Whoever replaces one frees it after a grace period.
 */
#pragma once

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-qsbr.h>

#include "base/slice.h"
#include "gateway/gateway.h"
#include "http/http.h"

#define IDENTITY_FIELDS   3
#define IDENTITY_MAC      32
#define IDENTITY_TEXT_MAX 384

struct identity_signer {
	struct rcu_head rcu;
	struct gateway_identity identity; /* to tell whether another one is the same */
	crypto_auth_hmacsha256_state keyed;
};

void identity_signer_init(struct identity_signer *signer, const struct gateway_identity *identity);

/* A component of a message by RFC 9421, 2: "@path" and its value. */
struct identity_component {
	struct slice name, value;
};

/* The MAC of the signature base (RFC 9421, 2.5) of the components, in their order. `parameters`
 * is what "@signature-params" says. */
void identity_mac(const crypto_auth_hmacsha256_state *keyed,
		  const struct identity_component *components, size_t count,
		  struct slice parameters, uint8_t mac[IDENTITY_MAC]);

/* What is signed of a call. */
struct identity_call {
	struct slice method, target; /* as the service receives them */
	struct slice date, call, app, account, plan;
	uint64_t wall_ns;
};

/* Date, Signature-Input and Signature, with slices into `text` and `call`; returns
 * IDENTITY_FIELDS. */
size_t identity_put(const struct identity_signer *signer, const struct identity_call *call,
		    struct http_header headers[IDENTITY_FIELDS], char text[IDENTITY_TEXT_MAX]);
