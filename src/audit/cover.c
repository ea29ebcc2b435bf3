#include "audit/audit_internal.h"

#include "base/check.h"

void audit_cover_begin(struct audit_cover *cover, uint64_t size)
{
	cover->part_count = 0;
	if (size > 0)
		cover->parts[cover->part_count++] = (struct audit_cover_part){0, size};
}

bool audit_cover_next(struct audit_cover *cover, uint64_t leaf, uint64_t *ret_from,
		      uint64_t *ret_to)
{
	while (cover->part_count > 0) {
		const struct audit_cover_part part = cover->parts[--cover->part_count];
		check_at_most(part.from, leaf);
		if (leaf >= part.to) {
			*ret_from = part.from;
			*ret_to = part.to;
			return true;
		}
		if (part.to - part.from == 1) /* it is the leaf */
			return false;
		const uint64_t middle = audit_tree_split(part.from, part.to);
		check(cover->part_count + 2 <= 2 * AUDIT_PROOF_MAX);
		cover->parts[cover->part_count++] = (struct audit_cover_part){middle, part.to};
		cover->parts[cover->part_count++] = (struct audit_cover_part){part.from, middle};
	}
	return false;
}
