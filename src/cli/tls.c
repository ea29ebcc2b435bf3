/* Client certificates, and how the gateway speaks TLS. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/disk.h"
#include "cli/routes.h"

#define PEM_MAX 4096

/* ---- a certificate of the cloud's ---- */

/* A key and the request for a certificate of it, both in PEM. The key is wiped by the caller. */
static void make_request(char key_text[PEM_MAX], char request_text[PEM_MAX])
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *request = X509_REQ_new();
	BIO *key_pem = BIO_new(BIO_s_secmem()), *request_pem = BIO_new(BIO_s_mem());

	check(key != NULL && request != NULL && key_pem != NULL && request_pem != NULL);
	check(X509_REQ_set_pubkey(request, key) == 1);
	check(X509_REQ_sign(request, key, EVP_sha256()) > 0);
	check(PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) == 1);
	check(PEM_write_bio_X509_REQ(request_pem, request) == 1);
	const int key_bytes = BIO_read(key_pem, key_text, PEM_MAX - 1);
	const int request_bytes = BIO_read(request_pem, request_text, PEM_MAX - 1);
	check(key_bytes > 0 && request_bytes > 0);
	key_text[key_bytes] = '\0';
	request_text[request_bytes] = '\0';
	BIO_free(key_pem);
	BIO_free(request_pem);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
}

struct client_files {
	char key[PATH_MAX], certificate[PATH_MAX];
};

/* DIR/ACCOUNT-APP.key and .pem; none of them is there. */
static int choose_files(struct cli *cli, struct client_files *files)
{
	const char *folder = cli_option(cli, "--out");
	const char *app = cli->arguments[0];
	const char *slash = strchr(app, '/');
	const char *const suffixes[] = {".key", ".pem"};
	char *const paths[] = {files->key, files->certificate};

	if (slash == NULL || strchr(slash + 1, '/') != NULL)
		return cli_misuse(cli, "\"%s\" is not ACCOUNT/APP", app);
	for (size_t i = 0; i < 2; i++) {
		if (snprintf(paths[i], PATH_MAX, "%s/%.*s-%s%s", folder != NULL ? folder : ".",
			     (int)(slash - app), app, slash + 1, suffixes[i]) >= PATH_MAX)
			return cli_fail(cli, "the path of the folder is too long");
		if (access(paths[i], F_OK) == 0)
			return cli_fail(cli,
					"%s is there already; remove it, or choose another "
					"folder with --out",
					paths[i]);
	}
	return CLI_DONE;
}

static int save_certificate(struct cli *cli, const struct client_files *files, json_t *answer)
{
	const char *text = cli_text(answer, "certificate");
	char time[CLI_TIME_MAX];
	struct fault fault;

	if (disk_write_file(files->certificate, 0644, text, strlen(text), &fault) < 0)
		return cli_fail(cli,
				"%s; the certificate was issued all the same: `stoa tls revoke %s`",
				fault.text, cli_text(answer, "id"));
	if (cli->json) {
		json_object_set_new(answer, "key_file", json_string(files->key));
		json_object_set_new(answer, "certificate_file", json_string(files->certificate));
		cli_print_json(answer);
		return CLI_DONE;
	}
	printf("%s\n%s\n", files->key, files->certificate);
	fprintf(stderr, "%s of %s, until %s; keep the key, for nobody else has it\n",
		cli_text(answer, "id"), cli_text(answer, "app"), cli_time(answer, "expires", time));
	return CLI_DONE;
}

static int issue(struct cli *cli, const struct client_files *files, const char *request)
{
	const struct route_certificates_create made = {.app = cli->arguments[0],
						       .request = request,
						       .expires = cli_option(cli, "--expires")};
	json_t *answer = NULL;
	int status = cli_ask(cli, route_certificates_create(made), &answer);

	if (status == CLI_DONE)
		status = save_certificate(cli, files, answer);
	else
		unlink(files->key);
	json_decref(answer);
	return status;
}

int cli_tls_client(struct cli *cli)
{
	char key[PEM_MAX], request[PEM_MAX];
	struct client_files files;
	struct fault fault;
	int status = choose_files(cli, &files);

	if (status != CLI_DONE)
		return status;
	make_request(key, request);
	/* It is safe before anybody vouches for it. */
	if (disk_write_file(files.key, 0600, key, strlen(key), &fault) < 0)
		status = cli_fail(cli, "%s", fault.text);
	OPENSSL_cleanse(key, sizeof(key));
	return status == CLI_DONE ? issue(cli, &files, request) : status;
}

