#include "resize.h"

#include <string.h>
#include <vips/vips.h>

static const char *const content_types[] = {
	[RESIZE_JPEG] = "image/jpeg",
	[RESIZE_PNG] = "image/png",
	[RESIZE_WEBP] = "image/webp",
};

static void warning_drop(const gchar *domain, GLogLevelFlags level, const gchar *message,
			 gpointer context);
static enum resize_format format_of(const unsigned char *data, size_t length);
static int source_check(const void *picture, size_t length, int64_t *ret_pixels,
			const char **ret_detail);
static int save(VipsImage *image, enum resize_format format, struct resize_result *result);

bool resize_start(const char *program)
{
	if (VIPS_INIT(program) != 0)
		return false;
	g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING, warning_drop, NULL);
	/* Each call has its thread already, and no picture comes twice. */
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	vips_block_untrusted_set(TRUE);
	return true;
}

/* What is wrong with a picture is told to who sent it; nobody may fill our log with it. */
static void warning_drop(const gchar *domain, GLogLevelFlags level, const gchar *message,
			 gpointer context)
{
	(void)domain;
	(void)level;
	(void)message;
	(void)context;
}

void resize_stop(void)
{
	vips_shutdown();
}

void resize_thread_end(void)
{
	vips_thread_shutdown();
}

int resize(const void *picture, size_t length, const struct resize_wish *wish,
	   struct resize_result *ret_result, const char **ret_detail)
{
	const enum resize_format source = format_of(picture, length);
	const enum resize_format target = wish->format ? wish->format : source;
	struct resize_result result = {0};
	union {
		const void *constant;
		void *data;
	} bytes = {picture};
	VipsImage *thumbnail = NULL;

	if (source == RESIZE_AS_SOURCE) {
		*ret_detail = "The body is not a JPEG, PNG or WebP picture.";
		return 415;
	}
	const int status = source_check(picture, length, &result.source_pixels, ret_detail);

	if (status != 200)
		return status;
	/* The loader's own option: libvips 8.14 does not hand on the parameter fail_on. */
	if (vips_thumbnail_buffer(bytes.data, length, &thumbnail, wish->width, "height",
				  wish->height, "size", VIPS_SIZE_DOWN, "option_string",
				  "[fail_on=truncated]", NULL) != 0 ||
	    save(thumbnail, target, &result) != 0) {
		g_clear_object(&thumbnail);
		vips_error_clear();
		*ret_detail = "The picture is damaged or cut off.";
		return 422;
	}
	g_object_unref(thumbnail);
	result.content_type = content_types[target];
	*ret_result = result;
	return 200;
}

void resize_result_fini(struct resize_result *result)
{
	g_free(result->data);
	result->data = NULL;
}

static enum resize_format format_of(const unsigned char *data, size_t length)
{
	if (length >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
		return RESIZE_JPEG;
	if (length >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
		return RESIZE_PNG;
	if (length >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
		return RESIZE_WEBP;
	return RESIZE_AS_SOURCE;
}

/* Reads the header only: a small file may announce a picture that no memory holds. */
static int source_check(const void *picture, size_t length, int64_t *ret_pixels,
			const char **ret_detail)
{
	VipsImage *image = vips_image_new_from_buffer(picture, length, "", NULL);

	if (!image) {
		vips_error_clear();
		*ret_detail = "The picture's header cannot be read.";
		return 422;
	}
	*ret_pixels = (int64_t)vips_image_get_width(image) * vips_image_get_height(image);
	g_object_unref(image);
	if (*ret_pixels > RESIZE_PIXELS_MAX) {
		*ret_detail = "The picture has more than 50 million pixels.";
		return 422;
	}
	return 200;
}

/* The savers' own "strip" leaves it in WebP pictures (libvips 8.14). */
static void metadata_drop(VipsImage *image)
{
	char **const fields = vips_image_get_fields(image);

	for (char **field = fields; *field; field++)
		if (g_str_has_prefix(*field, "exif-") || g_str_has_prefix(*field, "xmp-") ||
		    g_str_has_prefix(*field, "iptc-"))
			vips_image_remove(image, *field);
	g_strfreev(fields);
}

static int save(VipsImage *image, enum resize_format format, struct resize_result *result)
{
	metadata_drop(image);
	if (format == RESIZE_PNG)
		return vips_pngsave_buffer(image, &result->data, &result->length, "strip", TRUE,
					   NULL);
	if (format == RESIZE_WEBP)
		return vips_webpsave_buffer(image, &result->data, &result->length, "Q", 80, "strip",
					    TRUE, NULL);

	/* JPEG has no transparency: what shines through is white. */
	const double white[] = {255, 255, 255};
	VipsArrayDouble *background = vips_array_double_new(white, 3);
	const int failed = vips_jpegsave_buffer(image, &result->data, &result->length, "Q", 82,
						"strip", TRUE, "background", background, NULL);

	vips_area_unref(VIPS_AREA(background));
	return failed;
}
