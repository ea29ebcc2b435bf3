#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/catalog_internal.h"
#include "catalog/manifest_internal.h"

#define SERVICE_MEMORY_MAX (4ull * YAML_BYTES_MAX)
#define WORDS_MAX          8
#define WORD_MAX           64 /* bytes with the NUL */
#define TAGS_TEXT_MAX      (CATALOG_TAGS_MAX * 33)

struct service_holder {
	struct catalog_service service; /* first: what is handed out */
	struct arena arena;
};

void catalog_column_copy(const struct store_statement *statement, unsigned column, char *text,
			 size_t text_bytes_max)
{
	check(slice_to_text(store_column_text(statement, column), text, text_bytes_max));
}

/* ---- one service ---- */

int catalog_service_find(struct store *store, struct slice name,
			 struct catalog_service_head *ret_head, bool *ret_found,
			 struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	int code = store_prepare(store,
				 "SELECT services.id, services.account, services.revision,"
				 " accounts.name, services.folder FROM services"
				 " JOIN accounts ON accounts.id = services.account"
				 " WHERE services.name = $1",
				 &select, fault);

	if (code < 0)
		return code;
	store_bind_text(select, 1, name);
	code = store_step(select, ret_found, fault);
	if (code < 0 || !*ret_found)
		return code;
	ret_head->id.value = (uint64_t)store_column_int64(select, 0);
	ret_head->account.value = (uint64_t)store_column_int64(select, 1);
	ret_head->revision = (uint32_t)store_column_int64(select, 2);
	catalog_column_copy(select, 3, ret_head->account_name, sizeof(ret_head->account_name));
	catalog_column_copy(select, 4, ret_head->folder, sizeof(ret_head->folder));
	return 0;
}

int catalog_service_not_found(struct store *store, struct slice name, struct fault *fault)
{
	return account_name_not_found(store, "SELECT name FROM services ORDER BY name", 0,
				      "service", name, fault);
}

int catalog_units_load(struct store *store, struct service_id service,
		       struct catalog_units *ret_units, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	bool row = true;
	int code = store_prepare(store,
				 "SELECT slot, name, unit FROM service_units WHERE service = $1",
				 &select, fault);

	if (code < 0)
		return code;
	*ret_units = (struct catalog_units){.service = service};
	store_bind_int64(select, 1, (int64_t)service.value);
	for (;;) {
		code = store_step(select, &row, fault);
		if (code < 0 || !row)
			return code;
		const int64_t slot = store_column_int64(select, 0);
		check(slot >= 0 && slot < RATING_UNITS_MAX);
		catalog_column_copy(select, 1, ret_units->names[slot], CATALOG_UNIT_MAX);
		catalog_column_copy(select, 2, ret_units->called[slot], CATALOG_UNIT_MAX);
		ret_units->units[slot] = (struct catalog_unit){.name = ret_units->names[slot],
							       .unit = ret_units->called[slot]};
	}
}

static const char *kept(struct service_holder *holder, struct slice text)
{
	const char *copy = arena_text(&holder->arena, text);

	check(copy != NULL);
	return copy;
}

static int service_fill(struct store *store, const struct store_statement *row,
			struct service_holder *holder, struct fault *fault)
{
	struct catalog_service *service = &holder->service;
	struct catalog_description *description = &service->description;
	struct catalog_units units;

	service->id.value = (uint64_t)store_column_int64(row, 0);
	service->account.value = (uint64_t)store_column_int64(row, 1);
	catalog_column_copy(row, 2, service->account_name, sizeof(service->account_name));
	service->revision = (uint32_t)store_column_int64(row, 3);
	service->created_ns = (uint64_t)store_column_int64(row, 4);
	service->published_ns = (uint64_t)store_column_int64(row, 5);
	service->folder = kept(holder, store_column_text(row, 6));
	service->identity_key = (uint32_t)store_column_int64(row, 9);
	description->name = kept(holder, store_column_text(row, 7));
	int code = catalog_description_parse(store_column_text(row, 8), &holder->arena, description,
					     fault);
	if (code == 0)
		code = catalog_units_load(store, service->id, &units, fault);
	if (code < 0)
		return fault_prefix(fault, "service \"%s\"", description->name);
	for (int i = 0; i < RATING_UNITS_MAX; i++) {
		if (units.units[i].name == NULL)
			continue;
		description->units[i].name = kept(holder, slice_of(units.units[i].name));
		description->units[i].unit = kept(holder, slice_of(units.units[i].unit));
	}
	return 0;
}

