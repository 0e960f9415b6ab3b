/* The search: principal variation alpha-beta over a transposition table. */
#include "search.h"

enum { BOUND_NONE, BOUND_LOWER, BOUND_UPPER, BOUND_EXACT };
enum { INFINITE = 32000 };

/* Moves with what orders them; sorted lazily, since most lists are cut early. */
struct move_list {
    move moves[MOVES_MAX];
    int32_t scores[MOVES_MAX];
    uint32_t n;
};

/* ---- the transposition table ---- */

/* Mates are stored as seen from the node, not from the root. */
static int32_t score_in(int32_t score, uint32_t ply) {
    if (score >= SCORE_MATE_LEAST) return score + (int32_t)ply;
    return score <= -SCORE_MATE_LEAST ? score - (int32_t)ply : score;
}

static int32_t score_out(int32_t score, uint32_t ply) {
    if (score >= SCORE_MATE_LEAST) return score - (int32_t)ply;
    return score <= -SCORE_MATE_LEAST ? score + (int32_t)ply : score;
}

/* The entry of the key, or the one of its pair that is to be replaced. */
static struct entry *find_entry(struct searcher *s, uint64_t key, bool *found) {
    struct entry *pair = &s->table[key & s->table_mask & ~UINT64_C(1)];
    for (uint32_t i = 0; i < 2; i++) {
        if (pair[i].key == key && pair[i].bound != BOUND_NONE) {
            *found = true;
            return &pair[i];
        }
    }
    *found = false;
    int32_t keep0 = pair[0].depth + (pair[0].age == s->age ? 64 : 0);
    int32_t keep1 = pair[1].depth + (pair[1].age == s->age ? 64 : 0);
    return keep0 <= keep1 ? &pair[0] : &pair[1];
}

static void store(struct searcher *s, int32_t score, uint32_t ply, struct entry fresh) {
    bool found;
    struct entry *e = find_entry(s, s->board.key, &found);
    if (found && e->depth > fresh.depth + 3 && e->age == s->age) return;
    if (fresh.best == 0 && found) fresh.best = e->best;
    fresh.key = s->board.key;
    fresh.score = (int16_t)score_in(score, ply);
    fresh.age = s->age;
    *e = fresh;
}

/* ---- the order of moves ---- */

static bool is_loud(const struct board *b, move m) {
    return b->at[move_to(m)] != NO_PIECE || move_promotion(m) != 0 ||
           (b->at[move_from(m)] == PAWN && move_to(m) == b->en_passant);
}

static int32_t order_score(const struct searcher *s, move m, move hint, uint32_t ply) {
    const struct board *b = &s->board;
    if (m == hint) return 1 << 30;
    if (is_loud(b, m)) {
        int32_t victim = piece_value[b->at[move_to(m)]] + (move_promotion(m) == QUEEN ? 900 : 0);
        int32_t score = victim * 8 - b->at[move_from(m)] * 16;
        bool doubtful = piece_value[b->at[move_from(m)]] > victim;
        return doubtful && exchange(b, m) < 0 ? score - (1 << 26) : score + (1 << 26);
    }
    if (m == s->killers[ply][0]) return 1 << 25;
    if (m == s->killers[ply][1]) return (1 << 25) - 1;
    return s->history[b->turn][move_from(m)][move_to(m)];
}

static void list_moves(const struct searcher *s, struct move_list *list, bool loud, move hint,
                       uint32_t ply) {
    list->n = generate(&s->board, list->moves, loud);
    for (uint32_t i = 0; i < list->n; i++) {
        list->scores[i] = order_score(s, list->moves[i], hint, ply);
    }
}

/* Brings the best of the moves from `at` on to the front. */
static move next_move(struct move_list *list, uint32_t at) {
    uint32_t best = at;
    for (uint32_t i = at + 1; i < list->n; i++) {
        if (list->scores[i] > list->scores[best]) best = i;
    }
    move m = list->moves[best];
    int32_t score = list->scores[best];
    list->moves[best] = list->moves[at];
    list->scores[best] = list->scores[at];
    list->moves[at] = m;
    list->scores[at] = score;
    return m;
}

