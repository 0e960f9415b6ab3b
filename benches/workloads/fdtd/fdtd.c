/* Electromagnetic waves among obstacles, by finite differences in time and space;
 * stands for cactuBSSN of SPEC CPU, a large stencil over several fields.
 *
 * Six field components on the staggered grid of Yee follow Maxwell's equations in
 * turns: the electric field from the curl of the magnetic one, then the reverse. A
 * dipole sends a short pulse, which meets a glass sphere, a glass plate with holes
 * and a metal rod whose electrons carry a current of their own (Drude's model).
 * Layers of growing loss swallow what reaches the sides of the box.
 *
 * Nearly all time is spent in two loops over the cells that read four to five arrays
 * for each component, from rows and planes that lie far apart: it is bound by loads
 * and by memory in the large sizes.
 *
 * Sizes: the grid and the number of time steps. Verified: the energy is bounded and
 * falls after the pulse, and the magnetic field has no sources. */
#include "../common/real.h"

static const double TIME_STEP = 0.5; /* cells per unit of time; stable below 0.577 */
static const double MAX_LOSS = 0.35; /* at the very sides, per unit of time */
static const double GLASS = 4.0;     /* permittivity */
static const double PLASMA_RATE = 0.9, COLLISION_RATE = 0.02; /* of the metal */
static const double PULSE_CENTRE = 40.0, PULSE_WIDTH = 12.0, PULSE_RATE = 0.45;
static const double ALLOWED_SOURCE = 1e-11;

enum { LOSSY_CELLS = 8, RATES = 12 };

struct field {
    double *x, *y, *z;
};

struct grid {
    uint32_t nx, ny, nz; /* x runs fastest in memory */
    uint32_t cells;
    struct field e, h;
    double *permittivity;
    double *keep_e, *gain_e; /* E' = keep_e E + gain_e curl H */
    double *keep_h, *gain_h; /* H' = keep_h H - gain_h curl E */
    /* Cells of metal and the currents in them. */
    uint32_t metal_cells;
    uint32_t *metal;
    struct field current;
    uint32_t source;
    uint32_t probe;
};

static uint32_t index_of(const struct grid *g, uint32_t x, uint32_t y, uint32_t z) {
    return (z * g->ny + y) * g->nx + x;
}

static struct field make_field(uint32_t cells) {
    return (struct field){workload_allocate(cells, sizeof(double)),
                          workload_allocate(cells, sizeof(double)),
                          workload_allocate(cells, sizeof(double))};
}

static void free_field(struct field *field) {
    free(field->x);
    free(field->y);
    free(field->z);
}

/* The loss at a place along one axis: it grows with the third power of the depth in
 * the layer, since a sudden loss would throw waves back. */
static double loss_along(uint32_t at, uint32_t size) {
    uint32_t side = at < size - 1 - at ? at : size - 1 - at;
    if (side >= LOSSY_CELLS) return 0.0;
    double depth = (double)(LOSSY_CELLS - side) / LOSSY_CELLS;
    return MAX_LOSS * depth * depth * depth;
}

enum material { MATERIAL_VACUUM, MATERIAL_GLASS, MATERIAL_METAL };

static enum material material_at(const struct grid *g, uint32_t x, uint32_t y, uint32_t z) {
    double size = g->ny;
    double dx = x - 0.45 * g->nx, dy = y - 0.35 * g->ny, dz = z - 0.5 * g->nz;
    if (dx * dx + dy * dy + dz * dz < 0.03 * size * size) return MATERIAL_GLASS;

    dx = x - 0.5 * g->nx;
    dy = y - 0.72 * g->ny;
    if (dx * dx + dy * dy < 0.006 * size * size) return MATERIAL_METAL;

    bool plate = x > 0.70 * g->nx && x < 0.75 * g->nx;
    bool hole = y / 4 % 2 == 0 && z / 4 % 2 == 0;
    return plate && !hole ? MATERIAL_GLASS : MATERIAL_VACUUM;
}

