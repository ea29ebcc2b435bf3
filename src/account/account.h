/*
 * account: who pays and who is paid (accounts), whose programs call (apps), and what they show
 * at the door (API keys).
 *
 * An account has apps, an app has keys. Names are DNS labels: an account's is unique in the
 * cloud, an app's in its account; together they are written `account/app`. `operator`, the
 * cloud owner, is made by account_operator_ensure only; `outside` is the ledger's word for where
 * money comes from, and nobody's name.
 *
 * An app may also be known by a client certificate of TLS: one that the cloud issued, by its
 * fingerprint, or one from elsewhere by a name in it that was mapped to the app. Each is a key
 * (enum account_key_kind) without a text: it is listed, revoked and expires as keys do, and call
 * records name it. What a certificate may do is all that its app may.
 *
 * A key's text is shown once, by account_key_create, and never stored: what is stored finds it
 * (SHA-256), names it to people (prefix and last four characters) and limits it (scopes, expiry,
 * revocation). Keys are never deleted, since call records name them.
 *
 * Transactions: functions that write must stand in the caller's write transaction, so that an
 * account and its ledger account are made together or not at all; functions that read may
 * stand in one. Time is handed in (Unix nanoseconds).
 * Faults: FAULT_INPUT (a name, scope or count that is not allowed), FAULT_CONFLICT (a name is
 * taken), FAULT_NOT_FOUND (with the nearest name there is), and the store's.
 * Lists come in the order of ids, from behind `after` on (0: from the start); the last id of a
 * page is the next page's cursor, and a page of less than `most` is the last.
 * Threads: as the store's handle.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api_key.h"
#include "base/client_name.h"
#include "base/fault.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/scope.h"
#include "base/slice.h"
#include "store/store.h"

#define ACCOUNT_NAME_MAX   64  /* bytes with the NUL: a DNS label */
#define ACCOUNT_PATH_MAX   128 /* "account/app" with the NUL */
#define ACCOUNT_SCOPES_MAX 16  /* of a key */
#define ACCOUNT_SCOPES_BYTES \
	SCOPE_TEXT_MAX /* all scopes of a key, a space between two, with the NUL */
#define ACCOUNT_KEYS_MAKE_MAX 1000000
#define ACCOUNT_OPERATOR      "operator"
#define ACCOUNT_OUTSIDE       "outside"

struct account {
	struct account_id id;
	char name[ACCOUNT_NAME_MAX];
	uint64_t created_ns;
};

struct account_app {
	struct app_id id;
	struct account_id account;
	char name[ACCOUNT_NAME_MAX];
	char path[ACCOUNT_PATH_MAX]; /* "account/app" */
	uint64_t created_ns;
};

enum account_key_kind {
	ACCOUNT_KEY_TEXT,        /* an API key */
	ACCOUNT_KEY_CERTIFICATE, /* a client certificate that the cloud issued */
	ACCOUNT_KEY_NAME         /* a name in client certificates from elsewhere */
};

struct account_key {
	struct key_id id;
	enum account_key_kind kind;
	struct app_id app;
	struct account_id account;
	/* Of a certificate in DER, of a name as base/client_name.h has it. */
	struct api_key_digest digest;
	char prefix[API_KEY_MARK_CHARS + 8 +
		    1]; /* "stoa_" and eight characters more; "" of others */
	char last_four[5];
	char name[CLIENT_NAME_MAX]; /* a certificate's serial number, or the name; "" of a text */
	char scopes[ACCOUNT_SCOPES_BYTES]; /* as base/scope.h, a space between; "": all */
	uint64_t created_ns;
	uint64_t expires_ns;     /* 0: never */
	uint64_t revoked_ns;     /* 0: not */
	struct key_id successor; /* what it was rotated to; 0: it was not */
};

extern const struct store_migration account_migrations[];
extern const size_t account_migration_count;

/* Creates and updates the tables. Outside of a transaction. */
int account_migrate(struct store *store, struct fault *fault);

/* A DNS label: 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'. FAULT_INPUT tells what
 * is wrong; `what` is how the sentence calls it ("account name"). */
int account_name_check(const char *what, struct slice name, struct fault *fault);

/* FAULT_NOT_FOUND: `there is no WHAT "NAME"`, and the nearest of the names that `sql` gives (one
 * column; $1 is `owner` where that is not 0). For every domain whose things have names. */
int account_name_not_found(struct store *store, const char *sql, int64_t owner, const char *what,
			   struct slice name, struct fault *fault);
/* The same of an id: `there is no acct_12`. */
int account_id_not_found(const char *prefix, uint64_t id, struct fault *fault);

/* ---- accounts ---- */

int account_create(struct store *store, struct slice name, uint64_t now_ns,
		   struct account *ret_account, struct fault *fault);
/* The account `operator`, made where it is missing. */
int account_operator_ensure(struct store *store, uint64_t now_ns, struct account *ret_account,
			    struct fault *fault);
int account_get(struct store *store, struct slice name, struct account *ret_account,
		struct fault *fault);
int account_get_by_id(struct store *store, struct account_id id, struct account *ret_account,
		      struct fault *fault);
int account_list(struct store *store, struct account_id after, struct account *accounts,
		 size_t most, size_t *ret_count, struct fault *fault);

/* ---- apps ---- */

int account_app_create(struct store *store, struct account_id account, struct slice name,
		       uint64_t now_ns, struct account_app *ret_app, struct fault *fault);
