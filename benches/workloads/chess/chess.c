/* chess: a chess program plays games against itself.
 *
 * Stands for SPEC's deepsjeng. Positions are 64-bit bitboards with a mailbox beside
 * them; sliding attacks come from rays cut at the first blocker (no magic numbers).
 * The search is iterative deepening alpha-beta with a transposition table under
 * Zobrist keys, null moves, late move reductions, killer and history ordering, static
 * exchange evaluation and a capture search at the leaves; the evaluation knows
 * mobility, pawn structure and king safety.
 *
 * Time goes into branchy 64-bit integer code: attack generation, make and unmake,
 * evaluation, and random reads of the table. Games begin with some random moves; every
 * move gets a fixed number of nodes, so all steps cost about the same. Sizes differ in
 * the number of moves, the nodes for each and the size of the table.
 *
 * First the move generator proves itself by counting the leaves of four known trees. */
#include "search.h"

#define POSITION_FIRST "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"

enum { OPENING_PLIES = 6, GAME_PLIES_MAX = 160 };

/* Counts that all chess programs agree on. */
static void check_generator(struct board *b, struct workload *w) {
    static const struct {
        const char *fen;
        uint32_t depth;
        uint64_t leaves;
    } known[] = {
        {POSITION_FIRST, 3, 8902},
        {"r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1", 3, 97862},
        {"8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", 4, 43238},
        {"r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1", 3, 9467},
    };
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        board_read(b, known[i].fen);
        uint64_t leaves = perft(b, known[i].depth);
        if (leaves != known[i].leaves) workload_fail("the move generator miscounts");
        board_check(b);
        total += leaves;
    }
    printf("move generator agrees on %" PRIu64 " leaves\n", total);
    workload_hash(w, total);
}

static uint32_t legal_moves(struct board *b, move *list) {
    uint32_t all = generate(b, list, false), n = 0;
    for (uint32_t i = 0; i < all; i++) {
        if (make(b, list[i])) {
            unmake(b, list[i]);
            list[n++] = list[i];
        }
    }
    return n;
}

static void begin_game(struct searcher *s, struct random *r) {
    move list[MOVES_MAX];
    uint32_t played;
    do {
        board_read(&s->board, POSITION_FIRST);
        for (played = 0; played < OPENING_PLIES; played++) {
            uint32_t n = legal_moves(&s->board, list);
            if (n == 0) break;
            make(&s->board, list[random_below(r, n)]);
        }
    } while (played < OPENING_PLIES || legal_moves(&s->board, list) == 0);
    memset(s->history, 0, sizeof s->history);
}

enum outcome { GOES_ON, WHITE_WINS, BLACK_WINS, DRAWN, OUTCOMES };

static enum outcome outcome_of(struct board *b) {
    move list[MOVES_MAX];
    if (legal_moves(b, list) == 0) {
        if (!in_check(b, b->turn)) return DRAWN;
        return b->turn == WHITE ? BLACK_WINS : WHITE_WINS;
    }
    if (b->fifty >= 100 || repeated(b) || b->plies >= GAME_PLIES_MAX) return DRAWN;
    bool bare = !(b->kinds[PAWN] | b->kinds[ROOK] | b->kinds[QUEEN]);
    return bare && count(b->sides[0] | b->sides[1]) <= 3 ? DRAWN : GOES_ON;
}

static void play_games(struct searcher *s, struct workload *w, uint32_t moves, uint64_t nodes) {
    struct random r = {UINT64_C(0x9a3e5eed)};
    uint32_t results[OUTCOMES] = {0}, depths = 0;
    begin_game(s, &r);
    for (uint32_t i = 0; i < moves; i++) {
        struct verdict v = think(s, nodes);
        if (v.best == 0 || !make(&s->board, v.best)) workload_fail("the search found no move");
        board_check(&s->board);
        depths += v.depth;
        workload_hash(w, v.best);
        workload_hash(w, (uint64_t)(int64_t)v.score);
        workload_hash(w, s->board.key);
        enum outcome outcome = outcome_of(&s->board);
        results[outcome]++;
        if (outcome != GOES_ON) begin_game(s, &r);
        workload_step(w);
    }
    printf("%u moves, depth %u.%02u on average\n", moves, depths / moves,
           depths * 100 / moves % 100);
    printf("white won %u, black won %u, drawn %u\n", results[WHITE_WINS], results[BLACK_WINS],
           results[DRAWN]);
}

int main(int argc, char **argv) {
    struct workload w = workload_begin(argc, argv);
    evaluate_tables();
    board_tables();
    struct searcher *s = workload_allocate(1, sizeof *s);
    uint32_t entries = UINT32_C(1) << workload_pick(&w, 14, 18, 21);
    s->table = workload_allocate(entries, sizeof *s->table);
    s->table_mask = entries - 1;
    check_generator(&s->board, &w);
    play_games(s, &w, workload_pick(&w, 40, 120, 300), workload_pick(&w, 4500, 30000, 115000));
    printf("%" PRIu64 " nodes, %" PRIu64 " table hits, %" PRIu64 " %% of cuts by the first move\n",
           s->nodes, s->table_hits, s->cutoffs_first * 100 / (s->cutoffs + 1));
    workload_hash(&w, s->nodes);
    workload_hash(&w, s->table_hits);
    workload_hash(&w, s->cutoffs);
    free(s->table);
    free(s);
    return workload_end(&w);
}