/* ---- names in certificates from elsewhere ---- */

int cli_tls_map(struct cli *cli)
{
	const struct route_certificates_map mapped = {.name = cli->arguments[0],
						      .app = cli->arguments[1],
						      .expires = cli_option(cli, "--expires")};
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_certificates_map(mapped), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		printf("certificates with %s are %s's (%s)\n", cli_text(answer, "name"),
		       cli_text(answer, "app"), cli_text(answer, "id"));
	json_decref(answer);
	return status;
}

int cli_tls_list(struct cli *cli)
{
	static const struct cli_column columns[] = {
		{"ID", CLI_LEFT, "id"},           {"APP", CLI_LEFT, "app"},
		{"KIND", CLI_LEFT, "kind"},       {"NAME", CLI_LEFT, "name"},
		{"CALLS", CLI_RIGHT, "calls"},    {"LAST USED", CLI_TIME, "last_used"},
		{"EXPIRES", CLI_TIME, "expires"}, {"REVOKED", CLI_TIME, "revoked"},
		{"CREATED", CLI_TIME, "created"}};
	const struct route_certificates_list wanted = {.app = cli_argument(cli, 0)};
	json_t *answer = NULL;
	const int status = cli_ask_list(cli, route_certificates_list(wanted), "items", &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE)
		cli_table_print(json_object_get(answer, "items"), columns,
				sizeof(columns) / sizeof(columns[0]));
	json_decref(answer);
	return status;
}

/* ---- the gateway's ---- */

/* In the table's cells a list of names is one text. */
static void join_names(json_t *certificate)
{
	struct text text;
	const json_t *name;
	size_t i;

	text_init(&text, 64 << 10);
	json_array_foreach(json_object_get(certificate, "names"), i, name)
		text_printf(&text, "%s%s", i > 0 ? " " : "", json_string_value(name));
	json_object_set_new(certificate, "names", json_string(text.length > 0 ? text.data : "-"));
	text_fini(&text);
}

static void print_tls(const json_t *answer)
{
	static const struct cli_column listeners[] = {{"LISTENER", CLI_LEFT, "address"},
						      {"CLIENTS", CLI_LEFT, "clients"},
						      {"AUTHORITIES", CLI_LEFT, "authorities"}};
	static const struct cli_column certificates[] = {{"CERTIFICATE", CLI_LEFT, "file"},
							 {"EXPIRES", CLI_TIME, "expires"},
							 {"ISSUER", CLI_LEFT, "issuer"},
							 {"NAMES", CLI_LEFT, "names"}};
	json_t *files = json_array(), *file;
	size_t i;

	json_array_extend(files, json_object_get(answer, "certificates"));
	json_array_append(files, json_object_get(answer, "authority"));
	json_array_foreach(files, i, file) join_names(file);
	cli_table_print(json_object_get(answer, "listeners"), listeners,
			sizeof(listeners) / sizeof(listeners[0]));
	putchar('\n');
	cli_table_print(files, certificates, sizeof(certificates) / sizeof(certificates[0]));
	json_decref(files);
}

int cli_tls_show(struct cli *cli)
{
	json_t *answer = NULL;
	const int status = cli_ask(cli, route_tls_show(), &answer);

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE && json_is_null(json_object_get(answer, "authority")))
		puts("no listener of the gateway speaks TLS");
	else if (status == CLI_DONE)
		print_tls(answer);
	json_decref(answer);
	return status;
}

int cli_tls_reload(struct cli *cli)
{
	json_t *answer = NULL;
	int status = cli_ask(cli, route_tls_reload(), &answer);
	const json_t *refused = json_object_get(answer, "refused");

	if (status == CLI_DONE && cli->json)
		cli_print_json(answer);
	else if (status == CLI_DONE && json_is_null(refused))
		puts(json_is_true(json_object_get(answer, "changed"))
			     ? "other certificates than before are in force"
			     : "nothing has changed");
	if (status == CLI_DONE && !json_is_null(refused))
		status = cli_fail(cli, "%s; what was in force goes on", json_string_value(refused));
	json_decref(answer);
	return status;
}