static void reward(struct searcher *s, const struct move_list *list, uint32_t at, int32_t depth,
                   uint32_t ply) {
    move m = list->moves[at];
    s->cutoffs++;
    s->cutoffs_first += at == 0;
    if (is_loud(&s->board, m)) return;
    if (s->killers[ply][0] != m) {
        s->killers[ply][1] = s->killers[ply][0];
        s->killers[ply][0] = m;
    }
    for (uint32_t i = 0; i <= at; i++) {
        int32_t *h = &s->history[s->board.turn][move_from(list->moves[i])][move_to(list->moves[i])];
        int32_t change = i == at ? depth * depth : -depth;
        *h += change * 32 - *h * (depth * depth < 64 ? depth * depth : 64) / 512;
    }
}

/* ---- the search ---- */

static void visit(struct searcher *s) {
    if (++s->nodes >= s->nodes_limit) s->stopped = true;
}

/* Captures only, until the position is quiet. */
static int32_t quiesce(struct searcher *s, int32_t alpha, int32_t beta, uint32_t ply) {
    visit(s);
    int32_t best = evaluate(&s->board);
    if (s->stopped || best >= beta || ply >= PLY_MAX - 1) return best;
    if (best > alpha) alpha = best;
    int32_t standing = best;
    struct move_list list;
    list_moves(s, &list, true, 0, ply);
    for (uint32_t i = 0; i < list.n; i++) {
        move m = next_move(&list, i);
        if (list.scores[i] < 0) break; /* the rest lose material */
        int32_t hope = standing + piece_value[s->board.at[move_to(m)]] + 150;
        if (hope <= alpha && move_promotion(m) == 0) continue;
        if (!make(&s->board, m)) continue;
        int32_t score = -quiesce(s, -beta, -alpha, ply + 1);
        unmake(&s->board, m);
        if (s->stopped) return best;
        if (score > best) best = score;
        if (score > alpha) alpha = score;
        if (alpha >= beta) break;
    }
    return best;
}

static int32_t search(struct searcher *s, int32_t depth, int32_t alpha, int32_t beta, uint32_t ply,
                      bool may_pass);

/* Lets the enemy move twice; true if we are still too good. */
static bool pass_cuts(struct searcher *s, int32_t depth, int32_t beta, uint32_t ply) {
    const struct board *b = &s->board;
    bitboard pieces = b->sides[b->turn] & ~b->kinds[PAWN] & ~b->kinds[KING];
    if (depth < 3 || !pieces || evaluate(b) < beta) return false;
    make_null(&s->board);
    int32_t score = -search(s, depth - 3 - depth / 6, -beta, 1 - beta, ply + 1, false);
    unmake_null(&s->board);
    return score >= beta && !s->stopped;
}

/* How much less deep a late quiet move is searched. */
static int32_t reduction(const struct searcher *s, int32_t depth, uint32_t number, int32_t order) {
    if (depth < 3 || number < 4 || order >= (1 << 24) || s->stopped) return 0;
    int32_t less = 1 + (number > 10) + (depth > 6 && number > 5) + (order < 0);
    return less > depth - 2 ? depth - 2 : less;
}

/* One move of a node: a narrow search first, and a full one when it holds surprises. */
static int32_t search_move(struct searcher *s, int32_t depth, int32_t alpha, int32_t beta,
                           uint32_t ply, int32_t less) {
    int32_t score = -search(s, depth - 1 - less, -alpha - 1, -alpha, ply + 1, true);
    if (less > 0 && score > alpha) score = -search(s, depth - 1, -alpha - 1, -alpha, ply + 1, true);
    if (score > alpha && score < beta) score = -search(s, depth - 1, -beta, -alpha, ply + 1, true);
    return score;
}

