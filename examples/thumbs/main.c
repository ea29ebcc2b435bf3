/*
 * thumbs: an example of a service that Stoa runs, sells and measures. It knows nothing of Stoa
 * but two words: it listens where $STOA_SOCKET (or $PORT) says, and tells with Stoa-Units how many
 * pixels it read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "resize.h"
#include "server.h"

static const struct refusal unknown_path = {
	.status = 404, .detail = "There is no such path; POST a picture to /resize?w=200."};

static bool answer(struct connection *connection, const struct request *request);
static bool health_answer(struct connection *connection, const struct request *request);
static bool resize_answer(struct connection *connection, const struct request *request);
static const char *wish_parse(const char *query, struct resize_wish *wish);
static bool number_parse(const char *text, long max, long *ret_number);

static int listen_somewhere(void)
{
	const char *const path = getenv("STOA_SOCKET");
	const char *const port_text = getenv("PORT");
	unsigned short port;
	long number;
	int fd = -1;

	if (path && *path) {
		fd = server_listen_unix(path);
		if (fd >= 0)
			printf("listening on unix:%s\n", path);
		else
			fprintf(stderr, "thumbs: cannot listen on %s: %s\n", path, strerror(errno));
	} else if (port_text && number_parse(port_text, 65535, &number)) {
		fd = server_listen_port((unsigned short)number, &port);
		if (fd >= 0)
			printf("listening on 127.0.0.1:%u\n", port);
		else
			fprintf(stderr, "thumbs: cannot listen on port %ld: %s\n", number,
				strerror(errno));
	} else {
		fputs("thumbs: set STOA_SOCKET to the path of a Unix socket, or PORT to a number "
		      "from 0 to 65535 (0: a free port)\n",
		      stderr);
	}
	return fd;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1) {
		fprintf(stderr, "usage: STOA_SOCKET=PATH %s, or PORT=NUMBER %s\n", argv[0],
			argv[0]);
		return 2;
	}
	if (!resize_start(argv[0])) {
		fputs("thumbs: libvips cannot start\n", stderr);
		return 1;
	}
	const int listener = listen_somewhere();
	const int status = listener < 0 ? 1 : server_run(listener, answer, resize_thread_end);

	resize_stop();
	return status;
}

/* ---- what is answered ---- */

static bool method_is(const struct request *request, const char *method)
{
	return strcmp(request->method, method) == 0;
}

static bool refuse(struct connection *connection, const struct request *request, int status,
		   const char *detail)
{
	return message_refusal_write(connection, request,
				     &(struct refusal){.status = status, .detail = detail});
}

static bool answer(struct connection *connection, const struct request *request)
{
	if (strcmp(request->path, "/healthz") == 0)
		return health_answer(connection, request);
	if (strcmp(request->path, "/resize") == 0)
		return resize_answer(connection, request);
	return message_refusal_write(connection, request, &unknown_path);
}

static bool health_answer(struct connection *connection, const struct request *request)
{
	if (!method_is(request, "GET") && !method_is(request, "HEAD"))
		return message_refusal_write(connection, request,
					     &(struct refusal){405, "Ask with GET.", "GET, HEAD"});
	return message_answer_write(connection, request,
				    &(struct answer){.status = 200,
						     .content_type = "text/plain",
						     .body = "ok\n",
						     .body_length = 3});
}

static bool resize_answer(struct connection *connection, const struct request *request)
{
	struct resize_wish wish = {.height = RESIZE_SIDE_MAX};
	struct resize_result result;
	const char *detail;
	char fields[64];

	if (!method_is(request, "POST"))
		return message_refusal_write(
			connection, request,
			&(struct refusal){405, "Send the picture with POST.", "POST"});
	detail = wish_parse(request->query, &wish);
	if (detail)
		return refuse(connection, request, 400, detail);
	if (request->body_length == 0)
		return refuse(connection, request, 400,
			      "The body is empty; it is to be the picture.");

	const int status = resize(request->body, request->body_length, &wish, &result, &detail);

	if (status != 200)
		return refuse(connection, request, status, detail);
	snprintf(fields, sizeof(fields), "Stoa-Units: pixels=%lld\r\n",
		 (long long)result.source_pixels);
	const bool written = message_answer_write(connection, request,
						  &(struct answer){
							  .status = 200,
							  .content_type = result.content_type,
							  .body = result.data,
							  .body_length = result.length,
							  .fields = fields,
						  });

	resize_result_fini(&result);
	return written;
}

/* ---- what is asked ---- */

static bool number_parse(const char *text, long max, long *ret_number)
{
	const size_t digits = strspn(text, "0123456789");
	long number = 0;

	if (digits == 0 || digits > 9 || text[digits] != '\0')
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	if (number > max)
		return false;
	*ret_number = number;
	return true;
}

static bool side_parse(const char *text, int *ret_side)
{
	long side;

	if (!number_parse(text, RESIZE_SIDE_MAX, &side) || side == 0)
		return false;
	*ret_side = (int)side;
	return true;
}

static bool format_parse(const char *text, enum resize_format *ret_format)
{
	static const struct {
		const char *name;
		enum resize_format format;
	} formats[] = {{"jpeg", RESIZE_JPEG}, {"png", RESIZE_PNG}, {"webp", RESIZE_WEBP}};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(text, formats[i].name) == 0) {
			*ret_format = formats[i].format;
			return true;
		}
	}
	return false;
}

/* Returns NULL, or the sentence that says what is wrong. */
static const char *wish_parse(const char *query, struct resize_wish *wish)
{
	char copy[MESSAGE_TARGET_MAX];
	char *rest = copy;

	snprintf(copy, sizeof(copy), "%s", query);
	while (rest && *rest) {
		char *const parameter = strsep(&rest, "&");

		if (strncmp(parameter, "w=", 2) == 0) {
			if (!side_parse(parameter + 2, &wish->width))
				return "w is not a width in pixels from 1 to 4096.";
		} else if (strncmp(parameter, "h=", 2) == 0) {
			if (!side_parse(parameter + 2, &wish->height))
				return "h is not a height in pixels from 1 to 4096.";
		} else if (strncmp(parameter, "format=", 7) == 0) {
			if (!format_parse(parameter + 7, &wish->format))
				return "format is not jpeg, png or webp.";
		} else {
			return "The parameters are w, h and format; w is needed: /resize?w=200.";
		}
	}
	return wish->width ? NULL : "The width w is missing: /resize?w=200.";
}
