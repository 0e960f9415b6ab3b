/* Molecular dynamics of a polar liquid; stands for namd of SPEC CPU.
 *
 * The liquid is made of molecules of two unlike atoms with opposite charges and a
 * spring between them, in a periodic cube. All other pairs of atoms up to a cutoff
 * attract and repel each other by a Lennard-Jones potential that is switched off
 * smoothly, and by a shielded Coulomb potential. Velocity Verlet moves the atoms.
 * Pairs come from neighbour lists, which are built with the help of a grid of cells
 * whenever an atom has moved far enough to matter.
 *
 * Most time goes into the loop over neighbours: about 25 pairs per atom with
 * gathered loads, a division, a square root and some thirty products each.
 *
 * Sizes: 8 atoms in each of `side`^3 lattice cells, and the number of time steps.
 * Verified: the sum of energies stays, the sum of momenta is zero, no molecule
 * breaks. */
#include "../common/real.h"

/* Lengths are in diameters of the larger atom, energies in its well depth, masses
 * in its mass; the unit of time follows. */
static const double CELL_EDGE = 2.44;    /* of the lattice in the beginning */
static const double CUTOFF = 2.5;
static const double SWITCH_FROM = 2.0;
static const double SKIN = 0.3;          /* neighbour lists reach this much further */
static const double BOND_LENGTH = 0.8;
static const double BOND_STIFFNESS = 400.0;
static const double TEMPERATURE = 0.9;   /* of the random velocities in the beginning */
static const double TIME_STEP = 0.003;
static const double ALLOWED_DRIFT = 0.01; /* of the energy, per atom */

enum { ATOMS_PER_CELL = 8, RADIAL_BINS = 50 };

struct vector {
    double x, y, z;
};

/* What the force between two kinds of atoms needs. */
struct pair_kind {
    double twelfth; /* 4 epsilon sigma^12 */
    double sixth;   /* 4 epsilon sigma^6 */
    double charge;  /* product of both */
};

struct atom_kind {
    double diameter, depth, mass, charge;
};

static const struct atom_kind kinds[2] = {
    {1.00, 1.0, 1.0, 0.6},
    {0.85, 0.7, 0.5, -0.6},
};

/* Atoms 2i and 2i + 1 are a molecule: the kind of an atom is its lowest bit, and
 * its partner differs from it in that bit. */
struct liquid {
    uint32_t count;
    double box;
    struct vector *position; /* always within the box */
    struct vector *velocity;
    struct vector *force;
    struct pair_kind pairs[2][2];
    double potential;

    /* The neighbours of atom i with higher numbers are at list[start[i]] up to
     * list[start[i + 1]] - 1. They are good until an atom is half the skin away
     * from where it was. */
    uint32_t *start;
    uint32_t *list;
    uint32_t capacity;
    struct vector *listed_at;
    uint32_t builds;

    /* The atoms of a cell are a chain, by index plus one, 0 at its end. */
    uint32_t cells; /* along an edge */
    uint32_t *head;
    uint32_t *next;
};

