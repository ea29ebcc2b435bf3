/* Merkle trees as RFC 6962, section 2.1, has them. */
#include "audit/audit_internal.h"

#include "base/check.h"

struct audit_hash audit_tree_empty(struct audit_hasher *hasher)
{
	audit_hash_begin(hasher);
	return audit_hash_end(hasher);
}

uint64_t audit_tree_split(uint64_t from, uint64_t to)
{
	check(to - from >= 2);
	return from + (1ull << (63 - __builtin_clzll(to - from - 1)));
}

struct audit_hash audit_tree_fold(struct audit_hasher *hasher, const struct audit_hash *hashes,
				  unsigned count)
{
	check(count >= 1);
	if (count == 1)
		return hashes[0];
	const unsigned left_count = (unsigned)audit_tree_split(0, count);
	const struct audit_hash left = audit_tree_fold(hasher, hashes, left_count);
	const struct audit_hash right =
		audit_tree_fold(hasher, hashes + left_count, count - left_count);
	return audit_hash_node(hasher, &left, &right);
}

/* RFC 9162, section 2.1.3.2. */
bool audit_tree_root_of(struct audit_hasher *hasher, uint64_t index, uint64_t size,
			const struct audit_hash *leaf, const struct audit_hash *proof,
			size_t proof_length, struct audit_hash *ret_root)
{
	struct audit_hash root = *leaf;
	uint64_t node = index;
	uint64_t last = size - 1;

	if (index >= size)
		return false;
	for (size_t i = 0; i < proof_length; i++) {
		if (last == 0)
			return false;
		if ((node & 1) == 0 && node != last) {
			root = audit_hash_node(hasher, &root, &proof[i]);
		} else {
			root = audit_hash_node(hasher, &proof[i], &root);
			while ((node & 1) == 0 && node != 0) {
				node >>= 1;
				last >>= 1;
			}
		}
		node >>= 1;
		last >>= 1;
	}
	if (last != 0)
		return false;
	*ret_root = root;
	return true;
}
