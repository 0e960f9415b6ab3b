/* Flow around an obstacle by the lattice Boltzmann method in three dimensions;
 * stands for lbm of SPEC CPU.
 *
 * Each cell of a duct holds 19 densities, one per direction in which fluid may move
 * (the D3Q19 model). A time step takes the densities that arrive from the
 * neighbours, relaxes them towards the equilibrium of their local density and
 * velocity, and writes them to a second lattice. Walls and the obstacle, a sphere
 * with some cubes around it, throw back what arrives. The duct is periodic along
 * the flow, which a small body force drives.
 *
 * Nearly all time is spent in one loop over cells with 19 loads, 19 stores and
 * some 200 additions and products; the loads come from 19 places in memory.
 *
 * Sizes: the lattice and the number of time steps. Verified: the mass stays, no
 * density is negative or not a number, the fluid moves along the force. */
#include "../common/real.h"

enum { DIRECTIONS = 19 };

static const int32_t move[DIRECTIONS][3] = {
    {0, 0, 0},  {1, 0, 0},   {-1, 0, 0},  {0, 1, 0},  {0, -1, 0}, {0, 0, 1},  {0, 0, -1},
    {1, 1, 0},  {-1, -1, 0}, {1, -1, 0},  {-1, 1, 0}, {1, 0, 1},  {-1, 0, -1}, {1, 0, -1},
    {-1, 0, 1}, {0, 1, 1},   {0, -1, -1}, {0, 1, -1}, {0, -1, 1},
};

static const double weight[DIRECTIONS] = {
    1.0 / 3,  1.0 / 18, 1.0 / 18, 1.0 / 18, 1.0 / 18, 1.0 / 18, 1.0 / 18, 1.0 / 36, 1.0 / 36, 1.0 / 36,
    1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36, 1.0 / 36,
};

/* A rate of relaxation between 0 and 2 sets the viscosity: (1 / RELAXATION - 0.5) / 3. */
static const double RELAXATION = 1.7;
static const double DRIVE = 2e-5;       /* the body force along x, per unit of mass */
static const double ALLOWED_LOSS = 1e-9; /* of the mass, relative */

enum cell { CELL_FLUID, CELL_SOLID };

struct duct {
    uint32_t nx, ny, nz;
    uint32_t cells;
    /* By cell: x runs fastest. The outermost layers along y and z are walls. */
    uint8_t *kind;
    double (*now)[DIRECTIONS];
    double (*after)[DIRECTIONS];
    uint32_t fluid_cells;
    uint32_t opposite[DIRECTIONS];
};

static uint32_t index_of(const struct duct *d, uint32_t x, uint32_t y, uint32_t z) {
    return (z * d->ny + y) * d->nx + x;
}

/* Builds the walls, and in the first third of the duct a sphere and smaller cubes. */
static void place_obstacles(struct duct *d, struct random *r) {
    double radius = 0.22 * d->ny;
    double at[3] = {0.3 * d->nx, 0.5 * d->ny, 0.5 * d->nz};
    for (uint32_t z = 0; z < d->nz; z++) {
        for (uint32_t y = 0; y < d->ny; y++) {
            for (uint32_t x = 0; x < d->nx; x++) {
                double dx = x - at[0], dy = y - at[1], dz = z - at[2];
                bool wall = y == 0 || y == d->ny - 1 || z == 0 || z == d->nz - 1;
                bool sphere = dx * dx + dy * dy + dz * dz < radius * radius;
                d->kind[index_of(d, x, y, z)] = wall || sphere ? CELL_SOLID : CELL_FLUID;
            }
        }
    }
    uint32_t edge = d->ny / 12 + 1;
    for (int cube = 0; cube < 8; cube++) {
        uint32_t x0 = random_below(r, d->nx - edge);
        uint32_t y0 = 1 + random_below(r, d->ny - 2 - edge);
        uint32_t z0 = 1 + random_below(r, d->nz - 2 - edge);
        for (uint32_t i = 0; i < edge * edge * edge; i++) {
            uint32_t x = x0 + i % edge, y = y0 + i / edge % edge, z = z0 + i / edge / edge;
            d->kind[index_of(d, x, y, z)] = CELL_SOLID;
        }
    }
}

/* The densities of a fluid of a density and a velocity that is left to itself. */
static void equilibrium(double density, const double *velocity, double *f) {
    double square = velocity[0] * velocity[0] + velocity[1] * velocity[1] + velocity[2] * velocity[2];
    for (int q = 0; q < DIRECTIONS; q++) {
        double along = move[q][0] * velocity[0] + move[q][1] * velocity[1] + move[q][2] * velocity[2];
        f[q] = weight[q] * density * (1.0 + 3.0 * along + 4.5 * along * along - 1.5 * square);
    }
}

