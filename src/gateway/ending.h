/*
 * ending: the end of what lets calls in, a key or a subscription, carried to the calls in flight.
 * Private to the gateway.
 *
 * The publisher first changes the directory and then tells every worker; each looks through its
 * calls in flight and ends those that the key or the subscription let in. A worker that has done so
 * has also ended the turn in which it could have found what is gone: the change is applied then.
 *
 * Threads: ending_tell_* and ending_wait the publisher's.
 */
#pragma once

#include "gateway/worker.h"

/* The key's expiry is another (Unix microseconds; 0: it has ended). */
void ending_tell_key(struct gateway *gateway, struct key_id key, uint64_t expires_us);
void ending_tell_subscription(struct gateway *gateway, struct subscription_id subscription);
/* Until every worker has applied all that it was told; false after most_ns. */
bool ending_wait(struct gateway *gateway, uint64_t most_ns);