#define SERVICE_SELECT                                                                          \
	"SELECT services.id, services.account, accounts.name, services.revision,"               \
	" services.created_ns, service_revisions.published_ns, services.folder, services.name," \
	" service_revisions.content, services.identity_key FROM services"                       \
	" JOIN accounts ON accounts.id = services.account"                                      \
	" JOIN service_revisions ON service_revisions.service = services.id"                    \
	" AND service_revisions.revision = services.revision"

/* The statement's first row, or NULL. */
static int service_load(struct store *store, struct store_statement *select,
			struct catalog_service **ret_service, struct fault *fault)
{
	bool row;
	int code = store_step(select, &row, fault);

	if (code < 0)
		return code;
	if (!row) {
		*ret_service = NULL;
		return 0;
	}
	struct service_holder *holder = calloc(1, sizeof(*holder));
	check(holder != NULL);
	arena_init(&holder->arena, SERVICE_MEMORY_MAX);
	code = service_fill(store, select, holder, fault);
	if (code < 0)
		catalog_service_free(&holder->service);
	else
		*ret_service = &holder->service;
	return code;
}

int catalog_service_get(struct store *store, struct slice name,
			struct catalog_service **ret_service, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct catalog_service *service = NULL;
	int code = store_prepare(store, SERVICE_SELECT " WHERE services.name = $1", &select, fault);

	if (code < 0)
		return code;
	store_bind_text(select, 1, name);
	code = service_load(store, select, &service, fault);
	if (code < 0)
		return code;
	if (service == NULL)
		return catalog_service_not_found(store, name, fault);
	*ret_service = service;
	return 0;
}

int catalog_service_get_by_id(struct store *store, struct service_id id,
			      struct catalog_service **ret_service, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	struct catalog_service *service = NULL;
	int code = store_prepare(store, SERVICE_SELECT " WHERE services.id = $1", &select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)id.value);
	code = service_load(store, select, &service, fault);
	if (code < 0)
		return code;
	if (service == NULL)
		return account_id_not_found("svc", id.value, fault);
	*ret_service = service;
	return 0;
}

int catalog_service_next(struct store *store, struct service_id after,
			 struct catalog_service **ret_service, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	const int code = store_prepare(
		store, SERVICE_SELECT " WHERE services.id > $1 ORDER BY services.id LIMIT 1",
		&select, fault);

	if (code < 0)
		return code;
	store_bind_int64(select, 1, (int64_t)after.value);
	return service_load(store, select, ret_service, fault);
}

void catalog_service_free(struct catalog_service *service)
{
	struct service_holder *holder = (struct service_holder *)service;

	if (holder == NULL)
		return;
	arena_fini(&holder->arena);
	free(holder);
}

int catalog_identity_rotate(struct store *store, struct service_id service, struct fault *fault)
{
	STORE_STATEMENT update = NULL;
	const int code = store_prepare(store,
				       "UPDATE services SET identity_key = identity_key + 1"
				       " WHERE id = $1",
				       &update, fault);

	check(store_in_transaction(store));
	if (code < 0)
		return code;
	store_bind_int64(update, 1, (int64_t)service.value);
	return store_execute(update, fault);
}

/* ---- search ---- */

struct words {
	size_t count;
	char of[WORDS_MAX][WORD_MAX]; /* in lower case */
};

static void lower(const char *from, char *to)
{
	for (; *from != '\0'; from++)
		*to++ = (char)(*from >= 'A' && *from <= 'Z' ? *from + ('a' - 'A') : *from);
	*to = '\0';
}

