/* Fourier transforms and what is done with them: spectra, convolution, Poisson's
 * equation; stands for the spectral codes of SPEC CPU.
 *
 * The transform works in place on interleaved complex numbers: a permutation by
 * reversed bits, one pass of radix 2 if the logarithm is odd, then passes of radix 4.
 * Real signals go through a complex transform of half the length; planes go through
 * their rows, a transposition, and the rows again.
 *
 * Time goes into the radix-4 passes, with strides from one element to a quarter of
 * the signal, and for large sizes into the permutation and the transpositions, which
 * are bound by memory.
 *
 * Each round looks for tones in a noisy signal, filters it, and solves Poisson's
 * equation on a plane. Sizes: length of the signal, edge of the plane, rounds.
 * Verified: the planted tones are found, inverse transforms give the input back,
 * convolution agrees with sums, and the solution fulfils its equation. */
#include "../common/real.h"

enum { TONES = 5, TAPS = 401, CHECKED_POINTS = 12 };
static const double ALLOWED = 1e-9;

struct complex {
    double re, im;
};

static inline struct complex plus(struct complex a, struct complex b) {
    return (struct complex){a.re + b.re, a.im + b.im};
}
static inline struct complex minus(struct complex a, struct complex b) {
    return (struct complex){a.re - b.re, a.im - b.im};
}
static inline struct complex product(struct complex a, struct complex b) {
    return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
static inline struct complex conjugate(struct complex a) {
    return (struct complex){a.re, -a.im};
}
/* a times -i */
static inline struct complex turned(struct complex a) {
    return (struct complex){a.im, -a.re};
}

/* What all transforms of one length, a power of two, need. */
struct plan {
    uint32_t count;
    uint32_t bits;
    struct complex *root; /* root[i] = exp(-2 pi i / count) */
    uint32_t *reversed;
};

static struct plan make_plan(uint32_t bits) {
    struct plan p = {.count = UINT32_C(1) << bits, .bits = bits};
    p.root = workload_allocate(p.count, sizeof *p.root);
    p.reversed = workload_allocate(p.count, sizeof *p.reversed);
    for (uint32_t i = 0; i < p.count; i++) {
        double angle = 2.0 * REAL_PI * i / p.count;
        p.root[i] = (struct complex){real_cos(angle), -real_sin(angle)};
        p.reversed[i] = p.reversed[i / 2] / 2 | (i & 1) << (bits - 1);
    }
    return p;
}

static void free_plan(struct plan *p) {
    free(p->root);
    free(p->reversed);
}

static void permute(const struct plan *p, struct complex *x) {
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t j = p->reversed[i];
        if (i >= j) continue;
        struct complex held = x[i];
        x[i] = x[j];
        x[j] = held;
    }
}

static void pass_of_two(struct complex *x, uint32_t count) {
    for (uint32_t i = 0; i < count; i += 2) {
        struct complex a = x[i], b = x[i + 1];
        x[i] = plus(a, b);
        x[i + 1] = minus(a, b);
    }
}

/* Joins each four transforms of length `quarter`, which lie one after the other with
 * the second and the third exchanged, to one. */
static void pass_of_four(const struct plan *p, struct complex *x, uint32_t quarter) {
    uint32_t stride = p->count / 4 / quarter;
    for (uint32_t block = 0; block < p->count; block += 4 * quarter) {
        struct complex *a = x + block, *c = a + quarter, *b = c + quarter, *d = b + quarter;
        for (uint32_t i = 0; i < quarter; i++) {
            struct complex first = a[i];
            struct complex second = product(b[i], p->root[i * stride]);
            struct complex third = product(c[i], p->root[2 * i * stride]);
            struct complex fourth = product(d[i], p->root[3 * i * stride]);
            struct complex even = plus(first, third), odd = minus(first, third);
            struct complex sum = plus(second, fourth), side = turned(minus(second, fourth));
            a[i] = plus(even, sum);
            c[i] = plus(odd, side);
            b[i] = minus(even, sum);
            d[i] = minus(odd, side);
        }
    }
}

static void forward(const struct plan *p, struct complex *x) {
    uint32_t done = 1;
    permute(p, x);
    if (p->bits % 2) {
        pass_of_two(x, p->count);
        done = 2;
    }
    for (; done < p->count; done *= 4) pass_of_four(p, x, done);
}

/* Undoes `forward`. */
static void inverse(const struct plan *p, struct complex *x) {
    double share = 1.0 / p->count;
    for (uint32_t i = 0; i < p->count; i++) x[i] = conjugate(x[i]);
    forward(p, x);
    for (uint32_t i = 0; i < p->count; i++) {
        x[i] = (struct complex){x[i].re * share, -x[i].im * share};
    }
}

