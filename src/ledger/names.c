/* Ids, and the names of kinds and outcomes. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "ledger/ledger.h"

#define ID_BYTES        16
#define ID_LEADING_BITS 48 /* of `a`; the rest of the id is the hash */

static uint64_t bytes_to_u64(const unsigned char *bytes)
{
	uint64_t value = 0;

	for (unsigned index = 0; index < 8; index++)
		value = value << 8 | bytes[index];
	return value;
}

static void u64_to_bytes(uint64_t value, unsigned char *bytes)
{
	for (unsigned index = 8; index-- > 0; value >>= 8)
		bytes[index] = (unsigned char)value;
}

static struct ledger_transfer_id id_of_hash(const void *input, size_t length)
{
	unsigned char hash[ID_BYTES];

	check_equal(crypto_generichash(hash, sizeof(hash), input, length, NULL, 0), 0);
	return (struct ledger_transfer_id){.high = bytes_to_u64(hash),
					   .low = bytes_to_u64(hash + 8)};
}

struct ledger_transfer_id ledger_transfer_id_derive(enum ledger_kind kind, uint64_t a, uint64_t b,
						    uint64_t c)
{
	unsigned char input[32];
	u64_to_bytes((uint64_t)kind, input);
	u64_to_bytes(a, input + 8);
	u64_to_bytes(b, input + 16);
	u64_to_bytes(c, input + 24);

	struct ledger_transfer_id id = id_of_hash(input, sizeof(input));
	id.high = a << (64 - ID_LEADING_BITS) | id.high >> ID_LEADING_BITS;
	check(id.high != 0 || id.low != 0);
	return id;
}

struct ledger_transfer_id ledger_transfer_id_of_key(struct slice key)
{
	return id_of_hash(key.data, key.length);
}

void ledger_transfer_id_format(struct ledger_transfer_id id, char text[LEDGER_TRANSFER_ID_MAX])
{
	unsigned char bytes[ID_BYTES];

	u64_to_bytes(id.high, bytes);
	u64_to_bytes(id.low, bytes + 8);
	text_hex(bytes, sizeof(bytes), text);
}

bool ledger_transfer_id_parse(struct slice text, struct ledger_transfer_id *ret_id)
{
	unsigned char bytes[ID_BYTES];

	if (text.length != 2 * sizeof(bytes) || !text_from_hex(text, bytes, sizeof(bytes)))
		return false;
	*ret_id = (struct ledger_transfer_id){.high = bytes_to_u64(bytes),
					      .low = bytes_to_u64(bytes + 8)};
	return true;
}

const char *ledger_kind_name(enum ledger_kind kind)
{
	switch (kind) {
#define LEDGER_KIND_ROW(name, number, text, sentence) \
	case LEDGER_KIND_##name:                      \
		return text;
		LEDGER_KINDS(LEDGER_KIND_ROW)
#undef LEDGER_KIND_ROW
	}
	return NULL;
}

const char *ledger_outcome_name(enum ledger_outcome outcome)
{
	static const char *const names[] = {
#define LEDGER_OUTCOME_ROW(name, text, sentence) text,
		LEDGER_OUTCOMES(LEDGER_OUTCOME_ROW)
#undef LEDGER_OUTCOME_ROW
	};

	check(outcome < LEDGER_OUTCOMES_COUNT);
	return names[outcome];
}

const char *ledger_outcome_sentence(enum ledger_outcome outcome)
{
	static const char *const sentences[] = {
#define LEDGER_OUTCOME_ROW(name, text, sentence) sentence,
		LEDGER_OUTCOMES(LEDGER_OUTCOME_ROW)
#undef LEDGER_OUTCOME_ROW
	};

	check(outcome < LEDGER_OUTCOMES_COUNT);
	return sentences[outcome];
}
