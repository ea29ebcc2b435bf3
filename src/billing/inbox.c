/* What other threads tell the poster. */
#include "billing/poster_internal.h"

#include <stdlib.h>

#include "base/check.h"

static void inbox_put(struct billing_poster *poster, const struct message *message)
{
	struct inbox *inbox = &poster->inbox;
	struct message *copy = malloc(sizeof(*copy));

	check(copy != NULL);
	*copy = *message;
	copy->next = NULL;
	check_equal(pthread_mutex_lock(&inbox->mutex), 0);
	*inbox->last = copy;
	inbox->last = &copy->next;
	check_equal(pthread_mutex_unlock(&inbox->mutex), 0);
}

void billing_poster_lease_add(struct billing_poster *poster, struct ledger_account_id account,
			      void *handle)
{
	check(handle != NULL && account.value != 0);
	inbox_put(poster, &(struct message){
				  .kind = MESSAGE_LEASE_ADD, .account = account, .handle = handle});
}

void billing_poster_budget_add(struct billing_poster *poster, struct billing_budget_key budget,
			       void *handle)
{
	check(handle != NULL && budget.id != 0 && budget.level < BILLING_LEVELS);
	inbox_put(poster, &(struct message){
				  .kind = MESSAGE_BUDGET_ADD, .budget = budget, .handle = handle});
}

void billing_poster_budget_changed(struct billing_poster *poster, struct billing_budget_key budget)
{
	check(budget.id != 0 && budget.level < BILLING_LEVELS);
	check(budget.level != BILLING_LEVEL_SUBSCRIPTION);
	inbox_put(poster, &(struct message){.kind = MESSAGE_BUDGET_CHANGED, .budget = budget});
}

void billing_poster_lease_remove(struct billing_poster *poster, void *handle,
				 void (*released)(void *context, void *handle), void *context)
{
	check(handle != NULL && released != NULL);
	inbox_put(poster, &(struct message){.kind = MESSAGE_LEASE_REMOVE,
					    .handle = handle,
					    .released = released,
					    .context = context});
}

void billing_poster_wake(struct billing_poster *poster, struct ledger_account_id account)
{
	inbox_put(poster, &(struct message){.kind = MESSAGE_WAKE, .account = account});
}

void billing_poster_terms_changed(struct billing_poster *poster,
				  struct subscription_id subscription)
{
	inbox_put(poster,
		  &(struct message){.kind = MESSAGE_TERMS_CHANGED, .subscription = subscription});
}
