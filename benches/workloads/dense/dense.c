/* Dense linear algebra in double precision; stands for the solvers in the
 * floating-point half of SPEC CPU and for LINPACK.
 *
 * Each round makes a matrix and solves it twice: by LU factors with exchange of rows,
 * computed in blocks, and by Householder reflections (QR) as least squares with more
 * equations than unknowns. A third of the matrices are of a kind that is hard to
 * solve. The products of blocks are written with tiles that stay in registers.
 *
 * Time goes about half into products of matrices (long inner loops over rows, bound
 * by multiplication) and half into the rank-one updates of QR (bound by loads).
 *
 * Sizes: the order of the matrices and how many rounds. Verified: residuals are near
 * the rounding error, R has the same columns' lengths as A, and P A = L U. */
#include "../common/real.h"

enum { BLOCK = 32, TILE = 4 };

/* The rounding error of one operation, and how many of them a residual may show. */
static const double ROUNDING = 0x1p-53;
static const double ALLOWED = 50.0;

struct matrix {
    uint32_t rows, columns;
    double *at; /* row after row */
};

static struct matrix make_matrix(uint32_t rows, uint32_t columns) {
    return (struct matrix){rows, columns, workload_allocate((size_t)rows * columns, sizeof(double))};
}

static inline double *row_of(const struct matrix *m, uint32_t row) {
    return m->at + (size_t)row * m->columns;
}

static void copy_matrix(struct matrix *to, const struct matrix *from) {
    memcpy(to->at, from->at, (size_t)from->rows * from->columns * sizeof(double));
}

enum kind { KIND_RANDOM, KIND_WAVES, KIND_GRADED, KINDS };

/* One element of a matrix of some kind. */
static double element(enum kind kind, uint32_t i, uint32_t j, uint32_t order, struct random *r) {
    double random = 2.0 * random_unit(r) - 1.0;
    double x = (i + 0.5) / order;
    switch (kind) {
    case KIND_RANDOM:
        return random;
    case KIND_WAVES: /* functions of increasing rate at places in [0, 1], with noise */
        return real_cos(REAL_PI * j * x) + 0.05 * random;
    case KIND_GRADED: /* rows whose scales differ by some orders of magnitude */
        return real_exp(-6.0 * x) * random + (i == j ? 0.01 : 0.0);
    case KINDS:
        break;
    }
    workload_fail("an unknown kind of matrix");
}

static void fill(struct matrix *m, enum kind kind, struct random *r) {
    for (uint32_t i = 0; i < m->rows; i++) {
        double *row = row_of(m, i);
        for (uint32_t j = 0; j < m->columns; j++) row[j] = element(kind, i, j, m->columns, r);
    }
}

/* out = m x */
static void multiply(const struct matrix *m, const double *x, double *out) {
    for (uint32_t i = 0; i < m->rows; i++) {
        const double *row = row_of(m, i);
        double sum = 0.0;
        for (uint32_t j = 0; j < m->columns; j++) sum += row[j] * x[j];
        out[i] = sum;
    }
}

/* out = transposed m times x */
static void multiply_transposed(const struct matrix *m, const double *x, double *out) {
    for (uint32_t j = 0; j < m->columns; j++) out[j] = 0.0;
    for (uint32_t i = 0; i < m->rows; i++) {
        const double *row = row_of(m, i);
        for (uint32_t j = 0; j < m->columns; j++) out[j] += row[j] * x[i];
    }
}

static double length(const double *x, uint32_t count) {
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++) sum += x[i] * x[i];
    return real_sqrt(sum);
}

/* The root of the sum of the squares of all elements. */
static double norm(const struct matrix *m) {
    double sum = 0.0;
    for (uint32_t i = 0; i < m->rows; i++) {
        double row = length(row_of(m, i), m->columns);
        sum += row * row;
    }
    return real_sqrt(sum);
}

/* ---- LU ---- */