/* Fills in what the updates need to know about each cell. */
static void set_materials(struct grid *g) {
    for (uint32_t z = 0; z < g->nz; z++) {
        for (uint32_t y = 0; y < g->ny; y++) {
            for (uint32_t x = 0; x < g->nx; x++) {
                uint32_t cell = index_of(g, x, y, z);
                enum material material = material_at(g, x, y, z);
                double loss = loss_along(x, g->nx) + loss_along(y, g->ny) + loss_along(z, g->nz);
                double half = 0.5 * TIME_STEP * loss;
                g->permittivity[cell] = material == MATERIAL_GLASS ? GLASS : 1.0;
                g->keep_h[cell] = (1.0 - half) / (1.0 + half);
                g->gain_h[cell] = TIME_STEP / (1.0 + half);
                g->keep_e[cell] = g->keep_h[cell];
                g->gain_e[cell] = g->gain_h[cell] / g->permittivity[cell];
                if (material == MATERIAL_METAL) g->metal[g->metal_cells++] = cell;
            }
        }
    }
}

static struct grid make_grid(uint32_t nx, uint32_t ny, uint32_t nz) {
    struct grid g = {.nx = nx, .ny = ny, .nz = nz, .cells = nx * ny * nz};
    g.e = make_field(g.cells);
    g.h = make_field(g.cells);
    g.permittivity = workload_allocate(g.cells, sizeof *g.permittivity);
    g.keep_e = workload_allocate(g.cells, sizeof *g.keep_e);
    g.gain_e = workload_allocate(g.cells, sizeof *g.gain_e);
    g.keep_h = workload_allocate(g.cells, sizeof *g.keep_h);
    g.gain_h = workload_allocate(g.cells, sizeof *g.gain_h);
    g.metal = workload_allocate(g.cells, sizeof *g.metal);
    set_materials(&g);
    g.current = make_field(g.metal_cells);
    g.source = index_of(&g, LOSSY_CELLS + 3, ny / 2, nz / 2);
    g.probe = index_of(&g, nx - LOSSY_CELLS - 3, ny / 2 + 2, nz / 2 - 1);
    return g;
}

static void free_grid(struct grid *g) {
    free_field(&g->e);
    free_field(&g->h);
    free_field(&g->current);
    free(g->permittivity);
    free(g->keep_e);
    free(g->gain_e);
    free(g->keep_h);
    free(g->gain_h);
    free(g->metal);
}

/* The magnetic field of one row, whose first cell is `row`. `up` and `in` are the
 * distances to the next row and the next plane. */
static void magnetic_row(struct grid *g, uint32_t row, uint32_t up, uint32_t in) {
    const double *ex = g->e.x + row, *ey = g->e.y + row, *ez = g->e.z + row;
    const double *keep = g->keep_h + row, *gain = g->gain_h + row;
    double *hx = g->h.x + row, *hy = g->h.y + row, *hz = g->h.z + row;
    for (uint32_t i = 0; i + 1 < g->nx; i++) {
        double curl_x = (ez[i + up] - ez[i]) - (ey[i + in] - ey[i]);
        double curl_y = (ex[i + in] - ex[i]) - (ez[i + 1] - ez[i]);
        double curl_z = (ey[i + 1] - ey[i]) - (ex[i + up] - ex[i]);
        hx[i] = keep[i] * hx[i] - gain[i] * curl_x;
        hy[i] = keep[i] * hy[i] - gain[i] * curl_y;
        hz[i] = keep[i] * hz[i] - gain[i] * curl_z;
    }
}

