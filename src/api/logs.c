/* The last lines that a service's instances wrote: of log/NAME.log, and of the file before it. */
#include "api/api_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

#define TAIL_BYTES_MAX (2u << 20) /* of one file */

struct tail {
	char *bytes;
	size_t length;
};

/* The file's end; nothing where there is no file. */
static int read_tail(const char *path, struct tail *ret_tail, struct fault *fault)
{
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat about;
	ssize_t got = 0;

	*ret_tail = (struct tail){0};
	if (descriptor < 0)
		return errno == ENOENT ? 0 : fault_set_errno(fault, errno, "open %s", path);
	if (fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode)) {
		const off_t start =
			about.st_size > TAIL_BYTES_MAX ? about.st_size - TAIL_BYTES_MAX : 0;
		const size_t wanted = (size_t)(about.st_size - start);
		ret_tail->bytes = malloc(wanted + 1);
		check(ret_tail->bytes != NULL);
		got = pread(descriptor, ret_tail->bytes, wanted, start);
	}
	const int error = errno;
	close(descriptor);
	if (got < 0) {
		free(ret_tail->bytes);
		return fault_set_errno(fault, error, "read %s", path);
	}
	ret_tail->length = (size_t)got;
	return 0;
}

/* Where the last `count` lines begin; *ret_found is how many there are. */
static size_t last_lines(const struct tail *tail, size_t count, size_t *ret_found)
{
	size_t at = tail->length;

	*ret_found = 0;
	if (at > 0 && tail->bytes[at - 1] == '\n')
		at--;
	while (at > 0 && *ret_found < count) {
		while (at > 0 && tail->bytes[at - 1] != '\n')
			at--;
		++*ret_found;
		if (*ret_found < count && at > 0)
			at--;
	}
	return at;
}

static void append_lines(const struct tail *tail, size_t from, json_t *lines)
{
	struct slice rest = slice_make(tail->bytes, tail->length);
	struct slice line;

	rest = slice_part(rest, from, tail->length);
	while (slice_cut(&rest, '\n', &line))
		json_array_append_new(lines, api_json_shown(line));
}

static int read_lines(const struct api *api, const char *name, size_t count, json_t *lines,
		      struct fault *fault)
{
	char path[PATH_MAX];
	struct tail now = {0};
	struct tail before = {0};
	size_t found_now;
	size_t found_before;

	if ((size_t)snprintf(path, sizeof(path) - 2, "%s/log/%s.log", api->options.folder, name) >=
	    sizeof(path) - 2)
		return fault_set(fault, FAULT_LIMIT, "the cloud's folder has too long a path");
	int code = read_tail(path, &now, fault);
	if (code < 0)
		return code;
	const size_t from_now = last_lines(&now, count, &found_now);
	if (found_now < count) {
		snprintf(path, sizeof(path), "%s/log/%s.log.1", api->options.folder, name);
		code = read_tail(path, &before, fault);
	}
	if (code == 0) {
		const size_t from = last_lines(&before, count - found_now, &found_before);
		append_lines(&before, from, lines);
		append_lines(&now, from_now, lines);
	}
	free(now.bytes);
	free(before.bytes);
	return code;
}

int api_services_logs(struct api_request *request, struct fault *fault)
{
	struct catalog_service *service = NULL;
	json_t *lines = json_array();
	int code =
		api_at(request, "name",
		       catalog_service_get(request->api->options.store,
					   api_argument(request, "name")->text, &service, fault));
	if (code == 0)
		code = read_lines(request->api, service->description.name,
				  api_argument_number(request, "lines", 100), lines, fault);
	if (code == 0)
		request->answer = json_pack("{s:s, s:O}", "service", service->description.name,
					    "lines", lines);
	json_decref(lines);
	catalog_service_free(service);
	return code;
}