/* Fills the duct with fluid that moves slowly, with small disturbances. */
static void fill(struct duct *d, struct random *r) {
    for (uint32_t i = 0; i < d->cells; i++) {
        if (d->kind[i] != CELL_FLUID) continue;
        double velocity[3] = {0.02, 0.0, 0.0};
        for (int axis = 0; axis < 3; axis++) velocity[axis] += 0.002 * (random_unit(r) - 0.5);
        equilibrium(1.0, velocity, d->now[i]);
        d->fluid_cells++;
    }
}

static struct duct make_duct(uint32_t nx, uint32_t ny, uint32_t nz, struct random *r) {
    struct duct d = {.nx = nx, .ny = ny, .nz = nz, .cells = nx * ny * nz};
    d.kind = workload_allocate(d.cells, sizeof *d.kind);
    d.now = workload_allocate(d.cells, sizeof *d.now);
    d.after = workload_allocate(d.cells, sizeof *d.after);
    for (uint32_t q = 0; q < DIRECTIONS; q++) {
        for (uint32_t p = 0; p < DIRECTIONS; p++) {
            if (move[p][0] == -move[q][0] && move[p][1] == -move[q][1] && move[p][2] == -move[q][2]) {
                d.opposite[q] = p;
            }
        }
    }
    place_obstacles(&d, r);
    fill(&d, r);
    return d;
}

/* What arrives at a fluid cell: from each neighbour, or thrown back from a solid one.
 * `from` are the distances in memory to the neighbours where densities come from. */
static inline void gather(const struct duct *d, uint32_t cell, const int32_t *from, double *f) {
    const double *own = d->now[cell];
    f[0] = own[0];
    for (uint32_t q = 1; q < DIRECTIONS; q++) {
        uint32_t neighbour = cell + (uint32_t)from[q];
        f[q] = d->kind[neighbour] == CELL_FLUID ? d->now[neighbour][q] : own[d->opposite[q]];
    }
}

/* Relaxes a pair of opposite directions towards the equilibrium. `along` is the
 * velocity in the first of them, `base` the part that has no direction. */
static inline void relax_pair(const double *f, double *out, uint32_t q, double share, double along,
                              double base, double push) {
    double even = share * (base + 4.5 * along * along);
    double odd = share * 3.0 * along;
    out[q] = f[q] - RELAXATION * (f[q] - (even + odd)) + push;
    out[q + 1] = f[q + 1] - RELAXATION * (f[q + 1] - (even - odd)) - push;
}

/* Lets what arrived in a cell collide, with the body force. */
static inline void collide(const double *f, double *out) {
    double density = f[0];
    for (int q = 1; q < DIRECTIONS; q++) density += f[q];
    double x = f[1] - f[2] + f[7] - f[8] + f[9] - f[10] + f[11] - f[12] + f[13] - f[14];
    double y = f[3] - f[4] + f[7] - f[8] - f[9] + f[10] + f[15] - f[16] + f[17] - f[18];
    double z = f[5] - f[6] + f[11] - f[12] - f[13] + f[14] + f[15] - f[16] - f[17] + f[18];
    double inverse = 1.0 / density;
    x *= inverse;
    y *= inverse;
    z *= inverse;

    double base = 1.0 - 1.5 * (x * x + y * y + z * z);
    double axis = density * (1.0 / 18), edge = density * (1.0 / 36);
    double axis_push = 3.0 * axis * DRIVE, edge_push = 3.0 * edge * DRIVE;
    out[0] = f[0] - RELAXATION * (f[0] - density * (1.0 / 3) * base);
    relax_pair(f, out, 1, axis, x, base, axis_push);
    relax_pair(f, out, 3, axis, y, base, 0.0);
    relax_pair(f, out, 5, axis, z, base, 0.0);
    relax_pair(f, out, 7, edge, x + y, base, edge_push);
    relax_pair(f, out, 9, edge, x - y, base, edge_push);
    relax_pair(f, out, 11, edge, x + z, base, edge_push);
    relax_pair(f, out, 13, edge, x - z, base, edge_push);
    relax_pair(f, out, 15, edge, y + z, base, 0.0);
    relax_pair(f, out, 17, edge, y - z, base, 0.0);
}

/* The distances in memory to where densities come from, for a cell at x. */
static void find_sources(const struct duct *d, uint32_t x, int32_t *from) {
    for (uint32_t q = 0; q < DIRECTIONS; q++) {
        int32_t dx = -move[q][0];
        if (dx < 0 && x == 0) dx += (int32_t)d->nx;
        if (dx > 0 && x == d->nx - 1) dx -= (int32_t)d->nx;
        from[q] = dx - (move[q][1] + move[q][2] * (int32_t)d->ny) * (int32_t)d->nx;
    }
}