struct node_result {
    int32_t score;
    move best;
    bool any; /* a legal move exists */
};

static struct node_result search_moves(struct searcher *s, int32_t depth, int32_t alpha,
                                       int32_t beta, uint32_t ply, move hint) {
    struct node_result r = {-INFINITE, 0, false};
    struct move_list list;
    list_moves(s, &list, false, hint, ply);
    bool checked = in_check(&s->board, s->board.turn);
    uint32_t number = 0;
    for (uint32_t i = 0; i < list.n; i++) {
        move m = next_move(&list, i);
        if (!make(&s->board, m)) continue;
        int32_t less = checked ? 0 : reduction(s, depth, number, list.scores[i]);
        if (less > 0 && in_check(&s->board, s->board.turn)) less = 0;
        int32_t score = number++ == 0 ? -search(s, depth - 1, -beta, -alpha, ply + 1, true)
                                      : search_move(s, depth, alpha, beta, ply, less);
        unmake(&s->board, m);
        r.any = true;
        if (s->stopped) return r;
        if (score > r.score) {
            r.score = score;
            if (score > alpha || ply == 0) r.best = m;
        }
        if (score > alpha) alpha = score;
        if (alpha >= beta) {
            reward(s, &list, i, depth, ply);
            break;
        }
    }
    return r;
}

static int32_t search(struct searcher *s, int32_t depth, int32_t alpha, int32_t beta, uint32_t ply,
                      bool may_pass) {
    if (s->stopped) return alpha;
    if (ply > 0 && (repeated(&s->board) || s->board.fifty >= 100)) return 0;
    if (ply >= PLY_MAX - 1) return evaluate(&s->board);
    bool checked = in_check(&s->board, s->board.turn);
    if (checked) depth++;
    if (depth <= 0) return quiesce(s, alpha, beta, ply);
    visit(s);
    bool found;
    const struct entry *e = find_entry(s, s->board.key, &found);
    move hint = found ? e->best : 0;
    s->table_hits += found;
    if (found && ply > 0 && e->depth >= depth) {
        int32_t score = score_out(e->score, ply);
        if (e->bound == BOUND_EXACT || (e->bound == BOUND_LOWER && score >= beta) ||
            (e->bound == BOUND_UPPER && score <= alpha)) {
            return score;
        }
    }
    if (may_pass && !checked && beta - alpha == 1 && pass_cuts(s, depth, beta, ply)) return beta;
    struct node_result r = search_moves(s, depth, alpha, beta, ply, hint);
    if (s->stopped) return r.any && r.score > -INFINITE ? r.score : alpha;
    if (!r.any) return checked ? (int32_t)ply - SCORE_MATE : 0;
    uint8_t bound = r.score >= beta ? BOUND_LOWER : r.score > alpha ? BOUND_EXACT : BOUND_UPPER;
    store(s, r.score, ply,
          (struct entry){.best = r.best, .depth = (uint8_t)(depth < 255 ? depth : 255), .bound = bound});
    return r.score;
}

struct verdict think(struct searcher *s, uint64_t nodes) {
    struct verdict v = {0, 0, 0};
    s->nodes_limit = s->nodes + nodes;
    s->stopped = false;
    s->age++;
    memset(s->killers, 0, sizeof s->killers);
    for (uint32_t depth = 1; depth < PLY_MAX / 2 && !s->stopped; depth++) {
        struct node_result r = {0, 0, false};
        bool found;
        const struct entry *e = find_entry(s, s->board.key, &found);
        r = search_moves(s, (int32_t)depth, -INFINITE, INFINITE, 0, found ? e->best : v.best);
        if (r.best == 0) break; /* stopped before the first move was searched */
        /* A stopped iteration counts too: its first move was the best one before. */
        v = (struct verdict){r.best, r.score, depth};
        if (s->stopped) break;
        store(s, r.score, 0,
              (struct entry){.best = r.best, .depth = (uint8_t)depth, .bound = BOUND_EXACT});
    }
    return v;
}
