/* Go: playing stones, merging and capturing chains, scoring. */
#include "board.h"

void board_clear(struct board *b) {
    memset(b, 0, sizeof *b);
    memset(b->colour, RIM, sizeof b->colour);
    b->turn = BLACK;
    for (uint32_t row = 0; row < SIDE; row++) {
        for (uint32_t column = 0; column < SIDE; column++) {
            point p = at(column, row);
            b->colour[p] = EMPTY;
            b->empty_index[p] = b->empty_count;
            b->empty[b->empty_count++] = p;
        }
    }
}

static bool has_stone(const struct board *b, point p) {
    return b->colour[p] == BLACK || b->colour[p] == WHITE;
}

static void add_liberty(struct chain *c, point p) {
    c->liberties++;
    c->sum += p;
    c->squares += (uint32_t)p * p;
}

static void remove_liberty(struct chain *c, point p) {
    c->liberties--;
    c->sum -= p;
    c->squares -= (uint32_t)p * p;
}

bool is_legal(struct board *b, point p) {
    if (p == b->ko) return false;
    for (uint32_t i = 0; i < 4; i++) {
        point q = beside(p, i);
        if (b->colour[q] == EMPTY) return true;
        if (b->colour[q] == RIM) continue;
        /* Joining a chain with a second liberty or capturing one without. */
        if ((b->colour[q] == b->turn) != in_atari(chain_of(b, q))) return true;
    }
    return false;
}

bool is_eye(const struct board *b, point p) {
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t colour = b->colour[beside(p, i)];
        if (colour != b->turn && colour != RIM) return false;
    }
    uint32_t hostile = 0, rim = 0;
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t colour = b->colour[(point)(p + corners[i])];
        hostile += colour == other(b->turn);
        rim += colour == RIM;
    }
    return hostile + (rim > 0) < 2;
}

static void put_stone(struct board *b, point p) {
    b->colour[p] = b->turn;
    point moved = b->empty[--b->empty_count];
    b->empty[b->empty_index[p]] = moved;
    b->empty_index[moved] = b->empty_index[p];
    b->head[p] = p;
    b->next[p] = p;
    struct chain *c = &b->chains[p];
    *c = (struct chain){.stones = 1};
    for (uint32_t i = 0; i < 4; i++) {
        point q = beside(p, i);
        if (b->colour[q] == EMPTY) add_liberty(c, q);
        else if (has_stone(b, q)) remove_liberty(chain_of(b, q), p);
    }
}

/* Takes a chain off the board; returns how many stones it had. */
static uint32_t capture(struct board *b, point head) {
    point p = head;
    uint32_t stones = 0;
    do {
        b->colour[p] = EMPTY;
        b->empty_index[p] = b->empty_count;
        b->empty[b->empty_count++] = p;
        for (uint32_t i = 0; i < 4; i++) {
            point q = beside(p, i);
            if (has_stone(b, q)) add_liberty(chain_of(b, q), p);
        }
        p = b->next[p];
        stones++;
    } while (p != head);
    return stones;
}

static void merge(struct board *b, point x, point y) {
    struct chain *large = &b->chains[x], *small = &b->chains[y];
    if (large->stones < small->stones) {
        merge(b, y, x);
        return;
    }
    large->stones += small->stones;
    large->liberties += small->liberties;
    large->sum += small->sum;
    large->squares += small->squares;
    point p = y;
    do {
        b->head[p] = x;
        p = b->next[p];
    } while (p != y);
    point after = b->next[x];
    b->next[x] = b->next[y];
    b->next[y] = after;
}

void play(struct board *b, point p) {
    b->moves++;
    b->last = p;
    b->ko = NOWHERE;
    if (p == PASS) {
        b->passes++;
        b->turn = other(b->turn);
        return;
    }
    b->passes = 0;
    put_stone(b, p);
    uint32_t captured = 0;
    point captured_at = NOWHERE;
    for (uint32_t i = 0; i < 4; i++) {
        point q = beside(p, i);
        if (b->colour[q] == other(b->turn) && chain_of(b, q)->liberties == 0) {
            captured += capture(b, b->head[q]);
            captured_at = q;
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        point q = beside(p, i);
        if (b->colour[q] == b->turn && b->head[q] != b->head[p]) merge(b, b->head[p], b->head[q]);
    }
    const struct chain *c = chain_of(b, p);
    if (captured == 1 && c->stones == 1 && c->liberties == 1) b->ko = captured_at;
    b->turn = other(b->turn);
}

int32_t score_twice(const struct board *b) {
    int32_t score = -KOMI_TWICE;
    for (uint32_t row = 0; row < SIDE; row++) {
        for (uint32_t column = 0; column < SIDE; column++) {
            point p = at(column, row);
            uint32_t owner = b->colour[p];
            if (owner == EMPTY) {
                uint32_t seen = 0;
                for (uint32_t i = 0; i < 4; i++) {
                    if (has_stone(b, beside(p, i))) seen |= b->colour[beside(p, i)];
                }
                owner = seen; /* both colours: nobody's */
            }
            score += owner == BLACK ? 2 : owner == WHITE ? -2 : 0;
        }
    }
    return score;
}

void board_check(struct board *b) {
    uint32_t empties = 0;
    for (uint32_t row = 0; row < SIDE; row++) {
        for (uint32_t column = 0; column < SIDE; column++) {
            point p = at(column, row);
            if (b->colour[p] == EMPTY) {
                if (b->empty[b->empty_index[p]] != p) workload_fail("an empty point is not listed");
                empties++;
                continue;
            }
            struct chain seen = {0};
            point q = p;
            do {
                if (b->colour[q] != b->colour[p] || b->head[q] != b->head[p]) {
                    workload_fail("a chain is mixed up");
                }
                for (uint32_t i = 0; i < 4; i++) {
                    point n = beside(q, i);
                    if (b->colour[n] == EMPTY) add_liberty(&seen, n);
                    if (b->colour[n] == b->colour[q] && b->head[n] != b->head[q]) {
                        workload_fail("chains that touch are not merged");
                    }
                }
                seen.stones++;
                q = b->next[q];
            } while (q != p);
            const struct chain *c = chain_of(b, p);
            if (c->liberties == 0 || c->stones != seen.stones || c->liberties != seen.liberties ||
                c->sum != seen.sum || c->squares != seen.squares) {
                workload_fail("a chain miscounts its liberties");
            }
        }
    }
    if (empties != b->empty_count) workload_fail("empty points are miscounted");
}
