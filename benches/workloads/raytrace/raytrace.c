/* A ray tracer; stands for povray of SPEC CPU.
 *
 * The scene has a knot made of triangles, a flake of spheres on spheres, glass
 * balls, boxes with a hollow that a ball was cut out of, and a floor. Surfaces are
 * plain, checked, or of marble and wood made from noise; they shine, mirror and let
 * light through, which is bent and dimmed. A tree of bounding boxes finds what a ray
 * may hit; the kinds of shapes are reached through tables of functions.
 *
 * Time goes into the walk down the tree (branches that nobody can foresee, with
 * pointers to follow), the tests against triangles and spheres with their divisions
 * and roots, and the textures.
 *
 * Sizes: the picture and its samples per pixel, and how fine the shapes are.
 * Verified: random rays hit the same with the tree and without, and the picture is
 * neither dark nor plain. The checksum is of its bytes. */
#include "../common/real.h"

static const double FAR_AWAY = 1e30;
static const double TOO_NEAR = 1e-6; /* a ray does not hit where it starts */

enum { MAX_DEPTH = 6, LEAF_SHAPES = 4, STACK = 64, NOISE = 256, LIGHTS = 2 };

struct vector {
    double x, y, z;
};

static inline struct vector make(double x, double y, double z) {
    return (struct vector){x, y, z};
}
static inline struct vector add(struct vector a, struct vector b) {
    return make(a.x + b.x, a.y + b.y, a.z + b.z);
}
static inline struct vector sub(struct vector a, struct vector b) {
    return make(a.x - b.x, a.y - b.y, a.z - b.z);
}
static inline struct vector scale(struct vector a, double by) {
    return make(a.x * by, a.y * by, a.z * by);
}
static inline struct vector times(struct vector a, struct vector b) {
    return make(a.x * b.x, a.y * b.y, a.z * b.z);
}
static inline double dot(struct vector a, struct vector b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline struct vector cross(struct vector a, struct vector b) {
    return make(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
static inline struct vector unit(struct vector a) {
    return scale(a, 1.0 / real_sqrt(dot(a, a)));
}
static inline struct vector mix(struct vector a, struct vector b, double share) {
    return add(scale(a, 1.0 - share), scale(b, share));
}
static inline double component(const struct vector *v, int axis) {
    return axis == 0 ? v->x : axis == 1 ? v->y : v->z;
}

/* ---- Rays, bounds and shapes ---- */

struct ray {
    struct vector from;
    struct vector along;   /* of length 1 */
    struct vector inverse; /* 1 over each component of `along` */
};

struct bounds {
    struct vector low, high;
};

struct material {
    struct vector (*texture)(const struct material *, struct vector at);
    struct vector colour, second;
    double diffuse, shine, hardness, mirror;
    double clear; /* the share of light that goes through */
    double index; /* of refraction */
};

struct shape;

/* What each kind of shape can do. */
struct methods {
    /* The distance along the ray to the first hit, or FAR_AWAY. */
    double (*hit)(const struct shape *, const struct ray *);
    struct vector (*normal)(const struct shape *, struct vector at);
    struct bounds (*bounds)(const struct shape *);
};

struct shape {
    const struct methods *methods;
    const struct material *material;
    union {
        struct {
            struct vector centre;
            double radius;
        } ball;
        struct {
            struct vector corner, side[2], normals[3];
        } triangle;
        struct {
            struct bounds box;
            struct vector centre; /* of the ball that is cut out */
            double radius;
        } hollow;
        double height; /* of the floor */
    } as;
};

static struct ray make_ray(struct vector from, struct vector along) {
    double parts[3] = {along.x, along.y, along.z};
    for (int axis = 0; axis < 3; axis++) {
        if (real_abs(parts[axis]) < 1e-12) parts[axis] = 1e-12;
        parts[axis] = 1.0 / parts[axis];
    }
    return (struct ray){from, along, make(parts[0], parts[1], parts[2])};
}

/* Where a ray enters and leaves; false if it passes by. */
static inline bool cross_box(const struct bounds *b, const struct ray *ray, double *enter,
                             double *leave) {
    double x0 = (b->low.x - ray->from.x) * ray->inverse.x;
    double x1 = (b->high.x - ray->from.x) * ray->inverse.x;
    double y0 = (b->low.y - ray->from.y) * ray->inverse.y;
    double y1 = (b->high.y - ray->from.y) * ray->inverse.y;
    double z0 = (b->low.z - ray->from.z) * ray->inverse.z;
    double z1 = (b->high.z - ray->from.z) * ray->inverse.z;
    *enter = real_max(real_max(real_min(x0, x1), real_min(y0, y1)), real_min(z0, z1));
    *leave = real_min(real_min(real_max(x0, x1), real_max(y0, y1)), real_max(z0, z1));
    return *enter <= *leave;
}

static inline bool cross_ball(struct vector centre, double radius, const struct ray *ray,
                              double *enter, double *leave) {
    struct vector to = sub(centre, ray->from);
    double middle = dot(to, ray->along);
    double square = radius * radius - (dot(to, to) - middle * middle);
    if (square <= 0.0) return false;
    double half = real_sqrt(square);
    *enter = middle - half;
    *leave = middle + half;
    return true;
}

static double ball_hit(const struct shape *s, const struct ray *ray) {
    double enter, leave;
    if (!cross_ball(s->as.ball.centre, s->as.ball.radius, ray, &enter, &leave)) return FAR_AWAY;
    if (enter > TOO_NEAR) return enter;
    return leave > TOO_NEAR ? leave : FAR_AWAY;
}

static struct vector ball_normal(const struct shape *s, struct vector at) {
    return unit(sub(at, s->as.ball.centre));
}

static struct bounds ball_bounds(const struct shape *s) {
    double r = s->as.ball.radius;
    return (struct bounds){sub(s->as.ball.centre, make(r, r, r)),
                           add(s->as.ball.centre, make(r, r, r))};
}

static double triangle_hit(const struct shape *s, const struct ray *ray) {
    const struct vector *side = s->as.triangle.side;
    struct vector p = cross(ray->along, side[1]);
    double determinant = dot(side[0], p);
    if (real_abs(determinant) < 1e-14) return FAR_AWAY;
    double inverse = 1.0 / determinant;
    struct vector to = sub(ray->from, s->as.triangle.corner);
    double u = dot(to, p) * inverse;
    if (u < 0.0 || u > 1.0) return FAR_AWAY;
    struct vector q = cross(to, side[0]);
    double v = dot(ray->along, q) * inverse;
    if (v < 0.0 || u + v > 1.0) return FAR_AWAY;
    double distance = dot(side[1], q) * inverse;
    return distance > TOO_NEAR ? distance : FAR_AWAY;
}

/* Between the normals of the corners, so that the surface looks round. */
static struct vector triangle_normal(const struct shape *s, struct vector at) {
    const struct vector *side = s->as.triangle.side, *normals = s->as.triangle.normals;
    struct vector to = sub(at, s->as.triangle.corner);
    double aa = dot(side[0], side[0]), ab = dot(side[0], side[1]), bb = dot(side[1], side[1]);
    double ta = dot(to, side[0]), tb = dot(to, side[1]);
    double inverse = 1.0 / (aa * bb - ab * ab);
    double u = (bb * ta - ab * tb) * inverse, v = (aa * tb - ab * ta) * inverse;
    return unit(add(scale(normals[0], 1.0 - u - v), add(scale(normals[1], u), scale(normals[2], v))));
}

static struct bounds grow(struct bounds b, struct vector p) {
    return (struct bounds){
        make(real_min(b.low.x, p.x), real_min(b.low.y, p.y), real_min(b.low.z, p.z)),
        make(real_max(b.high.x, p.x), real_max(b.high.y, p.y), real_max(b.high.z, p.z))};
}

static struct bounds triangle_bounds(const struct shape *s) {
    struct vector a = s->as.triangle.corner;
    struct bounds b = grow((struct bounds){a, a}, add(a, s->as.triangle.side[0]));
    return grow(b, add(a, s->as.triangle.side[1]));
}

/* A box without a ball: of the four places where the ray crosses a surface, those on
 * the box count outside of the ball and those on the ball inside of the box. */
static double hollow_hit(const struct shape *s, const struct ray *ray) {
    double box[2], ball[2] = {FAR_AWAY, -FAR_AWAY};
    if (!cross_box(&s->as.hollow.box, ray, &box[0], &box[1])) return FAR_AWAY;
    bool both = cross_ball(s->as.hollow.centre, s->as.hollow.radius, ray, &ball[0], &ball[1]);
    double best = FAR_AWAY;
    for (int i = 0; i < 2; i++) {
        bool within = box[i] > ball[0] && box[i] < ball[1];
        if (!within && box[i] > TOO_NEAR) best = real_min(best, box[i]);
        within = ball[i] > box[0] && ball[i] < box[1];
        if (both && within && ball[i] > TOO_NEAR) best = real_min(best, ball[i]);
    }
    return best;
}

static struct vector hollow_normal(const struct shape *s, struct vector at) {
    const struct bounds *b = &s->as.hollow.box;
    struct vector from = sub(at, s->as.hollow.centre);
    double radius = real_sqrt(dot(from, from));
    if (real_abs(radius - s->as.hollow.radius) < 1e-7) return scale(from, -1.0 / radius);
    double away[6] = {at.x - b->low.x,  at.y - b->low.y,  at.z - b->low.z,
                      b->high.x - at.x, b->high.y - at.y, b->high.z - at.z};
    int face = 0;
    for (int i = 1; i < 6; i++) {
        if (real_abs(away[i]) < real_abs(away[face])) face = i;
    }
    double sign = face < 3 ? -1.0 : 1.0;
    int axis = face % 3;
    return make(axis == 0 ? sign : 0.0, axis == 1 ? sign : 0.0, axis == 2 ? sign : 0.0);
}

static struct bounds hollow_bounds(const struct shape *s) {
    return s->as.hollow.box;
}

static double floor_hit(const struct shape *s, const struct ray *ray) {
    double distance = (s->as.height - ray->from.y) * ray->inverse.y;
    return distance > TOO_NEAR && distance < 1e3 ? distance : FAR_AWAY;
}

static struct vector floor_normal(const struct shape *s, struct vector at) {
    (void)s;
    (void)at;
    return make(0.0, 1.0, 0.0);
}

static const struct methods ball_methods = {ball_hit, ball_normal, ball_bounds};
static const struct methods triangle_methods = {triangle_hit, triangle_normal, triangle_bounds};
static const struct methods hollow_methods = {hollow_hit, hollow_normal, hollow_bounds};
static const struct methods floor_methods = {floor_hit, floor_normal, NULL};

/* ---- Textures ---- */

static uint8_t noise_order[NOISE];
static double noise_value[NOISE];

static void make_noise(struct random *r) {
    for (uint32_t i = 0; i < NOISE; i++) {
        noise_order[i] = (uint8_t)i;
        noise_value[i] = random_unit(r);
    }
    for (uint32_t i = NOISE - 1; i > 0; i--) {
        uint32_t j = random_below(r, i + 1);
        uint8_t held = noise_order[i];
        noise_order[i] = noise_order[j];
        noise_order[j] = held;
    }
}

static double noise_at(int32_t x, int32_t y, int32_t z) {
    uint32_t i = noise_order[(uint32_t)x % NOISE];
    i = noise_order[(i + (uint32_t)y) % NOISE];
    return noise_value[noise_order[(i + (uint32_t)z) % NOISE]];
}

static double soft(double x) {
    return x * x * (3.0 - 2.0 * x);
}

/* Random values at whole places, and in between what lies between them. */
static double noise(struct vector p) {
    int32_t x = real_floor(p.x), y = real_floor(p.y), z = real_floor(p.z);
    double u = soft(p.x - x), v = soft(p.y - y), t = soft(p.z - z);
    double sum = 0.0;
    for (int corner = 0; corner < 8; corner++) {
        int dx = corner & 1, dy = corner >> 1 & 1, dz = corner >> 2;
        double share = (dx ? u : 1.0 - u) * (dy ? v : 1.0 - v) * (dz ? t : 1.0 - t);
        sum += share * noise_at(x + dx, y + dy, z + dz);
    }
    return sum;
}

static double turbulence(struct vector p, int octaves) {
    double sum = 0.0, share = 0.5;
    for (int i = 0; i < octaves; i++) {
        sum += share * noise(p);
        p = scale(p, 2.03);
        share *= 0.5;
    }
    return sum;
}

static struct vector plain(const struct material *m, struct vector at) {
    (void)at;
    return m->colour;
}

static struct vector checked(const struct material *m, struct vector at) {
    int32_t sum = real_floor(at.x) + real_floor(at.z);
    return mix((sum & 1) ? m->colour : m->second, make(0.3, 0.3, 0.3), 0.4 * noise(scale(at, 9.0)));
}

static struct vector marble(const struct material *m, struct vector at) {
    double wave = real_sin(4.0 * at.x + 2.0 * at.y + 9.0 * turbulence(scale(at, 2.0), 5));
    return mix(m->colour, m->second, real_pow(0.5 + 0.5 * wave, 1.7));
}

static struct vector wood(const struct material *m, struct vector at) {
    double ring = real_sqrt(at.x * at.x + at.z * at.z) * 6.0 + turbulence(scale(at, 1.5), 3);
    return mix(m->colour, m->second, soft(ring - real_floor(ring)));
}

static const struct material materials[] = {
    {checked, {0.9, 0.9, 0.8}, {0.2, 0.3, 0.2}, 0.9, 0.1, 10.0, 0.12, 0.0, 1.0},
    {marble, {0.9, 0.9, 0.95}, {0.3, 0.2, 0.3}, 0.8, 0.5, 40.0, 0.10, 0.0, 1.0},
    {wood, {0.7, 0.4, 0.2}, {0.4, 0.2, 0.1}, 0.9, 0.2, 15.0, 0.00, 0.0, 1.0},
    {plain, {0.9, 0.7, 0.3}, {0, 0, 0}, 0.4, 0.8, 60.0, 0.50, 0.0, 1.0},
    {plain, {0.7, 0.9, 0.9}, {0, 0, 0}, 0.1, 0.9, 90.0, 0.10, 0.8, 1.5},
};
enum { FLOOR_CHECKS, MARBLE, WOOD, GOLD, GLASS };

/* ---- The scene ---- */

struct node {
    struct bounds bounds;
    uint32_t first; /* the first shape of a leaf, or the second child */
    uint32_t count; /* of shapes; 0 in an inner node, whose first child comes next */
};

struct scene {
    struct shape *shapes;
    uint32_t count, capacity;
    struct node *nodes;
    uint32_t node_count;
    struct shape floor;
    struct vector lights[LIGHTS];
    uint64_t rays;
};

static struct shape *new_shape(struct scene *s, const struct methods *methods, int material) {
    if (s->count == s->capacity) workload_fail("more shapes than expected");
    struct shape *shape = &s->shapes[s->count++];
    shape->methods = methods;
    shape->material = &materials[material];
    return shape;
}

static void add_ball(struct scene *s, struct vector centre, double radius, int material) {
    struct shape *ball = new_shape(s, &ball_methods, material);
    ball->as.ball.centre = centre;
    ball->as.ball.radius = radius;
}

/* A ball with nine smaller ones around it, and so on. */
static void add_flake(struct scene *s, struct vector centre, double radius, int levels) {
    add_ball(s, centre, radius, levels % 2 ? GOLD : MARBLE);
    for (int i = 0; levels > 0 && i < 9; i++) {
        double height = i < 6 ? 0.1 : 0.75, angle = i * (REAL_PI / (i < 6 ? 3.0 : 1.5)) + 0.3 * levels;
        double flat = real_sqrt(1.0 - height * height);
        struct vector to = make(flat * real_cos(angle), height, flat * real_sin(angle));
        add_flake(s, add(centre, scale(to, radius * 1.4)), radius * 0.4, levels - 1);
    }
}

static void add_hollow(struct scene *s, struct vector centre, double half, int material) {
    struct shape *hollow = new_shape(s, &hollow_methods, material);
    hollow->as.hollow.box = (struct bounds){sub(centre, make(half, half, half)),
                                            add(centre, make(half, half, half))};
    hollow->as.hollow.centre = centre;
    hollow->as.hollow.radius = half * 1.28;
}

/* The middle of the knot's tube: it winds three times around while it goes twice. */
static struct vector knot_middle(double turn) {
    double wide = 1.1 + 0.45 * real_cos(3.0 * turn);
    return make(wide * real_cos(2.0 * turn) - 1.3, 1.45 + 0.5 * real_sin(3.0 * turn),
                wide * real_sin(2.0 * turn) + 0.9);
}

static void knot_point(uint32_t i, uint32_t j, uint32_t rings, uint32_t sides, struct vector *at,
                       struct vector *normal) {
    double turn = 2.0 * REAL_PI * (i % rings) / rings, angle = 2.0 * REAL_PI * (j % sides) / sides;
    struct vector middle = knot_middle(turn);
    struct vector along = unit(sub(knot_middle(turn + 1e-3), middle));
    struct vector across = unit(cross(along, make(0.1, 1.0, 0.2)));
    struct vector up = cross(across, along);
    *normal = add(scale(across, real_cos(angle)), scale(up, real_sin(angle)));
    *at = add(middle, scale(*normal, 0.2));
}

static void add_knot(struct scene *s, uint32_t rings, uint32_t sides) {
    /* The corners of the two triangles of each square on the tube. */
    static const uint8_t corners[2][3][2] = {{{0, 0}, {1, 0}, {1, 1}}, {{0, 0}, {1, 1}, {0, 1}}};
    for (uint32_t i = 0; i < rings * sides * 2; i++) {
        uint32_t ring = i / 2 / sides, side = i / 2 % sides;
        struct vector at[3], normals[3];
        for (int c = 0; c < 3; c++) {
            const uint8_t *corner = corners[i & 1][c];
            knot_point(ring + corner[0], side + corner[1], rings, sides, &at[c], &normals[c]);
        }
        struct shape *triangle = new_shape(s, &triangle_methods, GOLD);
        triangle->as.triangle.corner = at[0];
        triangle->as.triangle.side[0] = sub(at[1], at[0]);
        triangle->as.triangle.side[1] = sub(at[2], at[0]);
        memcpy(triangle->as.triangle.normals, normals, sizeof normals);
    }
}

/* ---- The tree of bounding boxes ---- */

static double middle_of(const struct shape *shape, int axis) {
    struct bounds b = shape->methods->bounds(shape);
    return component(&b.low, axis) + component(&b.high, axis);
}

/* Orders shapes so that those below position `middle` lie lower along the axis. */
static void part(struct shape *shapes, uint32_t count, uint32_t middle, int axis) {
    uint32_t low = 0, high = count - 1;
    while (low < high) {
        double pivot = middle_of(&shapes[low + (high - low) / 2], axis);
        uint32_t i = low, j = high;
        while (i <= j) {
            while (middle_of(&shapes[i], axis) < pivot) i++;
            while (middle_of(&shapes[j], axis) > pivot) j--;
            if (i > j) break;
            struct shape held = shapes[i];
            shapes[i] = shapes[j];
            shapes[j] = held;
            i++;
            if (j == 0) break;
            j--;
        }
        if (middle <= j) high = j;
        else if (middle >= i) low = i;
        else return;
    }
}

static void build_tree(struct scene *s, uint32_t first, uint32_t count) {
    uint32_t self = s->node_count++;
    struct bounds around = s->shapes[first].methods->bounds(&s->shapes[first]);
    struct bounds middles = {make(FAR_AWAY, FAR_AWAY, FAR_AWAY),
                             make(-FAR_AWAY, -FAR_AWAY, -FAR_AWAY)};
    for (uint32_t i = first; i < first + count; i++) {
        struct bounds b = s->shapes[i].methods->bounds(&s->shapes[i]);
        around = grow(grow(around, b.low), b.high);
        middles = grow(middles, add(b.low, b.high));
    }
    s->nodes[self] = (struct node){around, first, count};
    if (count <= LEAF_SHAPES) return;
    struct vector wide = sub(middles.high, middles.low);
    int axis = wide.x > wide.y && wide.x > wide.z ? 0 : wide.y > wide.z ? 1 : 2;
    part(s->shapes + first, count, count / 2, axis);
    s->nodes[self].count = 0;
    build_tree(s, first, count / 2);
    s->nodes[self].first = s->node_count;
    build_tree(s, first + count / 2, count - count / 2);
}

struct hit {
    double distance;
    const struct shape *shape;
};

/* Whether a ray is interested in a shape: light goes through clear ones. */
static inline bool counts(const struct shape *shape, bool shadow) {
    return !shadow || shape->material->clear == 0.0;
}

/* The nearest hit before `limit`; for a shadow any hit on what is not clear. */
static struct hit trace(struct scene *s, const struct ray *ray, double limit, bool shadow) {
    uint32_t stack[STACK];
    int depth = 0;
    struct hit best = {limit, NULL};
    double distance = s->floor.methods->hit(&s->floor, ray);
    s->rays++;
    if (distance < best.distance) best = (struct hit){distance, &s->floor};
    stack[depth++] = 0;
    while (depth > 0 && !(shadow && best.shape)) {
        uint32_t index = stack[--depth];
        const struct node *node = &s->nodes[index];
        double enter, leave;
        if (!cross_box(&node->bounds, ray, &enter, &leave)) continue;
        if (enter > best.distance || leave < 0.0) continue;
        if (node->count == 0) {
            stack[depth++] = node->first;
            stack[depth++] = index + 1;
            continue;
        }
        for (uint32_t i = node->first; i < node->first + node->count; i++) {
            const struct shape *shape = &s->shapes[i];
            distance = shape->methods->hit(shape, ray);
            if (distance < best.distance && counts(shape, shadow)) {
                best = (struct hit){distance, shape};
            }
        }
    }
    return best;
}

/* ---- Light ---- */

static struct vector sky(const struct ray *ray) {
    double height = real_max(ray->along.y, 0.0);
    struct vector blue = mix(make(0.8, 0.85, 0.9), make(0.2, 0.4, 0.8), real_sqrt(height));
    double cloud = turbulence(scale(ray->along, 5.0), 4) - 0.45;
    return cloud > 0.0 ? mix(blue, make(1.0, 1.0, 1.0), 2.0 * cloud) : blue;
}

/* What the lamps give to a place. */
static struct vector lamps(struct scene *s, const struct material *m, struct vector colour,
                           struct vector at, struct vector normal, struct vector view) {
    struct vector sum = scale(colour, 0.15 * m->diffuse);
    for (int i = 0; i < LIGHTS; i++) {
        struct vector to = sub(s->lights[i], at);
        double distance = real_sqrt(dot(to, to));
        to = scale(to, 1.0 / distance);
        double facing = dot(normal, to);
        if (facing <= 0.0) continue;
        struct ray ray = make_ray(add(at, scale(normal, TOO_NEAR)), to);
        if (trace(s, &ray, distance, true).shape) continue;
        double strength = 60.0 / (20.0 + distance * distance);
        sum = add(sum, scale(colour, m->diffuse * facing * strength));
        double shine = dot(unit(sub(to, view)), normal);
        double glance = m->shine * strength * real_pow(real_max(shine, 0.0), m->hardness);
        sum = add(sum, make(glance, glance, glance));
    }
    return sum;
}

static struct vector colour_along(struct scene *s, const struct ray *ray, int depth);

/* The light that comes through a clear surface; `mirrored` gets what is thrown back. */
static struct vector through(struct scene *s, const struct material *m, const struct ray *ray,
                             struct vector at, struct vector normal, bool inside, int depth,
                             double *mirrored) {
    double ratio = inside ? m->index : 1.0 / m->index;
    double facing = -dot(normal, ray->along);
    double square = 1.0 - ratio * ratio * (1.0 - facing * facing);
    if (square < 0.0) {
        *mirrored = m->clear + m->mirror;
        return make(0.0, 0.0, 0.0);
    }
    double rest = 1.0 - facing, rest2 = rest * rest;
    double thrown = 0.04 + 0.96 * rest2 * rest2 * rest;
    *mirrored = m->mirror + m->clear * thrown;
    double bend = ratio * facing - real_sqrt(square);
    struct vector along = unit(add(scale(ray->along, ratio), scale(normal, bend)));
    struct ray next = make_ray(sub(at, scale(normal, TOO_NEAR)), along);
    return scale(colour_along(s, &next, depth + 1), m->clear * (1.0 - thrown));
}

static struct vector colour_along(struct scene *s, const struct ray *ray, int depth) {
    if (depth > MAX_DEPTH) return make(0.0, 0.0, 0.0);
    struct hit hit = trace(s, ray, FAR_AWAY, false);
    if (!hit.shape) return sky(ray);
    const struct material *m = hit.shape->material;
    struct vector at = add(ray->from, scale(ray->along, hit.distance));
    struct vector normal = hit.shape->methods->normal(hit.shape, at);
    bool inside = dot(normal, ray->along) > 0.0;
    if (inside) normal = scale(normal, -1.0);

    struct vector colour = m->texture(m, at);
    struct vector sum = lamps(s, m, colour, at, normal, ray->along);
    double mirrored = m->mirror;
    if (m->clear > 0.0) {
        sum = add(sum, through(s, m, ray, at, normal, inside, depth, &mirrored));
    }
    if (mirrored > 0.02) {
        double facing = dot(normal, ray->along);
        struct vector along = unit(sub(ray->along, scale(normal, 2.0 * facing)));
        struct ray next = make_ray(add(at, scale(normal, TOO_NEAR)), along);
        struct vector seen = colour_along(s, &next, depth + 1);
        sum = add(sum, scale(times(seen, mix(colour, make(1, 1, 1), 0.5)), mirrored));
    }
    if (inside && m->clear > 0.0) {
        /* Glass dims what has a long way in it. */
        sum = make(sum.x * real_exp(-0.5 * hit.distance), sum.y * real_exp(-0.1 * hit.distance),
                   sum.z * real_exp(-0.2 * hit.distance));
    }
    return sum;
}

/* ---- The picture ---- */

/* Not to be called twice within one list of arguments, whose order is open. */
static double random_between(struct random *r, double low, double high) {
    return low + (high - low) * random_unit(r);
}

static struct scene make_scene(uint32_t rings, uint32_t sides, int levels, struct random *r) {
    struct scene s = {.capacity = 1200 + rings * sides * 2};
    s.shapes = workload_allocate(s.capacity, sizeof *s.shapes);
    s.nodes = workload_allocate(2 * (size_t)s.capacity, sizeof *s.nodes);
    s.floor.methods = &floor_methods;
    s.floor.material = &materials[FLOOR_CHECKS];
    s.lights[0] = make(-4.0, 7.0, -5.0);
    s.lights[1] = make(5.0, 5.0, -3.0);
    add_knot(&s, rings, sides);
    add_flake(&s, make(1.8, 0.8, 1.2), 0.8, levels);
    add_ball(&s, make(0.3, 0.6, -1.2), 0.6, GLASS);
    add_ball(&s, make(-2.6, 0.4, -1.4), 0.4, GLASS);
    add_hollow(&s, make(-1.4, 0.5, -1.9), 0.5, WOOD);
    add_hollow(&s, make(1.9, 0.45, -1.6), 0.45, MARBLE);
    for (int i = 0; i < 60; i++) {
        double radius = random_between(r, 0.05, 0.15);
        double x = random_between(r, -3.5, 3.5), z = random_between(r, -3.5, 1.5);
        add_ball(&s, make(x, radius, z), radius, (int)(MARBLE + random_below(r, GLASS)));
    }
    build_tree(&s, 0, s.count);
    return s;
}

/* Random rays must hit the same shape at the same distance without the tree. */
static void check_tree(struct scene *s, struct random *r) {
    for (int i = 0; i < 200; i++) {
        double x = random_between(r, -4.0, 4.0), y = random_between(r, 0.1, 3.1);
        struct vector from = make(x, y, -5.0);
        x = random_between(r, -3.0, 3.0);
        y = random_between(r, 0.0, 2.0);
        struct vector to = make(x, y, 1.0);
        struct ray ray = make_ray(from, unit(sub(to, from)));
        double best = floor_hit(&s->floor, &ray);
        for (uint32_t k = 0; k < s->count; k++) {
            best = real_min(best, s->shapes[k].methods->hit(&s->shapes[k], &ray));
        }
        if (trace(s, &ray, FAR_AWAY, false).distance != best) {
            workload_fail("the tree of shapes loses a hit");
        }
    }
}

static uint8_t to_byte(double light) {
    double value = 255.0 * real_pow(real_min(real_max(light, 0.0), 1.0), 1.0 / 2.2);
    return (uint8_t)(value + 0.5);
}

/* The colour of one pixel, from samples at random places in it. */
static void draw_pixel(struct scene *s, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
                       uint32_t samples, struct random *r, uint8_t *out) {
    struct vector sum = make(0.0, 0.0, 0.0);
    for (uint32_t i = 0; i < samples; i++) {
        double across = (x + random_unit(r) - 0.5 * width) / height;
        double up = (0.5 * height - y - random_unit(r)) / height;
        struct vector along = unit(make(across * 1.1, up * 1.1 - 0.22, 1.0));
        struct ray ray = make_ray(make(0.0, 2.3, -6.5), along);
        sum = add(sum, colour_along(s, &ray, 0));
    }
    out[0] = to_byte(sum.x / samples);
    out[1] = to_byte(sum.y / samples);
    out[2] = to_byte(sum.z / samples);
}

/* The mean of the bytes, after a look whether the picture shows something. */
static double check_picture(const uint8_t *picture, size_t bytes) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < bytes; i++) {
        sum += picture[i];
        squares += (double)picture[i] * picture[i];
    }
    double mean = sum / (double)bytes, spread = squares / (double)bytes - mean * mean;
    if (!(mean > 40.0 && mean < 220.0 && spread > 400.0)) workload_fail("the picture is plain");
    return mean;
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random r = {UINT64_C(0x72617974726163)};
    real_check();
    make_noise(&r);
    uint32_t fine = workload_pick(&w, 8, 12, 16);
    int levels = (int)workload_pick(&w, 1, 2, 3);
    struct scene scene = make_scene(16 * fine, fine, levels, &r);
    check_tree(&scene, &r);

    uint32_t height = workload_pick(&w, 60, 180, 360), width = height * 4 / 3;
    uint32_t samples = workload_pick(&w, 6, 16, 38);
    size_t bytes = (size_t)width * height * 3;
    uint8_t *picture = workload_allocate(bytes, 1);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            draw_pixel(&scene, x, y, width, height, samples, &r, picture + ((size_t)y * width + x) * 3);
        }
        workload_step(&w);
    }
    double mean = check_picture(picture, bytes);
    workload_hash_bytes(&w, picture, bytes);
    printf("shapes %u, tree nodes %u\n", scene.count, scene.node_count);
    printf("picture %u x %u, rays %" PRIu64 ", mean brightness %.3f\n", width, height, scene.rays,
           mean);
    free(picture);
    free(scene.shapes);
    free(scene.nodes);
    return workload_end(&w);
}
