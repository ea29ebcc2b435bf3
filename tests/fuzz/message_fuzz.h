/*
 * message_fuzz: the property that both HTTP targets hold: however a message is split, it gets the
 * same verdict, the same content and the same trailers.
 *
 * Threads: one.
 */
#pragma once

#include "http/message_internal.h"

void message_fuzz(enum http_head_kind kind, bool head_only, struct slice bytes);