static int words_split(struct slice text, struct words *ret_words, struct fault *fault)
{
	char shown[TEXT_SHOWN_MAX];
	struct slice part;

	ret_words->count = 0;
	while (slice_cut(&text, ' ', &part)) {
		char word[WORD_MAX];
		if (part.length == 0)
			continue;
		if (ret_words->count == WORDS_MAX)
			return fault_set(fault, FAULT_INPUT, "more than %d words to search for",
					 WORDS_MAX);
		if (!slice_to_text(part, word, sizeof(word)))
			return fault_set(fault, FAULT_INPUT,
					 "search word \"%s\": longer than %d bytes",
					 text_show(part, shown), WORD_MAX - 1);
		lower(word, ret_words->of[ret_words->count++]);
	}
	return 0;
}

/* "%word%" with what LIKE gives a meaning made plain. */
static void like_pattern(const struct words *words, char pattern[2 * WORD_MAX + 3])
{
	char *to = pattern;

	*to++ = '%';
	for (const char *from = words->count > 0 ? words->of[0] : ""; *from != '\0'; from++) {
		if (*from == '%' || *from == '_' || *from == '\\')
			*to++ = '\\';
		*to++ = *from;
	}
	*to++ = '%';
	*to = '\0';
}

/* Tags are a list with spaces at both ends. */
static bool has_tag(const char *tags, const char *word)
{
	char padded[WORD_MAX + 2];
	const size_t length = strlen(word);

	padded[0] = ' ';
	memcpy(padded + 1, word, length);
	memcpy(padded + 1 + length, " ", 2);
	return strstr(tags, padded) != NULL;
}

/* 0 where a word is nowhere. */
static uint32_t score_of(const struct words *words, const struct catalog_hit *hit, const char *tags)
{
	char summary[CATALOG_TEXT_MAX];
	uint32_t score = 1;

	lower(hit->summary, summary);
	for (size_t i = 0; i < words->count; i++) {
		const char *word = words->of[i];
		const char *in_name = strstr(hit->name, word);
		if (strcmp(hit->name, word) == 0)
			score += 100;
		else if (in_name == hit->name)
			score += 50;
		else if (has_tag(tags, word))
			score += 40;
		else if (in_name != NULL)
			score += 30;
		else if (strstr(summary, word) != NULL || strstr(tags, word) != NULL)
			score += 10;
		else
			return 0;
	}
	return score;
}

/* Rows come by name, so a hit goes behind all that are as good. */
static void hit_insert(struct catalog_hit *hits, size_t most, size_t *count,
		       const struct catalog_hit *hit)
{
	size_t at = *count;

	while (at > 0 && hits[at - 1].score < hit->score)
		at--;
	if (at == most)
		return;
	if (*count < most)
		(*count)++;
	memmove(&hits[at + 1], &hits[at], (*count - at - 1) * sizeof(*hits));
	hits[at] = *hit;
}

int catalog_search(struct store *store, struct slice text, struct catalog_hit *hits, size_t most,
		   size_t *ret_count, struct fault *fault)
{
	STORE_STATEMENT select = NULL;
	char pattern[2 * WORD_MAX + 3];
	struct words words;
	size_t count = 0;
	bool row;

	int code = words_split(text, &words, fault);
	if (code == 0)
		code = store_prepare(
			store,
			"SELECT services.id, services.name, services.version, accounts.name,"
			" services.summary, services.tags FROM services"
			" JOIN accounts ON accounts.id = services.account"
			" WHERE lower(services.name || ' ' || services.summary || services.tags)"
			" LIKE $1 ESCAPE '\\' ORDER BY services.name",
			&select, fault);
	if (code < 0)
		return code;
	like_pattern(&words, pattern);
	store_bind_text(select, 1, slice_of(pattern));
	while ((code = store_step(select, &row, fault)) == 0 && row) {
		struct catalog_hit hit = {.id = {(uint64_t)store_column_int64(select, 0)}};
		char tags[TAGS_TEXT_MAX + 2];
		catalog_column_copy(select, 1, hit.name, sizeof(hit.name));
		catalog_column_copy(select, 2, hit.version, sizeof(hit.version));
		catalog_column_copy(select, 3, hit.account_name, sizeof(hit.account_name));
		catalog_column_copy(select, 4, hit.summary, sizeof(hit.summary));
		catalog_column_copy(select, 5, tags, sizeof(tags));
		hit.score = score_of(&words, &hit, tags);
		if (hit.score > 0)
			hit_insert(hits, most, &count, &hit);
	}
	if (code == 0)
		*ret_count = count;
	return code;
}
