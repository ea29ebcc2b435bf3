#include "node/node_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/text.h"

#define TOKEN_BYTES 32

static int make_folder(const char *path, struct fault *fault)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fault_set_errno(fault, errno, "make the folder %s", path);
	return 0;
}

/* One node a folder: two would write one journal. The kernel drops the lock with the process. */
static int lock(struct node *node, struct fault *fault)
{
	char path[NODE_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/lock", node->folder);
	node->lock_descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (node->lock_descriptor < 0)
		return fault_set_errno(fault, errno, "open %s", path);
	if (flock(node->lock_descriptor, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? fault_set(fault, FAULT_BUSY,
							"another `stoa serve` runs the cloud in %s",
							node->folder)
					    : fault_set_errno(fault, errno, "lock %s", path);
	return 0;
}

/* The token in the folder's file `name`, which is made where it is not there. */
static int load_token(struct node *node, const char *name, char token_text[API_TOKEN_MAX],
		      struct fault *fault)
{
	char path[NODE_PATH_MAX + 16];
	char *text;
	size_t length;

	snprintf(path, sizeof(path), "%s/%s", node->folder, name);
	int code = disk_read_file(path, API_TOKEN_MAX - 1, &text, &length, fault);
	if (code == 0) {
		const struct slice token =
			slice_trim(slice_part(slice_make(text, length), 0,
					      slice_find_byte(slice_make(text, length), '\n', 0)));
		if (token.length < 32)
			code = fault_set(fault, FAULT_INPUT,
					 "%s holds no token of at least 32 characters; remove it "
					 "and a new one is made",
					 path);
		else
			slice_to_text(token, token_text, API_TOKEN_MAX);
		sodium_memzero(text, length);
		free(text);
		return code;
	}
	if (access(path, F_OK) == 0)
		return code;
	uint8_t bytes[TOKEN_BYTES];
	node->random->fill(node->random, bytes, sizeof(bytes));
	text_hex(bytes, sizeof(bytes), token_text);
	sodium_memzero(bytes, sizeof(bytes));
	char line[API_TOKEN_MAX + 1];
	snprintf(line, sizeof(line), "%s\n", token_text);
	code = disk_write_file(path, 0600, line, strlen(line), fault);
	sodium_memzero(line, sizeof(line));
	return code;
}

int folder_open(struct node *node, const char *path, struct fault *fault)
{
	char absolute[NODE_PATH_MAX];

	int code = make_folder(path, fault);
	if (code < 0)
		return code;
	if (realpath(path, absolute) == NULL)
		return fault_set_errno(fault, errno, "find the folder %s", path);
	snprintf(node->folder, sizeof(node->folder), "%s", absolute);
	code = lock(node, fault);
	if (code == 0)
		code = load_token(node, "admin.token", node->token, fault);
	if (code == 0)
		code = load_token(node, "metrics.token", node->metrics_token, fault);
	if (code == 0)
		code = identity_open(node, fault);
	return code;
}

int folder_write_address(struct node *node, struct fault *fault)
{
	char path[NODE_PATH_MAX + 16], line[LOOP_ADDRESS_TEXT_MAX + 1];
	char text[LOOP_ADDRESS_TEXT_MAX];

	loop_address_format(&node->api_address, text);
	snprintf(path, sizeof(path), "%s/api.address", node->folder);
	const int length = snprintf(line, sizeof(line), "%s\n", text);
	return disk_write_file(path, 0600, line, (size_t)length, fault);
}

void folder_close(struct node *node)
{
	char path[NODE_PATH_MAX + 16];

	if (node->api_address.length != 0) {
		snprintf(path, sizeof(path), "%s/api.address", node->folder);
		unlink(path);
	}
	if (node->lock_descriptor >= 0)
		close(node->lock_descriptor);
	sodium_memzero(node->token, sizeof(node->token));
	sodium_memzero(node->metrics_token, sizeof(node->metrics_token));
	identity_close(node);
}
