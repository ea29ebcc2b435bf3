#include "base/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/slice.h"

#define TEXT_MAX       65536 /* of /proc/self/mountinfo */
#define FILE_MAX       (CGROUP_PATH_MAX + 64)
#define REMOVE_TRIES   10
#define REMOVE_WAIT_MS 10 /* before each but the first, at most */
#define CPU_PERIOD_US  100000u
#define PREFIX         "stoa-"
#define MOVED_PREFIX   "node-"

/* ---- files ---- */

static bool read_text(const char *path, char *text, size_t size)
{
	const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 1;

	if (descriptor < 0)
		return false;
	while (got > 0 && length < size - 1) {
		got = read(descriptor, text + length, size - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	}
	close(descriptor);
	text[length] = '\0';
	return got >= 0;
}

static bool write_text(const char *group, const char *name, const char *text)
{
	char path[FILE_MAX];

	const int length = snprintf(path, sizeof(path), "%s/%s", group, name);
	if (length < 0 || (size_t)length >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	const int descriptor = open(path, O_WRONLY | O_CLOEXEC);
	if (descriptor < 0)
		return false;
	const bool is_written = write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
	const int error = errno;
	close(descriptor);
	errno = error;
	return is_written;
}

/* ---- where we are ---- */

/* Where version 2 is mounted; false where it is not. */
static bool find_mount(char *text, struct slice *ret_mount)
{
	struct slice rest, line, word;

	if (!read_text("/proc/self/mountinfo", text, TEXT_MAX))
		return false;
	for (rest = slice_of(text); slice_cut(&rest, '\n', &line);) {
		struct slice root, mount;
		if (slice_cut(&line, ' ', &word) && slice_cut(&line, ' ', &word) &&
		    slice_cut(&line, ' ', &word) && slice_cut(&line, ' ', &root) &&
		    slice_cut(&line, ' ', &mount) && slice_equal(root, slice_of("/"))) {
			while (slice_cut(&line, ' ', &word) && !slice_equal(word, slice_of("-")))
				;
			if (slice_starts_with(line, slice_of("cgroup2 "))) {
				*ret_mount = mount;
				return true;
			}
		}
	}
	return false;
}

/* The group that this process is in; false, with a reason, where there is none to be had. */
static bool find_own(char path[CGROUP_PATH_MAX], char why[CGROUP_WHY_MAX])
{
	char *text = malloc(TEXT_MAX);
	char groups[4096];
	struct slice mount, rest, line, own = {0};

	check(text != NULL);
	snprintf(why, CGROUP_WHY_MAX, "control groups of version 2 are not there");
	bool found =
		find_mount(text, &mount) && read_text("/proc/self/cgroup", groups, sizeof(groups));
	for (rest = slice_of(found ? groups : ""); slice_cut(&rest, '\n', &line);)
		if (slice_starts_with(line, slice_of("0::/")))
			own = slice_part(line, strlen("0::/"), line.length);
	found = found && own.data != NULL && !slice_starts_with(own, slice_of(".."));
	if (found) {
		const int length = snprintf(path, CGROUP_PATH_MAX, "%.*s%s%.*s", SLICE_ARGS(mount),
					    own.length > 0 ? "/" : "", SLICE_ARGS(own));
		found = length > 0 && length < CGROUP_PATH_MAX - 64;
	}
	free(text);
	return found;
}

/* systemd is a group's only writer unless it says otherwise. */
static bool is_delegated(const char *path, char why[CGROUP_WHY_MAX])
{
	char value[2] = "";

	if (access("/run/systemd/system", F_OK) != 0)
		return true;
	if ((getxattr(path, "user.delegate", value, sizeof(value)) == 1 ||
	     getxattr(path, "trusted.delegate", value, sizeof(value)) == 1) &&
	    value[0] == '1')
		return true;
	snprintf(why, CGROUP_WHY_MAX, "systemd has not delegated a control group (Delegate=)");
	return false;
}

/* ---- limits ---- */

static bool has_controller(struct slice list, const char *name)
{
	struct slice rest = list, word;

	while (slice_cut(&rest, ' ', &word))
		if (slice_equal(word, slice_of(name)))
			return true;
	return false;
}

/* Those of earlier processes; one that is in use stays. */
static void remove_moved(const char *own)
{
	DIR *entries = opendir(own);
	const struct dirent *entry;

	while (entries != NULL && (entry = readdir(entries)) != NULL)
		if (strncmp(entry->d_name, MOVED_PREFIX, strlen(MOVED_PREFIX)) == 0)
			(void)unlinkat(dirfd(entries), entry->d_name, AT_REMOVEDIR);
	if (entries != NULL)
		closedir(entries);
}

/* A group with processes cannot give its children limits, unless it is the root. */
static bool move_out(const char *own, const char *suffix)
{
	char path[FILE_MAX];

	remove_moved(own);
	snprintf(path, sizeof(path), "%s/" MOVED_PREFIX "%s", own, suffix);
	return mkdir(path, 0755) == 0 && write_text(path, "cgroup.procs", "0");
}

static void enable_limits(struct cgroups *groups, const char *own, const char *suffix)
{
	static const char wanted[] = "+cpu +memory";
	char path[FILE_MAX], list[1024];

	snprintf(path, sizeof(path), "%s/cgroup.controllers", own);
	if (!read_text(path, list, sizeof(list)))
		list[0] = '\0';
	list[strcspn(list, "\n")] = '\0';
	if (!has_controller(slice_of(list), "cpu") || !has_controller(slice_of(list), "memory")) {
		snprintf(groups->why, sizeof(groups->why),
			 "the controllers cpu and memory are not delegated");
		return;
	}
	bool enabled = write_text(own, "cgroup.subtree_control", wanted);
	if (!enabled && errno == EBUSY && move_out(own, suffix))
		enabled = write_text(own, "cgroup.subtree_control", wanted);
	groups->limits = enabled && write_text(groups->path, "cgroup.subtree_control", wanted);
	if (!groups->limits)
		snprintf(groups->why, sizeof(groups->why), "cpu and memory cannot be divided: %s",
			 strerrordesc_np(errno));
}

/* ---- the group for all ---- */

void cgroups_open(struct cgroups *ret_groups)
{
	struct cgroups groups = {0};
	char own[CGROUP_PATH_MAX], suffix[48];

	snprintf(suffix, sizeof(suffix), "%d-%" PRIu64, (int)getpid(),
		 clock_monotonic_ns(clock_system()));
	if (find_own(own, groups.why) && is_delegated(own, groups.why)) {
		snprintf(groups.path, sizeof(groups.path), "%.*s/" PREFIX "%s",
			 CGROUP_PATH_MAX - 64, own, suffix);
		groups.why[0] = '\0';
		if (mkdir(groups.path, 0755) != 0) {
			snprintf(groups.why, sizeof(groups.why), "no control group can be made: %s",
				 strerrordesc_np(errno));
			groups.path[0] = '\0';
		}
	}
	if (groups.path[0] != '\0')
		enable_limits(&groups, own, suffix);
	*ret_groups = groups;
}

void cgroups_describe(const struct cgroups *groups, char text[CGROUP_WHY_MAX + 64])
{
	snprintf(text, CGROUP_WHY_MAX + 64, "%s%s%s",
		 groups->path[0] == '\0' ? "process groups"
		 : groups->limits        ? "control groups with limits of memory and cpu"
					 : "control groups without limits",
		 groups->why[0] == '\0' ? "" : ": ", groups->why);
}

/* The kernel tells in cgroup.events when the last process is gone. */
static void remove_soon(const char *path)
{
	char file[FILE_MAX + 512];

	snprintf(file, sizeof(file), "%.*s/cgroup.events", FILE_MAX + 256, path);
	struct pollfd events = {.fd = open(file, O_RDONLY | O_CLOEXEC), .events = POLLPRI};
	for (int i = 0; rmdir(path) != 0 && errno == EBUSY && i < REMOVE_TRIES; i++) {
		(void)!pread(events.fd, file, sizeof(file), 0);
		poll(&events, 1, REMOVE_WAIT_MS);
	}
	if (events.fd >= 0)
		close(events.fd);
}

void cgroups_remove(const char *path)
{
	const char *name = strrchr(path, '/');
	const struct dirent *entry;
	char inner[FILE_MAX + 256];

	if (path[0] != '/' || strncmp(name, "/" PREFIX, strlen("/" PREFIX)) != 0 ||
	    !write_text(path, "cgroup.kill", "1"))
		return;
	DIR *entries = opendir(path);
	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		remove_soon(inner);
	}
	if (entries != NULL)
		closedir(entries);
	remove_soon(path);
}

void cgroups_close(struct cgroups *groups)
{
	if (groups->path[0] != '\0')
		cgroups_remove(groups->path);
	*groups = (struct cgroups){0};
}

/* ---- a group ---- */

static bool set_limits(const char *path, uint64_t memory_bytes, uint32_t cpu_milli)
{
	char text[64];

	snprintf(text, sizeof(text), "%" PRIu64, memory_bytes);
	if (memory_bytes > 0 && !write_text(path, "memory.max", text))
		return false;
	/* The kernel takes no less than a millisecond a period. */
	const uint64_t quota_us = (uint64_t)cpu_milli * CPU_PERIOD_US / 1000;
	snprintf(text, sizeof(text), "%" PRIu64 " %u", quota_us < 1000 ? 1000 : quota_us,
		 CPU_PERIOD_US);
	return cpu_milli == 0 || write_text(path, "cpu.max", text);
}

int cgroup_make(const struct cgroups *groups, uint64_t number, uint64_t memory_bytes,
		uint32_t cpu_milli, int *ret_file, struct fault *fault)
{
	char path[CGROUP_PATH_MAX + 32], file[FILE_MAX];

	check(groups->path[0] != '\0');
	snprintf(path, sizeof(path), "%s/%" PRIu64, groups->path, number);
	if (mkdir(path, 0755) != 0)
		return fault_set_errno(fault, errno, "cannot make the control group %s", path);
	if (groups->limits && !set_limits(path, memory_bytes, cpu_milli)) {
		const int error = errno;
		rmdir(path);
		return fault_set_errno(fault, error, "cannot limit the control group %s", path);
	}
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	const int descriptor = open(file, O_WRONLY | O_CLOEXEC);
	if (descriptor < 0) {
		const int error = errno;
		rmdir(path);
		return fault_set_errno(fault, error, "cannot open %s", file);
	}
	*ret_file = descriptor;
	return 0;
}

void cgroup_end(const struct cgroups *groups, uint64_t number)
{
	char path[CGROUP_PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%" PRIu64, groups->path, number);
	if (write_text(path, "cgroup.kill", "1"))
		remove_soon(path);
}
