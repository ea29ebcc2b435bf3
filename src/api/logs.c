/* What a service's instances wrote: log/NAME.log, and log/NAME.log.1, the file before it. */
#include "api/api_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

#define PART_BYTES_MAX (2u << 20) /* of one file, read at once */
#define LINES_DEFAULT  100

/* Where a log was read to. The file may be the one before by now, or gone. */
struct place {
	uint64_t file; /* its inode; 0: none */
	uint64_t offset;
};

struct part {
	struct place start;
	char *bytes;
	size_t length;
};

/* ---- files ---- */

static uint64_t start_of(const struct stat *about, const struct place *after)
{
	const uint64_t size = (uint64_t)about->st_size;

	if (after == NULL)
		return size > PART_BYTES_MAX ? size - PART_BYTES_MAX : 0;
	return after->file == about->st_ino && after->offset <= size ? after->offset : 0;
}

/* The file's end, or what stands in it behind `after`: all of it, where that is another file.
 * Nothing where there is no file. */
static int read_part(const struct api *api, const char *service, const char *suffix,
		     const struct place *after, struct part *ret_part, struct fault *fault)
{
	char path[PATH_MAX];
	struct stat about;
	ssize_t got = 0;

	*ret_part = (struct part){0};
	if ((size_t)snprintf(path, sizeof(path), "%s/log/%s.log%s", api->options.folder, service,
			     suffix) >= sizeof(path))
		return fault_set(fault, FAULT_LIMIT, "the cloud's folder has too long a path");
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (descriptor < 0)
		return errno == ENOENT ? 0 : fault_set_errno(fault, errno, "open %s", path);
	if (fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode)) {
		const uint64_t start = start_of(&about, after);
		const uint64_t rest = (uint64_t)about.st_size - start;
		const size_t wanted = rest < PART_BYTES_MAX ? (size_t)rest : PART_BYTES_MAX;
		ret_part->start = (struct place){about.st_ino, start};
		ret_part->bytes = malloc(wanted + 1);
		check(ret_part->bytes != NULL);
		got = pread(descriptor, ret_part->bytes, wanted, (off_t)start);
	}
	const int error = errno;
	close(descriptor);
	if (got < 0)
		return fault_set_errno(fault, error, "read %s", path);
	ret_part->length = (size_t)got;
	return 0;
}

static struct slice bytes_of(const struct part *part)
{
	return slice_make(part->bytes, part->length);
}

static void append_lines(struct slice lines, json_t *list)
{
	struct slice line;

	while (slice_cut(&lines, '\n', &line))
		json_array_append_new(list, api_json_shown(line));
}

/* ---- the last lines ---- */

/* Where the last `count` lines begin; *ret_found is how many there are. */
static size_t last_lines(const struct part *part, size_t count, size_t *ret_found)
{
	size_t at = part->length;

	*ret_found = 0;
	if (at > 0 && part->bytes[at - 1] == '\n')
		at--;
	while (at > 0 && *ret_found < count) {
		while (at > 0 && part->bytes[at - 1] != '\n')
			at--;
		++*ret_found;
		if (*ret_found < count && at > 0)
			at--;
	}
	return at;
}

static int read_last(const struct api *api, const char *service, size_t count, json_t *lines,
		     struct place *ret_next, struct fault *fault)
{
	struct part now, before = {0};
	size_t found_now = 0, found_before = 0;
	size_t from_now = 0, from_before = 0;
	int code = read_part(api, service, "", NULL, &now, fault);

	if (code == 0)
		from_now = last_lines(&now, count, &found_now);
	if (code == 0 && found_now < count)
		code = read_part(api, service, ".1", NULL, &before, fault);
	if (code == 0) {
		from_before = last_lines(&before, count - found_now, &found_before);
		append_lines(slice_part(bytes_of(&before), from_before, before.length), lines);
		append_lines(slice_part(bytes_of(&now), from_now, now.length), lines);
		*ret_next = (struct place){now.start.file, now.start.offset + now.length};
	}
	free(now.bytes);
	free(before.bytes);
	return code;
}

/* ---- the next lines ---- */

/* How much of the part is whole lines, at most `count`. What a file that nobody writes any more
 * ends with is a line, and so is what fills a part. */
static size_t whole_lines(const struct part *part, size_t count, bool written)
{
	const struct slice bytes = bytes_of(part);
	size_t at = 0;

	for (; count > 0; count--) {
		const size_t end = slice_find_byte(bytes, '\n', at);
		if (end == bytes.length)
			break;
		at = end + 1;
	}
	const bool takes_rest = !written || (at == 0 && part->length == PART_BYTES_MAX);
	return count > 0 && takes_rest ? part->length : at;
}

static int read_next(const struct api *api, const char *service, const struct place *after,
		     size_t count, json_t *lines, struct place *ret_next, struct fault *fault)
{
	struct part now, before = {0};
	const struct part *part = &now;
	int code = read_part(api, service, "", after, &now, fault);

	if (code == 0 && now.start.file != after->file)
		code = read_part(api, service, ".1", after, &before, fault);
	if (code == 0 && before.start.file != 0 && before.start.file == after->file &&
	    before.length > 0)
		part = &before;
	if (code == 0) {
		const size_t length = whole_lines(part, count, part == &now);
		append_lines(slice_part(bytes_of(part), 0, length), lines);
		*ret_next = (struct place){part->start.file, part->start.offset + length};
	}
	free(now.bytes);
	free(before.bytes);
	return code;
}

/* ---- the route ---- */

/* "FILE-OFFSET" */
static int read_cursor(struct api_request *request, struct place *ret_after, struct fault *fault)
{
	const struct slice text = api_argument(request, "after")->text;
	const size_t dash = slice_find_byte(text, '-', 0);

	if (dash == text.length ||
	    !slice_to_u64(slice_part(text, 0, dash), UINT64_MAX, &ret_after->file) ||
	    !slice_to_u64(slice_part(text, dash + 1, text.length), INT64_MAX, &ret_after->offset))
		return api_at(request, "after",
			      fault_set(fault, FAULT_INPUT,
					"after: give `next` of an answer before, as it is"));
	return 0;
}

int api_services_logs(struct api_request *request, struct fault *fault)
{
	const struct api *api = request->api;
	const bool follows = api_argument(request, "after")->given;
	const size_t count = api_argument_number(request, "lines", LINES_DEFAULT);
	struct catalog_service *service = NULL;
	json_t *lines = json_array();
	struct place after = {0}, next = {0};
	int code = follows ? read_cursor(request, &after, fault) : 0;

	if (code == 0)
		code = api_at(request, "name",
			      catalog_service_get(api->options.store,
						  api_argument(request, "name")->text, &service,
						  fault));
	if (code == 0 && follows)
		code = read_next(api, service->description.name, &after, count, lines, &next,
				 fault);
	else if (code == 0)
		code = read_last(api, service->description.name, count, lines, &next, fault);
	if (code == 0)
		request->answer = json_pack(
			"{s:s, s:O, s:o}", "service", service->description.name, "lines", lines,
			"next", json_sprintf("%" PRIu64 "-%" PRIu64, next.file, next.offset));
	json_decref(lines);
	catalog_service_free(service);
	return code;
}