/* ---- Real signals ---- */

/* The plans for a real signal of twice the count of `half`, whose roots are `full`'s.
 * Even elements are taken as real parts and odd ones as imaginary parts. */
struct real_plan {
    struct plan half;
    struct plan full;
};

static struct real_plan make_real_plan(uint32_t bits) {
    return (struct real_plan){make_plan(bits - 1), make_plan(bits)};
}

/* Takes the transforms of even and odd elements apart (or, with `back`, together):
 * x[k] and x[count - k] depend on each other only. */
static void untangle(const struct real_plan *p, struct complex *x, bool back) {
    uint32_t count = p->half.count;
    for (uint32_t k = 1; k <= count / 2; k++) {
        struct complex a = x[k], b = conjugate(x[count - k]);
        struct complex even = plus(a, b), odd = minus(a, b);
        struct complex root = p->full.root[k];
        odd = back ? product((struct complex){-odd.im, odd.re}, conjugate(root))
                   : product(turned(odd), root);
        a = plus(even, odd);
        b = conjugate(minus(even, odd));
        x[k] = (struct complex){0.5 * a.re, 0.5 * a.im};
        x[count - k] = (struct complex){0.5 * b.re, 0.5 * b.im};
    }
}

/* The spectrum of a real signal, in place: half of it, the rest is its mirror. The
 * values at rate 0 and at half the count are real, and share x[0]. */
static void forward_real(const struct real_plan *p, struct complex *x) {
    forward(&p->half, x);
    untangle(p, x, false);
    x[0] = (struct complex){x[0].re + x[0].im, x[0].re - x[0].im};
}

static void inverse_real(const struct real_plan *p, struct complex *x) {
    x[0] = (struct complex){0.5 * (x[0].re + x[0].im), 0.5 * (x[0].re - x[0].im)};
    untangle(p, x, true);
    inverse(&p->half, x);
}

/* ---- A signal: tones in noise, and a filter ---- */

struct signal {
    struct real_plan plan;
    uint32_t count; /* real elements */
    double *samples;
    double *taps;
    struct complex *spectrum;
    struct complex *filter; /* spectrum of the taps */
    uint32_t tones[TONES];  /* ascending rates */
};

/* A filter that lets the lower third of the rates pass, under a smooth window. */
static void make_filter(struct signal *s) {
    double sum = 0.0;
    for (int i = 0; i < TAPS; i++) {
        double t = i - TAPS / 2, x = REAL_PI * t / 3.0;
        double window = 0.54 + 0.46 * real_cos(2.0 * REAL_PI * t / TAPS);
        s->taps[i] = window * (t == 0.0 ? 1.0 : real_sin(x) / x);
        sum += s->taps[i];
    }
    for (int i = 0; i < TAPS; i++) {
        s->taps[i] /= sum;
        double *part = i % 2 ? &s->filter[i / 2].im : &s->filter[i / 2].re;
        *part = s->taps[i];
    }
    forward_real(&s->plan, s->filter);
}

static struct signal make_signal(uint32_t bits) {
    struct signal s = {.plan = make_real_plan(bits), .count = UINT32_C(1) << bits};
    s.samples = workload_allocate(s.count, sizeof *s.samples);
    s.taps = workload_allocate(TAPS, sizeof *s.taps);
    s.spectrum = workload_allocate(s.count / 2, sizeof *s.spectrum);
    s.filter = workload_allocate(s.count / 2, sizeof *s.filter);
    make_filter(&s);
    return s;
}

static void free_signal(struct signal *s) {
    free_plan(&s->plan.half);
    free_plan(&s->plan.full);
    free(s->samples);
    free(s->taps);
    free(s->spectrum);
    free(s->filter);
}

/* Plants tones of growing rates with unlike strengths in noise. */
static void fill_signal(struct signal *s, struct random *r) {
    double strength[TONES], phase[TONES];
    uint32_t part = s->count / 2 / TONES;
    for (uint32_t t = 0; t < TONES; t++) {
        s->tones[t] = t * part + part / 8 + random_below(r, part * 3 / 4);
        strength[t] = 1.0 + 0.2 * random_unit(r);
        phase[t] = random_unit(r);
    }
    for (uint32_t i = 0; i < s->count; i++) s->samples[i] = random_unit(r) - 0.5;
    for (uint32_t t = 0; t < TONES; t++) {
        /* Turn by turn with exact steps of the table, so that it is a pure tone. */
        uint32_t at = (uint32_t)(phase[t] * s->count);
        for (uint32_t i = 0; i < s->count; i++) {
            s->samples[i] += strength[t] * s->plan.full.root[at].re;
            at = (at + s->tones[t]) & (s->count - 1);
        }
    }
}