static void electric_row(struct grid *g, uint32_t row, uint32_t up, uint32_t in) {
    const double *hx = g->h.x + row, *hy = g->h.y + row, *hz = g->h.z + row;
    const double *hx_below = hx - up, *hz_below = hz - up;
    const double *hx_before = hx - in, *hy_before = hy - in;
    const double *keep = g->keep_e + row, *gain = g->gain_e + row;
    double *ex = g->e.x + row, *ey = g->e.y + row, *ez = g->e.z + row;
    for (uint32_t i = 1; i < g->nx - 1; i++) {
        double curl_x = (hz[i] - hz_below[i]) - (hy[i] - hy_before[i]);
        double curl_y = (hx[i] - hx_before[i]) - (hz[i] - hz[i - 1]);
        double curl_z = (hy[i] - hy[i - 1]) - (hx[i] - hx_below[i]);
        ex[i] = keep[i] * ex[i] + gain[i] * curl_x;
        ey[i] = keep[i] * ey[i] + gain[i] * curl_y;
        ez[i] = keep[i] * ez[i] + gain[i] * curl_z;
    }
}

/* The field pulls at the electrons of the metal, whose current changes the field. */
static void currents(struct grid *g) {
    double keep = (1.0 - 0.5 * TIME_STEP * COLLISION_RATE) / (1.0 + 0.5 * TIME_STEP * COLLISION_RATE);
    double pull = TIME_STEP * PLASMA_RATE * PLASMA_RATE / (1.0 + 0.5 * TIME_STEP * COLLISION_RATE);
    struct field *j = &g->current;
    for (uint32_t i = 0; i < g->metal_cells; i++) {
        uint32_t cell = g->metal[i];
        j->x[i] = keep * j->x[i] + pull * g->e.x[cell];
        j->y[i] = keep * j->y[i] + pull * g->e.y[cell];
        j->z[i] = keep * j->z[i] + pull * g->e.z[cell];
    }
}

static void apply_currents(struct grid *g) {
    const struct field *j = &g->current;
    for (uint32_t i = 0; i < g->metal_cells; i++) {
        uint32_t cell = g->metal[i];
        g->e.x[cell] -= g->gain_e[cell] * j->x[i];
        g->e.y[cell] -= g->gain_e[cell] * j->y[i];
        g->e.z[cell] -= g->gain_e[cell] * j->z[i];
    }
}

/* The current in the dipole: a wave under a bell curve. */
static double pulse(double time) {
    double t = (time - PULSE_CENTRE) / PULSE_WIDTH;
    return real_exp(-t * t) * real_sin(PULSE_RATE * (time - PULSE_CENTRE));
}

static void time_step(struct grid *g, double time) {
    uint32_t up = g->nx, in = g->nx * g->ny;
    for (uint32_t z = 0; z + 1 < g->nz; z++) {
        for (uint32_t y = 0; y + 1 < g->ny; y++) magnetic_row(g, index_of(g, 0, y, z), up, in);
    }
    currents(g);
    for (uint32_t z = 1; z + 1 < g->nz; z++) {
        for (uint32_t y = 1; y + 1 < g->ny; y++) electric_row(g, index_of(g, 0, y, z), up, in);
    }
    apply_currents(g);
    g->e.z[g->source] -= g->gain_e[g->source] * 100.0 * pulse(time);
}

static double square_at(const struct field *f, uint32_t i) {
    return f->x[i] * f->x[i] + f->y[i] * f->y[i] + f->z[i] * f->z[i];
}

static double energy(const struct grid *g) {
    double sum = 0.0, moving = 0.0;
    for (uint32_t i = 0; i < g->cells; i++) {
        sum += 0.5 * (g->permittivity[i] * square_at(&g->e, i) + square_at(&g->h, i));
    }
    for (uint32_t i = 0; i < g->metal_cells; i++) moving += 0.5 * square_at(&g->current, i);
    return sum + moving / (PLASMA_RATE * PLASMA_RATE);
}

/* What the waves carry per unit of time through the plane behind the plate. */
static double flow_through(const struct grid *g) {
    double sum = 0.0;
    uint32_t x = g->nx * 4 / 5;
    for (uint32_t z = LOSSY_CELLS; z < g->nz - LOSSY_CELLS; z++) {
        for (uint32_t y = LOSSY_CELLS; y < g->ny - LOSSY_CELLS; y++) {
            uint32_t i = index_of(g, x, y, z);
            sum += g->e.y[i] * g->h.z[i] - g->e.z[i] * g->h.y[i];
        }
    }
    return sum;
}

