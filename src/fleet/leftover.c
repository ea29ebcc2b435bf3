#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/disk.h"
#include "base/log.h"
#include "fleet/fleet_internal.h"

/*
 * A number of a process is given again, so a record also says when the process began (in ticks
 * since the boot) and in which boot. Where the leader is dead its group may still have members;
 * those are known by the group and by the STOA_INSTANCE that they inherited.
 */
#define RECORD_BYTES_MAX  128
#define STAT_BYTES_MAX    1024
#define ENVIRON_BYTES_MAX (256u * 1024)
#define BOOT_BYTES_MAX    64

struct records {
	struct leftover *items;
	size_t count;
	char boot[BOOT_BYTES_MAX];
};

struct process {
	pid_t pid;
	pid_t group;
	char state;
	uint64_t began_ticks;
};

/* Files of /proc have no size: read until the end. */
static int read_small(const char *path, char *text, size_t bytes_max, size_t *ret_bytes,
		      struct fault *fault)
{
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;

	if (descriptor < 0 && errno == ENOENT)
		return fault_set(fault, FAULT_NOT_FOUND, "there is no %s", path);
	if (descriptor < 0)
		return fault_set_errno(fault, errno, "cannot open %s", path);
	while (length < bytes_max - 1) {
		got = read(descriptor, text + length, bytes_max - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	const int error = errno;
	close(descriptor);
	if (got < 0)
		return fault_set_errno(fault, error, "cannot read %s", path);
	text[length] = '\0';
	*ret_bytes = length;
	return 0;
}

static int read_boot(char boot[BOOT_BYTES_MAX], struct fault *fault)
{
	size_t length;

	const int code =
		read_small("/proc/sys/kernel/random/boot_id", boot, BOOT_BYTES_MAX, &length, fault);
	if (code == 0)
		boot[strcspn(boot, "\n")] = '\0';
	return code;
}

/* proc(5): the second field is the name in parentheses, which may hold anything. */
static int read_process(pid_t pid, struct process *ret_process, struct fault *fault)
{
	enum { STATE = 0, GROUP = 2, BEGAN = 19 }; /* fields after the name */
	struct process process = {.pid = pid};
	char path[64], text[STAT_BYTES_MAX];
	size_t length;
	struct slice field;
	uint64_t number;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	const int code = read_small(path, text, sizeof(text), &length, fault);
	if (code < 0)
		return code;
	const char *name_end = strrchr(text, ')');
	if (name_end == NULL || name_end[1] != ' ')
		return fault_set(fault, FAULT_INPUT, "%s is not as proc(5) says", path);
	struct slice rest = slice_of(name_end + 2);
	for (int i = 0; i <= BEGAN; i++) {
		if (!slice_cut(&rest, ' ', &field))
			return fault_set(fault, FAULT_INPUT, "%s is too short", path);
		if (i == STATE) {
			process.state = (char)(field.length > 0 ? field.data[0] : '?');
		} else if (i == GROUP) {
			if (!slice_to_u64(field, INT32_MAX, &number))
				return fault_set(fault, FAULT_INPUT, "%s has no group", path);
			process.group = (pid_t)number;
		} else if (i == BEGAN && !slice_to_u64(field, UINT64_MAX, &process.began_ticks)) {
			return fault_set(fault, FAULT_INPUT, "%s has no start time", path);
		}
	}
	*ret_process = process;
	return 0;
}

static char *record_path(const char *folder, uint64_t instance, const char *suffix)
{
	char *path;

	check(asprintf(&path, "%s/%" PRIu64 ".%s", folder, instance, suffix) > 0);
	return path;
}

int leftover_write(const char *folder, struct instance_id instance, pid_t pid, struct fault *fault)
{
	char boot[BOOT_BYTES_MAX], text[RECORD_BYTES_MAX];
	struct process process;

	int code = read_boot(boot, fault);
	if (code == 0)
		code = read_process(pid, &process, fault);
	if (code < 0)
		return code;
	const int length = snprintf(text, sizeof(text), "%d %" PRIu64 " %s\n", (int)pid,
				    process.began_ticks, boot);
	char *path = record_path(folder, instance.value, "pid");
	/* Not synced: it tells of processes, and none outlives the power. */
	const int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (descriptor < 0 || write(descriptor, text, (size_t)length) != length)
		code = fault_set_errno(fault, errno, "cannot write %s", path);
	if (descriptor >= 0)
		close(descriptor);
	free(path);
	return code;
}

static void remove_file(const char *folder, uint64_t instance, const char *suffix)
{
	char *path = record_path(folder, instance, suffix);

	if (unlink(path) != 0 && errno != ENOENT)
		log_event(LOG_WARN, "instance.file_left", log_text("path", path),
			  log_text("error", strerrordesc_np(errno)));
	free(path);
}

void leftover_remove(const char *folder, struct instance_id instance)
{
	remove_file(folder, instance.value, "sock");
	remove_file(folder, instance.value, "pid");
}

/* ---- the sweep ---- */

bool leftover_parse(struct slice text, struct slice boot, struct leftover *record)
{
	struct slice pid, began, rest;
	uint64_t number;

	if (!slice_ends_with(text, slice_of("\n")))
		return false;
	rest = slice_part(text, 0, text.length - 1);
	if (!slice_cut(&rest, ' ', &pid) || !slice_to_u64(pid, INT32_MAX, &number) || number < 2)
		return false;
	record->pid = (pid_t)number;
	return slice_cut(&rest, ' ', &began) &&
	       slice_to_u64(began, UINT64_MAX, &record->began_ticks) && slice_equal(rest, boot);
}

static bool read_record(const char *path, const char *boot, struct leftover *record)
{
	char text[RECORD_BYTES_MAX];
	size_t length;

	return read_small(path, text, sizeof(text), &length, NULL) == 0 &&
	       leftover_parse(slice_make(text, length), slice_of(boot), record);
}

/* Calls `each` with the number that a name begins with and what follows it. */
static int for_each_numbered(const char *folder,
			     void (*each)(void *context, uint64_t number, const char *suffix),
			     void *context, struct fault *fault)
{
	DIR *entries = opendir(folder);
	const struct dirent *entry;

	if (entries == NULL)
		return fault_set_errno(fault, errno, "cannot list %s", folder);
	while ((entry = readdir(entries)) != NULL) {
		const size_t digits = strspn(entry->d_name, "0123456789");
		uint64_t number;
		if (slice_to_u64(slice_make(entry->d_name, digits), UINT64_MAX, &number))
			each(context, number, entry->d_name + digits);
	}
	closedir(entries);
	return 0;
}

struct collecting {
	struct records *records;
	const char *folder;
};

static void collect(void *context, uint64_t number, const char *suffix)
{
	const struct collecting *collecting = context;
	struct records *records = collecting->records;
	struct leftover record = {.instance = number};

	if (strcmp(suffix, ".pid") != 0)
		return;
	char *path = record_path(collecting->folder, number, "pid");
	if (read_record(path, records->boot, &record)) {
		records->items = reallocarray(records->items, records->count + 1, sizeof(record));
		check(records->items != NULL);
		records->items[records->count++] = record;
	}
	free(path);
}

enum likeness { IS_ANOTHER, IS_OF_IT, IS_UNKNOWN };

/* Within execve a process has no environment for a moment. */
static enum likeness environment_names(pid_t pid, uint64_t instance)
{
	char path[64], wanted[64], id[ID_TEXT_MAX];
	size_t length = 0;
	bool found = false;

	char *text = malloc(ENVIRON_BYTES_MAX);
	check(text != NULL);
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	id_format("inst", instance, id);
	snprintf(wanted, sizeof(wanted), "STOA_INSTANCE=%s", id);
	if (read_small(path, text, ENVIRON_BYTES_MAX, &length, NULL) == 0)
		for (size_t at = 0; at < length && !found; at += strlen(text + at) + 1)
			found = strcmp(text + at, wanted) == 0;
	free(text);
	if (length == 0)
		return IS_UNKNOWN;
	return found ? IS_OF_IT : IS_ANOTHER;
}

static enum likeness compare(const struct process *process, const struct leftover *record)
{
	if (process->group != record->pid || process->state == 'Z' || process->state == 'X')
		return IS_ANOTHER;
	if (process->pid == record->pid)
		return process->began_ticks == record->began_ticks ? IS_OF_IT : IS_ANOTHER;
	if (process->began_ticks < record->began_ticks)
		return IS_ANOTHER;
	return environment_names(process->pid, record->instance);
}

struct ending {
	const struct records *records;
	size_t found; /* and killed, if they did not survive */
	size_t survived;
	size_t unknown;
};

static const struct leftover *record_of(struct ending *ending, const struct process *process)
{
	for (size_t i = 0; i < ending->records->count; i++) {
		const struct leftover *record = &ending->records->items[i];
		const enum likeness likeness = compare(process, record);
		if (likeness == IS_OF_IT)
			return record;
		ending->unknown += likeness == IS_UNKNOWN;
	}
	return NULL;
}

/* The descriptor is taken before the look: so what is killed is what was looked at. */
static void end_process(void *context, uint64_t number, const char *suffix)
{
	struct ending *ending = context;
	const struct leftover *record;
	struct process process;

	if (*suffix != '\0' || number < 2 || number > INT32_MAX)
		return;
	struct pollfd exited = {.fd = (int)syscall(SYS_pidfd_open, (pid_t)number, 0),
				.events = POLLIN};
	if (exited.fd < 0)
		return;
	if (read_process((pid_t)number, &process, NULL) == 0 &&
	    (record = record_of(ending, &process)) != NULL) {
		ending->found++;
		log_event(LOG_WARN, "instance.leftover_killed", log_number("pid", process.pid),
			  log_number("instance", (int64_t)record->instance));
		if (syscall(SYS_pidfd_send_signal, exited.fd, SIGKILL, NULL, 0) != 0 ||
		    poll(&exited, 1, LEFTOVER_KILL_WAIT_MS) != 1)
			ending->survived++;
	}
	close(exited.fd);
}

/* Until a round finds none: a process may have forked while it was looked for. What stays
 * unknown for all rounds is not ours: it has no environment at all. */
static int end_all(const struct records *records, const char *folder, struct fault *fault)
{
	struct ending ending = {.records = records};

	for (int round = 0; round < LEFTOVER_ROUNDS_MAX; round++) {
		ending = (struct ending){.records = records};
		const int code = for_each_numbered("/proc", end_process, &ending, fault);
		if (code < 0)
			return code;
		if (ending.survived > 0)
			break;
		if (ending.found == 0 && ending.unknown == 0)
			return 0;
	}
	if (ending.found == 0)
		return 0;
	return fault_set(fault, FAULT_BUSY,
			 "processes that an earlier node left in %s cannot be ended", folder);
}

static void remove_any(void *context, uint64_t number, const char *suffix)
{
	if (strcmp(suffix, ".pid") == 0 || strcmp(suffix, ".sock") == 0)
		remove_file(context, number, suffix + 1);
}

int leftover_sweep(const char *folder, struct fault *fault)
{
	struct records records = {0};
	struct collecting collecting = {.records = &records, .folder = folder};

	int code = read_boot(records.boot, fault);
	if (code == 0)
		code = for_each_numbered(folder, collect, &collecting, fault);
	if (code == 0 && records.count > 0)
		code = end_all(&records, folder, fault);
	if (code == 0)
		code = for_each_numbered(folder, remove_any, (void *)(uintptr_t)folder, fault);
	free(records.items);
	return code;
}

int leftover_reserve(const char *folder, uint64_t *ret_last, struct fault *fault)
{
	char *path, text[32];
	char *found = NULL;
	size_t length = 0;
	uint64_t last = 0;

	check(asprintf(&path, "%s/last", folder) > 0);
	int code = disk_read_file(path, sizeof(text), &found, &length, fault);
	if (code == FAULT_NOT_FOUND)
		code = 0;
	else if (code == 0 && !slice_to_u64(slice_make(found, length), UINT64_MAX / 2, &last))
		code = fault_set(fault, FAULT_DAMAGED, "%s does not hold a number", path);
	if (code == 0) {
		const int written =
			snprintf(text, sizeof(text), "%" PRIu64, last + INSTANCES_RESERVED);
		code = disk_write_file(path, 0600, text, (size_t)written, fault);
	}
	if (code == 0)
		*ret_last = last;
	free(found);
	free(path);
	return code;
}

int leftover_groups(const char *folder, const struct cgroups *groups, struct fault *fault)
{
	char path[PATH_MAX], earlier[CGROUP_PATH_MAX];
	size_t length;

	snprintf(path, sizeof(path), "%s/group", folder);
	if (read_small(path, earlier, sizeof(earlier), &length, NULL) == 0)
		cgroups_remove(earlier);
	if (unlink(path) != 0 && errno != ENOENT)
		return fault_set_errno(fault, errno, "cannot remove %s", path);
	if (groups == NULL)
		return 0;
	const size_t wanted = strlen(groups->path);
	const int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int code = 0;
	if (descriptor < 0 || write(descriptor, groups->path, wanted) != (ssize_t)wanted)
		code = fault_set_errno(fault, errno, "cannot write %s", path);
	if (descriptor >= 0)
		close(descriptor);
	return code;
}
