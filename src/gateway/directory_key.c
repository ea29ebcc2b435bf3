#include "gateway/directory_internal.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/scope.h"
#include "base/secret.h"

static unsigned long hash_digest(const uint8_t digest[32])
{
	uint64_t hash;

	memcpy(&hash, digest, sizeof(hash));
	return hash;
}

static int match_digest(struct cds_lfht_node *node, const void *key)
{
	return secret_equal(entry_of(node, struct directory_key, by_digest)->digest, key, 32);
}

static struct directory_key *find_key(struct directory *directory, const uint8_t digest[32])
{
	struct cds_lfht_iter iterator;

	cds_lfht_lookup(directory->keys.of, hash_digest(digest), match_digest, digest, &iterator);
	struct cds_lfht_node *node = table_found(&iterator);
	return node == NULL ? NULL : entry_of(node, struct directory_key, by_digest);
}

const struct directory_key *directory_find_key(struct directory *directory,
					       const uint8_t digest[32])
{
	return find_key(directory, digest);
}

void directory_free_key(struct cds_lfht_node *node)
{
	free(entry_of(node, struct directory_key, by_digest));
}

static void free_key_later(struct rcu_head *head)
{
	free(entry_of(head, struct directory_key, rcu));
}

static struct directory_key *key_new(const struct gateway_key_entry *entry, struct fault *fault)
{
	const struct slice scopes = slice_of(entry->scopes);
	const uint64_t expires_us = entry->expires_ns / CLOCK_NS_PER_US;
	struct directory_key *key = malloc(sizeof(*key) + scopes.length);

	check(scopes.length < SCOPE_TEXT_MAX && expires_us < 1ull << 54);
	if (key == NULL) {
		fault_set(fault, FAULT_SYSTEM, "no memory for a key");
		return NULL;
	}
	*key = (struct directory_key){.id = entry->id,
				      .app = entry->app,
				      .expires_us = expires_us,
				      .scope_bytes = scopes.length};
	memcpy(key->digest, entry->digest, sizeof(key->digest));
	if (scopes.length > 0)
		memcpy(key->scopes, scopes.data, scopes.length);
	table_entry_init(&key->by_digest);
	return key;
}

static bool key_same(const struct directory_key *a, const struct directory_key *b)
{
	return a->id.value == b->id.value && a->app.value == b->app.value &&
	       a->expires_us == b->expires_us &&
	       slice_equal(directory_key_scopes(a), directory_key_scopes(b));
}

/* Most keys are new, at a start all of them: one walk through the table puts them in. */
int directory_put_key(struct directory *directory, const struct gateway_key_entry *entry,
		      bool *ret_replaced, struct fault *fault)
{
	struct directory_key *key = key_new(entry, fault);

	if (key == NULL)
		return fault->code;
	const unsigned long hash = hash_digest(key->digest);
	struct cds_lfht_node *there = cds_lfht_add_unique(directory->keys.of, hash, match_digest,
							  key->digest, &key->by_digest);
	*ret_replaced = there != &key->by_digest;
	if (!*ret_replaced) {
		table_added(&directory->keys);
	} else if (key_same(entry_of(there, struct directory_key, by_digest), key)) {
		free(key);
		*ret_replaced = false;
		return 0;
	} else {
		there = cds_lfht_add_replace(directory->keys.of, hash, match_digest, key->digest,
					     &key->by_digest);
		urcu_qsbr_call_rcu(&entry_of(there, struct directory_key, by_digest)->rcu,
				   free_key_later);
	}
	directory->changes++;
	return 0;
}

struct key_id directory_retire_key(struct directory *directory, const uint8_t digest[32])
{
	struct directory_key *key = find_key(directory, digest);

	if (key == NULL)
		return (struct key_id){0};
	const struct key_id id = key->id;
	directory->changes++;
	cds_lfht_del(directory->keys.of, &key->by_digest);
	table_removed(&directory->keys);
	urcu_qsbr_call_rcu(&key->rcu, free_key_later);
	return id;
}
