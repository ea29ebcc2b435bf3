#include "billing/party.h"

int party_save(struct store *store, const struct party *party, struct fault *fault)
{
	STORE_STATEMENT save = NULL;
	int code = store_prepare(store,
				 "INSERT INTO billing_party (subscription, account, provider)"
				 " VALUES ($1, $2, $3) ON CONFLICT (subscription) DO NOTHING",
				 &save, fault);

	if (code < 0)
		return code;
	store_bind_int64(save, 1, (int64_t)party->subscription.value);
	store_bind_int64(save, 2, (int64_t)party->account.value);
	store_bind_int64(save, 3, (int64_t)party->provider.value);
	return store_execute(save, fault);
}

/* The account's own index serves each half of the union. */
static const char *sql_of(const struct party_filter *filter)
{
	if (filter->all)
		return "SELECT subscription, account, provider FROM billing_party"
		       " ORDER BY subscription";
	return "SELECT subscription, account, provider FROM billing_party WHERE account = $1"
	       " UNION"
	       " SELECT subscription, account, provider FROM billing_party WHERE provider = $1"
	       " ORDER BY subscription";
}

int party_each(struct store *store, const struct party_filter *filter, party_fn each, void *context,
	       struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store, sql_of(filter), &select, fault);

	if (code == 0 && !filter->all)
		store_bind_int64(select, 1, (int64_t)filter->account.value);
	while (code == 0) {
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			break;
		const struct party party = {
			.subscription = {(uint64_t)store_column_int64(select, 0)},
			.account = {(uint64_t)store_column_int64(select, 1)},
			.provider = {(uint64_t)store_column_int64(select, 2)},
		};
		if (filter->subscription.value == 0 ||
		    filter->subscription.value == party.subscription.value)
			code = each(context, &party, fault);
	}
	return code;
}
