#include "gateway/ending.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "gateway/call.h"

struct told {
	struct loop_message message;
	struct ending *ending;
	struct worker *worker;
};

struct ending {
	struct key_id key;                   /* this one's calls (it may be a certificate's), */
	struct subscription_id subscription; /* or this one's */
	uint64_t expires_us;                 /* the key's; 0: it has ended */
	uint32_t open;                       /* workers that have still to apply it */
	struct told told[];
};

/* ---- a worker's side ---- */

static void end_call(const struct ending *ending, struct call *call)
{
	if (ending->subscription.value != 0)
		call_end(call, PROBLEM_NO_SUBSCRIPTION);
	else if (ending->expires_us == 0)
		call_end(call, call->certificate.value == ending->key.value ? PROBLEM_CERTIFICATE
									    : PROBLEM_KEY_INVALID);
	else
		call_key_expires(call, ending->expires_us);
}

static void on_told(struct loop_message *message)
{
	struct told *told = (struct told *)message;
	struct ending *ending = told->ending;
	struct gateway *gateway = told->worker->gateway;
	struct call *call = told->worker->admitted_first;

	while (call != NULL) {
		struct call *next = call->admitted_next;
		if (ending->subscription.value != 0
			    ? call->subscription->id.value == ending->subscription.value
			    : call->key.value == ending->key.value ||
				      call->certificate.value == ending->key.value)
			end_call(ending, call);
		call = next;
	}
	pthread_mutex_lock(&gateway->lock);
	gateway->endings_open--;
	const bool last = --ending->open == 0;
	if (gateway->endings_open == 0)
		pthread_cond_signal(&gateway->endings_applied);
	pthread_mutex_unlock(&gateway->lock);
	if (last)
		free(ending);
}

/* ---- the publisher's side ---- */

static void tell(struct gateway *gateway, const struct ending *what)
{
	const uint32_t workers = gateway->options.workers;
	struct ending *ending = malloc(sizeof(*ending) + workers * sizeof(ending->told[0]));

	check(ending != NULL);
	*ending = *what;
	pthread_mutex_lock(&gateway->lock);
	for (uint32_t i = 0; i < workers; i++) {
		struct worker *worker = gateway->workers[i];
		if (worker == NULL)
			continue;
		struct told *told = &ending->told[ending->open++];
		*told = (struct told){
			.message.deliver = on_told, .ending = ending, .worker = worker};
		gateway->endings_open++;
		loop_post(worker->loop, &told->message);
	}
	const bool nobody = ending->open == 0;
	pthread_mutex_unlock(&gateway->lock);
	if (nobody)
		free(ending);
}

void ending_tell_key(struct gateway *gateway, struct key_id key, uint64_t expires_us)
{
	tell(gateway, &(struct ending){.key = key, .expires_us = expires_us});
}

void ending_tell_subscription(struct gateway *gateway, struct subscription_id subscription)
{
	tell(gateway, &(struct ending){.subscription = subscription});
}

bool ending_wait(struct gateway *gateway, uint64_t most_ns)
{
	const uint64_t due_ns = clock_monotonic_ns(clock_system()) + most_ns;
	const struct timespec due = {.tv_sec = (time_t)(due_ns / CLOCK_NS_PER_S),
				     .tv_nsec = (long)(due_ns % CLOCK_NS_PER_S)};
	int error = 0;

	pthread_mutex_lock(&gateway->lock);
	while (gateway->endings_open > 0 && error != ETIMEDOUT)
		error = pthread_cond_clockwait(&gateway->endings_applied, &gateway->lock,
					       CLOCK_MONOTONIC, &due);
	const bool applied = gateway->endings_open == 0;
	pthread_mutex_unlock(&gateway->lock);
	return applied;
}