static void exchange_rows(struct matrix *m, uint32_t a, uint32_t b) {
    double *x = row_of(m, a), *y = row_of(m, b);
    for (uint32_t j = 0; j < m->columns; j++) {
        double held = x[j];
        x[j] = y[j];
        y[j] = held;
    }
}

/* Eliminates within the columns from `first` to `end` - 1, with rows below too. */
static void factor_panel(struct matrix *m, uint32_t *order, uint32_t first, uint32_t end) {
    for (uint32_t k = first; k < end; k++) {
        uint32_t pivot = k;
        for (uint32_t i = k + 1; i < m->rows; i++) {
            if (real_abs(row_of(m, i)[k]) > real_abs(row_of(m, pivot)[k])) pivot = i;
        }
        if (row_of(m, pivot)[k] == 0.0) workload_fail("a matrix is singular");
        if (pivot != k) {
            uint32_t held = order[k];
            order[k] = order[pivot];
            order[pivot] = held;
            exchange_rows(m, k, pivot);
        }
        const double *upper = row_of(m, k);
        double inverse = 1.0 / upper[k];
        for (uint32_t i = k + 1; i < m->rows; i++) {
            double *row = row_of(m, i);
            double by = row[k] *= inverse;
            for (uint32_t j = k + 1; j < end; j++) row[j] -= by * upper[j];
        }
    }
}

/* The rows of U right of a panel: solves with the panel's unit lower triangle. */
static void solve_panel_rows(struct matrix *m, uint32_t first, uint32_t end) {
    for (uint32_t k = first; k < end; k++) {
        const double *upper = row_of(m, k);
        for (uint32_t i = k + 1; i < end; i++) {
            double *row = row_of(m, i);
            double by = row[k];
            for (uint32_t j = end; j < m->columns; j++) row[j] -= by * upper[j];
        }
    }
}

/* Takes the product of a tile's four rows of L and a block of U off the rest. */
static void update_tile(struct matrix *m, uint32_t i, uint32_t first, uint32_t end) {
    double *rows[TILE];
    for (uint32_t t = 0; t < TILE; t++) rows[t] = row_of(m, i + t);
    for (uint32_t k = first; k < end; k += 2) {
        const double *upper = row_of(m, k), *next = row_of(m, k + 1);
        double a0 = rows[0][k], a1 = rows[1][k], a2 = rows[2][k], a3 = rows[3][k];
        double b0 = rows[0][k + 1], b1 = rows[1][k + 1], b2 = rows[2][k + 1], b3 = rows[3][k + 1];
        for (uint32_t j = end; j < m->columns; j++) {
            double u = upper[j], v = next[j];
            rows[0][j] = rows[0][j] - a0 * u - b0 * v;
            rows[1][j] = rows[1][j] - a1 * u - b1 * v;
            rows[2][j] = rows[2][j] - a2 * u - b2 * v;
            rows[3][j] = rows[3][j] - a3 * u - b3 * v;
        }
    }
}

/* Replaces a square matrix by its factors; `order` says which row came from where.
 * The order of the matrix is a multiple of BLOCK. */
static void factor_lu(struct matrix *m, uint32_t *order) {
    for (uint32_t i = 0; i < m->rows; i++) order[i] = i;
    for (uint32_t first = 0; first < m->rows; first += BLOCK) {
        uint32_t end = first + BLOCK;
        factor_panel(m, order, first, end);
        solve_panel_rows(m, first, end);
        for (uint32_t i = end; i < m->rows; i += TILE) update_tile(m, i, first, end);
    }
}

static void solve_upper(const struct matrix *m, double *x) {
    for (uint32_t i = m->columns; i-- > 0;) {
        const double *row = row_of(m, i);
        double sum = x[i];
        for (uint32_t j = i + 1; j < m->columns; j++) sum -= row[j] * x[j];
        x[i] = sum / row[i];
    }
}

static void solve_lu(const struct matrix *m, const uint32_t *order, const double *b, double *x) {
    for (uint32_t i = 0; i < m->rows; i++) {
        const double *row = row_of(m, i);
        double sum = b[order[i]];
        for (uint32_t j = 0; j < i; j++) sum -= row[j] * x[j];
        x[i] = sum;
    }
    solve_upper(m, x);
}

