/* Access tokens: what else than the admin token opens the API, and how much of it. */
#include "api/api_internal.h"

#include <sodium.h>
#include <stdlib.h>

#include "api/schemas.h"
#include "base/check.h"

/* clang-format off */
#define TOKEN                                                                                     \
	{"id", API_IS_ID, 0, NULL, "of the token"},                                               \
	{"account", API_IS_TEXT, 0, NULL, "whose it is"},                                         \
	{"role", API_IS_CHOICE, 0, "provider",                                                    \
	 "what for; `provider`: to report the usage of the account's services"},                  \
	{"last_four", API_IS_TEXT, 0, NULL, "the end of its text"},                               \
	{"created", API_IS_TIME, 0, NULL, "when it was made"},                                    \
	{"expires", API_IS_TIME, API_OR_NULL, NULL, "null: never"},                               \
	{"revoked", API_IS_TIME, API_OR_NULL, NULL, "null: it is not"}

const struct api_member api_token_members[] = {TOKEN};

const struct api_member api_token_made_members[] = {
	TOKEN,
	{"token", API_IS_TEXT, API_OR_NULL, NULL,
	 "its text; null where the answer is given again under an Idempotency-Key"},
};
/* clang-format on */

static json_t *token_json(const struct account_token *token)
{
	return json_pack(
		"{s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "id", api_json_id("token", token->id.value),
		"account", token->account_name, "role", token->role, "last_four", token->last_four,
		"created", api_json_time(token->created_ns), "expires",
		api_json_time(token->expires_ns), "revoked", api_json_time(token->revoked_ns));
}

static void tell(struct api_request *request, const struct account_token *token)
{
	char name[ID_TEXT_MAX];

	id_format("token", token->id.value, name);
	api_changed(request, "token", name,
		    json_pack("{s:s, s:s, s:o, s:o}", "account", token->account_name, "role",
			      token->role, "expires", api_json_time(token->expires_ns), "revoked",
			      api_json_time(token->revoked_ns)));
}

static int create(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	struct account_token token;
	char text[API_KEY_TEXT_MAX];
	const int code = api_at(request, "account",
				account_token_create(store, request->api->options.random,
						     api_argument(request, "account")->text,
						     api_argument_number(request, "expires", 0),
						     request->now_ns, &token, text, fault));

	if (code < 0)
		return code;
	tell(request, &token);
	request->answer = token_json(&token);
	json_object_set_new(request->answer, "token", json_string(text));
	request->kept = token_json(&token);
	json_object_set_new(request->kept, "token", json_null());
	sodium_memzero(text, sizeof(text));
	return 0;
}

int api_tokens_create(struct api_request *request, struct fault *fault)
{
	request->status = 201;
	request->output.is_secret = true;
	return api_change(request, create, request, fault);
}

static int list(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const struct api_value *name = api_argument(request, "account");
	const size_t limit = api_limit(request);
	struct account account = {0};
	struct account_token *tokens = calloc(limit, sizeof(*tokens));
	struct token_id after;
	size_t count = 0;
	int code = api_after(request, "token", &after.value, fault);

	check(tokens != NULL);
	if (code == 0 && name->given)
		code = api_at(request, "account", account_get(store, name->text, &account, fault));
	if (code == 0)
		code = account_token_list(store, account.id, after, tokens, limit, &count, fault);
	if (code == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < count; i++)
			json_array_append_new(items, token_json(&tokens[i]));
		const uint64_t last = count > 0 ? tokens[count - 1].id.value : 0;
		request->answer = api_list(items, api_next("token", last, count, limit));
	}
	free(tokens);
	return code;
}

int api_tokens_list(struct api_request *request, struct fault *fault)
{
	return store_transaction_read(request->api->options.store, list, request, fault);
}

static int revoke(struct store *store, void *context, struct fault *fault)
{
	struct api_request *request = context;
	const struct slice id = api_argument(request, "id")->text;
	struct account_token token;
	struct token_id wanted;
	char shown[TEXT_SHOWN_MAX];

	if (!id_parse("token", id, &wanted.value))
		return api_at(request, "id",
			      fault_set(fault, FAULT_NOT_FOUND,
					"there is no token \"%s\"; `stoa token list` shows the ids",
					text_show(id, shown)));
	const int code = api_at(
		request, "id", account_token_revoke(store, wanted, request->now_ns, &token, fault));
	if (code < 0)
		return code;
	if (token.revoked_ns == request->now_ns)
		tell(request, &token);
	request->answer = token_json(&token);
	return 0;
}

int api_tokens_revoke(struct api_request *request, struct fault *fault)
{
	return api_change(request, revoke, request, fault);
}
