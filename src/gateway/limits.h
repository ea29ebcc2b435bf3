/* limits: what bounds the gateway's memory and waiting. */
#pragma once

#define GATEWAY_KEEP_SMALL_BYTES   4096u            /* a call's kept request, in the usual case */
#define GATEWAY_KEEP_LARGE_BYTES   81920u           /* holds any head that http lets pass */
#define GATEWAY_KEEP_IDLE_MAX      256u             /* of each size, kept free by a worker */
#define GATEWAY_PIECES_MAX         8u               /* of an answer that arrived at once */
#define GATEWAY_HELD_BYTES_MAX     16384u           /* body of an answer that is held until whole */
#define GATEWAY_KEY_TEXT_MAX       128u             /* bytes of a key as sent */
#define GATEWAY_CALL_UNITS_MAX     1000000000000000 /* of one unit, that one call may count */
#define GATEWAY_DIRECTORY_KEYS_MAX (1u << 22)
