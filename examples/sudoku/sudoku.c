/* sudoku [PUZZLES]: make sudoku puzzles and solve them by depth-first search.
 *
 * Each puzzle starts as a full board with its digits renamed and its rows,
 * columns, bands and stacks shuffled; digits are taken away as long as just one
 * solution is left. Candidates are bit masks per row, column and box; the search
 * always branches on the empty cell with the fewest candidates, and counts
 * solutions up to two to prove that there is just one. */
#include "../common/common.h"

#define ALL_DIGITS 0x1ffu

struct board {
    uint8_t cell[81];
    uint16_t row[9], column[9], box[9]; /* digits in use, one bit each */
};

struct search {
    struct board board;
    uint8_t solution[81];
    uint32_t solutions;
    uint64_t nodes;
};

static int box_of(int row, int column) { return row / 3 * 3 + column / 3; }

static uint32_t population(uint32_t bits) {
    uint32_t count = 0;
    for (; bits; bits &= bits - 1) count++;
    return count;
}

static void place(struct board *b, int at, uint8_t digit) {
    int row = at / 9, column = at % 9;
    uint16_t bit = (uint16_t)(1u << (digit - 1));
    b->cell[at] = digit;
    b->row[row] |= bit;
    b->column[column] |= bit;
    b->box[box_of(row, column)] |= bit;
}

static void take_back(struct board *b, int at) {
    int row = at / 9, column = at % 9;
    uint16_t keep = (uint16_t)~(1u << (b->cell[at] - 1));
    b->cell[at] = 0;
    b->row[row] &= keep;
    b->column[column] &= keep;
    b->box[box_of(row, column)] &= keep;
}

/* The empty cell with the fewest candidates, or -1 when the board is full. */
static int narrowest_cell(const struct board *b, uint32_t *candidates) {
    int best = -1;
    uint32_t fewest = 10;
    for (int at = 0; at < 81; at++) {
        if (b->cell[at]) continue;
        int row = at / 9, column = at % 9;
        uint32_t used = b->row[row] | b->column[column] | b->box[box_of(row, column)];
        uint32_t free_digits = ALL_DIGITS & ~used;
        uint32_t count = population(free_digits);
        if (count < fewest) {
            best = at;
            fewest = count;
            *candidates = free_digits;
            if (count <= 1) break;
        }
    }
    return best;
}

static void solve(struct search *s) {
    uint32_t candidates = 0;
    int at = narrowest_cell(&s->board, &candidates);
    s->nodes++;
    if (at < 0) {
        memcpy(s->solution, s->board.cell, sizeof s->solution);
        s->solutions++;
        return;
    }
    for (uint8_t digit = 1; digit <= 9; digit++) {
        if (!(candidates >> (digit - 1) & 1)) continue;
        place(&s->board, at, digit);
        solve(s);
        take_back(&s->board, at);
        if (s->solutions > 1) return;
    }
}

/* A shuffle of 0..9 that keeps triples together, as bands of rows must be. */
static void shuffle_lines(struct random *r, int *lines) {
    int band[3] = {0, 1, 2};
    for (int i = 2; i > 0; i--) {
        int j = (int)random_below(r, (uint32_t)i + 1), kept = band[i];
        band[i] = band[j];
        band[j] = kept;
    }
    for (int b = 0; b < 3; b++) {
        int first = (int)random_below(r, 3), turn = 1 + (int)random_below(r, 2);
        for (int i = 0; i < 3; i++) lines[b * 3 + i] = band[b] * 3 + (first + i * turn) % 3;
    }
}

/* A full board: row r of the plain one is 1..9 turned by 3 r + r / 3. */
static void fill_board(struct random *r, struct board *b) {
    uint8_t digits[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    int rows[9], columns[9];
    for (uint32_t i = 8; i > 0; i--) {
        uint32_t j = random_below(r, i + 1);
        uint8_t kept = digits[i];
        digits[i] = digits[j];
        digits[j] = kept;
    }
    shuffle_lines(r, rows);
    shuffle_lines(r, columns);
    memset(b, 0, sizeof *b);
    for (int at = 0; at < 81; at++) {
        int row = rows[at / 9], column = columns[at % 9];
        place(b, at, digits[(row * 3 + row / 3 + column) % 9]);
    }
}

static void run_search(struct search *s) {
    s->solutions = 0;
    solve(s);
}

/* Take away each digit, in random order, that the rest determines. */
static void make_puzzle(struct random *r, struct search *s) {
    uint8_t order[81];
    fill_board(r, &s->board);
    for (uint8_t i = 0; i < 81; i++) {
        uint32_t j = random_below(r, i + 1u);
        order[i] = order[j];
        order[j] = i;
    }
    for (int i = 0; i < 81; i++) {
        uint8_t digit = s->board.cell[order[i]];
        take_back(&s->board, order[i]);
        run_search(s);
        if (s->solutions != 1) place(&s->board, order[i], digit);
    }
}

static void print_board(const uint8_t *cell) {
    for (int row = 0; row < 9; row++) {
        for (int column = 0; column < 9; column++) {
            uint8_t digit = cell[row * 9 + column];
            putchar(digit ? '0' + digit : '.');
            putchar(column == 8 ? '\n' : ' ');
        }
    }
}

int main(int argc, char **argv) {
    uint32_t puzzles = number_argument(argc, argv, 1, 120);
    struct random random = {UINT64_C(0x5ad0c0de)};
    static struct search search;
    uint64_t checksum = HASH_SEED;
    uint32_t givens = 0;
    for (uint32_t i = 0; i < puzzles; i++) {
        make_puzzle(&random, &search);
        run_search(&search);
        if (search.solutions != 1) {
            fprintf(stderr, "puzzle %lu has %lu solutions\n", (unsigned long)i,
                    (unsigned long)search.solutions);
            return EXIT_WRONG;
        }
        for (int at = 0; at < 81; at++) givens += search.board.cell[at] != 0;
        checksum = hash_bytes(checksum, search.board.cell, sizeof search.board.cell);
        checksum = hash_bytes(checksum, search.solution, sizeof search.solution);
    }
    print_board(search.board.cell);
    putchar('\n');
    print_board(search.solution);
    printf("puzzles %lu\ngivens %lu\nnodes %lu\n", (unsigned long)puzzles,
           (unsigned long)givens, (unsigned long)search.nodes);
    print_hash("checksum", checksum);
    return 0;
}
