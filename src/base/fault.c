#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

__attribute__((format(printf, 3, 0))) static void set(struct fault *fault, int code,
						      const char *format, va_list arguments)
{
	fault->code = code;
	fault->near[0] = '\0';
	vsnprintf(fault->text, sizeof(fault->text), format, arguments);
}

int fault_set(struct fault *fault, int code, const char *format, ...)
{
	check(code < 0);
	if (fault == NULL)
		return code;
	va_list arguments;
	va_start(arguments, format);
	set(fault, code, format, arguments);
	va_end(arguments);
	return code;
}

int fault_set_near(struct fault *fault, int code, const char *near, const char *format, ...)
{
	check(code < 0);
	if (fault == NULL)
		return code;
	va_list arguments;
	va_start(arguments, format);
	set(fault, code, format, arguments);
	va_end(arguments);
	if (near == NULL || near[0] == '\0')
		return code;
	const size_t used = strlen(fault->text);
	snprintf(fault->near, sizeof(fault->near), "%s", near);
	snprintf(fault->text + used, sizeof(fault->text) - used, "; did you mean \"%s\"?", near);
	return code;
}

int fault_set_errno(struct fault *fault, int error, const char *format, ...)
{
	if (fault == NULL)
		return FAULT_SYSTEM;
	va_list arguments;
	va_start(arguments, format);
	set(fault, FAULT_SYSTEM, format, arguments);
	va_end(arguments);

	const size_t used = strlen(fault->text);
	snprintf(fault->text + used, sizeof(fault->text) - used, ": %s", strerrordesc_np(error));
	return FAULT_SYSTEM;
}

int fault_prefix(struct fault *fault, const char *format, ...)
{
	if (fault == NULL)
		return FAULT_SYSTEM;
	char behind[FAULT_TEXT_MAX];
	memcpy(behind, fault->text, sizeof(behind));

	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault->text, sizeof(fault->text), format, arguments);
	va_end(arguments);

	const size_t used = strlen(fault->text);
	snprintf(fault->text + used, sizeof(fault->text) - used, ": %s", behind);
	return fault->code;
}
