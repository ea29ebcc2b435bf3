#include "base/testing.h"

#include <string.h>
#include <sys/stat.h>

#include "audit/audit_internal.h"

/* The key of the examples in Go's golang.org/x/mod/sumdb/note: another implementation's id. */
#define PETERS_VKEY "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETERS_SKEY "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"

static void keys_are_those_of_other_implementations(void **state)
{
	struct audit_key key;
	struct audit_signer signer;
	char text[AUDIT_SKEY_MAX];
	struct fault fault;

	(void)state;
	assert_int_equal(audit_key_parse(slice_of(PETERS_VKEY), &key, &fault), 0);
	audit_key_format(&key, text);
	assert_string_equal(text, PETERS_VKEY);
	assert_true(audit_key_parse_secret(slice_of(PETERS_SKEY), &signer));
	assert_memory_equal(signer.key.public_key, key.public_key, 32);
	audit_key_format_secret(&signer, text);
	assert_string_equal(text, PETERS_SKEY);
}

static void every_changed_byte_of_a_key_is_found(void **state)
{
	struct audit_key key;
	struct fault fault;
	char text[] = PETERS_VKEY;

	(void)state;
	for (size_t i = 0; text[i] != '\0'; i++) {
		text[i] ^= 1;
		assert_int_equal(audit_key_parse(slice_of(text), &key, &fault), FAULT_INPUT);
		text[i] ^= 1;
		assert_int_equal(audit_key_parse(slice_make(text, i), &key, &fault), FAULT_INPUT);
	}
}

static void sign(const char *text, struct text *note)
{
	struct audit_signer signer;

	assert_true(audit_key_parse_secret(slice_of(PETERS_SKEY), &signer));
	text_init(note, 1 << 16);
	audit_note_sign(&signer, slice_of(text), note);
}

static int open_note(struct slice note, struct slice *ret_text)
{
	struct audit_key key;
	struct fault fault;

	assert_int_equal(audit_key_parse(slice_of(PETERS_VKEY), &key, &fault), 0);
	return audit_note_open(&key, note, ret_text, &fault);
}

static void a_note_is_opened_and_each_changed_byte_is_found(void **state)
{
	const char *said = "PeterNeumann/log\nIf you think\n\ncryptography is the answer\n";
	struct text note;
	struct slice text;

	(void)state;
	sign(said, &note);
	assert_int_equal(open_note(text_slice(&note), &text), 0);
	assert_true(slice_equal(text, slice_of(said)));
	for (size_t i = 0; i < note.length; i++) {
		note.data[i] ^= 1;
		assert_int_equal(open_note(text_slice(&note), &text), FAULT_INPUT);
		note.data[i] ^= 1;
		assert_int_equal(open_note(slice_make(note.data, i), &text), FAULT_INPUT);
	}
	text_fini(&note);
}

static void signatures_of_others_are_passed_over(void **state)
{
	struct text note;
	struct slice text;

	(void)state;
	sign("PeterNeumann/log\n12\n", &note);
	text_append_text(&note, "\xE2\x80\x94 witness.example mJirIklj\n");
	assert_int_equal(open_note(text_slice(&note), &text), 0);
	text_append_text(&note, "no signature\n");
	assert_int_equal(open_note(text_slice(&note), &text), FAULT_INPUT);
	text_fini(&note);
}

static void a_note_of_another_clouds_log_is_refused(void **state)
{
	static const char *const others[] = {"PeterNeumann\n", "PeterNeumann/\n", "Peter/log\n",
					     "PeterNeumannX/log\n"};
	struct text note;
	struct slice text;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		sign(others[i], &note);
		assert_int_equal(open_note(text_slice(&note), &text), FAULT_INPUT);
		text_fini(&note);
	}
}

static void checkpoints_are_read_strictly(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
		{"PeterNeumann/log\n20852163\n" ROOT, true},
		{"PeterNeumann/log\n0\n" ROOT, true},
		{"PeterNeumann/log\n20852163\n" ROOT "an extension line\n", true},
		{"PeterNeumann/log\n020\n" ROOT, false},
		{"PeterNeumann/log\n-1\n" ROOT, false},
		{"PeterNeumann/log\n\n" ROOT, false},
		{"PeterNeumann/log\n9223372036854775808\n" ROOT, false},
		{"PeterNeumann/log\n1\n", false},
		{"PeterNeumann/log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", false},
		{"PeterNeumann/log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n", false},
	};
	struct audit_key key;
	struct audit_head head;
	struct fault fault;

	(void)state;
	assert_int_equal(audit_key_parse(slice_of(PETERS_VKEY), &key, &fault), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text note;
		sign(cases[i].text, &note);
		assert_int_equal(audit_checkpoint_open(&key, text_slice(&note), &head, &fault),
				 cases[i].good ? 0 : FAULT_INPUT);
		text_fini(&note);
	}
}

static void names_are_cleaned_for_notes(void **state)
{
	char text[AUDIT_NAME_MAX];
	char most[300];

	(void)state;
	audit_name_clean(slice_of("my cloud+\xC3\xA9/x"), text);
	assert_string_equal(text, "my%20cloud%2B%C3%A9%2Fx");
	audit_name_clean(slice_of("local-1.example_x"), text);
	assert_string_equal(text, "local-1.example_x");
	audit_name_clean(slice_of(""), text);
	assert_true(audit_name_is_good(slice_of(text)));
	memset(most, '+', sizeof(most));
	audit_name_clean(slice_make(most, sizeof(most)), text);
	assert_true(audit_name_is_good(slice_of(text)));
}

static void a_key_is_made_once_and_kept(void **state)
{
	char folder[] = "/tmp/stoa-key.XXXXXX";
	char path[64];
	struct audit_signer first;
	struct audit_signer again;
	struct stat status;
	struct fault fault;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(audit_signer_load(folder, "my cloud", random_system(), &first, &fault), 0);
	assert_int_equal(audit_signer_load(folder, "renamed", random_system(), &again, &fault), 0);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_string_equal(first.key.name, "my%20cloud");
	snprintf(path, sizeof(path), "%s/log.key", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(disk_write_file(path, 0600, "PRIVATE+KEY+x\n", 14, &fault), 0);
	assert_int_equal(audit_signer_load(folder, "x", random_system(), &again, &fault),
			 FAULT_DAMAGED);
	unlink(path);
	/* Another key beside the old public half would sign what nobody trusts. */
	assert_int_equal(audit_signer_load(folder, "x", random_system(), &again, &fault),
			 FAULT_DAMAGED);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/log.pub", folder);
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_other_implementations),
		cmocka_unit_test(every_changed_byte_of_a_key_is_found),
		cmocka_unit_test(a_note_is_opened_and_each_changed_byte_is_found),
		cmocka_unit_test(signatures_of_others_are_passed_over),
		cmocka_unit_test(a_note_of_another_clouds_log_is_refused),
		cmocka_unit_test(checkpoints_are_read_strictly),
		cmocka_unit_test(names_are_cleaned_for_notes),
		cmocka_unit_test(a_key_is_made_once_and_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