static double dot(struct vector a, struct vector b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

/* The shortest of the differences of two coordinates in periodic space. */
static inline double nearest(double difference, double box) {
    if (difference > 0.5 * box) return difference - box;
    if (difference < -0.5 * box) return difference + box;
    return difference;
}

static inline struct vector between(const struct liquid *l, uint32_t from, uint32_t to) {
    const struct vector *a = &l->position[from];
    const struct vector *b = &l->position[to];
    return (struct vector){nearest(b->x - a->x, l->box), nearest(b->y - a->y, l->box),
                           nearest(b->z - a->z, l->box)};
}

static double wrapped(double coordinate, double box) {
    if (coordinate < 0.0) coordinate += box;
    if (coordinate >= box) coordinate -= box;
    return coordinate;
}

static struct vector wrapped_vector(struct vector v, double box) {
    return (struct vector){wrapped(v.x, box), wrapped(v.y, box), wrapped(v.z, box)};
}

/* A random number of normal distribution, by the method of Box and Muller. */
static double random_normal(struct random *r) {
    double radius = real_sqrt(-2.0 * real_log(1.0 - random_unit(r)));
    return radius * real_cos(2.0 * REAL_PI * random_unit(r));
}

static struct vector random_direction(struct random *r) {
    double z = 2.0 * random_unit(r) - 1.0;
    double angle = 2.0 * REAL_PI * random_unit(r);
    double flat = real_sqrt(1.0 - z * z);
    return (struct vector){flat * real_cos(angle), flat * real_sin(angle), z};
}

static void make_pair_kinds(struct liquid *l) {
    for (int a = 0; a < 2; a++) {
        for (int b = 0; b < 2; b++) {
            double diameter = 0.5 * (kinds[a].diameter + kinds[b].diameter);
            double depth = real_sqrt(kinds[a].depth * kinds[b].depth);
            double sixth = diameter * diameter * diameter;
            sixth *= sixth;
            l->pairs[a][b] = (struct pair_kind){4.0 * depth * sixth * sixth, 4.0 * depth * sixth,
                                                kinds[a].charge * kinds[b].charge};
        }
    }
}

/* Puts the centres of the molecules on a face-centred cubic lattice, turned at random. */
static void place_molecules(struct liquid *l, uint32_t side, struct random *r) {
    static const double corners[4][3] = {{0, 0, 0}, {0, 0.5, 0.5}, {0.5, 0, 0.5}, {0.5, 0.5, 0}};
    uint32_t atom = 0;
    for (uint32_t cell = 0; cell < side * side * side; cell++) {
        uint32_t x = cell % side, y = cell / side % side, z = cell / side / side;
        for (int corner = 0; corner < 4; corner++) {
            struct vector turn = random_direction(r);
            double half = 0.5 * BOND_LENGTH;
            for (int end = 0; end < 2; end++, atom++) {
                double way = end ? half : -half;
                struct vector p = {(x + corners[corner][0] + 0.25) * CELL_EDGE + way * turn.x,
                                   (y + corners[corner][1] + 0.25) * CELL_EDGE + way * turn.y,
                                   (z + corners[corner][2] + 0.25) * CELL_EDGE + way * turn.z};
                l->position[atom] = wrapped_vector(p, l->box);
            }
        }
    }
}

/* Gives the atoms velocities of a temperature, and takes the common motion off. */
static void heat(struct liquid *l, struct random *r) {
    struct vector momentum = {0, 0, 0};
    double mass = 0.0;
    for (uint32_t i = 0; i < l->count; i++) {
        double m = kinds[i & 1].mass;
        double spread = real_sqrt(TEMPERATURE / m);
        struct vector v;
        v.x = spread * random_normal(r);
        v.y = spread * random_normal(r);
        v.z = spread * random_normal(r);
        l->velocity[i] = v;
        momentum.x += m * v.x;
        momentum.y += m * v.y;
        momentum.z += m * v.z;
        mass += m;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        l->velocity[i].x -= momentum.x / mass;
        l->velocity[i].y -= momentum.y / mass;
        l->velocity[i].z -= momentum.z / mass;
    }
}

static struct liquid make_liquid(uint32_t side, struct random *r) {
    struct liquid l = {.count = ATOMS_PER_CELL * side * side * side, .box = side * CELL_EDGE};
    l.position = workload_allocate(l.count, sizeof *l.position);
    l.velocity = workload_allocate(l.count, sizeof *l.velocity);
    l.force = workload_allocate(l.count, sizeof *l.force);
    l.listed_at = workload_allocate(l.count, sizeof *l.listed_at);
    l.start = workload_allocate(l.count + 1, sizeof *l.start);
    l.next = workload_allocate(l.count, sizeof *l.next);
    l.capacity = l.count * 40;
    l.list = workload_allocate(l.capacity, sizeof *l.list);
    l.cells = (uint32_t)real_floor(l.box / (CUTOFF + SKIN));
    if (l.cells < 3) workload_fail("the box is too small for its cells");
    l.head = workload_allocate((size_t)l.cells * l.cells * l.cells, sizeof *l.head);
    make_pair_kinds(&l);
    place_molecules(&l, side, r);
    heat(&l, r);
    return l;
}

static uint32_t cell_along(const struct liquid *l, double coordinate) {
    uint32_t cell = (uint32_t)(coordinate / l->box * l->cells);
    return cell < l->cells ? cell : l->cells - 1;
}

static void fill_cells(struct liquid *l) {
    memset(l->head, 0, (size_t)l->cells * l->cells * l->cells * sizeof *l->head);
    for (uint32_t i = l->count; i-- > 0;) {
        const struct vector *p = &l->position[i];
        uint32_t cell = (cell_along(l, p->z) * l->cells + cell_along(l, p->y)) * l->cells +
                        cell_along(l, p->x);
        l->next[i] = l->head[cell];
        l->head[cell] = i + 1;
    }
}

/* Lists the atoms of a cell that are near atom i and have a higher number. */
static uint32_t list_from_cell(struct liquid *l, uint32_t i, uint32_t cell, uint32_t used) {
    double reach = (CUTOFF + SKIN) * (CUTOFF + SKIN);
    for (uint32_t link = l->head[cell]; link; link = l->next[link - 1]) {
        uint32_t j = link - 1;
        if (j <= i || j == (i ^ 1)) continue;
        struct vector d = between(l, i, j);
        if (dot(d, d) >= reach) continue;
        if (used == l->capacity) workload_fail("more neighbours than expected");
        l->list[used++] = j;
    }
    return used;
}

static void build_lists(struct liquid *l) {
    uint32_t n = l->cells, used = 0;
    fill_cells(l);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct vector *p = &l->position[i];
        uint32_t cx = cell_along(l, p->x), cy = cell_along(l, p->y), cz = cell_along(l, p->z);
        l->start[i] = used;
        for (uint32_t dz = 0; dz < 3; dz++) {
            for (uint32_t dy = 0; dy < 3; dy++) {
                for (uint32_t dx = 0; dx < 3; dx++) {
                    uint32_t x = (cx + dx + n - 1) % n;
                    uint32_t y = (cy + dy + n - 1) % n;
                    uint32_t z = (cz + dz + n - 1) % n;
                    used = list_from_cell(l, i, (z * n + y) * n + x, used);
                }
            }
        }
        l->listed_at[i] = *p;
    }
    l->start[l->count] = used;
    l->builds++;
}