static void load_samples(struct signal *s) {
    for (uint32_t i = 0; i < s->count / 2; i++) {
        s->spectrum[i] = (struct complex){s->samples[2 * i], s->samples[2 * i + 1]};
    }
}

static double power(struct complex a) {
    return a.re * a.re + a.im * a.im;
}

/* Each fifth of the spectrum must have its peak where a tone was planted. */
static void find_tones(const struct signal *s, struct workload *w) {
    uint32_t part = s->count / 2 / TONES;
    for (uint32_t t = 0; t < TONES; t++) {
        uint32_t best = t * part + 1;
        for (uint32_t k = best; k < (t + 1) * part; k++) {
            if (power(s->spectrum[k]) > power(s->spectrum[best])) best = k;
        }
        if (best != s->tones[t]) workload_fail("a tone is not where it was planted");
        workload_hash(w, best);
        workload_hash_real(w, real_sqrt(power(s->spectrum[best])), 1e6);
    }
}

static void apply_filter(struct signal *s) {
    struct complex *x = s->spectrum, *f = s->filter;
    x[0] = (struct complex){x[0].re * f[0].re, x[0].im * f[0].im};
    for (uint32_t k = 1; k < s->count / 2; k++) x[k] = product(x[k], f[k]);
}

static double filtered(const struct signal *s, uint32_t i) {
    return i % 2 ? s->spectrum[i / 2].im : s->spectrum[i / 2].re;
}

/* Compares some points with the sum that convolution is. */
static void check_filter(const struct signal *s, struct random *r) {
    for (int point = 0; point < CHECKED_POINTS; point++) {
        uint32_t at = random_below(r, s->count);
        double sum = 0.0;
        for (uint32_t i = 0; i < TAPS; i++) {
            sum += s->taps[i] * s->samples[(at - i) & (s->count - 1)];
        }
        if (!(real_abs(sum - filtered(s, at)) < ALLOWED)) {
            workload_fail("a convolution is not the sum it stands for");
        }
    }
}

static void round_signal(struct signal *s, struct random *r, struct workload *w) {
    fill_signal(s, r);
    load_samples(s);
    forward_real(&s->plan, s->spectrum);
    find_tones(s, w);
    apply_filter(s);
    inverse_real(&s->plan, s->spectrum);
    check_filter(s, r);
    for (uint32_t i = 0; i < s->count; i += 31) workload_hash_real(w, filtered(s, i), 1e9);
}

/* ---- A plane: Poisson's equation ---- */

struct plane {
    struct plan plan;
    uint32_t edge;
    double *charge;
    struct complex *field;
};

static struct plane make_plane(uint32_t bits) {
    struct plane p = {.plan = make_plan(bits), .edge = UINT32_C(1) << bits};
    p.charge = workload_allocate((size_t)p.edge * p.edge, sizeof *p.charge);
    p.field = workload_allocate((size_t)p.edge * p.edge, sizeof *p.field);
    return p;
}

/* Some blobs of charge, positive ones and negative ones, together zero. */
static void fill_plane(struct plane *p, struct random *r) {
    uint32_t edge = p->edge, cells = edge * edge;
    memset(p->charge, 0, cells * sizeof *p->charge);
    for (int blob = 0; blob < 40; blob++) {
        uint32_t x0 = random_below(r, edge), y0 = random_below(r, edge);
        double strength = blob % 2 ? -1.0 : 1.0;
        double width = 1.0 + 3.0 * random_unit(r);
        for (int32_t dy = -8; dy <= 8; dy++) {
            for (int32_t dx = -8; dx <= 8; dx++) {
                uint32_t x = (x0 + (uint32_t)dx) & (edge - 1), y = (y0 + (uint32_t)dy) & (edge - 1);
                p->charge[y * edge + x] += strength * real_exp(-(dx * dx + dy * dy) / width);
            }
        }
    }
    double sum = 0.0;
    for (uint32_t i = 0; i < cells; i++) sum += p->charge[i];
    for (uint32_t i = 0; i < cells; i++) {
        p->charge[i] -= sum / cells;
        p->field[i] = (struct complex){p->charge[i], 0.0};
    }
}

/* In squares, so that the rows that are written stay in the cache. */
static void transpose(struct complex *x, uint32_t edge) {
    enum { SQUARE = 16 };
    for (uint32_t by = 0; by < edge; by += SQUARE) {
        for (uint32_t bx = 0; bx <= by; bx += SQUARE) {
            for (uint32_t y = by; y < by + SQUARE; y++) {
                uint32_t end = bx == by ? y : bx + SQUARE;
                for (uint32_t i = bx; i < end; i++) {
                    struct complex held = x[y * edge + i];
                    x[y * edge + i] = x[i * edge + y];
                    x[i * edge + y] = held;
                }
            }
        }
    }
}

