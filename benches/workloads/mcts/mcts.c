/* mcts: Monte-Carlo tree search plays Go on 9x9 against itself.
 *
 * Stands for SPEC's leela. Each simulation walks down a tree of nodes in one array by
 * an upper confidence bound that is blended with all-moves-as-first statistics, adds
 * the children of a leaf seen often enough, plays the game out with a light policy
 * (capture, save, else random but no eye filled), and takes the result back up.
 *
 * Time goes into the board (chains, liberties, captures: short unpredictable loops over
 * small arrays), the random policy, and into choosing among children (floating point
 * with one square root each). Every move of a game gets the same number of simulated
 * plies, so all steps cost about the same. Sizes differ in the moves played and in the
 * plies for each.
 *
 * After every move the board is checked against a count from scratch, and the visits of
 * the root against those of its children. */
#include "../common/real.h"
#include "board.h"

enum {
    NODES_MAX = 400000,
    DEPTH_MAX = 64,
    EXPAND_VISITS = 3,
    GAME_MOVES_MAX = 110,
    PLAYOUT_MOVES_MAX = 240,
};

struct node {
    uint32_t visits, wins;            /* wins of the side that moved here */
    uint32_t first_visits, first_wins; /* the same when the move came at any later time */
    uint32_t children;                /* index of the first; they lie in a row */
    uint8_t child_count;
    point move;
};

struct tree {
    struct node *nodes;
    uint32_t count;
    struct random random;
    uint64_t plies;      /* simulated so far */
    uint64_t playouts;
    uint32_t deepest;
    uint8_t first_by[POINTS]; /* in this simulation: who played the point first */
};

/* ---- playouts ---- */

/* Whether a chain in atari gets a second liberty by a stone at its last one. */
static bool escapes(struct board *b, point p) {
    uint32_t open = 0;
    for (uint32_t i = 0; i < 4; i++) {
        point q = beside(p, i);
        if (b->colour[q] == EMPTY) open++;
        else if (b->colour[q] == b->turn && !in_atari(chain_of(b, q))) open += 2;
        else if (b->colour[q] == other(b->turn) && in_atari(chain_of(b, q))) open += 2;
    }
    return open > 1;
}

/* An answer to the last move: capture its chain, or save a chain it put in atari. */
static point local_reply(struct board *b) {
    if (b->last == PASS) return PASS;
    if (b->colour[b->last] == other(b->turn)) {
        const struct chain *c = chain_of(b, b->last);
        if (in_atari(c) && is_legal(b, liberty(c))) return liberty(c);
    }
    for (uint32_t i = 0; i < 4; i++) {
        point q = beside(b->last, i);
        if (b->colour[q] != b->turn) continue;
        const struct chain *c = chain_of(b, q);
        if (!in_atari(c)) continue;
        point way = liberty(c);
        if (is_legal(b, way) && escapes(b, way)) return way;
    }
    return PASS;
}

static point random_move(struct tree *t, struct board *b) {
    uint32_t n = b->empty_count;
    if (n == 0) return PASS;
    uint32_t start = random_below(&t->random, n), i = start;
    do {
        point p = b->empty[i];
        if (!is_eye(b, p) && is_legal(b, p)) return p;
        i = i + 1 == n ? 0 : i + 1;
    } while (i != start);
    return PASS;
}

static void play_noted(struct tree *t, struct board *b, point p) {
    if (p != PASS && t->first_by[p] == EMPTY) t->first_by[p] = b->turn;
    play(b, p);
    t->plies++;
}

/* Plays to the end; returns who won. */
static uint8_t play_out(struct tree *t, struct board *b) {
    for (uint32_t n = 0; n < PLAYOUT_MOVES_MAX && b->passes < 2; n++) {
        point p = local_reply(b);
        if (p == PASS) p = random_move(t, b);
        play_noted(t, b, p);
    }
    t->playouts++;
    return score_twice(b) > 0 ? BLACK : WHITE;
}

/* ---- the tree ---- */

static bool crowded(const struct board *b, point p) {
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t beside_it = b->colour[beside(p, i)], corner = b->colour[(point)(p + corners[i])];
        if (beside_it == BLACK || beside_it == WHITE || corner == BLACK || corner == WHITE) return true;
    }
    return false;
}

static bool on_first_line(const struct board *b, point p) {
    for (uint32_t i = 0; i < 4; i++) {
        if (b->colour[beside(p, i)] == RIM) return true;
    }
    return false;
}

/* A new child begins with some made-up games: it is bad to play on an empty first line,
 * good to capture or to stay close. */
static struct node fresh_node(struct board *b, point p) {
    struct node n = {.move = p, .first_visits = 12, .first_wins = 6};
    if (p == PASS) {
        n.first_wins = 2;
    } else if (!crowded(b, p)) {
        n.first_wins = on_first_line(b, p) ? 2 : 5;
    } else {
        for (uint32_t i = 0; i < 4; i++) {
            point q = beside(p, i);
            bool enemy = b->colour[q] == other(b->turn);
            if (enemy && in_atari(chain_of(b, q))) n.first_wins = 10;
            if (q == b->last && n.first_wins < 8) n.first_wins = 8;
        }
    }
    return n;
}

static void expand(struct tree *t, uint32_t index, struct board *b) {
    if (t->count + AREA + 1 > NODES_MAX) return;
    uint32_t begin = t->count;
    for (uint32_t i = 0; i < b->empty_count; i++) {
        point p = b->empty[i];
        if (!is_eye(b, p) && is_legal(b, p)) t->nodes[t->count++] = fresh_node(b, p);
    }
    if (t->count == begin || b->passes > 0) t->nodes[t->count++] = fresh_node(b, PASS);
    t->nodes[index].children = begin;
    t->nodes[index].child_count = (uint8_t)(t->count - begin);
}