static bool lists_are_good(const struct liquid *l) {
    double allowed = 0.25 * SKIN * SKIN;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct vector *p = &l->position[i], *q = &l->listed_at[i];
        struct vector d = {nearest(p->x - q->x, l->box), nearest(p->y - q->y, l->box),
                           nearest(p->z - q->z, l->box)};
        if (dot(d, d) > allowed) return false;
    }
    return true;
}

/* The force of one pair over its distance; adds its energy to `energy`. */
static inline double pair_force(const struct pair_kind *pair, double square, double *energy) {
    const double cut = CUTOFF * CUTOFF, from = SWITCH_FROM * SWITCH_FROM;
    double inverse = 1.0 / square;
    double sixth = inverse * inverse * inverse;
    double lennard = (pair->twelfth * sixth - pair->sixth) * sixth;
    double force = (12.0 * pair->twelfth * sixth - 6.0 * pair->sixth) * sixth * inverse;
    if (square > from) {
        const double width = 1.0 / ((cut - from) * (cut - from) * (cut - from));
        double rest = cut - square;
        double on = rest * rest * (cut + 2.0 * square - 3.0 * from) * width;
        double slope = 12.0 * rest * (from - square) * width;
        force = force * on - lennard * slope;
        lennard *= on;
    }
    double coulomb = pair->charge * real_sqrt(inverse);
    double shield = 1.0 - square * (1.0 / cut);
    *energy += lennard + coulomb * shield * shield;
    return force + coulomb * shield * (shield * inverse + 4.0 / cut);
}

static void add_pair_forces(struct liquid *l) {
    const double cut = CUTOFF * CUTOFF;
    double energy = 0.0;
    for (uint32_t i = 0; i < l->count; i++) {
        struct vector sum = l->force[i];
        const struct pair_kind *pairs = l->pairs[i & 1];
        for (uint32_t k = l->start[i]; k < l->start[i + 1]; k++) {
            uint32_t j = l->list[k];
            struct vector d = between(l, i, j);
            double square = dot(d, d);
            if (square >= cut) continue;
            double force = pair_force(&pairs[j & 1], square, &energy);
            sum.x -= force * d.x;
            sum.y -= force * d.y;
            sum.z -= force * d.z;
            l->force[j].x += force * d.x;
            l->force[j].y += force * d.y;
            l->force[j].z += force * d.z;
        }
        l->force[i] = sum;
    }
    l->potential += energy;
}

static void add_bond_forces(struct liquid *l) {
    for (uint32_t i = 0; i < l->count; i += 2) {
        struct vector d = between(l, i, i + 1);
        double length = real_sqrt(dot(d, d));
        double stretch = length - BOND_LENGTH;
        if (real_abs(stretch) > 0.5 * BOND_LENGTH) workload_fail("a molecule broke");
        double force = BOND_STIFFNESS * stretch / length;
        l->potential += 0.5 * BOND_STIFFNESS * stretch * stretch;
        l->force[i].x += force * d.x;
        l->force[i].y += force * d.y;
        l->force[i].z += force * d.z;
        l->force[i + 1].x -= force * d.x;
        l->force[i + 1].y -= force * d.y;
        l->force[i + 1].z -= force * d.z;
    }
}

static void compute_forces(struct liquid *l) {
    memset(l->force, 0, l->count * sizeof *l->force);
    l->potential = 0.0;
    add_pair_forces(l);
    add_bond_forces(l);
}

