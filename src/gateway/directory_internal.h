/*
 * directory_internal: what the files of the directory share. The publisher's, but for entry_of.
 */
#pragma once

#include "gateway/directory.h"

#define entry_of(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* NULL: not published. */
struct directory_plan *directory_plan_by_id(struct directory *directory, struct plan_id id);
struct directory_service *directory_service_by_id(struct directory *directory,
						  struct service_id id);
/* False: it does not fit, or has a control character: names stand in fields of requests, which go
 * out without being looked at. */
bool directory_copy_name(char to[GATEWAY_NAME_MAX], const char *from);

/* directory_identity.c: calls that are presented from here on are signed so, NULL: not at all.
 * Those before stay as they are. */
int directory_put_identity(struct directory *directory, struct directory_service *service,
			   const struct gateway_identity *identity, struct fault *fault);
/* Wipes the secret. NULL is allowed. */
void directory_free_signer(const struct identity_signer *signer);

/* What connections still have of its TLS they keep. */
void directory_instance_free(struct directory_instance *instance);

/* For table_fini. */
void directory_free_subscription(struct cds_lfht_node *node);
void directory_free_key(struct cds_lfht_node *node);