/* Compares some rows of L U with the rows of A that they stand for. */
static void check_factors(const struct matrix *a, const struct matrix *lu, const uint32_t *order,
                          double *sum) {
    double allowed = ALLOWED * a->rows * ROUNDING * norm(a);
    for (uint32_t i = 0; i < a->rows; i += a->rows / 8) {
        const double *l = row_of(lu, i), *expected = row_of(a, order[i]);
        for (uint32_t j = 0; j < a->columns; j++) sum[j] = 0.0;
        for (uint32_t k = 0; k <= i; k++) {
            const double *u = row_of(lu, k);
            double by = k == i ? 1.0 : l[k];
            for (uint32_t j = k; j < a->columns; j++) sum[j] += by * u[j];
        }
        for (uint32_t j = 0; j < a->columns; j++) {
            if (!(real_abs(sum[j] - expected[j]) <= allowed)) workload_fail("P A is not L U");
        }
    }
}

/* ---- QR ---- */

/* Reflects the rows from k down so that column k becomes zero below the diagonal.
 * Keeps the mirror's vector, of which element k is 1, below the diagonal and gives
 * its factor. `sums` is for one number per column. */
static double reflect(struct matrix *m, uint32_t k, double *sums) {
    double square = 0.0;
    for (uint32_t i = k; i < m->rows; i++) square += row_of(m, i)[k] * row_of(m, i)[k];
    double head = row_of(m, k)[k];
    double diagonal = head > 0.0 ? -real_sqrt(square) : real_sqrt(square);
    if (diagonal == 0.0) workload_fail("a matrix lacks rank");
    double factor = (diagonal - head) / diagonal;
    double inverse = 1.0 / (head - diagonal);
    for (uint32_t i = k + 1; i < m->rows; i++) row_of(m, i)[k] *= inverse;

    double *top = row_of(m, k);
    top[k] = diagonal;
    for (uint32_t j = k + 1; j < m->columns; j++) sums[j] = top[j];
    for (uint32_t i = k + 1; i < m->rows; i++) {
        const double *row = row_of(m, i);
        for (uint32_t j = k + 1; j < m->columns; j++) sums[j] += row[k] * row[j];
    }
    for (uint32_t j = k + 1; j < m->columns; j++) top[j] -= sums[j] *= factor;
    for (uint32_t i = k + 1; i < m->rows; i++) {
        double *row = row_of(m, i);
        double by = row[k];
        for (uint32_t j = k + 1; j < m->columns; j++) row[j] -= by * sums[j];
    }
    return factor;
}

/* Replaces a matrix by R and the mirrors; `factors` and `sums`: one per column. */
static void factor_qr(struct matrix *m, double *factors, double *sums) {
    for (uint32_t k = 0; k < m->columns; k++) factors[k] = reflect(m, k, sums);
}

/* The least squares solution of A x = b, which replaces the first elements of b. */
static void solve_qr(const struct matrix *m, const double *factors, double *b) {
    for (uint32_t k = 0; k < m->columns; k++) {
        double sum = b[k];
        for (uint32_t i = k + 1; i < m->rows; i++) sum += row_of(m, i)[k] * b[i];
        sum *= factors[k];
        b[k] -= sum;
        for (uint32_t i = k + 1; i < m->rows; i++) b[i] -= sum * row_of(m, i)[k];
    }
    solve_upper(m, b);
}

/* A reflection keeps lengths: each column of R is as long as that of A. */
static void check_columns(const struct matrix *a, const struct matrix *r) {
    for (uint32_t j = 0; j < a->columns; j++) {
        double before = 0.0, after = 0.0;
        for (uint32_t i = 0; i < a->rows; i++) before += row_of(a, i)[j] * row_of(a, i)[j];
        for (uint32_t i = 0; i <= j; i++) after += row_of(r, i)[j] * row_of(r, i)[j];
        if (!(real_abs(before - after) <= ALLOWED * a->rows * ROUNDING * before)) {
            workload_fail("R has columns of other lengths than A");
        }
    }
}