/* Half a step of the velocities by the forces. */
static void kick(struct liquid *l) {
    for (uint32_t i = 0; i < l->count; i++) {
        double by = 0.5 * TIME_STEP / kinds[i & 1].mass;
        l->velocity[i].x += by * l->force[i].x;
        l->velocity[i].y += by * l->force[i].y;
        l->velocity[i].z += by * l->force[i].z;
    }
}

static void drift(struct liquid *l) {
    for (uint32_t i = 0; i < l->count; i++) {
        struct vector p = l->position[i], v = l->velocity[i];
        p.x += TIME_STEP * v.x;
        p.y += TIME_STEP * v.y;
        p.z += TIME_STEP * v.z;
        l->position[i] = wrapped_vector(p, l->box);
    }
}

static double kinetic_energy(const struct liquid *l) {
    double sum = 0.0;
    for (uint32_t i = 0; i < l->count; i++) {
        sum += 0.5 * kinds[i & 1].mass * dot(l->velocity[i], l->velocity[i]);
    }
    return sum;
}

static void check_momentum(const struct liquid *l) {
    struct vector sum = {0, 0, 0};
    for (uint32_t i = 0; i < l->count; i++) {
        sum.x += kinds[i & 1].mass * l->velocity[i].x;
        sum.y += kinds[i & 1].mass * l->velocity[i].y;
        sum.z += kinds[i & 1].mass * l->velocity[i].z;
    }
    if (!(dot(sum, sum) < 1e-12)) workload_fail("the momentum is not conserved");
}

/* Counts the listed pairs by distance, and takes the counts into the checksum. */
static uint32_t radial_peak(const struct liquid *l, struct workload *w) {
    uint32_t bins[RADIAL_BINS] = {0};
    double per_shell[RADIAL_BINS];
    for (uint32_t i = 0; i < l->count; i++) {
        for (uint32_t k = l->start[i]; k < l->start[i + 1]; k++) {
            struct vector d = between(l, i, l->list[k]);
            double distance = real_sqrt(dot(d, d));
            if (distance < CUTOFF) bins[(uint32_t)(distance * (RADIAL_BINS / CUTOFF))]++;
        }
    }
    uint32_t peak = 0;
    for (uint32_t bin = 0; bin < RADIAL_BINS; bin++) {
        workload_hash(w, bins[bin]);
        per_shell[bin] = bins[bin] / ((bin + 0.5) * (bin + 0.5));
        if (per_shell[bin] > per_shell[peak]) peak = bin;
    }
    return peak;
}

static void hash_liquid(const struct liquid *l, struct workload *w) {
    for (uint32_t i = 0; i < l->count; i++) {
        workload_hash_real(w, l->position[i].x, 1e9);
        workload_hash_real(w, l->position[i].y, 1e9);
        workload_hash_real(w, l->position[i].z, 1e9);
        workload_hash_real(w, dot(l->velocity[i], l->velocity[i]), 1e9);
    }
}

static void free_liquid(struct liquid *l) {
    free(l->position);
    free(l->velocity);
    free(l->force);
    free(l->listed_at);
    free(l->start);
    free(l->next);
    free(l->list);
    free(l->head);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random r = {UINT64_C(0x6d6f6c6563756c65)};
    real_check();
    struct liquid l = make_liquid(workload_pick(&w, 5, 10, 13), &r);
    uint32_t steps = workload_pick(&w, 120, 300, 1100);
    uint32_t per_part = steps / workload_pick(&w, 60, 100, 220);

    build_lists(&l);
    compute_forces(&l);
    double first = kinetic_energy(&l) + l.potential;
    double worst = 0.0;
    for (uint32_t step = 1; step <= steps; step++) {
        kick(&l);
        drift(&l);
        if (!lists_are_good(&l)) build_lists(&l);
        compute_forces(&l);
        kick(&l);
        if (step % per_part == 0) {
            double change = real_abs(kinetic_energy(&l) + l.potential - first) / l.count;
            worst = real_max(worst, change);
            if (!(change < ALLOWED_DRIFT)) workload_fail("the energy is not conserved");
            workload_step(&w);
        }
    }
    check_momentum(&l);

    double temperature = kinetic_energy(&l) / (1.5 * l.count);
    uint32_t peak = radial_peak(&l, &w);
    hash_liquid(&l, &w);
    workload_hash_real(&w, l.potential, 1e6);
    workload_hash(&w, l.builds);
    printf("atoms %u, time steps %u, list builds %u\n", l.count, steps, l.builds);
    printf("energy per atom %.4f, worst change %.6f\n", first / l.count, worst);
    printf("temperature %.4f, most neighbours at distance %.3f\n", temperature,
           (peak + 0.5) * (CUTOFF / RADIAL_BINS));
    free_liquid(&l);
    return workload_end(&w);
}
