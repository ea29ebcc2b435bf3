#include "journal/journal_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void journal_free(struct journal *journal)
{
	for (uint32_t i = 0; i < JOURNAL_STREAMS_MAX; i++) {
		struct journal_stream *stream = atomic_load(&journal->streams[i]);
		if (stream != NULL)
			journal_stream_free(stream);
	}
	free(journal->folder);
	free(journal);
}

int journal_open(const struct journal_options *options, struct journal **ret_journal,
		 struct fault *fault)
{
	check(options->segment_records <= SEGMENT_RECORDS_MAX);

	struct journal *journal = calloc(1, sizeof(*journal));
	check(journal != NULL);
	journal->disk = options->disk;
	journal->clock = options->clock;
	journal->folder = strdup(options->folder);
	check(journal->folder != NULL);
	journal->segment_records =
		options->segment_records ? options->segment_records : JOURNAL_SEGMENT_RECORDS;

	int result = journal->disk->folder_make(journal->disk, journal->folder, 0700, fault);
	if (result == 0)
		result = journal_recover(journal, fault);
	if (result < 0) {
		journal_free(journal);
		return result;
	}
	*ret_journal = journal;
	return 0;
}

int journal_close(struct journal *journal, struct fault *fault)
{
	bool synced = false;
	const int result = journal_maintain(journal, &synced, fault);

	/* Once more for the marks. */
	if (result == 0 && synced)
		journal_maintain(journal, &synced, NULL);
	journal_free(journal);
	return result;
}

uint32_t journal_stream_count(const struct journal *journal)
{
	return atomic_load_explicit(&journal->stream_count, memory_order_acquire);
}

uint32_t journal_torn_count(const struct journal *journal)
{
	return journal->torn_count;
}

bool journal_is_failed(const struct journal *journal)
{
	return atomic_load_explicit(&journal->failed, memory_order_acquire);
}

static struct journal_stream *stream_find(const struct journal *journal, uint32_t number)
{
	check_at_most(number, JOURNAL_STREAMS_MAX - 1);
	return atomic_load_explicit(&journal->streams[number], memory_order_acquire);
}

static int stream_folder_make(const struct journal_stream *stream, struct fault *fault)
{
	struct journal *journal = stream->journal;
	char folder[JOURNAL_PATH_MAX];

	int result = segment_path(journal, stream->number, NULL, folder, fault);
	if (result == 0)
		result = journal->disk->folder_make(journal->disk, folder, 0700, fault);
	if (result == 0)
		result = journal->disk->folder_sync(journal->disk, journal->folder, fault);
	return result;
}

/* Says durably that there are segments from now on. */
static int stream_ready_make(struct journal_stream *stream, struct fault *fault)
{
	struct disk *disk = stream->journal->disk;
	struct disk_file ready = {.descriptor = -1};
	char folder[JOURNAL_PATH_MAX];
	char path[JOURNAL_PATH_MAX];

	int result = segment_path(stream->journal, stream->number, NULL, folder, fault);
	if (result == 0)
		result = segment_path(stream->journal, stream->number, "ready", path, fault);
	if (result == 0)
		result = disk->file_open(disk, path, true, 0600, &ready, fault);
	if (result < 0)
		return result;
	disk->file_close(disk, &ready);
	result = disk->folder_sync(disk, folder, fault);
	stream->ready = result == 0;
	return result;
}

int journal_stream_open(struct journal *journal, uint32_t number,
			struct journal_stream **ret_stream, struct fault *fault)
{
	struct journal_stream *stream = stream_find(journal, number);
	int result = 0;

	if (stream == NULL)
		stream = journal_stream_add(journal, number);
	check(!atomic_load(&stream->writable));
	if (atomic_load(&stream->extent_count) == 0)
		result = stream_folder_make(stream, fault);
	if (result == 0)
		result = journal_stream_extend(stream, fault);
	/* With one segment it can begin; those ahead come with maintenance. */
	if (result < 0 && atomic_load(&stream->reserved) > atomic_load(&stream->head))
		result = 0;
	if (result == 0 && !stream->ready)
		result = stream_ready_make(stream, fault);
	if (result < 0)
		return fault_prefix(fault, "journal stream %" PRIu32, number);
	atomic_store_explicit(&stream->writable, true, memory_order_release);
	*ret_stream = stream;
	return 0;
}

int journal_maintain(struct journal *journal, bool *ret_synced, struct fault *fault)
{
	const uint32_t count = journal_stream_count(journal);
	int result = 0;

	*ret_synced = false;
	for (uint32_t i = 0; i < count && !journal_is_failed(journal); i++) {
		struct journal_stream *stream = stream_find(journal, i);
		if (stream == NULL ||
		    !atomic_load_explicit(&stream->writable, memory_order_acquire))
			continue;
		/* A full disk does not keep what is written from becoming durable. */
		const int extended = journal_stream_extend(stream, result < 0 ? NULL : fault);
		result = result < 0 ? result : extended;
		journal_stream_sync(stream, ret_synced);
		journal_stream_warm(stream);
	}
	if (!journal_is_failed(journal))
		return result;
	if (fault != NULL)
		*fault = journal->failure;
	return journal->failure.code;
}

uint64_t journal_stream_durable(const struct journal *journal, uint32_t number)
{
	const struct journal_stream *stream = stream_find(journal, number);

	return stream ? atomic_load_explicit(&stream->durable, memory_order_acquire) : 0;
}

uint64_t journal_stream_head(const struct journal *journal, uint32_t number)
{
	const struct journal_stream *stream = stream_find(journal, number);

	return stream ? atomic_load_explicit(&stream->head, memory_order_acquire) : 0;
}

uint64_t journal_stream_first(const struct journal *journal, uint32_t number)
{
	const struct journal_stream *stream = stream_find(journal, number);

	if (stream == NULL ||
	    atomic_load_explicit(&stream->extent_count, memory_order_acquire) == 0)
		return 0;
	return stream->extents[0][0].first;
}