/* ---- Rounds ---- */

struct worst {
    double lu, qr; /* residuals in units of what rounding explains */
};

static void round_lu(uint32_t order, enum kind kind, struct random *r, struct worst *worst,
                     struct workload *w) {
    struct matrix a = make_matrix(order, order), lu = make_matrix(order, order);
    uint32_t *from = workload_allocate(order, sizeof *from);
    double *b = workload_allocate(order, sizeof *b), *x = workload_allocate(order, sizeof *x);
    double *product = workload_allocate(order, sizeof *product);
    fill(&a, kind, r);
    for (uint32_t i = 0; i < order; i++) b[i] = random_unit(r) - 0.5;
    copy_matrix(&lu, &a);
    factor_lu(&lu, from);
    check_factors(&a, &lu, from, product);
    solve_lu(&lu, from, b, x);

    multiply(&a, x, product);
    for (uint32_t i = 0; i < order; i++) product[i] -= b[i];
    double unit = ROUNDING * norm(&a) * length(x, order);
    double residual = length(product, order) / unit;
    if (!(residual < ALLOWED)) workload_fail("the residual of LU is too large");
    worst->lu = real_max(worst->lu, residual);
    for (uint32_t i = 0; i < order; i++) {
        workload_hash(w, from[i]);
        workload_hash_real(w, x[i], 1e6);
    }
    free(a.at);
    free(lu.at);
    free(from);
    free(b);
    free(x);
    free(product);
}

static void round_qr(uint32_t rows, uint32_t columns, enum kind kind, struct random *r,
                     struct worst *worst, struct workload *w) {
    struct matrix a = make_matrix(rows, columns), qr = make_matrix(rows, columns);
    double *b = workload_allocate(rows, sizeof *b), *x = workload_allocate(rows, sizeof *x);
    double *rest = workload_allocate(rows, sizeof *rest);
    double *slope = workload_allocate(columns, sizeof *slope);
    double *factors = workload_allocate(columns, sizeof *factors);
    fill(&a, kind, r);
    for (uint32_t i = 0; i < rows; i++) x[i] = b[i] = random_unit(r) - 0.5;
    copy_matrix(&qr, &a);
    factor_qr(&qr, factors, slope);
    check_columns(&a, &qr);
    solve_qr(&qr, factors, x);

    /* What is left over must be at right angles to all columns. */
    multiply(&a, x, rest);
    for (uint32_t i = 0; i < rows; i++) rest[i] -= b[i];
    multiply_transposed(&a, rest, slope);
    double size = norm(&a);
    double unit = ROUNDING * size * (size * length(x, columns) + length(b, rows));
    double residual = length(slope, columns) / unit;
    if (!(residual < ALLOWED)) workload_fail("the residual of QR is too large");
    worst->qr = real_max(worst->qr, residual);
    for (uint32_t j = 0; j < columns; j++) workload_hash_real(w, x[j], 1e6);
    workload_hash_real(w, length(rest, rows), 1e9);
    free(a.at);
    free(qr.at);
    free(b);
    free(x);
    free(rest);
    free(slope);
    free(factors);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct random r = {UINT64_C(0x64656e7365)};
    real_check();
    uint32_t order = workload_pick(&w, 128, 288, 640);
    uint32_t rounds = workload_pick(&w, 120, 360, 360);
    struct worst worst = {0.0, 0.0};
    for (uint32_t round = 0; round < rounds; round++) {
        enum kind kind = (enum kind)(round % KINDS);
        round_lu(order, kind, &r, &worst, &w);
        round_qr(order, order / 2, kind, &r, &worst, &w);
        workload_step(&w);
    }
    printf("%u rounds of order %u\n", rounds, order);
    printf("worst residual in rounding errors: LU %.3f, QR %.3f\n", worst.lu, worst.qr);
    return workload_end(&w);
}
