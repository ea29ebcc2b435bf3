#include "billing/card.h"

#include <inttypes.h>

#include "base/check.h"

static_assert(RATING_CLOUD_METERS == 7, "the statements name each rate");

#define CARD_COLUMNS                                                                               \
	"number, fee_ppm, nano0, per0, nano1, per1, nano2, per2, nano3, per3, nano4, per4, nano5," \
	" per5, nano6, per6"

static void read_card(const struct store_statement *row, struct card *ret_card)
{
	ret_card->number = (uint64_t)store_column_int64(row, 0);
	ret_card->fee_ppm = (uint32_t)store_column_int64(row, 1);
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++)
		ret_card->rates.of[i] = (struct rating_rate){
			.nano = store_column_int64(row, 2 + 2 * i),
			.per = store_column_int64(row, 3 + 2 * i),
		};
}

int card_in_force(struct store *store, struct card *ret_card, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code = store_prepare(store,
				 "SELECT " CARD_COLUMNS " FROM billing_card"
				 " ORDER BY in_force_since DESC LIMIT 1",
				 &select, fault);

	if (code == 0)
		code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	*ret_card = (struct card){0};
	if (row)
		read_card(select, ret_card);
	return 0;
}

int card_get(struct store *store, uint64_t number, struct card *ret_card, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code =
		store_prepare(store, "SELECT " CARD_COLUMNS " FROM billing_card WHERE number = $1",
			      &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)number);
	code = store_step(select, &row, fault);
	if (code < 0)
		return code;
	if (!row)
		return fault_set(fault, FAULT_DAMAGED, "there is no rate card %" PRIu64, number);
	read_card(select, ret_card);
	return 0;
}

static bool card_is(const struct card *card, const struct rating_card *rates, uint32_t fee_ppm)
{
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++) {
		if (card->rates.of[i].nano != rates->of[i].nano ||
		    card->rates.of[i].per != rates->of[i].per)
			return false;
	}
	return card->fee_ppm == fee_ppm;
}

/* *ret_number 0: there is none like it. */
static int find_same(struct store *store, const struct rating_card *rates, uint32_t fee_ppm,
		     uint64_t *ret_number, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row;
	int code =
		store_prepare(store, "SELECT " CARD_COLUMNS " FROM billing_card", &select, fault);

	while (code == 0) {
		struct card card;
		code = store_step(select, &row, fault);
		if (code < 0)
			return code;
		*ret_number = 0;
		if (!row)
			return 0;
		read_card(select, &card);
		*ret_number = card.number;
		if (card_is(&card, rates, fee_ppm))
			return 0;
	}
	return code;
}

static int insert(struct store *store, const struct card *card, struct fault *fault)
{
	STORE_STATEMENT insert = NULL;
	int code = store_prepare(store,
				 "INSERT INTO billing_card (" CARD_COLUMNS ", in_force_since)"
				 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
				 " $14, $15, $16, 0)",
				 &insert, fault);

	if (code < 0)
		return code;
	store_bind_int64(insert, 1, (int64_t)card->number);
	store_bind_int64(insert, 2, card->fee_ppm);
	for (unsigned i = 0; i < RATING_CLOUD_METERS; i++) {
		store_bind_int64(insert, 3 + 2 * i, card->rates.of[i].nano);
		store_bind_int64(insert, 4 + 2 * i, card->rates.of[i].per);
	}
	return store_execute(insert, fault);
}

int card_put_in_force(struct store *store, const struct rating_card *rates, uint32_t fee_ppm,
		      struct card *ret_card, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	struct card card = {.rates = *rates, .fee_ppm = fee_ppm};
	int64_t number;
	int code = find_same(store, rates, fee_ppm, &card.number, fault);

	if (code == 0 && card.number == 0) {
		code = store_sequence_take(store, "billing_card", 1, &number, fault);
		if (code == 0) {
			card.number = (uint64_t)number;
			code = insert(store, &card, fault);
		}
	}
	if (code == 0)
		code = store_prepare(store,
				     "UPDATE billing_card SET in_force_since ="
				     " (SELECT MAX(in_force_since) + 1 FROM billing_card)"
				     " WHERE number = $1",
				     &update, fault);
	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)card.number);
	code = store_execute(update, fault);
	if (code == 0)
		*ret_card = card;
	return code;
}
