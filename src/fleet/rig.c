#include "fleet/rig_internal.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/disk.h"
#include "base/log.h"

/* ---- events ---- */

static void happened(struct rig *rig, struct rig_event event)
{
	pthread_mutex_lock(&rig->lock);
	assert_true(rig->event_count < RIG_EVENTS_MAX);
	rig->events[rig->event_count++] = event;
	pthread_cond_broadcast(&rig->happened);
	pthread_mutex_unlock(&rig->lock);
}

static void on_ready(void *owner, const struct fleet_instance *instance)
{
	struct rig_event event = {
		.kind = RIG_READY,
		.instance = instance->id.value,
		.service = instance->service.value,
		.place = instance->place,
		.address = instance->address,
	};

	snprintf(event.version, sizeof(event.version), "%s", instance->version);
	happened(owner, event);
}

static void on_draining(void *owner, struct instance_id instance)
{
	struct rig *rig = owner;

	happened(rig, (struct rig_event){.kind = RIG_DRAINING, .instance = instance.value});
	if (rig->answers_drained)
		fleet_instance_drained(rig->fleet, instance);
}

static void on_gone(void *owner, struct instance_id instance)
{
	happened(owner, (struct rig_event){.kind = RIG_GONE, .instance = instance.value});
}

static const struct fleet_events events = {
	.on_ready = on_ready,
	.on_draining = on_draining,
	.on_gone = on_gone,
};

static const struct rig_event *find_event(const struct rig *rig, enum rig_event_kind kind,
					  size_t count)
{
	for (size_t i = 0; i < rig->event_count; i++)
		if (rig->events[i].kind == kind && --count == 0)
			return &rig->events[i];
	return NULL;
}

struct rig_event rig_wait(struct rig *rig, enum rig_event_kind kind, size_t count)
{
	static const char *const names[] = {"ready", "draining", "gone"};
	const struct rig_event *found;

	pthread_mutex_lock(&rig->lock);
	while ((found = find_event(rig, kind, count)) == NULL) {
		printf("waiting for %s number %zu\n", names[kind], count);
		fflush(stdout);
		pthread_cond_wait(&rig->happened, &rig->lock);
	}
	const struct rig_event event = *found;
	pthread_mutex_unlock(&rig->lock);
	return event;
}

size_t rig_count(struct rig *rig, enum rig_event_kind kind)
{
	size_t count = 0;

	pthread_mutex_lock(&rig->lock);
	for (size_t i = 0; i < rig->event_count; i++)
		count += rig->events[i].kind == kind;
	pthread_mutex_unlock(&rig->lock);
	return count;
}

struct fleet_status rig_wait_status(struct rig *rig,
				    bool (*holds)(const struct fleet_status *status))
{
	/* No event tells of a status; each look is a round trip to the fleet's thread. */
	for (;;) {
		struct fleet_status *places;
		size_t count;
		fleet_status_list(rig->fleet, &places, &count);
		for (size_t i = 0; i < count; i++) {
			if (holds(&places[i])) {
				const struct fleet_status found = places[i];
				free(places);
				return found;
			}
		}
		free(places);
		sched_yield();
	}
}

/* ---- life ---- */

static size_t count_descriptors(void)
{
	DIR *entries = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(entries);
	while (readdir(entries) != NULL)
		count++;
	closedir(entries);
	return count;
}

void rig_init(struct rig *rig)
{
	*rig = (struct rig){.answers_drained = true};
	assert_int_equal(pthread_mutex_init(&rig->lock, NULL), 0);
	assert_int_equal(pthread_cond_init(&rig->happened, NULL), 0);
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/stoa-fleet-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	rig->options = (struct fleet_options){
		.folder = rig->folder,
		.io = getenv("STOA_IO_EPOLL") != NULL ? LOOP_IO_EPOLL : LOOP_IO_AUTO,
		.events = &events,
		.owner = rig,
	};
}

void rig_open(struct rig *rig)
{
	struct fault fault = {0};

	rig->descriptors = count_descriptors();
	if (fleet_open(&rig->options, &rig->fleet, &fault) < 0)
		fail_msg("%s", fault.text);
}

static int refuse_instance_file(void *context, const char *name)
{
	(void)context;
	if (strstr(name, ".pid") != NULL || strstr(name, ".sock") != NULL)
		fail_msg("%s is left", name);
	return 0;
}

