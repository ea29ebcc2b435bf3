/*
 * client_name: a name in a certificate from elsewhere that stands for an app. Pure.
 *
 *	dns:shop.partner.example         a DNS name (of a certificate's subject alternative names)
 *	uri:spiffe://partner.example/shop    a URI
 *
 * A DNS name is compared without regard to case and stands for itself alone: no wildcard. A URI is
 * compared byte by byte. stoa: URIs are the cloud's own, and nobody else's to be mapped.
 *
 * A name is looked up by its digest, as a key is: SHA-256 of the text above. No key's text and no
 * certificate begins as a name does, so that none can be taken for another.
 *
 * Threads: any.
 */
#pragma once

#include "base/api_key.h"
#include "base/fault.h"
#include "base/slice.h"

#define CLIENT_NAME_MAX     256 /* with the NUL */
#define CLIENT_NAME_OWN_URI "stoa:"

/* The name as it is compared. FAULT_INPUT says what is allowed. */
int client_name_read(struct slice text, char name[CLIENT_NAME_MAX], struct fault *fault);

enum client_name_kind { CLIENT_NAME_DNS, CLIENT_NAME_URI };

/* Of what stands in a certificate. False: it is none that could have been mapped. */
bool client_name_digest(enum client_name_kind kind, struct slice value,
			struct api_key_digest *ret_digest);