/* The magnetic field must have no sources anywhere: what enters a cell leaves it.
 * Only so inside of the lossy layers. */
static void check_sources(const struct grid *g) {
    uint32_t up = g->nx, in = g->nx * g->ny;
    for (uint32_t z = LOSSY_CELLS; z + 1 < g->nz - LOSSY_CELLS; z++) {
        for (uint32_t y = LOSSY_CELLS; y + 1 < g->ny - LOSSY_CELLS; y++) {
            for (uint32_t x = LOSSY_CELLS; x + 1 < g->nx - LOSSY_CELLS; x++) {
                uint32_t i = index_of(g, x, y, z);
                double out = g->h.x[i + 1] - g->h.x[i] + g->h.y[i + up] - g->h.y[i] +
                             g->h.z[i + in] - g->h.z[i];
                if (!(real_abs(out) < ALLOWED_SOURCE)) {
                    workload_fail("the magnetic field has a source");
                }
            }
        }
    }
}

/* The spectrum of what the probe saw. */
struct spectrum {
    double real[RATES], imaginary[RATES];
};

static double spectrum_rate(uint32_t i) {
    return 0.1 + 0.07 * i;
}

static void add_to_spectrum(struct spectrum *s, double value, double time) {
    for (uint32_t i = 0; i < RATES; i++) {
        double angle = spectrum_rate(i) * time;
        s->real[i] += value * real_cos(angle);
        s->imaginary[i] -= value * real_sin(angle);
    }
}

static void hash_results(const struct grid *g, const struct spectrum *s, struct workload *w) {
    for (uint32_t i = 0; i < RATES; i++) {
        workload_hash_real(w, s->real[i], 1e9);
        workload_hash_real(w, s->imaginary[i], 1e9);
    }
    for (uint32_t i = 0; i < g->cells; i += 11) {
        workload_hash_real(w, square_at(&g->e, i), 1e12);
        workload_hash_real(w, square_at(&g->h, i), 1e12);
    }
}

static uint32_t strongest(const struct spectrum *s) {
    uint32_t best = 0;
    double most = 0.0;
    for (uint32_t i = 0; i < RATES; i++) {
        double power = s->real[i] * s->real[i] + s->imaginary[i] * s->imaginary[i];
        if (power > most) {
            most = power;
            best = i;
        }
    }
    return best;
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    real_check();
    uint32_t edge = workload_pick(&w, 32, 64, 84);
    struct grid g = make_grid(edge + edge / 2, edge, edge);
    uint32_t steps = workload_pick(&w, 420, 600, 1800);
    uint32_t per_part = steps / workload_pick(&w, 60, 100, 200);

    struct spectrum spectrum = {{0}, {0}};
    double peak = 0.0, last = 0.0, through = 0.0;
    for (uint32_t step = 1; step <= steps; step++) {
        double time = TIME_STEP * step;
        time_step(&g, time);
        add_to_spectrum(&spectrum, g.e.z[g.probe], time);
        if (step % per_part != 0) continue;
        last = energy(&g);
        through += flow_through(&g) * per_part * TIME_STEP;
        bool over = time > PULSE_CENTRE + 3.0 * PULSE_WIDTH;
        if (!over) peak = real_max(peak, last);
        if (over && !(last <= 1.01 * peak)) workload_fail("the energy grows without a source");
        workload_hash_real(&w, last, 1e9);
        workload_step(&w);
    }
    if (!(last < 0.5 * peak && last > 0.0)) workload_fail("the waves do not leave the box");
    check_sources(&g);

    hash_results(&g, &spectrum, &w);
    printf("grid %u x %u x %u, %u cells of metal, time steps %u\n", g.nx, g.ny, g.nz,
           g.metal_cells, steps);
    printf("highest energy %.6f, left %.9f, through the plate %.6f\n", peak, last, through);
    printf("strongest rate at the probe %.2f\n", spectrum_rate(strongest(&spectrum)));
    free_grid(&g);
    return workload_end(&w);
}