/* The natural logarithm of n > 0, nearly: exact at powers of two, straight between. */
static double rough_log(uint32_t n) {
    uint32_t exponent = 31 - (uint32_t)__builtin_clz(n);
    double fraction = (double)n / (double)(UINT64_C(1) << exponent) - 1.0;
    return ((double)exponent + fraction) * 0.6931471805599453;
}

static uint32_t choose_child(const struct tree *t, const struct node *parent) {
    double log_visits = rough_log(parent->visits + 1), best = -1.0;
    uint32_t chosen = parent->children;
    for (uint32_t i = 0; i < parent->child_count; i++) {
        const struct node *n = &t->nodes[parent->children + i];
        double visits = n->visits, firsts = n->first_visits;
        double early = n->first_wins / firsts;
        double rate = n->visits > 0 ? n->wins / visits : early;
        double trust = firsts / (firsts + visits + firsts * visits * 0.002);
        double value = rate + trust * (early - rate) + 0.07 * real_sqrt(log_visits / (visits + 1.0));
        if (value > best) {
            best = value;
            chosen = parent->children + i;
        }
    }
    return chosen;
}

/* Takes a result up the path; `mover` moved into the first node of it. */
static void back_up(struct tree *t, const uint32_t *path, uint32_t length, uint8_t mover,
                    uint8_t winner) {
    for (uint32_t depth = 0; depth < length; depth++) {
        struct node *n = &t->nodes[path[depth]];
        n->visits++;
        n->wins += mover == winner;
        mover = other(mover); /* who moves from here */
        for (uint32_t i = 0; i < n->child_count; i++) {
            struct node *child = &t->nodes[n->children + i];
            if (child->move == PASS || t->first_by[child->move] != mover) continue;
            child->first_visits++;
            child->first_wins += mover == winner;
        }
    }
}

static void simulate(struct tree *t, const struct board *root) {
    struct board b = *root;
    uint32_t path[DEPTH_MAX], length = 0, index = 0;
    memset(t->first_by, EMPTY, sizeof t->first_by);
    path[length++] = 0;
    for (;;) {
        struct node *n = &t->nodes[index];
        if (n->child_count == 0 && n->visits >= EXPAND_VISITS && b.passes < 2) expand(t, index, &b);
        if (n->child_count == 0 || length == DEPTH_MAX) break;
        index = choose_child(t, n);
        path[length++] = index;
        play_noted(t, &b, t->nodes[index].move);
    }
    if (length > t->deepest) t->deepest = length;
    back_up(t, path, length, other(root->turn), play_out(t, &b));
}

/* Searches for about `plies` simulated moves; returns the most visited child. */
static struct node think(struct tree *t, struct board *b, uint64_t plies) {
    uint64_t until = t->plies + plies;
    t->count = 1;
    t->nodes[0] = (struct node){.visits = EXPAND_VISITS};
    expand(t, 0, b);
    while (t->plies < until) simulate(t, b);
    const struct node *root = &t->nodes[0], *best = &t->nodes[root->children];
    uint32_t visits = EXPAND_VISITS;
    for (uint32_t i = 0; i < root->child_count; i++) {
        const struct node *child = &t->nodes[root->children + i];
        if (child->visits > best->visits) best = child;
        if (child->wins > child->visits) workload_fail("a node won more than it played");
        visits += child->visits;
    }
    if (visits != root->visits) workload_fail("visits of the root got lost");
    return *best;
}

/* ---- games ---- */

/* A few random stones in the middle make the games differ. */
static void begin_game(struct tree *t, struct board *b) {
    board_clear(b);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t column = 2 + random_below(&t->random, 5), row = 2 + random_below(&t->random, 5);
        point p = at(column, row);
        if (b->colour[p] == EMPTY && is_legal(b, p)) play(b, p);
    }
}

static void play_games(struct tree *t, struct workload *w, uint32_t moves, uint64_t plies) {
    struct board b;
    uint32_t games = 0, black_wins = 0;
    begin_game(t, &b);
    for (uint32_t i = 0; i < moves; i++) {
        struct node best = think(t, &b, plies);
        bool hopeless = best.wins < best.visits / 8 && b.moves > 30;
        play(&b, best.move);
        board_check(&b);
        workload_hash(w, (uint64_t)best.move << 48 ^ (uint64_t)best.visits << 24 ^ best.wins);
        if (hopeless || b.passes == 2 || b.moves >= GAME_MOVES_MAX) {
            bool black_won = hopeless ? b.turn == BLACK : score_twice(&b) > 0;
            games++;
            black_wins += black_won;
            workload_hash(w, black_won);
            begin_game(t, &b);
        }
        workload_step(w);
    }
    printf("%u moves, %u games ended, black won %u\n", moves, games, black_wins);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    struct tree *t = workload_allocate(1, sizeof *t);
    t->nodes = workload_allocate(NODES_MAX, sizeof(struct node));
    t->random.state = UINT64_C(0x601eaf5eed);
    play_games(t, &w, workload_pick(&w, 40, 120, 240), workload_pick(&w, 12000, 80000, 360000));
    printf("%" PRIu64 " playouts, %" PRIu64 " plies, %u deep\n", t->playouts, t->plies, t->deepest);
    workload_hash(&w, t->playouts);
    workload_hash(&w, t->plies);
    free(t->nodes);
    free(t);
    return workload_end(&w);
}
