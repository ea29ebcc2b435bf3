#include "gateway/lease.h"

#include "base/check.h"
#include "gateway/gateway.h"

static void lease_ask(struct gateway_lease *lease, int64_t nano)
{
	int64_t seen = atomic_load_explicit(&lease->wanted_nano, memory_order_relaxed);

	while (seen < nano && !atomic_compare_exchange_weak(&lease->wanted_nano, &seen, nano))
		;
	if (!atomic_exchange(&lease->asked, true))
		lease->on_demand(lease->context);
}

enum lease_outcome lease_take(struct gateway_lease *lease, int64_t nano, uint64_t now_ns)
{
	check(nano >= 0);
	/* Read before the money: who sees "no more" and then too little is refused rightly. */
	const bool has_more = atomic_load(&lease->has_more);
	int64_t seen = atomic_load_explicit(&lease->available_nano, memory_order_relaxed);

	if (now_ns >= atomic_load_explicit(&lease->expires_ns, memory_order_relaxed)) {
		lease_ask(lease, nano > 0 ? nano : 1);
		return LEASE_WAIT;
	}
	do {
		if (seen < nano) {
			if (!has_more)
				return LEASE_REFUSED;
			lease_ask(lease, nano);
			return LEASE_WAIT;
		}
	} while (!atomic_compare_exchange_weak_explicit(&lease->available_nano, &seen, seen - nano,
							memory_order_relaxed,
							memory_order_relaxed));
	atomic_fetch_add_explicit(&lease->taken_nano, nano, memory_order_relaxed);
	if (has_more &&
	    seen - nano < atomic_load_explicit(&lease->low_nano, memory_order_relaxed) &&
	    !atomic_load_explicit(&lease->asked, memory_order_relaxed) &&
	    !atomic_exchange(&lease->asked, true))
		lease->on_demand(lease->context);
	return LEASE_TAKEN;
}

void lease_release(struct gateway_lease *lease, int64_t nano)
{
	check(nano >= 0);
	atomic_fetch_add_explicit(&lease->available_nano, nano, memory_order_relaxed);
}

void gateway_lease_grant(struct gateway_lease *lease, int64_t nano, uint64_t expires_ns)
{
	check(nano >= 0);
	atomic_store(&lease->expires_ns, expires_ns);
	const int64_t available = atomic_fetch_add(&lease->available_nano, nano) + nano;
	atomic_store(&lease->low_nano, available / 2);
}

int64_t gateway_lease_reclaim(struct gateway_lease *lease, int64_t nano)
{
	check(nano >= 0);
	int64_t seen = atomic_load(&lease->available_nano);
	int64_t taken;

	do {
		taken = seen < nano ? seen : nano;
		if (taken <= 0)
			return 0;
	} while (!atomic_compare_exchange_weak(&lease->available_nano, &seen, seen - taken));
	atomic_store(&lease->low_nano, (seen - taken) / 2);
	return taken;
}

void gateway_lease_set_source(struct gateway_lease *lease, bool has_more)
{
	atomic_store(&lease->has_more, has_more);
}

struct gateway_lease_state gateway_lease_poll(struct gateway_lease *lease)
{
	/* `asked` first: who asks from here on tells the demand again. */
	atomic_store(&lease->asked, false);
	return (struct gateway_lease_state){
		.wanted_nano = atomic_exchange(&lease->wanted_nano, 0),
		.available_nano = atomic_load(&lease->available_nano),
		.taken_nano = atomic_load(&lease->taken_nano),
	};
}