/* "account/app". */
int account_app_get(struct store *store, struct slice path, struct account_app *ret_app,
		    struct fault *fault);
int account_app_get_by_id(struct store *store, struct app_id id, struct account_app *ret_app,
			  struct fault *fault);
/* Of one account, or (0) of all. */
int account_app_list(struct store *store, struct account_id account, struct app_id after,
		     struct account_app *apps, size_t most, size_t *ret_count, struct fault *fault);

/* ---- keys ---- */

struct account_key_options {
	struct app_id app;
	const struct slice *scopes; /* each as base/scope.h reads it */
	size_t scope_count;         /* 0: everything the app may */
	uint64_t expires_ns;        /* after now, or 0: never */
};

/* Wipe the text (sodium_memzero) once it was shown. */
struct account_key_made {
	struct account_key key;
	char text[API_KEY_TEXT_MAX];
};

/* Makes `count` keys with the same options, 1 .. ACCOUNT_KEYS_MAKE_MAX. */
int account_key_create(struct store *store, struct random *random,
		       const struct account_key_options *options, size_t count, uint64_t now_ns,
		       struct account_key_made *ret_keys, struct fault *fault);
int account_key_get(struct store *store, struct key_id id, struct account_key *ret_key,
		    struct fault *fault);
/* Of one app, or (0) of all. `only_valid` leaves out what is revoked or expired at now_ns. */
int account_key_list(struct store *store, struct app_id app, bool only_valid, uint64_t now_ns,
		     struct key_id after, struct account_key *keys, size_t most, size_t *ret_count,
		     struct fault *fault);
/* Called for each key; a negative answer ends the walk and is handed on. */
typedef int (*account_key_fn)(void *context, const struct account_key *key, struct fault *fault);
/* Every key that is neither revoked nor expired at now_ns, in one pass. Of a key, what lets calls
 * in is set: id, app, digest, scopes and expiry. *ret_count is how many there were. */
int account_key_each(struct store *store, uint64_t now_ns, account_key_fn each, void *context,
		     uint64_t *ret_count, struct fault *fault);
/* How many keys there are, valid or not. */
int account_key_count(struct store *store, uint64_t *ret_count, struct fault *fault);
/* Once revoked stays revoked, at the first time. */
int account_key_revoke(struct store *store, struct key_id id, uint64_t now_ns,
		       struct account_key *ret_key, struct fault *fault);
/* Makes a key with the app, the scopes and the expiry of `id`, which now expires after overlap_ns
 * (0: at once), or earlier as before. FAULT_REFUSED where it is not valid, was rotated, or is a
 * certificate. */
int account_key_rotate(struct store *store, struct random *random, struct key_id id,
		       uint64_t overlap_ns, uint64_t now_ns, struct account_key_made *ret_made,
		       struct account_key *ret_before, struct fault *fault);
/* ---- access tokens ---- */

/* What an account may do at the control plane. One role so far. */
#define ACCOUNT_ROLE_PROVIDER "provider" /* report the usage of its services */

struct account_token {
	struct token_id id;
	struct account_id account;
	char account_name[ACCOUNT_NAME_MAX];
	char role[16];
	struct api_key_digest digest;
	char last_four[5];
	uint64_t created_ns;
	uint64_t expires_ns; /* 0: never */
	uint64_t revoked_ns; /* 0: not */
};

/* Makes a provider's token of the account, which expires after now or (0) never; its text, of the
 * form that API keys have, is the caller's to wipe. */
int account_token_create(struct store *store, struct random *random, struct slice account_name,
			 uint64_t expires_ns, uint64_t now_ns, struct account_token *ret_token,
			 char ret_text[API_KEY_TEXT_MAX], struct fault *fault);
/* By its text's digest; FAULT_NOT_FOUND where there is none that is valid now. */
int account_token_find(struct store *store, const struct api_key_digest *digest, uint64_t now_ns,
		       struct account_token *ret_token, struct fault *fault);
/* Of one account, or (0) of all. */
int account_token_list(struct store *store, struct account_id account, struct token_id after,
		       struct account_token *tokens, size_t most, size_t *ret_count,
		       struct fault *fault);
/* Once revoked stays revoked, at the first time. */
int account_token_revoke(struct store *store, struct token_id id, uint64_t now_ns,
			 struct account_token *ret_token, struct fault *fault);

/* ---- client certificates ---- */

/* A certificate of the app that was issued: its fingerprint, its serial number, its end. */
int account_certificate_add(struct store *store, struct app_id app,
			    const struct api_key_digest *fingerprint, const char *serial,
			    uint64_t ends_ns, uint64_t now_ns, struct account_key *ret_key,
			    struct fault *fault);
/* Certificates from elsewhere that hold the name (see base/client_name.h) are the app's, until
 * expires_ns (0: for ever). FAULT_CONFLICT while the name is another mapping's. */
int account_name_map(struct store *store, struct app_id app, struct slice name, uint64_t expires_ns,
		     uint64_t now_ns, struct account_key *ret_key, struct fault *fault);
/* As account_key_list, without API keys. */
int account_certificate_list(struct store *store, struct app_id app, bool only_valid,
			     uint64_t now_ns, struct key_id after, struct account_key *keys,
			     size_t most, size_t *ret_count, struct fault *fault);

/* Whether the key may be used at now_ns. */
static inline bool account_key_valid(const struct account_key *key, uint64_t now_ns)
{
	return key->revoked_ns == 0 && (key->expires_ns == 0 || now_ns < key->expires_ns);
}