static void transform_plane(struct plane *p, void (*transform)(const struct plan *, struct complex *)) {
    for (int axis = 0; axis < 2; axis++) {
        for (uint32_t y = 0; y < p->edge; y++) transform(&p->plan, p->field + y * p->edge);
        transpose(p->field, p->edge);
    }
}

/* Divides by what the sum over four neighbours less four times the cell itself does
 * to a wave. */
static void divide_by_laplacian(struct plane *p) {
    uint32_t edge = p->edge;
    for (uint32_t y = 0; y < edge; y++) {
        for (uint32_t x = 0; x < edge; x++) {
            double by = 2.0 * (p->plan.root[x].re + p->plan.root[y].re) - 4.0;
            double share = x == 0 && y == 0 ? 0.0 : 1.0 / by;
            struct complex *at = &p->field[y * edge + x];
            *at = (struct complex){at->re * share, at->im * share};
        }
    }
}

static void check_solution(const struct plane *p) {
    uint32_t edge = p->edge, mask = edge - 1;
    for (uint32_t y = 0; y < edge; y++) {
        const struct complex *row = p->field + y * edge;
        const struct complex *above = p->field + ((y + 1) & mask) * edge;
        const struct complex *below = p->field + ((y - 1) & mask) * edge;
        for (uint32_t x = 0; x < edge; x++) {
            double sum = row[(x + 1) & mask].re + row[(x - 1) & mask].re + above[x].re +
                         below[x].re - 4.0 * row[x].re;
            if (!(real_abs(sum - p->charge[y * edge + x]) < ALLOWED)) {
                workload_fail("the solution does not fulfil Poisson's equation");
            }
        }
    }
}

/* Gives the field's energy. */
static double round_plane(struct plane *p, struct random *r, struct workload *w) {
    fill_plane(p, r);
    transform_plane(p, forward);
    divide_by_laplacian(p);
    transform_plane(p, inverse);
    check_solution(p);
    double energy = 0.0;
    for (uint32_t i = 0; i < p->edge * p->edge; i++) {
        energy -= 0.5 * p->charge[i] * p->field[i].re;
        if (i % 61 == 0) workload_hash_real(w, p->field[i].re, 1e9);
    }
    return energy;
}

/* ---- */

/* A transform of a few elements against its definition. */
static void check_small(void) {
    for (uint32_t bits = 1; bits <= 6; bits++) {
        struct plan p = make_plan(bits);
        struct complex in[64], out[64];
        for (uint32_t i = 0; i < p.count; i++) {
            out[i] = in[i] = (struct complex){real_sin(i * 1.7), real_cos(i * 0.3)};
        }
        forward(&p, out);
        for (uint32_t k = 0; k < p.count; k++) {
            struct complex sum = {0.0, 0.0};
            for (uint32_t i = 0; i < p.count; i++) {
                sum = plus(sum, product(in[i], p.root[i * k % p.count]));
            }
            if (!(power(minus(sum, out[k])) < ALLOWED * ALLOWED)) {
                workload_fail("a transform is not what defines it");
            }
        }
        inverse(&p, out);
        for (uint32_t i = 0; i < p.count; i++) {
            if (!(power(minus(in[i], out[i])) < ALLOWED * ALLOWED)) {
                workload_fail("an inverse transform does not give the input back");
            }
        }
        free_plan(&p);
    }
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random r = {UINT64_C(0x666f7572696572)};
    real_check();
    check_small();
    struct signal signal = make_signal(workload_pick(&w, 12, 16, 19));
    struct plane plane = make_plane(workload_pick(&w, 6, 8, 9));
    uint32_t rounds = workload_pick(&w, 180, 290, 390);
    double energy = 0.0;
    for (uint32_t round = 0; round < rounds; round++) {
        round_signal(&signal, &r, &w);
        energy += round_plane(&plane, &r, &w);
        workload_step(&w);
    }
    workload_hash_real(&w, energy, 1e6);
    printf("%u signals of %u samples, tones found: %u\n", rounds, signal.count, rounds * TONES);
    printf("%u planes of %u x %u, mean energy %.6f\n", rounds, plane.edge, plane.edge,
           energy / rounds);
    free_signal(&signal);
    free_plan(&plane.plan);
    free(plane.charge);
    free(plane.field);
    return workload_end(&w);
}