/* A time step of the cells from `begin` to `end` - 1 of one row. */
static void step_row(struct duct *d, uint32_t row, uint32_t begin, uint32_t end) {
    int32_t from[DIRECTIONS];
    double f[DIRECTIONS];
    find_sources(d, begin, from);
    for (uint32_t x = begin; x < end; x++) {
        uint32_t cell = row + x;
        if (d->kind[cell] != CELL_FLUID) continue;
        gather(d, cell, from, f);
        collide(f, d->after[cell]);
    }
}

static void time_step(struct duct *d) {
    for (uint32_t z = 1; z + 1 < d->nz; z++) {
        for (uint32_t y = 1; y + 1 < d->ny; y++) {
            uint32_t row = index_of(d, 0, y, z);
            step_row(d, row, 0, 1);
            step_row(d, row, 1, d->nx - 1);
            step_row(d, row, d->nx - 1, d->nx);
        }
    }
    double(*swap)[DIRECTIONS] = d->now;
    d->now = d->after;
    d->after = swap;
}

/* What can be seen of the whole flow. */
struct flow {
    double mass, momentum, energy, fastest;
};

static double measure_cell(const double *f, double *velocity) {
    double density = 0.0;
    velocity[0] = velocity[1] = velocity[2] = 0.0;
    for (int q = 0; q < DIRECTIONS; q++) {
        if (!(f[q] > 0.0)) workload_fail("a density is negative or not a number");
        density += f[q];
        for (int axis = 0; axis < 3; axis++) velocity[axis] += move[q][axis] * f[q];
    }
    for (int axis = 0; axis < 3; axis++) velocity[axis] /= density;
    return density;
}

static struct flow measure(const struct duct *d) {
    struct flow flow = {0, 0, 0, 0};
    for (uint32_t cell = 0; cell < d->cells; cell++) {
        if (d->kind[cell] != CELL_FLUID) continue;
        double v[3];
        double density = measure_cell(d->now[cell], v);
        double square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
        flow.mass += density;
        flow.momentum += density * v[0];
        flow.energy += 0.5 * density * square;
        flow.fastest = real_max(flow.fastest, square);
    }
    flow.fastest = real_sqrt(flow.fastest);
    return flow;
}

/* Compares the pressure before and behind the obstacles: the drag of the flow. */
static double pressure_drop(const struct duct *d) {
    double sum[2] = {0, 0};
    uint32_t at[2] = {d->nx / 8, d->nx / 2}, count[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        for (uint32_t z = 1; z + 1 < d->nz; z++) {
            for (uint32_t y = 1; y + 1 < d->ny; y++) {
                uint32_t cell = index_of(d, at[side], y, z);
                if (d->kind[cell] != CELL_FLUID) continue;
                double v[3];
                sum[side] += measure_cell(d->now[cell], v) / 3.0;
                count[side]++;
            }
        }
    }
    return sum[0] / count[0] - sum[1] / count[1];
}

static void hash_flow(const struct duct *d, struct workload *w) {
    for (uint32_t cell = 0; cell < d->cells; cell += 7) {
        if (d->kind[cell] != CELL_FLUID) continue;
        double v[3];
        workload_hash_real(w, measure_cell(d->now[cell], v), 1e12);
        for (int axis = 0; axis < 3; axis++) workload_hash_real(w, v[axis], 1e12);
    }
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random r = {UINT64_C(0x6c617474696365)};
    real_check();
    uint32_t width = workload_pick(&w, 16, 32, 48);
    struct duct d = make_duct(2 * width + width / 2, width, width, &r);
    uint32_t steps = workload_pick(&w, 120, 150, 400);
    uint32_t per_part = steps / workload_pick(&w, 60, 75, 200);

    double mass = measure(&d).mass;
    struct flow flow = {0, 0, 0, 0};
    for (uint32_t step = 1; step <= steps; step++) {
        time_step(&d);
        if (step % per_part != 0) continue;
        flow = measure(&d);
        if (!(real_abs(flow.mass / mass - 1.0) < ALLOWED_LOSS)) {
            workload_fail("the mass is not conserved");
        }
        workload_hash_real(&w, flow.energy, 1e9);
        workload_step(&w);
    }
    if (!(flow.momentum > 0.0)) workload_fail("the fluid does not follow the force");
    if (!(flow.fastest < 0.3)) workload_fail("the flow is too fast for its lattice");

    double drop = pressure_drop(&d);
    hash_flow(&d, &w);
    workload_hash_real(&w, drop, 1e12);
    printf("lattice %u x %u x %u, %u fluid cells, time steps %u\n", d.nx, d.ny, d.nz,
           d.fluid_cells, steps);
    printf("mass %.6f, mean velocity %.6f, highest %.6f\n", flow.mass, flow.momentum / flow.mass,
           flow.fastest);
    printf("pressure drop %.9f\n", drop);
    free(d.kind);
    free(d.now);
    free(d.after);
    return workload_end(&w);
}