void rig_close(struct rig *rig)
{
	char path[128];
	struct fault fault;

	fleet_close(rig->fleet);
	rig->fleet = NULL;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_descriptors(), rig->descriptors);
	snprintf(path, sizeof(path), "%s/instances", rig->folder);
	assert_int_equal(
		disk_system()->folder_list(disk_system(), path, refuse_instance_file, NULL, &fault),
		0);
}

static int remove_entry(const char *path, const struct stat *found, int kind, struct FTW *where)
{
	(void)found;
	(void)kind;
	(void)where;
	return remove(path);
}

void rig_fini(struct rig *rig)
{
	/* A test that failed has not closed it. */
	if (rig->fleet != NULL) {
		fleet_stop(rig->fleet, FLEET_STOP_NOW);
		fleet_close(rig->fleet);
	}
	assert_int_equal(nftw(rig->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	pthread_mutex_destroy(&rig->lock);
	pthread_cond_destroy(&rig->happened);
}

/* ---- services ---- */

const char *rig_program(struct rig *rig, const char *name, const char *text)
{
	static char command[64];
	char path[160];
	struct fault fault;

	snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
	assert_int_equal(disk_write_file(path, 0700, text, strlen(text), &fault), 0);
	snprintf(command, sizeof(command), "./%s", name);
	return command;
}

static const char server_text[] =
	"#!/usr/bin/python3\n"
	"import http.server, os, socketserver, subprocess, sys\n"
	"ill = False\n"
	"class Handler(http.server.BaseHTTPRequestHandler):\n"
	"    protocol_version = 'HTTP/1.1'\n"
	"    def do_GET(self):\n"
	"        global ill\n"
	"        status, body = 200, b'fine'\n"
	"        if self.path == '/healthz' and ill: status = 503\n"
	"        elif self.path == '/pid': body = str(os.getpid()).encode()\n"
	"        elif self.path == '/die': os._exit(7)\n"
	"        elif self.path == '/ill': ill = True\n"
	"        elif self.path == '/orphan':\n"
	"            body = str(subprocess.Popen(['sleep', '1000']).pid).encode()\n"
	"        self.send_response(status)\n"
	"        self.send_header('Content-Length', str(len(body)))\n"
	"        self.end_headers()\n"
	"        self.wfile.write(body)\n"
	"    def address_string(self): return 'peer'\n"
	"    def log_message(self, *words): pass\n"
	"if 'STOA_SOCKET' in os.environ:\n"
	"    server = socketserver.UnixStreamServer(os.environ['STOA_SOCKET'], Handler)\n"
	"else:\n"
	"    server = socketserver.TCPServer(('127.0.0.1', int(os.environ['PORT'])), Handler)\n"
	"print('serving', flush=True)\n"
	"server.serve_forever()\n";

void rig_write_server(struct rig *rig)
{
	rig_program(rig, "server", server_text);
}

struct fleet_service rig_service(struct rig *rig)
{
	static const char *const command[] = {"./server", NULL};

	return (struct fleet_service){
		.id = {1},
		.name = "thumbs",
		.version = "1",
		.folder = rig->folder,
		.command = command,
		.listen = FLEET_LISTEN_SOCKET,
		.health_path = "/healthz",
		.concurrency = 8,
		.cpu_milli = 500,
		/* Sanitized and on a busy machine an interpreter takes its time. */
		.start_timeout_ns = 120 * CLOCK_NS_PER_S,
		.count = 1,
	};
}

void rig_set(struct rig *rig, const struct fleet_service *service)
{
	struct fault fault = {0};

	if (fleet_service_set(rig->fleet, service, &fault) < 0)
		fail_msg("%s", fault.text);
}

void rig_get(const struct rig_event *instance, const char *target, char body[256])
{
	char text[1024];
	size_t length = 0;
	ssize_t got;

	const int connection =
		socket(instance->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(connection >= 0);
	assert_int_equal(connect(connection, &instance->address.any, instance->address.length), 0);
	const int request =
		snprintf(text, sizeof(text),
			 "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target);
	assert_int_equal(write(connection, text, (size_t)request), request);
	while ((got = read(connection, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)got;
	close(connection);
	text[length] = '\0';
	const char *end = strstr(text, "\r\n\r\n");
	snprintf(body, 256, "%s", end != NULL ? end + 4 : "");
}

char *rig_log(struct rig *rig, const char *service)
{
	char path[160], *text;
	size_t bytes;
	struct fault fault;

	snprintf(path, sizeof(path), "%s/log/%s.log", rig->folder, service);
	if (disk_read_file(path, 64u << 20, &text, &bytes, &fault) < 0)
		fail_msg("%s", fault.text);
	return text;
}
