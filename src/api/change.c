/*
 * What stands around every change: the work, the entry of the change log, and the answer kept
 * under the request's Idempotency-Key, all in one store transaction.
 */
#include "api/api_internal.h"

#include <sodium.h>
#include <string.h>

#include "api/changes.h"
#include "base/check.h"

#define DIGEST_TEXT (2 * crypto_hash_sha256_BYTES + 1)

struct api_work {
	struct api_request *request;
	store_transaction_fn work;
	void *context;
	bool keeps; /* the request has a key */
	char key[DIGEST_TEXT];
	char request_digest[DIGEST_TEXT];
};

/* ---- digests ---- */

static int hash_more(const char *bytes, size_t length, void *state)
{
	crypto_hash_sha256_update(state, (const unsigned char *)bytes, length);
	return 0;
}

static void hash_slice(crypto_hash_sha256_state *state, struct slice text)
{
	/* A NUL ends each part: "a" and "bc" is another request than "ab" and "c". */
	if (text.length > 0)
		hash_more(text.data, text.length, state);
	hash_more("", 1, state);
}

static void hash_end(crypto_hash_sha256_state *state, char text[DIGEST_TEXT])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_final(state, digest);
	text_hex(digest, sizeof(digest), text);
}

/* Of what the request asks for: how its JSON is laid out is no part of that. */
static void digest_request(const struct api_request *request, char text[DIGEST_TEXT])
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	hash_slice(&state, slice_of(request->route->name));
	for (size_t i = 0; i < API_SEGMENTS_MAX; i++)
		hash_slice(&state, request->segments[i]);
	hash_slice(&state, request->query);
	if (request->json != NULL)
		json_dump_callback(request->json, hash_more, &state, JSON_COMPACT | JSON_SORT_KEYS);
	hash_end(&state, text);
}

static void digest_key(const struct api_request *request, char text[DIGEST_TEXT])
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	hash_slice(&state, request->idempotency_key);
	hash_end(&state, text);
}

/* ---- answers kept ---- */

static int take_kept(struct api_work *work, const struct store_statement *row, struct fault *fault)
{
	struct api_request *request = work->request;
	const struct slice answer = store_column_text(row, 2);

	if (!slice_equal(store_column_text(row, 0), slice_of(work->request_digest))) {
		request->key_reused = true;
		request->at = "Idempotency-Key";
		return fault_set(fault, FAULT_CONFLICT,
				 "this Idempotency-Key was used for another request; use a new one "
				 "for each thing that you want done");
	}
	request->status = (unsigned)store_column_int64(row, 1);
	request->answer = json_loadb(answer.data, answer.length, 0, NULL);
	if (request->answer == NULL)
		return fault_set(fault, FAULT_DAMAGED, "a kept answer is no JSON");
	request->given_again = true;
	return 0;
}

static int find_kept(struct api_work *work, struct store *store, struct fault *fault)
{
	STORE_STATEMENT find = NULL;
	bool row = false;
	int code = store_prepare(store,
				 "SELECT request, status, answer FROM api_answer"
				 " WHERE key = $1 AND made_ns > $2",
				 &find, fault);

	if (code < 0)
		return code;
	store_bind_text(find, 1, slice_of(work->key));
	store_bind_int64(find, 2, (int64_t)(work->request->now_ns - API_KEPT_NS));
	code = store_step(find, &row, fault);
	return code == 0 && row ? take_kept(work, find, fault) : code;
}

static int forget_old(const struct api_work *work, struct store *store, struct fault *fault)
{
	STORE_STATEMENT forget = NULL;
	const int code =
		store_prepare(store, "DELETE FROM api_answer WHERE made_ns <= $1", &forget, fault);

	if (code < 0)
		return code;
	store_bind_int64(forget, 1, (int64_t)(work->request->now_ns - API_KEPT_NS));
	return store_execute(forget, fault);
}

static int keep(struct api_work *work, struct store *store, struct fault *fault)
{
	const struct api_request *request = work->request;
	STORE_STATEMENT insert = NULL;
	int code = forget_old(work, store, fault);

	if (code == 0)
		code = store_prepare(
			store,
			"INSERT INTO api_answer (key, request, status, answer, made_ns)"
			" VALUES ($1, $2, $3, $4, $5)",
			&insert, fault);
	if (code < 0)
		return code;
	char *answer =
		json_dumps(request->kept != NULL ? request->kept : request->answer, JSON_COMPACT);
	check(answer != NULL);
	store_bind_text(insert, 1, slice_of(work->key));
	store_bind_text(insert, 2, slice_of(work->request_digest));
	store_bind_int64(insert, 3, request->status);
	store_bind_text(insert, 4, slice_of(answer));
	store_bind_int64(insert, 5, (int64_t)request->now_ns);
	code = store_execute(insert, fault);
	free(answer);
	return code;
}

/* ---- all of it ---- */

/* The transaction may be run again from its start. */
static void start_afresh(struct api_request *request)
{
	json_decref(request->answer);
	json_decref(request->kept);
	json_decref(request->change.facts);
	request->answer = NULL;
	request->kept = NULL;
	request->change = (struct api_change_note){0};
	request->at = NULL;
}

static int run(struct store *store, void *context, struct fault *fault)
{
	struct api_work *work = context;
	struct api_request *request = work->request;
	int code = 0;

	start_afresh(request);
	if (work->keeps)
		code = find_kept(work, store, fault);
	if (code < 0 || request->given_again)
		return code;
	code = work->work(store, work->context, fault);
	if (code == 0 && request->only_tries)
		return fault_set(fault, FAULT_REFUSED, "it was only tried");
	if (code == 0 && request->change.kind != NULL)
		code = changes_append(request, store, fault);
	if (code == 0 && work->keeps)
		code = keep(work, store, fault);
	return code;
}

int api_change(struct api_request *request, store_transaction_fn work_fn, void *context,
	       struct fault *fault)
{
	struct api_work work = {.request = request, .work = work_fn, .context = context};

	work.keeps = request->idempotency_key.length > 0;
	if (work.keeps) {
		digest_key(request, work.key);
		digest_request(request, work.request_digest);
	}
	const int code = store_transaction(request->api->options.store, run, &work, fault);
	/* What was only tried was rolled back, and its answer stands. */
	return code == FAULT_REFUSED && request->only_tries && request->answer != NULL ? 0 : code;
}

void api_changed(struct api_request *request, const char *kind, const char *name, json_t *facts)
{
	check(facts != NULL && strlen(name) < sizeof(request->change.name));
	json_decref(request->change.facts);
	request->change.kind = kind;
	memcpy(request->change.name, name, strlen(name) + 1);
	request->change.facts = facts;
}
