#include "message_fuzz.h"

#include "base/check.h"
#include "base/random.h"
#include "http/reader_internal.h"

#define SPLITS     8   /* ways to split one input */
#define PIECES_MAX 512 /* each is a copy of what is kept */

/* Pieces of 1 to `piece_bytes_max` bytes; 0: the whole in one. */
static int read_in_pieces(struct reader *reader, struct slice bytes, struct random *random,
			  size_t piece_bytes_max)
{
	int verdict = READER_MORE;

	if (piece_bytes_max == 0)
		return reader_feed(reader, bytes);
	for (size_t at = 0; at < bytes.length && verdict == READER_MORE;) {
		const size_t end = at + 1 + random_below(random, piece_bytes_max);
		verdict = reader_feed(reader, slice_part(bytes, at, end));
		at = end;
	}
	return verdict;
}

static void expect_same(struct reader *a, struct reader *b)
{
	check(slice_equal(text_slice(&a->trailer_text), text_slice(&b->trailer_text)));
	/* What was refused may have shown more or less of its content before. */
	const size_t common =
		a->content.length < b->content.length ? a->content.length : b->content.length;
	if (common > 0)
		check(memcmp(a->content.data, b->content.data, common) == 0);
}

void message_fuzz(enum http_head_kind kind, bool head_only, struct slice bytes)
{
	static const size_t pieces[SPLITS] = {1, 2, 3, 7, 16, 64, 300, 2000};
	struct random_seeded seeded;
	struct reader whole, split;

	random_seeded_init(&seeded, bytes.length);
	reader_init(&whole, kind);
	whole.head_only = head_only;
	const int wanted = read_in_pieces(&whole, bytes, &seeded.random, 0);
	for (unsigned i = 0; i < SPLITS; i++) {
		if (bytes.length / pieces[i] > PIECES_MAX)
			continue;
		reader_init(&split, kind);
		split.head_only = head_only;
		const int verdict = read_in_pieces(&split, bytes, &seeded.random, pieces[i]);
		check_equal(verdict, wanted);
		expect_same(&whole, &split);
		if (wanted == READER_WHOLE)
			check_equal(split.content.length, whole.content.length);
		reader_fini(&split);
	}
	reader_fini(&whole);
}
