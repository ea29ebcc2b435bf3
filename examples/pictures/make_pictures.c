/*
 * Draws the two pictures that the examples and their tests use: a colonnade at dusk, as JPEG, and
 * a map of an island, as PNG. Nothing in them is random: the same program draws the same pixels.
 *
 *	build/examples/pictures/make_pictures examples/pictures
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <vips/vips.h>

#define STOA_WIDTH  800
#define STOA_HEIGHT 500
#define MAP_SIDE    512
#define SAMPLES     3 /* a side: nine rays a pixel */

struct vector {
	double x, y, z;
};

typedef struct vector (*paint_fn)(double x, double y, int width, int height);

static struct vector add(struct vector a, struct vector b)
{
	return (struct vector){a.x + b.x, a.y + b.y, a.z + b.z};
}

static struct vector scale(struct vector a, double factor)
{
	return (struct vector){a.x * factor, a.y * factor, a.z * factor};
}

static double dot(struct vector a, struct vector b)
{
	return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vector unit(struct vector a)
{
	return scale(a, 1 / sqrt(dot(a, a)));
}

static struct vector mix(struct vector a, struct vector b, double share)
{
	return add(scale(a, 1 - share), scale(b, share));
}

static double clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

/* ---- the colonnade: rays through a floor, a wall, a ceiling and a row of columns ---- */

#define COLUMNS        16
#define COLUMN_X       (-1.7)
#define COLUMN_SPACING 2.1
#define CEILING_Y      3.6
#define WALL_X         2.3
#define EDGE_X         (-2.3) /* where the floor ends and the sea begins */
#define FAR            1e9

static const struct vector eye = {0.7, 1.65, -2.2};
static const struct vector to_sun = {-0.66, 0.20, 0.72};
static const struct vector sunlight = {1.0, 0.66, 0.36};
static const struct vector skylight = {0.26, 0.28, 0.44};

struct hit {
	double distance;
	struct vector normal;
	struct vector colour;
};

/* A column is a shaft between a wider foot and a wider head. */
static const struct {
	double radius, low, high;
} column_parts[] = {{0.27, 0.16, 3.34}, {0.36, -0.3, 0.16}, {0.36, 3.34, CEILING_Y}};

static void hit_columns(struct vector from, struct vector direction, struct hit *hit)
{
	const double a = direction.x * direction.x + direction.z * direction.z;

	for (int column = 0; column < COLUMNS; column++) {
		const double x = from.x - COLUMN_X;
		const double z = from.z - column * COLUMN_SPACING;
		const double b = x * direction.x + z * direction.z;

		for (size_t part = 0; part < sizeof(column_parts) / sizeof(column_parts[0]);
		     part++) {
			const double radius = column_parts[part].radius;
			const double root = b * b - a * (x * x + z * z - radius * radius);

			if (root < 0)
				continue;
			const double distance = (-b - sqrt(root)) / a;
			const double y = from.y + distance * direction.y;

			if (distance < 1e-4 || distance >= hit->distance ||
			    y < column_parts[part].low || y > column_parts[part].high)
				continue;
			const double nx = (x + distance * direction.x) / radius;
			const double nz = (z + distance * direction.z) / radius;
			const double flute = part == 0 ? 0.30 * sin(20 * atan2(nz, nx)) : 0;

			hit->distance = distance;
			hit->normal = unit((struct vector){nx - flute * nz, 0, nz + flute * nx});
			hit->colour = (struct vector){0.86, 0.80, 0.70};
		}
	}
}

static double stripe(double value, double period, double width)
{
	return fabs(value / period - round(value / period)) * period < width ? 1 : 0;
}

static void hit_planes(struct vector from, struct vector direction, struct hit *hit)
{
	const double to_floor = direction.y < 0 ? -from.y / direction.y : FAR;
	const double to_ceiling = direction.y > 0 ? (CEILING_Y - from.y) / direction.y : FAR;
	const double to_wall = direction.x > 0 ? (WALL_X - from.x) / direction.x : FAR;

	if (to_wall > 1e-4 && to_wall < hit->distance) {
		const struct vector at = add(from, scale(direction, to_wall));
		const double course = floor(at.y / 0.6);
		const double joint =
			stripe(at.y, 0.6, 0.008) + stripe(at.z + course * 0.7, 1.4, 0.01);

		hit->distance = to_wall;
		hit->normal = (struct vector){-1, 0, 0};
		hit->colour = scale((struct vector){0.78, 0.66, 0.54}, joint > 0 ? 0.7 : 1);
	}
	if (to_floor > 1e-4 && to_floor < hit->distance &&
	    from.x + to_floor * direction.x > EDGE_X) {
		const struct vector at = add(from, scale(direction, to_floor));
		const int odd = ((int)floor(at.x / 0.8) + (int)floor(at.z / 0.8)) & 1;

		hit->distance = to_floor;
		hit->normal = (struct vector){0, 1, 0};
		hit->colour =
			odd ? (struct vector){0.72, 0.62, 0.52} : (struct vector){0.56, 0.46, 0.42};
	}
	if (to_ceiling > 1e-4 && to_ceiling < hit->distance &&
	    from.x + to_ceiling * direction.x > EDGE_X) {
		const struct vector at = add(from, scale(direction, to_ceiling));

		hit->distance = to_ceiling;
		hit->normal = (struct vector){0, -1, 0};
		hit->colour = scale((struct vector){0.50, 0.36, 0.26},
				    stripe(at.z, COLUMN_SPACING / 2, 0.16) > 0 ? 0.55 : 1);
	}
}

static struct vector sky(struct vector direction)
{
	static const struct vector horizon = {1.00, 0.62, 0.34};
	static const struct vector rose = {0.78, 0.42, 0.50};
	static const struct vector zenith = {0.14, 0.17, 0.38};
	const double height = clamp(direction.y * 1.9, 0, 1);
	const double near = clamp(dot(direction, unit(to_sun)), 0, 1);
	struct vector colour = height < 0.35 ? mix(horizon, rose, height / 0.35)
					     : mix(rose, zenith, (height - 0.35) / 0.65);

	colour = add(colour, scale((struct vector){1, 0.7, 0.35}, 0.45 * pow(near, 24)));
	return near > 0.9988 ? (struct vector){1, 0.95, 0.8} : colour;
}

static struct vector outside(struct vector from, struct vector direction)
{
	if (direction.y >= 0)
		return sky(direction);
	const double distance = (from.y + 1.5) / -direction.y;
	const double wave = 0.05 * sin(distance * 2.3) * exp(-distance * 0.01);
	const struct vector mirrored =
		unit((struct vector){direction.x, -direction.y + fabs(wave), direction.z});

	return mix((struct vector){0.10, 0.16, 0.28}, sky(mirrored), 0.62);
}

static struct vector paint_stoa(double x, double y, int width, int height)
{
	const struct vector direction = unit(
		(struct vector){(x - width * 0.56) / height, (height * 0.52 - y) / height, 0.80});
	struct hit hit = {.distance = FAR};

	hit_columns(eye, direction, &hit);
	hit_planes(eye, direction, &hit);
	if (hit.distance >= FAR)
		return outside(eye, direction);

	const struct vector at = add(eye, scale(direction, hit.distance));
	struct hit shade = {.distance = FAR};
	double sun = clamp(dot(hit.normal, unit(to_sun)), 0, 1);

	hit_columns(add(at, scale(hit.normal, 1e-3)), unit(to_sun), &shade);
	hit_planes(add(at, scale(hit.normal, 1e-3)), unit(to_sun), &shade);
	if (shade.distance < FAR)
		sun = 0;
	const struct vector light =
		add(scale(sunlight, 1.5 * sun), scale(skylight, 0.75 - 0.25 * hit.normal.x));
	const struct vector lit = {hit.colour.x * light.x, hit.colour.y * light.y,
				   hit.colour.z * light.z};

	return mix(lit, (struct vector){0.85, 0.52, 0.38}, 1 - exp(-hit.distance * 0.012));
}

/* ---- the map: a height of hills, in bands with contour lines ---- */

static double hills(double x, double y)
{
	static const struct {
		double x, y, width, height;
	} hill[] = {
		{0.40, 0.42, 0.17, 0.95}, {0.62, 0.58, 0.13, 0.75}, {0.55, 0.30, 0.10, 0.45},
		{0.30, 0.66, 0.11, 0.50}, {0.74, 0.38, 0.08, 0.35}, {0.47, 0.55, 0.05, -0.35},
		{0.70, 0.76, 0.09, 0.30}, {0.18, 0.30, 0.06, 0.22}, {0.84, 0.62, 0.05, 0.20},
	};
	double height = -0.22 + 0.04 * sin(17 * x + 5 * y) * sin(13 * y - 4 * x);

	for (size_t i = 0; i < sizeof(hill) / sizeof(hill[0]); i++) {
		const double dx = (x - hill[i].x) / hill[i].width;
		const double dy = (y - hill[i].y) / hill[i].width;

		height += hill[i].height * exp(-(dx * dx + dy * dy) / 2);
	}
	return height;
}

static struct vector paint_map(double x, double y, int width, int height)
{
	static const struct vector land[] = {
		{0.90, 0.85, 0.66}, {0.66, 0.78, 0.50}, {0.50, 0.70, 0.44}, {0.74, 0.74, 0.46},
		{0.82, 0.66, 0.42}, {0.70, 0.50, 0.36}, {0.60, 0.46, 0.42}, {0.94, 0.94, 0.95},
	};
	static const struct vector sea[] = {
		{0.62, 0.82, 0.88}, {0.48, 0.70, 0.84}, {0.34, 0.56, 0.76}};
	const double level = hills(x / width, y / height) * 8;
	const double step = 2.0 / width;
	const double slope = fabs(hills(x / width + step, y / height) * 8 - level) +
			     fabs(hills(x / width, y / height + step) * 8 - level);
	const double nearest = fabs(level - round(level));
	const struct vector colour =
		level < 0 ? sea[(int)clamp(-level * 2.2, 0, 2)] : land[(int)clamp(level, 0, 7)];

	return nearest < slope * 0.35 ? scale(colour, 0.62) : colour;
}

/* ---- pixels and files ---- */

static VipsImage *paint(paint_fn painter, int width, int height, int samples)
{
	const size_t size = (size_t)width * (size_t)height * 3;
	unsigned char *const pixels = malloc(size);

	if (!pixels)
		return NULL;
	for (int y = 0; y < height; y++) {
		for (int x = 0; x < width; x++) {
			struct vector sum = {0};

			for (int i = 0; i < samples * samples; i++)
				sum = add(sum, painter(x + (i % samples + 0.5) / samples,
						       y + (i / samples + 0.5) / samples, width,
						       height));
			const struct vector colour = scale(sum, 255.0 / (samples * samples));
			unsigned char *const pixel =
				pixels + ((size_t)y * (size_t)width + (size_t)x) * 3;

			pixel[0] = (unsigned char)clamp(colour.x + 0.5, 0, 255);
			pixel[1] = (unsigned char)clamp(colour.y + 0.5, 0, 255);
			pixel[2] = (unsigned char)clamp(colour.z + 0.5, 0, 255);
		}
	}
	VipsImage *const image =
		vips_image_new_from_memory_copy(pixels, size, width, height, 3, VIPS_FORMAT_UCHAR);

	free(pixels);
	return image;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	if (VIPS_INIT(argv[0]) != 0)
		return 1;
	VipsImage *const stoa = paint(paint_stoa, STOA_WIDTH, STOA_HEIGHT, SAMPLES);
	VipsImage *const map = paint(paint_map, MAP_SIDE, MAP_SIDE, 1);
	char *const stoa_path = g_build_filename(argv[1], "stoa.jpg", NULL);
	char *const map_path = g_build_filename(argv[1], "island.png", NULL);
	const int failed = !stoa || !map ||
			   vips_jpegsave(stoa, stoa_path, "Q", 80, "strip", TRUE, NULL) != 0 ||
			   vips_pngsave(map, map_path, "compression", 9, "strip", TRUE, NULL) != 0;

	if (failed)
		fprintf(stderr, "make_pictures: %s", vips_error_buffer());
	g_free(stoa_path);
	g_free(map_path);
	if (stoa)
		g_object_unref(stoa);
	if (map)
		g_object_unref(map);
	vips_shutdown();
	return failed;
}
