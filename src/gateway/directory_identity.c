/* What the calls of a service are signed with. */
#include "gateway/directory_internal.h"

#include <stdlib.h>

#include "base/secret.h"

static bool is_same_identity(const struct identity_signer *signer,
			     const struct gateway_identity *identity)
{
	if (signer == NULL || identity == NULL)
		return signer == NULL && identity == NULL;
	return strcmp(signer->identity.key_id, identity->key_id) == 0 &&
	       secret_equal(signer->identity.secret, identity->secret, sizeof(identity->secret));
}

void directory_free_signer(const struct identity_signer *signer)
{
	struct identity_signer *own = (struct identity_signer *)(uintptr_t)signer;

	if (own == NULL)
		return;
	sodium_memzero(own, sizeof(*own));
	free(own);
}

static void free_signer(struct rcu_head *head)
{
	directory_free_signer(entry_of(head, struct identity_signer, rcu));
}

static struct identity_signer *signer_new(const struct gateway_identity *identity)
{
	struct identity_signer *signer = calloc(1, sizeof(*signer));

	if (signer == NULL)
		return NULL;
	identity_signer_init(signer, identity);
	return signer;
}

int directory_put_identity(struct directory *directory, struct directory_service *service,
			   const struct gateway_identity *identity, struct fault *fault)
{
	struct identity_signer *signer = NULL;

	if (is_same_identity(atomic_load(&service->signer), identity))
		return 0;
	if (identity != NULL) {
		signer = signer_new(identity);
		if (signer == NULL)
			return fault_set(fault, FAULT_SYSTEM, "no memory to sign with");
	}
	struct identity_signer *before = atomic_exchange(&service->signer, signer);
	if (before != NULL)
		urcu_qsbr_call_rcu(&before->rcu, free_signer);
	directory->changes++;
	return 0;
}
